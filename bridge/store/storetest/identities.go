package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var identityTests = []test{
	{"FB-30/a session is stored with its grant and found by subject and sid", identityFound},
	{"I6/a session and a grant that do not belong together", identityIncoherent},
	{"FB-30/a new admission cuts the grants down, and never gives", identityNarrows},
	{"FB-30/a session that admits nobody takes its grants along", identityRefused},
	{"FB-30/a session that may no longer act as its grants do takes them along", identityActingLost},
	{"a refused update changes nothing", identityUpdateRefused},
	{"FB-30/ending a session ends its grants", identityEnd},
	{"the end of its last grant ends a session", identityLastGrant},
	{"the flow that a session came by forgets it", identityNotInFlow},
	{"an unknown session", identityUnknown},
}

// from makes an approval one of a new session at bob's provider.
func (f *fixture) from(sid string) func(*bridge.Issue) {
	return func(i *bridge.Issue) {
		ofPerson(bob)(i)
		i.Identity = &bridge.IdentitySession{
			ID: f.name("identity"), Source: "company", Person: bob, SID: sid, Refresh: []byte("sealed refresh"), IDToken: []byte("sealed id token"),
			Admission: bridge.Admission{Rule: "staff", Ceiling: bridge.AllScopes(), CheckedAt: f.now}, CreatedAt: f.now,
		}
		i.Grant.Identity, i.Grant.Ceiling, i.Grant.Scopes = i.Identity.ID, bridge.AllScopes(), bridge.BaselineScopes()
	}
}

func (f *fixture) wantOpen(t testing.TB, issuer, subject, sid string, want ...bridge.IdentitySession) {
	t.Helper()
	got, err := f.OpenIdentities(t.Context(), issuer, subject, sid)
	must(t, err)
	have := map[string]bridge.IdentitySession{}
	for _, identity := range got {
		have[identity.ID] = identity
	}
	wanted := map[string]bridge.IdentitySession{}
	for _, identity := range want {
		wanted[identity.ID] = identity
	}
	equal(t, "open sessions", have, wanted)
}

// A session that ends keeps no token of the provider, and neither does what it came by.
func identityNotInFlow(t *testing.T, f *fixture) {
	flow := f.newFlow()
	issue := f.newIssue(flow)
	f.from("sid")(&issue)
	flow.SignIn.Person, flow.SignIn.Identity = bob, issue.Identity
	must(t, f.CreateFlow(t.Context(), flow))
	outcome, err := f.IssueCode(t.Context(), issue, f.now)
	must(t, err)
	equal(t, "outcome", outcome, bridge.CodeIssued)
	flow.Step, flow.Exit, flow.SignIn.Identity = bridge.StepDecided, issue.Exit, nil
	f.wantFlow(t, flow)
}

func identityFound(t *testing.T, f *fixture) {
	first := *f.issued(t, f.from("sid-1")).Identity
	second := *f.issued(t, f.from("sid-2")).Identity
	third := *f.issued(t, f.from("")).Identity
	f.reopen(t)
	got, err := f.Identity(t.Context(), first.ID)
	must(t, err)
	equal(t, "session", got, first)
	f.wantOpen(t, bob.Source, bob.Subject, "", first, second, third)
	f.wantOpen(t, bob.Source, bob.Subject, "sid-1", first)
	f.wantOpen(t, bob.Source, "", "sid-2", second)
	f.wantOpen(t, bob.Source, "", "")
	f.wantOpen(t, bob.Source, "alice", "")
	f.wantOpen(t, bob.Source, "alice", "sid-1")
	f.wantOpen(t, "https://other.example.com", bob.Subject, "")
	f.wantOpen(t, "https://other.example.com", "", "sid-1")
}

func identityIncoherent(t *testing.T, f *fixture) {
	for name, edit := range map[string]func(*bridge.Issue){
		"no session":             func(i *bridge.Issue) { i.Identity = nil },
		"no session of a grant":  func(i *bridge.Issue) { i.Grant.Identity = "" },
		"another session":        func(i *bridge.Issue) { i.Grant.Identity = "another" },
		"a session without id":   func(i *bridge.Issue) { i.Identity.ID, i.Grant.Identity = "", "" },
		"another person":         func(i *bridge.Issue) { i.Identity.Person = alice },
		"a session that is over": func(i *bridge.Issue) { i.Identity.EndedAt = f.now },
	} {
		flow := f.newFlow()
		must(t, f.CreateFlow(t.Context(), flow))
		issue := f.newIssue(flow)
		f.from("sid")(&issue)
		edit(&issue)
		if _, err := f.IssueCode(t.Context(), issue, f.now); err == nil {
			t.Errorf("%s: issued", name)
		}
		f.wantNotIssued(t, issue)
		f.wantFlow(t, flow)
	}
	stored := f.issued(t, f.from("sid"))
	flow := f.newFlow()
	must(t, f.CreateFlow(t.Context(), flow))
	again := f.newIssue(flow)
	f.from("sid")(&again)
	again.Identity.ID, again.Grant.Identity = stored.Identity.ID, stored.Identity.ID
	_, err := f.IssueCode(t.Context(), again, f.now)
	wantError(t, err, bridge.ErrConflict)
	f.wantFlow(t, flow)
}

