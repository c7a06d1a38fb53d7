package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var sweepTests = []test{
	{"rows go away, and only at their time", sweepTimes},
	{"at most limit rows go at once", sweepLimit},
	{"a client with a grant does not hold up the others", sweepPostponed},
	{"OP-15/ended grants and their families stay for a year", sweepEnded},
	{"consents nobody gave again go after thirteen months", sweepConsents},
	{"a flow with a session waits a day to be logged out", sweepSessions},
}

// sweepTimes: everything of a connection that was made and left alone, in the order it goes.
func sweepTimes(t *testing.T, f *fixture) {
	issue := f.issued(t)
	use := f.use(issue.Code)
	live := f.wantRedeem(t, use, bridge.CodeRedeemed)
	_, err := f.Hit(t.Context(), "key", 5, time.Minute, f.now)
	must(t, err)
	start := f.now
	for _, step := range []struct {
		after time.Duration
		rows  int
		what  string
	}{
		{time.Minute - time.Nanosecond, 0, ""},
		{time.Minute, 1, "counter"},
		{flowLife, 1, "flow"},
		{codeLife + 24*time.Hour - time.Nanosecond, 0, ""},
		{codeLife + 24*time.Hour, 1, "code"},
		{longestLife + 24*time.Hour, 0, ""},
	} {
		f.now = start.Add(step.after)
		n, err := f.Sweep(t.Context(), f.now, 100)
		must(t, err)
		equal(t, "rows swept after "+step.after.String()+" ("+step.what+")", n, step.rows)
	}
	equal(t, "grant", f.wantGrant(t, live.ID, bridge.GrantLive), live) // nobody ended it
}

func sweepLimit(t *testing.T, f *fixture) {
	const n = 250
	for range n {
		flow := f.newFlow()
		flow.SignIn.Session = nil
		must(t, f.CreateFlow(t.Context(), flow))
	}
	f.now = f.now.Add(flowLife)
	for _, step := range []struct{ limit, want int }{{0, 0}, {-1, 0}, {1, 1}, {240, 240}, {100, 9}, {100, 0}} {
		got, err := f.Sweep(t.Context(), f.now, step.limit)
		must(t, err)
		equal(t, "rows swept", got, step.want)
	}
}

func sweepPostponed(t *testing.T, f *fixture) {
	for range 3 {
		client := f.newClient()
		must(t, f.CreateClient(t.Context(), client, 10))
		f.issued(t, ofClient(client.ID))
	}
	f.now = f.now.Add(time.Second)
	unused := f.newClient()
	must(t, f.CreateClient(t.Context(), unused, 10))
	f.now = unused.UnusedUntil
	total := 0
	for range 4 { // three flows, then three clients that stay
		n, err := f.Sweep(t.Context(), f.now, 2)
		must(t, err)
		total += n
	}
	equal(t, "rows swept", total, 3+1)
	_, err := f.Client(t.Context(), unused.ID, f.now)
	wantError(t, err, bridge.ErrNotFound)
}

func sweepEnded(t *testing.T, f *fixture) {
	grant, token := f.live(t)
	f.wantRotate(t, f.useRefresh(token), bridge.RefreshRotated)
	_, _, err := f.EndGrant(t.Context(), grant.ID, bridge.EndRevokedByOperator, f.now)
	must(t, err)
	ended := f.now
	f.now = ended.Add(longestLife)
	_, err = f.Sweep(t.Context(), f.now, 100)
	must(t, err)
	f.wantRotate(t, f.useRefresh(token), bridge.RefreshEnded) // and not: unknown, or good again
	f.now = ended.Add(365 * 24 * time.Hour)
	_, err = f.Sweep(t.Context(), f.now, 100)
	must(t, err)
	f.wantGrant(t, grant.ID, bridge.GrantEnded)

	f.now = ended.Add(2 * 366 * 24 * time.Hour)
	_, err = f.Sweep(t.Context(), f.now, 100)
	must(t, err)
	_, err = f.Grant(t.Context(), grant.ID)
	wantError(t, err, bridge.ErrNotFound)
	f.wantGrants(t, "", "", "", 10)
	f.wantGrants(t, alice.ID(), "", "", 10)
	f.wantRotate(t, f.useRefresh(token), bridge.RefreshUnknown)
}

