package storetest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var clientTests = []test{
	{"a client comes back as it was stored", clientRoundTrip},
	{"an unknown client is not found", clientUnknown},
	{"an id is given once", clientConflict},
	{"only registered clients are stored", clientKinds},
	{"DC-07/the number of unused clients is bounded", clientQuota},
	{"DC-07/while there is little room, what nobody uses goes sooner", clientQuotaCrowded},
	{"DC-07/64 registrations at once keep to the bound", clientQuotaRace},
	{"DC-07/a redeemed code makes room", clientQuotaRedeemed},
	{"DC-07/sweeping makes room", clientQuotaSwept},
	{"an unused client is gone at its time, swept or not", clientExpires},
	{"a client is kept while a grant has not ended", clientKeptByGrant},
	{"one that has not ended keeps its client, however many have since", clientKeptByOldGrant},
	{"a redeemed code keeps the client past the last possible token", clientKeptAfterRedeem},
}

// grantsAtOnce is how many grants of a client a store looks at before it looks for more.
const grantsAtOnce = 100

func clientRoundTrip(t *testing.T, f *fixture) {
	want := f.newClient()
	want.AuthMethod = bridge.AuthPost
	want.SecretHashes = []bridge.Hash{f.hash("secret"), f.hash("secret")}
	want.Scopes = bridge.BaselineScopes()
	want.URI, want.PolicyURI, want.TermsURI, want.LogoURI = "https://a.example.com/", "https://b.example.com/", "https://c.example.com/", "https://d.example.com/"
	want.Contacts = []string{"ops@example.com"}
	want.SoftwareID, want.SoftwareVersion, want.ApplicationType = "id", "1.2", "native"
	want.Blocked = true
	must(t, f.CreateClient(t.Context(), want, 1))
	f.reopen(t)
	got, err := f.Client(t.Context(), want.ID, f.now)
	must(t, err)
	equal(t, "client", got, want)
}

func clientUnknown(t *testing.T, f *fixture) {
	for _, id := range []string{"", "client-unknown", "https://client.example.com/metadata", "a\x00b"} {
		_, err := f.Client(t.Context(), id, f.now)
		wantError(t, err, bridge.ErrNotFound)
	}
}

func clientConflict(t *testing.T, f *fixture) {
	first := f.newClient()
	must(t, f.CreateClient(t.Context(), first, 5))
	second := first
	second.Name = "somebody else"
	wantError(t, f.CreateClient(t.Context(), second, 5), bridge.ErrConflict)
	got, err := f.Client(t.Context(), first.ID, f.now)
	must(t, err)
	equal(t, "client", got, first)
}

func clientKinds(t *testing.T, f *fixture) {
	for _, edit := range []func(*bridge.Client){
		func(c *bridge.Client) { c.Kind = bridge.ClientConfigured },
		func(c *bridge.Client) { c.Kind = "" },
		func(c *bridge.Client) { c.ID = "" },
	} {
		client := f.newClient()
		edit(&client)
		wantRefused(t, f.CreateClient(t.Context(), client, 5))
	}
	must(t, f.CreateClient(t.Context(), f.newClient(), 1)) // none of them counted
}

func clientQuota(t *testing.T, f *fixture) {
	wantError(t, f.CreateClient(t.Context(), f.newClient(), 0), bridge.ErrFull)
	must(t, f.CreateClient(t.Context(), f.newClient(), 2))
	must(t, f.CreateClient(t.Context(), f.newClient(), 2))
	refused := f.newClient()
	wantError(t, f.CreateClient(t.Context(), refused, 2), bridge.ErrFull)
	f.reopen(t)
	wantError(t, f.CreateClient(t.Context(), refused, 2), bridge.ErrFull)
	_, err := f.Client(t.Context(), refused.ID, f.now)
	wantError(t, err, bridge.ErrNotFound)
	must(t, f.CreateClient(t.Context(), refused, 3))
}

// DC-07: while there is little room left, what nobody uses makes place before a day is over, so that a flood keeps
// nobody out for long.
func clientQuotaCrowded(t *testing.T, f *fixture) {
	early, late := f.newClient(), f.newClient()
	must(t, f.CreateClient(t.Context(), early, 2))
	must(t, f.CreateClient(t.Context(), late, 2))
	f.now = f.now.Add(15*time.Minute - time.Second)
	_, err := f.Client(t.Context(), late.ID, f.now)
	must(t, err)
	f.now = f.now.Add(time.Second)
	_, err = f.Client(t.Context(), late.ID, f.now)
	wantError(t, err, bridge.ErrNotFound)
	f.wantSwept(t, 1)
	must(t, f.CreateClient(t.Context(), f.newClient(), 2))
	_, err = f.Client(t.Context(), early.ID, f.now)
	must(t, err)
}

func clientQuotaRace(t *testing.T, f *fixture) {
	var stored, full atomic.Int32
	barrier(64, func(int) {
		switch err := f.CreateClient(t.Context(), f.newClient(), 10); {
		case err == nil:
			stored.Add(1)
		case errors.Is(err, bridge.ErrFull):
			full.Add(1)
		default:
			t.Error(err)
		}
	})
	equal(t, "stored and refused", []int32{stored.Load(), full.Load()}, []int32{10, 54})
}

