package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// The grace of the reference rule.
const (
	grace      = time.Minute
	maxRepeats = 10
)

var refreshTests = []test{
	{"a rotation is stored", refreshRotates},
	{"TK-13/another client's token", refreshForeign},
	{"EX-22/a family bound to a key", refreshBound},
	{"EX-22/a family is bound when it rotates", refreshBindsLater},
	{"TK-14/5 at once", func(t *testing.T, f *fixture) { refreshRace(t, f, 5) }},
	{"TK-14/20 at once", func(t *testing.T, f *fixture) { refreshRace(t, f, 20) }},
	{"TK-14/50 at once", func(t *testing.T, f *fixture) { refreshRace(t, f, 50) }},
	{"TK-15/the answer was lost", refreshRepeats},
	{"TK-15/a restart in the grace window", refreshRepeatsAfterRestart},
	{"TK-16/reuse after the grace", refreshReused},
	{"TK-16/reuse after the successor was used", refreshReusedAfterSuccessor},
	{"TK-17/the predecessor's predecessor", refreshGrandparent},
	{"TK-17/a token of long ago", refreshAncestor},
	{"TK-17/a token made up of an old one", refreshInvented},
	{"TK-17/a successor of another key", refreshOtherwise},
	{"TK-21/after the grant ended", refreshEnded},
	{"TK-23/idle and absolute age", refreshAges},
	{"TK-35/revoked while it rotates", refreshAgainstEnd},
	{"a token nobody issued", refreshUnknown},
	{"I3/a rule cannot fork a family", refreshRuleForks},
	{"a rule that gives no answer changes nothing", refreshRuleSilent},
	{"a successor is new", refreshSuccessorTaken},
}

// referenceRule is the idempotent rotation of the design in its plainest form.
func referenceRule(family bridge.Family, use bridge.RefreshUse, now time.Time) bridge.RefreshOutcome {
	switch {
	case !now.Before(family.EndsAt) || !now.Before(family.IdleUntil):
		return bridge.RefreshExpired
	case use.Token.Hash == family.Head:
		return bridge.RefreshRotated
	case use.Successor == family.Head && now.Sub(family.RotatedAt) < grace && family.Repeats < maxRepeats:
		return bridge.RefreshRepeated
	}
	return bridge.RefreshReused
}

// useRefresh presents a token with its one successor.
func (f *fixture) useRefresh(token bridge.RefreshToken) bridge.RefreshUse {
	return bridge.RefreshUse{
		Token: token, ClientID: "client-a", Successor: bridge.TokenHashOf("successor of " + token.Hash.String()),
		Idle: idleLife, AccessTokenLife: accessLife, Rule: referenceRule,
	}
}

// successor is the token that a use brings.
func successor(use bridge.RefreshUse) bridge.RefreshToken {
	next := use.Token
	next.Hash = use.Successor
	return next
}

func (f *fixture) wantRotate(t testing.TB, use bridge.RefreshUse, want bridge.RefreshOutcome) bridge.Rotation {
	t.Helper()
	rotation, err := f.RotateRefresh(t.Context(), use, f.now)
	must(t, err)
	equal(t, "outcome of RotateRefresh", rotation.Outcome, want)
	if unknown := want == bridge.RefreshUnknown; unknown != (rotation.Grant.ID == "") {
		t.Fatalf("%s with grant %q", want, rotation.Grant.ID)
	}
	return rotation
}

func (f *fixture) wantFamily(t testing.TB, token bridge.RefreshToken) bridge.Family {
	t.Helper()
	_, family, err := f.RefreshGrant(t.Context(), token, f.now)
	must(t, err)
	return family
}

func refreshRotates(t *testing.T, f *fixture) {
	grant, first := f.live(t)
	before := f.wantFamily(t, first)
	f.now = f.now.Add(time.Hour)
	use := f.useRefresh(first)
	rotation := f.wantRotate(t, use, bridge.RefreshRotated)
	want := grant
	want.Lapses = f.now.Add(idleLife)
	equal(t, "returned grant", rotation.Grant, want)
	f.reopen(t)
	equal(t, "stored grant", f.wantGrant(t, grant.ID, bridge.GrantLive), want)
	family := before
	family.Head, family.RotatedAt, family.IdleUntil = use.Successor, f.now, f.now.Add(idleLife)
	equal(t, "family by the predecessor", f.wantFamily(t, first), family)
	equal(t, "family by the head", f.wantFamily(t, successor(use)), family)

	short := f.useRefresh(successor(use)) // the access token outlives the refresh token
	short.Idle = time.Minute
	equal(t, "lapses", f.wantRotate(t, short, bridge.RefreshRotated).Grant.Lapses, f.now.Add(accessLife))
}

