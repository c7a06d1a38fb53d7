package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

func refreshAges(t *testing.T, f *fixture) {
	grant, token := f.live(t)
	start := f.now
	f.now = start.Add(idleLife)
	before := f.wantFamily(t, token)
	equal(t, "grant of an idle token", f.wantRotate(t, f.useRefresh(token), bridge.RefreshExpired).Grant, grant)
	equal(t, "family", f.wantFamily(t, token), before)

	for f.now = start.Add(idleLife - time.Second); f.now.Before(start.Add(longestLife)); f.now = f.now.Add(idleLife - time.Second) {
		use := f.useRefresh(token)
		rotated := f.wantRotate(t, use, bridge.RefreshRotated)
		idle := f.now.Add(idleLife)
		if end := start.Add(longestLife); idle.After(end) {
			idle = end
		}
		family := f.wantFamily(t, successor(use))
		equal(t, "ages", []time.Time{family.CreatedAt, family.IdleUntil, family.EndsAt}, []time.Time{start, idle, start.Add(longestLife)})
		lapses := f.now.Add(accessLife) // the last access token outlives the family
		if idle.After(lapses) {
			lapses = idle
		}
		equal(t, "lapses", rotated.Grant.Lapses, lapses)
		token = successor(use)
	}
	f.now = start.Add(longestLife)
	f.wantRotate(t, f.useRefresh(token), bridge.RefreshExpired)

	f.now = f.now.Add(25 * time.Hour) // the token is forgotten, the grant is not
	for range 2 {
		f.wantRotate(t, f.useRefresh(token), bridge.RefreshUnknown)
		_, _, err := f.RefreshGrant(t.Context(), token, f.now)
		wantError(t, err, bridge.ErrNotFound)
		_, err = f.Sweep(t.Context(), f.now, 1000)
		must(t, err)
	}
	f.wantGrant(t, grant.ID, bridge.GrantLive)
}

// refreshAgainstEnd: whichever comes first, the grant is ended afterwards and the family with it.
func refreshAgainstEnd(t *testing.T, f *fixture) {
	for range 20 {
		grant, token := f.live(t)
		var mu sync.Mutex
		tokens := []bridge.RefreshToken{token}
		barrier(8, func(i int) {
			if i == 0 {
				if _, _, err := f.EndGrant(t.Context(), grant.ID, bridge.EndRevokedByClient, f.now); err != nil {
					t.Error(err)
				}
				return
			}
			use := f.useRefresh(token)
			rotation, err := f.RotateRefresh(t.Context(), use, f.now)
			if err != nil {
				t.Error(err)
			}
			if rotation.Outcome == bridge.RefreshRotated {
				mu.Lock()
				defer mu.Unlock()
				tokens = append(tokens, successor(use))
			}
		})
		f.wantGrant(t, grant.ID, bridge.GrantEnded)
		for _, token := range tokens {
			f.wantRotate(t, f.useRefresh(token), bridge.RefreshEnded)
		}
	}
}

func refreshUnknown(t *testing.T, f *fixture) {
	grant, first := f.live(t)
	_, other := f.live(t)
	without, offered := f.live(t, withoutFamily)
	for name, token := range map[string]bridge.RefreshToken{
		"nothing":                 {},
		"of no grant":             {GrantID: f.name("grant"), Shared: first.Shared, Hash: first.Hash},
		"another family's":        {GrantID: grant.ID, Shared: other.Shared, Hash: other.Hash},
		"at another grant":        {GrantID: other.GrantID, Shared: first.Shared, Hash: first.Hash},
		"invented":                f.token(grant.ID),
		"without what is shared":  {GrantID: grant.ID, Hash: first.Hash},
		"without what is its own": {GrantID: grant.ID, Shared: first.Shared},
		"of a grant without any":  {GrantID: without.ID, Shared: offered.Shared, Hash: offered.Hash},
		"of a grant, empty":       {GrantID: without.ID},
	} {
		t.Log(name)
		use := f.useRefresh(token)
		f.wantRotate(t, use, bridge.RefreshUnknown)
		_, _, err := f.RefreshGrant(t.Context(), token, f.now)
		wantError(t, err, bridge.ErrNotFound)
	}
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshRotated)
	f.wantRotate(t, f.useRefresh(other), bridge.RefreshRotated)
}

