package storetest

import (
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var documentTests = []test{
	{"CM-29/what a document said comes back as it was stored", documentRoundTrip},
	{"only clients of documents are put", documentKinds},
	{"the later document stays, and the later end", documentReplaced},
	{"a document takes no room from registrations", documentUncounted},
	{"CM-29/it is kept while a grant has not ended", documentKeptByGrant},
}

// newDocument is a client whose document was just fetched.
func (f *fixture) newDocument() bridge.Client {
	return bridge.Client{
		ID: "https://app.example.com/" + f.name("client") + ".json", Kind: bridge.ClientDocument, Name: "Example client",
		RedirectURIs: []string{redirectURL}, GrantTypes: []string{bridge.GrantTypeCode, bridge.GrantTypeRefresh},
		AuthMethod: bridge.AuthKey, Keys: []byte(`{"keys":[]}`), SigningAlg: "ES256", OffersNone: true,
		Fingerprint: f.hash("fingerprint"), CreatedAt: f.now, UnusedUntil: f.now.Add(unusedLife),
	}
}

func (f *fixture) wantClient(t testing.TB, want bridge.Client) {
	t.Helper()
	got, err := f.Client(t.Context(), want.ID, f.now)
	must(t, err)
	equal(t, "client", got, want)
}

func documentRoundTrip(t *testing.T, f *fixture) {
	want := f.newDocument()
	must(t, f.PutClient(t.Context(), want, f.now))
	f.reopen(t)
	f.wantClient(t, want)
	remote := f.newDocument()
	remote.Keys, remote.KeysURI = nil, "https://app.example.com/keys.json"
	must(t, f.PutClient(t.Context(), remote, f.now))
	f.wantClient(t, remote)
	f.wantClient(t, want)
}

func documentKinds(t *testing.T, f *fixture) {
	for _, edit := range []func(*bridge.Client){
		func(c *bridge.Client) { c.Kind = bridge.ClientRegistered },
		func(c *bridge.Client) { c.Kind = bridge.ClientConfigured },
		func(c *bridge.Client) { c.Kind = "" },
		func(c *bridge.Client) { c.ID = "" },
	} {
		client := f.newDocument()
		edit(&client)
		wantRefused(t, f.PutClient(t.Context(), client, f.now))
	}
	registered := f.newClient()
	must(t, f.CreateClient(t.Context(), registered, 1))
	usurper := f.newDocument()
	usurper.ID = registered.ID
	wantError(t, f.PutClient(t.Context(), usurper, f.now), bridge.ErrConflict)
	f.wantClient(t, registered)
}

func documentReplaced(t *testing.T, f *fixture) {
	first := f.newDocument()
	must(t, f.PutClient(t.Context(), first, f.now))
	f.now = f.now.Add(time.Hour)
	second := first
	second.Name, second.CreatedAt, second.UnusedUntil = "Renamed", f.now, first.UnusedUntil.Add(-time.Minute)
	must(t, f.PutClient(t.Context(), second, f.now))
	second.UnusedUntil = first.UnusedUntil
	f.wantClient(t, second)

	late := first // fetched before the second one, stored after it
	late.UnusedUntil = first.UnusedUntil.Add(time.Hour)
	must(t, f.PutClient(t.Context(), late, f.now))
	second.UnusedUntil = late.UnusedUntil
	f.wantClient(t, second)
}

func documentUncounted(t *testing.T, f *fixture) {
	must(t, f.CreateClient(t.Context(), f.newClient(), 1))
	document := f.newDocument()
	must(t, f.PutClient(t.Context(), document, f.now))
	f.live(t, ofClient(document.ID))
	wantError(t, f.CreateClient(t.Context(), f.newClient(), 1), bridge.ErrFull) // the grant made no room, either
	must(t, f.CreateClient(t.Context(), f.newClient(), 2))
}

func documentKeptByGrant(t *testing.T, f *fixture) {
	document := f.newDocument()
	must(t, f.PutClient(t.Context(), document, f.now))
	grant, _ := f.live(t, ofClient(document.ID))
	f.now = f.now.Add(longestLife)
	_, err := f.Sweep(t.Context(), f.now, 1000)
	must(t, err)
	_, err = f.Client(t.Context(), document.ID, f.now)
	must(t, err)
	_, _, err = f.EndGrant(t.Context(), grant.ID, bridge.EndExpired, f.now)
	must(t, err)
	f.now = f.now.Add(accessLife + clientKept)
	_, err = f.Client(t.Context(), document.ID, f.now)
	wantError(t, err, bridge.ErrNotFound)
	_, err = f.Sweep(t.Context(), f.now, 1000)
	must(t, err)
	must(t, f.PutClient(t.Context(), document, f.now)) // as if for the first time
}