func refreshForeign(t *testing.T, f *fixture) {
	grant, first := f.live(t)
	before := f.wantFamily(t, first)
	for _, client := range []string{"client-b", ""} {
		use := f.useRefresh(first)
		use.ClientID = client
		use.Rule = func(bridge.Family, bridge.RefreshUse, time.Time) bridge.RefreshOutcome {
			t.Error("the rule was asked about a foreign client")
			return bridge.RefreshRotated
		}
		equal(t, "returned grant", f.wantRotate(t, use, bridge.RefreshMismatch).Grant, grant)
	}
	equal(t, "family", f.wantFamily(t, first), before)
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshRotated)
}

// refreshBound: a bound family is its key's, for its head and for its predecessor.
func refreshBound(t *testing.T, f *fixture) {
	key, other := f.hash("key"), f.hash("another key")
	use := f.use(f.issued(t).Code)
	use.ProofKey, use.BindRefresh = key, true
	f.wantRedeem(t, use, bridge.CodeRedeemed)
	f.reopen(t)
	before := f.wantFamily(t, use.Refresh)
	equal(t, "key of the family", before.ProofKey, key)
	rotation := f.useRefresh(use.Refresh)
	for _, wrong := range []bridge.Hash{{}, other} {
		rotation.ProofKey, rotation.BindRefresh = wrong, true
		f.wantRotate(t, rotation, bridge.RefreshMismatch)
		equal(t, "family", f.wantFamily(t, use.Refresh), before)
	}
	rotation.ProofKey = key
	f.wantRotate(t, rotation, bridge.RefreshRotated)
	equal(t, "key of the family", f.wantFamily(t, successor(rotation)).ProofKey, key)
	again := f.useRefresh(use.Refresh)
	f.wantRotate(t, again, bridge.RefreshMismatch)
	again.ProofKey = key
	f.wantRotate(t, again, bridge.RefreshRepeated)
}

// refreshBindsLater: a key that is shown later binds the family from then on, and only when it shall.
func refreshBindsLater(t *testing.T, f *fixture) {
	key := f.hash("key")
	_, first := f.live(t)
	free := f.useRefresh(first)
	free.ProofKey = key
	f.wantRotate(t, free, bridge.RefreshRotated)
	equal(t, "key of the family", f.wantFamily(t, successor(free)).ProofKey, bridge.Hash{})
	binding := f.useRefresh(successor(free))
	binding.ProofKey, binding.BindRefresh = key, true
	f.wantRotate(t, binding, bridge.RefreshRotated)
	f.reopen(t)
	equal(t, "key of the family", f.wantFamily(t, successor(binding)).ProofKey, key)
	unbinding := f.useRefresh(successor(binding))
	unbinding.BindRefresh = true
	f.wantRotate(t, unbinding, bridge.RefreshMismatch)
	unbinding.ProofKey = key
	f.wantRotate(t, unbinding, bridge.RefreshRotated)
	equal(t, "key of the family", f.wantFamily(t, successor(unbinding)).ProofKey, key)
}

// refreshRace: one call rotates, all others are told that its successor is the head, up to the number of repeats the
// rule allows; what comes after that many is reuse. The rule here allows as many as there are.
func refreshRace(t *testing.T, f *fixture, n int) {
	grant, first := f.live(t)
	use := f.useRefresh(first)
	use.Rule = func(family bridge.Family, use bridge.RefreshUse, now time.Time) bridge.RefreshOutcome {
		family.Repeats = 0
		return referenceRule(family, use, now)
	}
	var mu sync.Mutex
	outcomes := map[bridge.RefreshOutcome]int{}
	barrier(n, func(int) {
		rotation, err := f.RotateRefresh(t.Context(), use, f.now)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		outcomes[rotation.Outcome]++
	})
	equal(t, "outcomes", outcomes, map[bridge.RefreshOutcome]int{bridge.RefreshRotated: 1, bridge.RefreshRepeated: n - 1})
	family := f.wantFamily(t, first)
	equal(t, "head", family.Head, use.Successor)
	equal(t, "repeats", family.Repeats, n-1)
	f.wantGrant(t, grant.ID, bridge.GrantLive)
	f.wantRotate(t, f.useRefresh(bridge.RefreshToken{GrantID: grant.ID, Shared: family.Shared, Hash: family.Head}), bridge.RefreshRotated)
}

