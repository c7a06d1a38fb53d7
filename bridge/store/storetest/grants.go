package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var grantTests = []test{
	{"an unknown grant", grantUnknown},
	{"ending queues the key and forgets it", grantEnd},
	{"a grant without a key queues nothing", grantEndWithoutKey},
	{"what a person takes back is forgotten with its consent", grantForget},
	{"I10/64 ends at once end it once, and the next read sees it", grantEndRace},
	{"a use is noted, at most once a minute", grantTouch},
	{"TK-31/one access token is revoked until it expires", grantRevokeToken},
	{"TK-31/a token without an id or of a dead grant", grantRevokeTokenAbsent},
	{"I10/2,000 grants of one person end", grantBulkEnd},
}

func grantForget(t *testing.T, f *fixture) {
	kept := func(c bridge.Consent) bool {
		t.Helper()
		_, err := f.Consent(t.Context(), c.PersonID, c.ClientID, c.RedirectURI, c.Resource)
		if err != nil {
			wantError(t, err, bridge.ErrNotFound)
		}
		return err == nil
	}
	elsewhere := f.issued(t, func(i *bridge.Issue) {
		i.Grant.Redirect, i.Consent.RedirectURI = redirectURL+"/2", redirectURL+"/2"
	})
	for reason, want := range map[bridge.EndReason]bool{
		bridge.EndRevokedByPerson: false, bridge.EndUnlinked: false,
		bridge.EndRevokedByOperator: true, bridge.EndExpired: true, bridge.EndRefreshReused: true,
	} {
		issue := f.issued(t)
		_, _, err := f.EndGrant(t.Context(), issue.Grant.ID, reason, f.now)
		must(t, err)
		f.reopen(t)
		equal(t, "consent kept by "+string(reason), kept(issue.Consent), want)
		_, _, err = f.EndGrant(t.Context(), issue.Grant.ID, bridge.EndRevokedByPerson, f.now)
		must(t, err)
		equal(t, "consent kept by an end that came too late", kept(issue.Consent), want)
	}
	equal(t, "consent of another redirect", kept(elsewhere.Consent), true)
}

func grantUnknown(t *testing.T, f *fixture) {
	f.live(t)
	for _, id := range []string{"", "grant-unknown"} {
		_, err := f.Grant(t.Context(), id)
		wantError(t, err, bridge.ErrNotFound)
		wantError(t, f.TouchGrant(t.Context(), id, f.now), bridge.ErrNotFound)
		wantError(t, f.RevokeToken(t.Context(), id, "jti", f.now.Add(time.Hour), f.now), bridge.ErrNotFound)
		_, ended, err := f.EndGrant(t.Context(), id, bridge.EndExpired, f.now)
		wantError(t, err, bridge.ErrNotFound)
		equal(t, "ended", ended, false)
	}
	f.wantUnqueued(t)
}

func grantEnd(t *testing.T, f *fixture) {
	pending := f.issued(t).Grant
	live, _ := f.live(t)
	for _, grant := range []bridge.Grant{pending, live} {
		got, ended, err := f.EndGrant(t.Context(), grant.ID, bridge.EndCredentialDead, f.now)
		must(t, err)
		equal(t, "ended by this call", ended, true)
		f.reopen(t)
		f.wantEnded(t, grant, bridge.EndCredentialDead, f.now)
		equal(t, "returned grant", got, f.wantGrant(t, grant.ID, bridge.GrantEnded))

		again, ended, err := f.EndGrant(t.Context(), grant.ID, bridge.EndExpired, f.now.Add(time.Hour))
		must(t, err)
		equal(t, "ended by the second call", ended, false)
		equal(t, "grant of the second call", again, got)
		f.wantEnded(t, grant, bridge.EndCredentialDead, f.now)

		// A key that Trinity has confirmed dead is not queued again.
		must(t, f.FinishKeyRevocation(t.Context(), grant.ID))
		_, _, err = f.EndGrant(t.Context(), grant.ID, bridge.EndExpired, f.now)
		must(t, err)
		f.wantUnqueued(t)
	}
}

func grantEndWithoutKey(t *testing.T, f *fixture) {
	grant, _ := f.live(t, func(i *bridge.Issue) { i.Grant.Credential = bridge.Credential{Sealed: []byte("shared key")} })
	got, ended, err := f.EndGrant(t.Context(), grant.ID, bridge.EndExpired, f.now)
	must(t, err)
	equal(t, "ended", ended, true)
	equal(t, "credential", got.Credential, bridge.Credential{})
	f.wantUnqueued(t)
}