func identityNarrows(t *testing.T, f *fixture) {
	issue := f.issued(t, f.from("sid"))
	grant := f.wantRedeem(t, f.use(issue.Code), bridge.CodeRedeemed)
	other, _ := f.live(t, f.from("sid-2"))
	read := bridge.Scopes{bridge.ScopeRead}
	for _, step := range []struct{ ceiling, want bridge.Scopes }{
		{bridge.BaselineScopes(), bridge.BaselineScopes()},
		{read, read},
		{bridge.AllScopes(), read}, // what was lost does not come back by itself
	} {
		f.now = f.now.Add(time.Minute)
		want := *issue.Identity
		want.Refresh = []byte("rotated")
		want.Admission = bridge.Admission{Rule: "fewer", Ceiling: step.ceiling, Profiles: []string{"default", "listed"}, CheckedAt: f.now}
		got, over, err := f.UpdateIdentity(t.Context(), issue.Identity.ID, f.now, func(i *bridge.IdentitySession) error {
			i.Refresh, i.Admission = want.Refresh, want.Admission
			return nil
		})
		must(t, err)
		equal(t, "grants ended", len(over), 0)
		equal(t, "returned session", got, want)
		f.reopen(t)
		stored, err := f.Identity(t.Context(), issue.Identity.ID)
		must(t, err)
		equal(t, "stored session", stored, want)
		grant.Scopes, grant.Ceiling, grant.Profiles = step.want, step.ceiling, []string{"default", "listed"}
		equal(t, "grant", f.wantGrant(t, grant.ID, bridge.GrantLive), grant)
	}
	equal(t, "another session's grant", f.wantGrant(t, other.ID, bridge.GrantLive), other)
}

func identityActingLost(t *testing.T, f *fixture) {
	lent := bridge.ActingAs{Kind: bridge.ActAsAgent, Agent: "researcher", Owner: "owner"}
	issue := f.issued(t, f.from("sid"), func(i *bridge.Issue) {
		i.Grant.ActingAs, i.Identity.Admission.ActAs = lent, []bridge.ActingAs{lent.Principal()}
	})
	f.wantRedeem(t, f.use(issue.Code), bridge.CodeRedeemed)
	lets := func(actAs ...bridge.ActingAs) []string {
		t.Helper()
		_, over, err := f.UpdateIdentity(t.Context(), issue.Identity.ID, f.now, func(i *bridge.IdentitySession) error {
			i.Admission.ActAs = actAs
			return nil
		})
		must(t, err)
		f.reopen(t)
		return grantIDs(over)
	}
	equal(t, "ended while allowed", len(lets(bridge.ActingAs{Kind: bridge.ActAsSystem}, lent.Principal())), 0)
	equal(t, "acting as", f.wantGrant(t, issue.Grant.ID, bridge.GrantLive).ActingAs, lent)
	equal(t, "ended when not", lets(bridge.ActingAs{Kind: bridge.ActAsSystem}), []string{issue.Grant.ID})
	equal(t, "reason", f.wantGrant(t, issue.Grant.ID, bridge.GrantEnded).EndReason, bridge.EndNotAdmitted)
}

func identityRefused(t *testing.T, f *fixture) {
	for name, admission := range map[string]bridge.Admission{
		"nothing":          {CheckedAt: f.now},
		"another tool set": {Rule: "listed", Ceiling: bridge.AllScopes(), Profiles: []string{"listed"}, CheckedAt: f.now},
	} {
		issue := f.issued(t, f.from("sid"))
		grant := f.wantRedeem(t, f.use(issue.Code), bridge.CodeRedeemed)
		got, over, err := f.UpdateIdentity(t.Context(), issue.Identity.ID, f.now, func(i *bridge.IdentitySession) error {
			i.Admission = admission
			return nil
		})
		must(t, err)
		equal(t, "grants ended by "+name, grantIDs(over), []string{grant.ID})
		f.reopen(t)
		equal(t, "reason", f.wantGrant(t, grant.ID, bridge.GrantEnded).EndReason, bridge.EndNotAdmitted)
		f.wantIdentityOver(t, got, bridge.EndGrantsOver)
	}
}