func refreshRepeats(t *testing.T, f *fixture) {
	grant, first := f.live(t)
	use := f.useRefresh(first)
	f.wantRotate(t, use, bridge.RefreshRotated)
	start := f.now
	for _, after := range []time.Duration{time.Second, 30 * time.Second, 59 * time.Second} {
		f.now = start.Add(after)
		again := f.wantRotate(t, f.useRefresh(first), bridge.RefreshRepeated)
		equal(t, "grant", again.Grant.Status, bridge.GrantLive)
	}
	for range maxRepeats - 3 {
		f.wantRotate(t, f.useRefresh(first), bridge.RefreshRepeated)
	}
	family := f.wantFamily(t, first)
	equal(t, "repeats", family.Repeats, maxRepeats)
	equal(t, "head", family.Head, use.Successor)
	before := f.wantGrant(t, grant.ID, bridge.GrantLive)
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshReused)
	f.wantEnded(t, before, bridge.EndRefreshReused, f.now)
}

func refreshRepeatsAfterRestart(t *testing.T, f *fixture) {
	_, first := f.live(t)
	use := f.useRefresh(first)
	f.wantRotate(t, use, bridge.RefreshRotated)
	f.reopen(t)
	f.now = f.now.Add(30 * time.Second)
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshRepeated)
	f.reopen(t)
	equal(t, "head", f.wantFamily(t, first).Head, use.Successor)
	f.wantRotate(t, f.useRefresh(successor(use)), bridge.RefreshRotated)
	f.reopen(t)
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshReused)
	f.reopen(t)
	f.wantRotate(t, f.useRefresh(successor(use)), bridge.RefreshEnded)
}

func refreshReused(t *testing.T, f *fixture) {
	_, first := f.live(t)
	use := f.useRefresh(first)
	before := f.wantRotate(t, use, bridge.RefreshRotated).Grant
	f.now = f.now.Add(grace)
	rotation := f.wantRotate(t, f.useRefresh(first), bridge.RefreshReused)
	equal(t, "returned grant", rotation.Grant.Status, bridge.GrantEnded)
	f.wantEnded(t, before, bridge.EndRefreshReused, f.now)
	for range 2 {
		f.wantRotate(t, f.useRefresh(successor(use)), bridge.RefreshEnded)
		f.wantRotate(t, f.useRefresh(first), bridge.RefreshEnded)
		f.reopen(t)
	}
}

func refreshReusedAfterSuccessor(t *testing.T, f *fixture) {
	_, first := f.live(t)
	use := f.useRefresh(first)
	f.wantRotate(t, use, bridge.RefreshRotated)
	before := f.wantRotate(t, f.useRefresh(successor(use)), bridge.RefreshRotated).Grant
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshReused)
	f.wantEnded(t, before, bridge.EndRefreshReused, f.now)
}

func refreshGrandparent(t *testing.T, f *fixture) {
	_, token := f.live(t)
	tokens := []bridge.RefreshToken{token}
	for range 3 {
		f.now = f.now.Add(time.Second)
		use := f.useRefresh(tokens[len(tokens)-1])
		f.wantRotate(t, use, bridge.RefreshRotated)
		tokens = append(tokens, successor(use))
	}
	f.wantRotate(t, f.useRefresh(tokens[1]), bridge.RefreshReused)
	f.wantRotate(t, f.useRefresh(tokens[3]), bridge.RefreshEnded)
}

// refreshAncestor: a token superseded months ago still betrays whoever shows it, swept or not.
func refreshAncestor(t *testing.T, f *fixture) {
	_, first := f.live(t)
	token := first
	for range 5 {
		f.now = f.now.Add(idleLife - time.Hour)
		use := f.useRefresh(token)
		f.wantRotate(t, use, bridge.RefreshRotated)
		token = successor(use)
		_, err := f.Sweep(t.Context(), f.now, 1000)
		must(t, err)
	}
	f.wantRotate(t, f.useRefresh(first), bridge.RefreshReused)
	f.wantRotate(t, f.useRefresh(token), bridge.RefreshEnded)
}

func refreshEnded(t *testing.T, f *fixture) {
	grant, first := f.live(t)
	_, _, err := f.EndGrant(t.Context(), grant.ID, bridge.EndAccountChanged, f.now)
	must(t, err)
	use := f.useRefresh(first)
	use.Rule = func(bridge.Family, bridge.RefreshUse, time.Time) bridge.RefreshOutcome {
		t.Error("the rule was asked about an ended grant")
		return bridge.RefreshRotated
	}
	equal(t, "returned grant", f.wantRotate(t, use, bridge.RefreshEnded).Grant.EndReason, bridge.EndAccountChanged)
	f.wantEnded(t, grant, bridge.EndAccountChanged, f.now)
	got, _, err := f.RefreshGrant(t.Context(), first, f.now)
	must(t, err)
	equal(t, "grant of the token", got.Status, bridge.GrantEnded)
}