func grantEndRace(t *testing.T, f *fixture) {
	grant, _ := f.live(t)
	var ended atomic.Int32
	barrier(64, func(int) {
		_, byMe, err := f.EndGrant(t.Context(), grant.ID, bridge.EndRevokedByOperator, f.now)
		if err != nil {
			t.Error(err)
		}
		if byMe {
			ended.Add(1)
		}
		if seen, err := f.Grant(t.Context(), grant.ID); err != nil || seen.Live() {
			t.Errorf("after its end the grant is %s, %v", seen.Status, err)
		}
	})
	equal(t, "calls that ended it", ended.Load(), int32(1))
	f.wantEnded(t, grant, bridge.EndRevokedByOperator, f.now)
}

func grantTouch(t *testing.T, f *fixture) {
	grant, _ := f.live(t)
	start := f.now
	for _, step := range []struct {
		after, noted time.Duration
	}{
		{0, 0},
		{59 * time.Second, 0},
		{-time.Hour, 0}, // a clock set back
		{60 * time.Second, 60 * time.Second},
		{119 * time.Second, 60 * time.Second},
		{120 * time.Second, 120 * time.Second},
	} {
		must(t, f.TouchGrant(t.Context(), grant.ID, start.Add(step.after)))
		want := grant
		want.LastUsedAt = start.Add(step.noted)
		equal(t, "grant", f.wantGrant(t, grant.ID, bridge.GrantLive), want)
	}
	_, _, err := f.EndGrant(t.Context(), grant.ID, bridge.EndExpired, f.now)
	must(t, err)
	ended := f.wantGrant(t, grant.ID, bridge.GrantEnded)
	must(t, f.TouchGrant(t.Context(), grant.ID, f.now.Add(time.Hour)))
	equal(t, "ended grant", f.wantGrant(t, grant.ID, bridge.GrantEnded), ended)
}

func grantRevokeToken(t *testing.T, f *fixture) {
	grant, _ := f.live(t)
	first, second := f.now.Add(time.Hour), f.now.Add(2*time.Hour)
	must(t, f.RevokeToken(t.Context(), grant.ID, "jti-1", first, f.now))
	must(t, f.RevokeToken(t.Context(), grant.ID, "jti-2", second, f.now))
	must(t, f.RevokeToken(t.Context(), grant.ID, "jti-1", first, f.now))
	f.reopen(t)
	want := grant
	want.RevokedTokens = map[string]time.Time{"jti-1": first, "jti-2": second}
	equal(t, "grant", f.wantGrant(t, grant.ID, bridge.GrantLive), want)

	third := first.Add(time.Hour)
	must(t, f.RevokeToken(t.Context(), grant.ID, "jti-3", third, first)) // the first has expired
	want.RevokedTokens = map[string]time.Time{"jti-2": second, "jti-3": third}
	equal(t, "grant", f.wantGrant(t, grant.ID, bridge.GrantLive), want)
	f.wantUnqueued(t)
}

func grantRevokeTokenAbsent(t *testing.T, f *fixture) {
	live, _ := f.live(t)
	wantRefused(t, f.RevokeToken(t.Context(), live.ID, "", f.now.Add(time.Hour), f.now))
	must(t, f.RevokeToken(t.Context(), live.ID, "jti", f.now, f.now)) // expired: nothing to note
	equal(t, "live grant", f.wantGrant(t, live.ID, bridge.GrantLive), live)
	pending := f.issued(t).Grant
	must(t, f.RevokeToken(t.Context(), pending.ID, "jti", f.now.Add(time.Hour), f.now))
	equal(t, "pending grant", f.wantGrant(t, pending.ID, bridge.GrantPending), pending)
}

func grantBulkEnd(t *testing.T, f *fixture) {
	const n, workers = 2000, 50
	barrier(workers, func(int) {
		for range n / workers {
			flow := f.newFlow()
			if err := f.CreateFlow(t.Context(), flow); err != nil {
				t.Error(err)
			}
			if outcome, err := f.IssueCode(t.Context(), f.newIssue(flow), f.now); err != nil || outcome != bridge.CodeIssued {
				t.Errorf("%s, %v", outcome, err)
			}
		}
	})
	var ids []string
	for after := ""; ; after = ids[len(ids)-1] {
		page, err := f.Grants(t.Context(), alice.ID(), "", after, 300)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, grant := range page {
			ids = append(ids, grant.ID)
		}
	}
	equal(t, "grants listed", len(ids), n)
	var ended atomic.Int32
	barrier(workers, func(w int) {
		for i := w; i < n; i += workers {
			_, byMe, err := f.EndGrant(t.Context(), ids[i], bridge.EndAccountChanged, f.now)
			if err != nil {
				t.Error(err)
			}
			if byMe {
				ended.Add(1)
			}
		}
	})
	equal(t, "grants ended", ended.Load(), int32(n))
	f.reopen(t)
	queue, err := f.KeyRevocationsOf(t.Context(), alice.ID())
	must(t, err)
	equal(t, "keys queued", len(queue), n)
	left, err := f.LapsedGrants(t.Context(), f.now.Add(longestLife), n)
	must(t, err)
	equal(t, "grants left to lapse", len(left), 0)
}