// refreshOtherwise: a successor that was not made as the head was, as of another key, is none: the token is taken for an
// old one.
func refreshOtherwise(t *testing.T, f *fixture) {
	grant, first := f.live(t)
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshRotated)
	use := f.useRefresh(first)
	use.Successor = f.tokenHash("of another key")
	f.wantRotate(t, use, bridge.RefreshReused)
	f.wantEnded(t, grant, bridge.EndRefreshReused, f.now)
}

// refreshInvented: who makes up a token with what a family shares has held one of its tokens.
func refreshInvented(t *testing.T, f *fixture) {
	grant, first := f.live(t)
	invented := f.token(grant.ID)
	invented.Shared = first.Shared
	f.wantRotate(t, f.useRefresh(invented), bridge.RefreshReused)
	f.wantEnded(t, grant, bridge.EndRefreshReused, f.now)
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshEnded)
}

// refreshRuleForks: a rule that rotates what is not the head, or repeats what is not its predecessor,
// is refused; the family stays as it was.
func refreshRuleForks(t *testing.T, f *fixture) {
	grant, first := f.live(t)
	always := func(outcome bridge.RefreshOutcome) bridge.RefreshRule {
		return func(bridge.Family, bridge.RefreshUse, time.Time) bridge.RefreshOutcome { return outcome }
	}
	refused := func(token bridge.RefreshToken, outcome bridge.RefreshOutcome, edit func(*bridge.RefreshUse)) {
		t.Helper()
		before := f.wantFamily(t, first)
		use := f.useRefresh(token)
		use.Rule = always(outcome)
		edit(&use)
		_, err := f.RotateRefresh(t.Context(), use, f.now)
		wantRefused(t, err)
		equal(t, "family", f.wantFamily(t, first), before)
	}
	asItIs := func(*bridge.RefreshUse) {}
	refused(first, bridge.RefreshRepeated, asItIs)
	second := successor(f.useRefresh(first))
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshRotated)
	refused(first, bridge.RefreshRotated, asItIs)
	refused(first, bridge.RefreshRepeated, func(u *bridge.RefreshUse) { u.Successor = f.tokenHash("another") })
	refused(first, bridge.RefreshRepeated, func(u *bridge.RefreshUse) { u.Successor = bridge.TokenHash{} })
	refused(second, bridge.RefreshRepeated, func(u *bridge.RefreshUse) { u.Successor = second.Hash })
	f.wantRotate(t, f.useRefresh(second), bridge.RefreshRotated)
	refused(first, bridge.RefreshRepeated, asItIs)
	refused(first, bridge.RefreshRotated, asItIs)
	f.wantGrant(t, grant.ID, bridge.GrantLive)
}

func refreshRuleSilent(t *testing.T, f *fixture) {
	grant, first := f.live(t)
	before := f.wantFamily(t, first)
	rules := []bridge.RefreshRule{nil}
	for _, outcome := range []bridge.RefreshOutcome{"", "perhaps", bridge.RefreshUnknown, bridge.RefreshMismatch, bridge.RefreshEnded} {
		rules = append(rules, func(bridge.Family, bridge.RefreshUse, time.Time) bridge.RefreshOutcome { return outcome })
	}
	for _, rule := range rules {
		use := f.useRefresh(first)
		use.Rule = rule
		_, err := f.RotateRefresh(t.Context(), use, f.now)
		wantRefused(t, err)
	}
	equal(t, "family", f.wantFamily(t, first), before)
	equal(t, "grant", f.wantGrant(t, grant.ID, bridge.GrantLive), grant)
}

func refreshSuccessorTaken(t *testing.T, f *fixture) {
	_, first := f.live(t)
	use := f.useRefresh(first)
	f.wantRotate(t, use, bridge.RefreshRotated)
	head := successor(use)
	before := f.wantFamily(t, first)
	for _, taken := range []bridge.TokenHash{{}, head.Hash} {
		use := f.useRefresh(head)
		use.Successor = taken
		if _, err := f.RotateRefresh(t.Context(), use, f.now); err == nil {
			t.Fatal("a family was rotated to a token that is not new")
		}
		equal(t, "family", f.wantFamily(t, first), before)
	}
	f.wantRotate(t, f.useRefresh(head), bridge.RefreshRotated)
}
