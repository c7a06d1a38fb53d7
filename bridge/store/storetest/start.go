package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var startTests = []test{
	{"EX-15/a grant is live at once and stays", startNew},
	{"EX-15/a live one takes over what the operator says", startAgain},
	{"EX-15/an ended one stays ended, and is never swept", startEnded},
	{"EX-15/what is no such grant", startRefused},
	{"EX-15/64 starts at once make one grant", startRace},
}

// newMachine is a grant nobody consented to.
func (f *fixture) newMachine() bridge.Grant {
	return bridge.Grant{
		ID: f.name("machine"), Status: bridge.GrantLive, Person: bridge.Person{Source: bridge.SourceClient, Subject: "nightly"},
		Account: bridge.Account{Username: "alice"}, ActingAs: bridge.ActingAs{Kind: bridge.ActAsUser},
		Started: true, ClientID: "nightly", ClientName: "Nightly", Resource: resourceURL, Scopes: bridge.BaselineScopes(), Asked: bridge.BaselineScopes(),
		Credential: bridge.Credential{Sealed: []byte("sealed key")}, CreatedAt: f.now,
	}
}

func (f *fixture) wantStart(t testing.TB, grant, want bridge.Grant) {
	t.Helper()
	got, err := f.StartGrant(t.Context(), grant, f.now)
	must(t, err)
	equal(t, "started grant", got, want)
	equal(t, "stored grant", f.wantGrant(t, grant.ID, want.Status), want)
}

func startNew(t *testing.T, f *fixture) {
	grant := f.newMachine()
	unsaid := grant
	unsaid.Started = false
	f.wantStart(t, unsaid, grant)
	f.reopen(t)
	equal(t, "stored grant", f.wantGrant(t, grant.ID, bridge.GrantLive), grant)
	page, err := f.Grants(t.Context(), grant.Person.ID(), "", "", 10)
	must(t, err)
	equal(t, "grants listed", page, []bridge.Grant{grant})
	lapsed, err := f.LapsedGrants(t.Context(), f.now.Add(10*longestLife), 10)
	must(t, err)
	equal(t, "grants that lapse", len(lapsed), 0)
}

func startAgain(t *testing.T, f *fixture) {
	grant := f.newMachine()
	f.wantStart(t, grant, grant)
	must(t, f.TouchGrant(t.Context(), grant.ID, f.now))
	must(t, f.RevokeToken(t.Context(), grant.ID, "jti", f.now.Add(time.Hour), f.now))
	want := f.wantGrant(t, grant.ID, bridge.GrantLive)
	f.wantStart(t, grant, want)

	changed := grant
	changed.ClientName, changed.Resource = "Weekly", resourceURL+"/2"
	changed.Scopes, changed.Asked = bridge.Scopes{bridge.ScopeRead}, bridge.Scopes{bridge.ScopeRead}
	changed.Account, changed.CreatedAt, changed.Credential = bridge.Account{Username: "bob"}, f.now.Add(time.Hour), bridge.Credential{Sealed: []byte("again")}
	want.ClientName, want.Resource, want.Scopes, want.Asked = changed.ClientName, changed.Resource, changed.Scopes, changed.Asked
	f.wantStart(t, changed, want)
	f.reopen(t)
	equal(t, "stored grant", f.wantGrant(t, grant.ID, bridge.GrantLive), want)
}

func startEnded(t *testing.T, f *fixture) {
	grant := f.newMachine()
	f.wantStart(t, grant, grant)
	ended, byMe, err := f.EndGrant(t.Context(), grant.ID, bridge.EndRevokedByOperator, f.now)
	must(t, err)
	equal(t, "ended by this call", byMe, true)
	equal(t, "credential", ended.Credential, bridge.Credential{})
	f.wantUnqueued(t) // the key is the operator's
	changed := grant
	changed.Scopes = bridge.AllScopes()
	f.wantStart(t, changed, ended)
	_, err = f.Sweep(t.Context(), f.now.Add(10*longestLife), 100)
	must(t, err)
	f.wantStart(t, grant, ended)
}

func startRefused(t *testing.T, f *fixture) {
	for _, edit := range []func(*bridge.Grant){
		func(g *bridge.Grant) { g.ID = "" },
		func(g *bridge.Grant) { g.Status = bridge.GrantPending },
		func(g *bridge.Grant) { g.Status = bridge.GrantEnded },
		func(g *bridge.Grant) { g.Refresh = true },
	} {
		grant := f.newMachine()
		edit(&grant)
		_, err := f.StartGrant(t.Context(), grant, f.now)
		wantRefused(t, err)
		_, err = f.Grant(t.Context(), grant.ID)
		wantError(t, err, bridge.ErrNotFound)
	}
	grant := f.newMachine()
	f.wantStart(t, grant, grant)
	for _, edit := range []func(*bridge.Grant){
		func(g *bridge.Grant) { g.ClientID = "other" },
		func(g *bridge.Grant) { g.Person = alice },
	} {
		foreign := grant
		edit(&foreign)
		_, err := f.StartGrant(t.Context(), foreign, f.now)
		wantError(t, err, bridge.ErrConflict)
	}
	equal(t, "stored grant", f.wantGrant(t, grant.ID, bridge.GrantLive), grant)
}

func startRace(t *testing.T, f *fixture) {
	grant := f.newMachine()
	var wrong atomic.Int32
	barrier(64, func(int) {
		if got, err := f.StartGrant(t.Context(), grant, f.now); err != nil || !got.Live() {
			wrong.Add(1)
		}
	})
	equal(t, "calls that failed", wrong.Load(), int32(0))
	page, err := f.Grants(t.Context(), "", grant.ClientID, "", 10)
	must(t, err)
	equal(t, "grants listed", len(page), 1)
}