func clientQuotaRedeemed(t *testing.T, f *fixture) {
	client := f.newClient()
	must(t, f.CreateClient(t.Context(), client, 1))
	wantError(t, f.CreateClient(t.Context(), f.newClient(), 1), bridge.ErrFull)
	f.live(t, ofClient(client.ID))
	must(t, f.CreateClient(t.Context(), f.newClient(), 1))
	f.live(t, ofClient(client.ID)) // the second one makes no more room
	wantError(t, f.CreateClient(t.Context(), f.newClient(), 1), bridge.ErrFull)
}

func clientQuotaSwept(t *testing.T, f *fixture) {
	for range 2 {
		must(t, f.CreateClient(t.Context(), f.newClient(), 2))
	}
	f.now = f.now.Add(unusedLife)
	wantError(t, f.CreateClient(t.Context(), f.newClient(), 2), bridge.ErrFull)
	f.wantSwept(t, 2)
	for range 2 {
		must(t, f.CreateClient(t.Context(), f.newClient(), 2))
	}
	wantError(t, f.CreateClient(t.Context(), f.newClient(), 2), bridge.ErrFull)
}

func clientExpires(t *testing.T, f *fixture) {
	client := f.newClient()
	must(t, f.CreateClient(t.Context(), client, 1))
	forever := f.newClient()
	forever.UnusedUntil = time.Time{}
	must(t, f.CreateClient(t.Context(), forever, 2))
	_, err := f.Client(t.Context(), client.ID, client.UnusedUntil.Add(-time.Nanosecond))
	must(t, err)
	for range 2 {
		_, err = f.Client(t.Context(), client.ID, client.UnusedUntil)
		wantError(t, err, bridge.ErrNotFound)
		_, err = f.Client(t.Context(), forever.ID, client.UnusedUntil)
		must(t, err)
		_, err = f.Sweep(t.Context(), client.UnusedUntil, 10)
		must(t, err)
	}
}

func clientKeptByGrant(t *testing.T, f *fixture) {
	client := f.newClient()
	must(t, f.CreateClient(t.Context(), client, 1))
	issue := f.issued(t, ofClient(client.ID))
	f.now = client.UnusedUntil.Add(time.Second)
	_, err := f.Client(t.Context(), client.ID, f.now)
	must(t, err)
	f.wantSwept(t, 1) // the flow, not the client
	_, err = f.Client(t.Context(), client.ID, f.now)
	must(t, err)
	_, _, err = f.EndGrant(t.Context(), issue.Grant.ID, bridge.EndCodeUnredeemed, f.now)
	must(t, err)
	f.now = f.now.Add(2 * unusedLife)
	_, err = f.Client(t.Context(), client.ID, f.now)
	wantError(t, err, bridge.ErrNotFound)
}

func clientKeptByOldGrant(t *testing.T, f *fixture) {
	client := f.newClient()
	must(t, f.CreateClient(t.Context(), client, 1))
	open := f.issued(t, ofClient(client.ID)).Grant
	for range 2*grantsAtOnce + 1 {
		f.now = f.now.Add(time.Millisecond)
		ended := f.issued(t, ofClient(client.ID)).Grant
		_, _, err := f.EndGrant(t.Context(), ended.ID, bridge.EndCodeUnredeemed, f.now)
		must(t, err)
	}
	f.now = client.UnusedUntil.Add(time.Second)
	_, err := f.Client(t.Context(), client.ID, f.now)
	must(t, err)
	_, _, err = f.EndGrant(t.Context(), open.ID, bridge.EndCodeUnredeemed, f.now)
	must(t, err)
	_, err = f.Client(t.Context(), client.ID, f.now)
	wantError(t, err, bridge.ErrNotFound)
}

func clientKeptAfterRedeem(t *testing.T, f *fixture) {
	tests := []struct {
		name    string
		refresh bool
		until   time.Duration
	}{
		{"with a refresh family", true, longestLife + accessLife + clientKept},
		{"with one access token", false, accessLife + clientKept},
	}
	for _, tt := range tests {
		client := f.newClient()
		must(t, f.CreateClient(t.Context(), client, 1))
		grant, _ := f.live(t, ofClient(client.ID), func(i *bridge.Issue) { i.Grant.Refresh, i.Code.Refresh = tt.refresh, tt.refresh })
		_, _, err := f.EndGrant(t.Context(), grant.ID, bridge.EndRevokedByClient, f.now)
		must(t, err)
		_, err = f.Sweep(t.Context(), f.now.Add(tt.until-time.Nanosecond), 1000)
		must(t, err)
		got, err := f.Client(t.Context(), client.ID, f.now.Add(tt.until-time.Nanosecond))
		must(t, err)
		client.UnusedUntil = f.now.Add(tt.until)
		equal(t, "client "+tt.name, got, client)
		_, err = f.Client(t.Context(), client.ID, f.now.Add(tt.until))
		wantError(t, err, bridge.ErrNotFound)
	}
}

// ofClient makes an approval one of another client.
func ofClient(id string) func(*bridge.Issue) {
	return func(i *bridge.Issue) { i.Grant.ClientID, i.Code.ClientID, i.Consent.ClientID = id, id, id }
}

// wantSwept sweeps everything that is due and wants so many rows to go.
func (f *fixture) wantSwept(t testing.TB, want int) {
	t.Helper()
	n, err := f.Sweep(t.Context(), f.now, 10_000)
	must(t, err)
	equal(t, "rows swept", n, want)
}