func sweepConsents(t *testing.T, f *fixture) {
	c := f.issued(t).Consent
	f.now = f.now.Add(100 * 24 * time.Hour)
	c2 := f.issued(t).Consent // the same, given again
	find := func() error {
		got, err := f.Consent(t.Context(), c.PersonID, c.ClientID, c.RedirectURI, c.Resource)
		if err == nil {
			equal(t, "consent", got, c2)
		}
		return err
	}
	_, err := f.Sweep(t.Context(), c2.GivenAt.Add(395*24*time.Hour), 100)
	must(t, err)
	must(t, find())
	_, err = f.Sweep(t.Context(), c2.GivenAt.Add(397*24*time.Hour), 100)
	must(t, err)
	wantError(t, find(), bridge.ErrNotFound)
}

func sweepSessions(t *testing.T, f *fixture) {
	flow := f.newFlow()
	must(t, f.CreateFlow(t.Context(), flow))
	f.now = flow.ExpiresAt.Add(24*time.Hour - time.Nanosecond)
	f.wantSwept(t, 0)
	f.now = flow.ExpiresAt.Add(24 * time.Hour)
	f.wantSwept(t, 1)
	left, err := f.ExpiredFlows(t.Context(), f.now, 10)
	must(t, err)
	equal(t, "flows left", len(left), 0)
}

var wholeTests = []test{
	{"a new store belongs to nobody", wholeDeployment},
	{"a new store has one founder", wholeFounded},
	{"a caller that went away changes nothing", wholeCancelled},
	{"a closed store says so", wholeClosed},
	{"an open store takes writes", func(t *testing.T, f *fixture) { must(t, f.Ping(t.Context())) }},
}

func wholeDeployment(t *testing.T, f *fixture) {
	_, err := f.Deployment(t.Context())
	wantError(t, err, bridge.ErrNotFound)
	want := bridge.Deployment{ID: "id", Issuer: issuerURL, SealCheck: []byte("sealed"), CreatedAt: f.now}
	must(t, f.SaveDeployment(t.Context(), want))
	f.reopen(t)
	got, err := f.Deployment(t.Context())
	must(t, err)
	equal(t, "deployment", got, want)
	want.Issuer = "https://elsewhere.example.com"
	must(t, f.SaveDeployment(t.Context(), want))
	wantError(t, f.SaveDeployment(t.Context(), bridge.Deployment{ID: "another"}), bridge.ErrConflict)
	got, err = f.Deployment(t.Context())
	must(t, err)
	equal(t, "deployment", got, want)
}

// wholeFounded: of many that come upon a new store at once one makes the deployment.
func wholeFounded(t *testing.T, f *fixture) {
	var all sync.WaitGroup
	var founders atomic.Int32
	for i := range 8 {
		all.Go(func() {
			switch err := f.SaveDeployment(t.Context(), bridge.Deployment{ID: fmt.Sprint(i)}); {
			case err == nil:
				founders.Add(1)
			case !errors.Is(err, bridge.ErrConflict):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := founders.Load(); n != 1 {
		t.Errorf("%d made the deployment", n)
	}
}

func wholeCancelled(t *testing.T, f *fixture) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	flow := f.newFlow()
	wantError(t, f.CreateFlow(gone, flow), context.Canceled)
	_, err := f.Flow(t.Context(), flow.ID, f.now)
	wantError(t, err, bridge.ErrNotFound)
	_, err = f.Flow(gone, flow.ID, f.now)
	wantError(t, err, context.Canceled)

	// Going away in the middle: what is reported as stored is stored; what is not may be, but whole.
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		flow := f.newFlow()
		err := f.CreateFlow(ctx, flow)
		stored, lookup := f.Flow(t.Context(), flow.ID, f.now)
		if err != nil {
			wantError(t, err, context.Canceled)
		}
		if err == nil || lookup == nil {
			must(t, lookup)
			equal(t, "flow", stored, flow)
		}
	}
}

func wholeClosed(t *testing.T, f *fixture) {
	grant, _ := f.live(t)
	must(t, f.Close())
	if err := f.CreateFlow(t.Context(), f.newFlow()); err == nil {
		t.Error("a closed store took a flow")
	}
	if _, err := f.Grant(t.Context(), grant.ID); err == nil || errors.Is(err, bridge.ErrNotFound) {
		t.Errorf("a closed store said of a grant: %v", err)
	}
	if err := f.Ping(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
	f.reopen(t) // closes it again
}
