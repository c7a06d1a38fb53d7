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
		family := f.wantFamily(t, use.Successor)
		equal(t, "ages", []time.Time{family.CreatedAt, family.IdleUntil, family.EndsAt}, []time.Time{start, idle, start.Add(longestLife)})
		lapses := f.now.Add(accessLife) // the last access token outlives the family
		if idle.After(lapses) {
			lapses = idle
		}
		equal(t, "lapses", rotated.Grant.Lapses, lapses)
		token = use.Successor
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
		tokens := []bridge.Hash{token}
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
				tokens = append(tokens, use.Successor)
			}
		})
		f.wantGrant(t, grant.ID, bridge.GrantEnded)
		for _, token := range tokens {
			f.wantRotate(t, f.useRefresh(token), bridge.RefreshEnded)
		}
	}
}

func refreshUnknown(t *testing.T, f *fixture) {
	_, first := f.live(t)
	f.live(t, withoutFamily) // a grant without a family: nothing to match
	for _, token := range []bridge.Hash{{}, bridge.HashOf("nobody issued this")} {
		use := f.useRefresh(token)
		f.wantRotate(t, use, bridge.RefreshUnknown)
		_, _, err := f.RefreshGrant(t.Context(), token, f.now)
		wantError(t, err, bridge.ErrNotFound)
		_, _, err = f.RefreshGrant(t.Context(), use.Successor, f.now)
		wantError(t, err, bridge.ErrNotFound)
	}
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshRotated)
}

// refreshRuleForks: a rule that rotates what is not the head, or repeats what has no successor,
// is refused; the family stays as it was.
func refreshRuleForks(t *testing.T, f *fixture) {
	grant, first := f.live(t)
	always := func(outcome bridge.RefreshOutcome) bridge.RefreshRule {
		return func(bridge.Family, bridge.Hash, time.Time) bridge.RefreshOutcome { return outcome }
	}
	repeatHead := f.useRefresh(first)
	repeatHead.Rule = always(bridge.RefreshRepeated)
	_, err := f.RotateRefresh(t.Context(), repeatHead, f.now)
	wantRefused(t, err)

	use := f.useRefresh(first)
	f.wantRotate(t, use, bridge.RefreshRotated)
	before := f.wantFamily(t, first)
	rotatePrevious := f.useRefresh(first)
	rotatePrevious.Rule = always(bridge.RefreshRotated)
	_, err = f.RotateRefresh(t.Context(), rotatePrevious, f.now)
	wantRefused(t, err)
	equal(t, "family", f.wantFamily(t, first), before)
	f.wantGrant(t, grant.ID, bridge.GrantLive)
	_, _, err = f.RefreshGrant(t.Context(), rotatePrevious.Successor, f.now)
	wantError(t, err, bridge.ErrNotFound)
}

func refreshRuleSilent(t *testing.T, f *fixture) {
	grant, first := f.live(t)
	before := f.wantFamily(t, first)
	rules := []bridge.RefreshRule{nil}
	for _, outcome := range []bridge.RefreshOutcome{"", "perhaps", bridge.RefreshUnknown, bridge.RefreshMismatch, bridge.RefreshEnded} {
		rules = append(rules, func(bridge.Family, bridge.Hash, time.Time) bridge.RefreshOutcome { return outcome })
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
	_, other := f.live(t)
	_, first := f.live(t)
	before := f.wantFamily(t, first)
	for _, successor := range []bridge.Hash{{}, other, first} {
		use := f.useRefresh(first)
		use.Successor = successor
		if _, err := f.RotateRefresh(t.Context(), use, f.now); err == nil {
			t.Fatal("a family was rotated to a token that is not new")
		}
		equal(t, "family", f.wantFamily(t, first), before)
	}
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshRotated)
	f.wantRotate(t, f.useRefresh(other), bridge.RefreshRotated)
}
