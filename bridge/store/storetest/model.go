package storetest

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/abilityai/trinity-bridge/bridge"
)

// familyModel is what one refresh family is, said as plainly as possible: a list of tokens of which
// only the last is good, and the one before it for a while.
type familyModel struct {
	f      *fixture
	grant  bridge.Grant
	tokens []bridge.RefreshToken // all ever given out, in order

	dead      bool
	diedAt    time.Time
	rotatedAt time.Time
	repeats   int
	idleUntil time.Time
	endsAt    time.Time
}

// expect says what presenting token i must come to.
func (m *familyModel) expect(i int) bridge.RefreshOutcome {
	head := len(m.tokens) - 1
	switch {
	case m.dead:
		return bridge.RefreshEnded
	case !m.f.now.Before(m.idleUntil) || !m.f.now.Before(m.endsAt):
		return bridge.RefreshExpired
	case i == head:
		return bridge.RefreshRotated
	case i == head-1 && m.f.now.Before(m.rotatedAt.Add(grace)) && m.repeats < maxRepeats:
		return bridge.RefreshRepeated
	}
	return bridge.RefreshReused
}

func (m *familyModel) apply(outcome bridge.RefreshOutcome, use bridge.RefreshUse) {
	switch outcome {
	case bridge.RefreshRotated:
		m.tokens = append(m.tokens, successor(use))
		m.rotatedAt, m.repeats, m.idleUntil = m.f.now, 0, m.f.now.Add(use.Idle)
	case bridge.RefreshRepeated:
		m.repeats++
	case bridge.RefreshReused:
		m.dead, m.diedAt = true, m.f.now
	}
}

// modelFamilies drives families at random and compares every answer, and what is stored, with the
// model (invariant I3).
func modelFamilies(t *testing.T, f *fixture) {
	rapid.Check(t, func(rt *rapid.T) {
		issue := f.issued(t)
		use := f.use(issue.Code)
		m := &familyModel{
			f: f, grant: f.wantRedeem(t, use, bridge.CodeRedeemed), tokens: []bridge.RefreshToken{use.Refresh},
			idleUntil: f.now.Add(idleLife), endsAt: f.now.Add(longestLife),
		}
		rt.Repeat(map[string]func(*rapid.T){
			"present":         func(rt *rapid.T) { m.present(rt, t, rapid.IntRange(0, len(m.tokens)-1).Draw(rt, "token")) },
			"present head":    func(rt *rapid.T) { m.present(rt, t, len(m.tokens)-1) },
			"present parent":  func(rt *rapid.T) { m.present(rt, t, max(len(m.tokens)-2, 0)) },
			"present foreign": func(*rapid.T) { m.presentForeign(t) },
			"time passes": func(rt *rapid.T) {
				later := f.now.Add(rapid.SampledFrom([]time.Duration{
					time.Millisecond, time.Second, grace - time.Second, grace, time.Hour, idleLife - grace, idleLife,
				}).Draw(rt, "for"))
				if !m.dead || later.Before(m.diedAt.AddDate(1, 0, 0)) { // then a sweep takes what has ended away
					f.now = later
				}
			},
			"end": func(rt *rapid.T) {
				if rapid.IntRange(0, 5).Draw(rt, "really") == 0 {
					m.end(t)
				}
			},
			"sweep": func(*rapid.T) {
				_, err := f.Sweep(t.Context(), f.now, 1000)
				must(t, err)
			},
			"restart": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "really") == 0 {
					f.reopen(t)
				}
			},
			"": func(rt *rapid.T) { m.check(rt, t) },
		})
	})
}

func (m *familyModel) present(rt *rapid.T, t *testing.T, i int) {
	use := m.f.useRefresh(m.tokens[i])
	rotation, err := m.f.RotateRefresh(t.Context(), use, m.f.now)
	must(t, err)
	want := m.expect(i)
	if m.forgotten() {
		want = bridge.RefreshUnknown
	}
	if rotation.Outcome != want {
		rt.Fatalf("token %d of %d came to %s, want %s", i, len(m.tokens), rotation.Outcome, want)
	}
	m.apply(want, use)
}

func (m *familyModel) presentForeign(t *testing.T) {
	use := m.f.useRefresh(m.tokens[len(m.tokens)-1])
	use.ClientID = "client-b"
	want := bridge.RefreshMismatch
	if m.forgotten() {
		want = bridge.RefreshUnknown
	}
	m.f.wantRotate(t, use, want)
}

func (m *familyModel) end(t *testing.T) {
	_, ended, err := m.f.EndGrant(t.Context(), m.grant.ID, bridge.EndRevokedByOperator, m.f.now)
	must(t, err)
	equal(t, "ended by this call", ended, !m.dead)
	if ended {
		m.dead, m.diedAt = true, m.f.now
	}
}

// forgotten reports whether the family's absolute end is so long ago that its tokens are unknown.
func (m *familyModel) forgotten() bool { return !m.f.now.Before(m.endsAt.Add(24 * time.Hour)) }

// check compares what is stored.
func (m *familyModel) check(rt *rapid.T, t *testing.T) {
	status := bridge.GrantLive
	if m.dead {
		status = bridge.GrantEnded
	}
	m.f.wantGrant(t, m.grant.ID, status)
	if m.forgotten() {
		return
	}
	head := m.tokens[len(m.tokens)-1]
	family := m.f.wantFamily(t, m.tokens[0])
	if family.Head != head.Hash || family.Repeats != m.repeats {
		rt.Fatalf("the head is %s after %d repeats, want %s after %d", family.Head, family.Repeats, head.Hash, m.repeats)
	}
}