// wantIdentityOver wants a session that has ended, stored so, and without the provider's tokens.
func (f *fixture) wantIdentityOver(t testing.TB, got bridge.IdentitySession, reason bridge.EndReason) {
	t.Helper()
	stored, err := f.Identity(t.Context(), got.ID)
	must(t, err)
	equal(t, "stored session", stored, got)
	equal(t, "reason", got.EndReason, reason)
	equal(t, "end", got.EndedAt, f.now)
	equal(t, "tokens kept", len(got.Refresh)+len(got.IDToken), 0)
	f.wantOpen(t, bob.Source, "", got.SID)
	_, _, err = f.UpdateIdentity(t.Context(), got.ID, f.now, func(*bridge.IdentitySession) error { t.Error("called"); return nil })
	wantError(t, err, bridge.ErrNotFound)
}

func identityUpdateRefused(t *testing.T, f *fixture) {
	identity := *f.issued(t, f.from("sid")).Identity
	no := errors.New("no")
	for name, change := range map[string]func(*bridge.IdentitySession) error{
		"an error":       func(i *bridge.IdentitySession) error { i.Refresh = nil; return no },
		"another id":     func(i *bridge.IdentitySession) error { i.ID = "another"; return nil },
		"another person": func(i *bridge.IdentitySession) error { i.Person = alice; return nil },
		"another sid":    func(i *bridge.IdentitySession) error { i.SID = "another"; return nil },
		"an end":         func(i *bridge.IdentitySession) error { i.EndedAt = f.now; return nil },
	} {
		_, _, err := f.UpdateIdentity(t.Context(), identity.ID, f.now, change)
		if name == "an error" && err != no { //nolint:errorlint // the contract: as it is
			t.Errorf("got %v, want the function's own error", err)
		}
		if err == nil {
			t.Errorf("%s: stored", name)
		}
		got, err := f.Identity(t.Context(), identity.ID)
		must(t, err)
		equal(t, "session", got, identity)
	}
}

func identityEnd(t *testing.T, f *fixture) {
	issue := f.issued(t, f.from("sid"))
	other, _ := f.live(t, f.from("sid-2"))
	_, token := f.live(t)
	got, over, ended, err := f.EndIdentity(t.Context(), issue.Identity.ID, bridge.EndSignedOut, f.now)
	must(t, err)
	equal(t, "ended by this call", ended, true)
	equal(t, "grants ended", grantIDs(over), []string{issue.Grant.ID})
	f.reopen(t)
	f.wantEnded(t, issue.Grant, bridge.EndSignedOut, f.now)
	f.wantIdentityOver(t, got, bridge.EndSignedOut)
	f.wantGrant(t, other.ID, bridge.GrantLive)
	f.wantRotate(t, f.useRefresh(token), bridge.RefreshRotated)
	f.wantRedeem(t, f.use(issue.Code), bridge.CodeExpired)

	again, over, ended, err := f.EndIdentity(t.Context(), issue.Identity.ID, bridge.EndExpired, f.now.Add(time.Hour))
	must(t, err)
	equal(t, "ended by the second call", ended, false)
	equal(t, "grants of the second call", len(over), 0)
	equal(t, "session of the second call", again, got)
}

func identityLastGrant(t *testing.T, f *fixture) {
	issue := f.issued(t, f.from("sid"))
	_, _, err := f.EndGrant(t.Context(), issue.Grant.ID, bridge.EndRevokedByClient, f.now)
	must(t, err)
	got, err := f.Identity(t.Context(), issue.Identity.ID)
	must(t, err)
	f.wantIdentityOver(t, got, bridge.EndGrantsOver)
	f.now = f.now.Add(24*time.Hour + flowLife)
	_, err = f.Sweep(t.Context(), f.now, 100)
	must(t, err)
	_, err = f.Identity(t.Context(), got.ID)
	wantError(t, err, bridge.ErrNotFound)
}

func identityUnknown(t *testing.T, f *fixture) {
	for _, id := range []string{"", "identity-unknown"} {
		_, err := f.Identity(t.Context(), id)
		wantError(t, err, bridge.ErrNotFound)
		_, _, err = f.UpdateIdentity(t.Context(), id, f.now, func(*bridge.IdentitySession) error { t.Error("called"); return nil })
		wantError(t, err, bridge.ErrNotFound)
		_, _, ended, err := f.EndIdentity(t.Context(), id, bridge.EndExpired, f.now)
		wantError(t, err, bridge.ErrNotFound)
		equal(t, "ended", ended, false)
	}
}
