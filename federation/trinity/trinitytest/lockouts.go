package trinitytest

import (
	"fmt"
	"math"
	"time"
)

// lockoutKind is one of the three counters that stop guessing (contract §1.3).
type lockoutKind struct {
	name     string
	failures int
	window   time.Duration
	text     string // of the 429, with the seconds left
}

// A window begins with its first failure; at the limit everything is refused until it ends.
var (
	networkLockout = lockoutKind{"ip", 30, 5 * time.Minute, "Too many login attempts from this network. Try again in %d seconds."}
	accountLockout = lockoutKind{"account", 5, 15 * time.Minute, "Too many failed attempts for this account. Try again in %d seconds."}
	codeLockout    = lockoutKind{"otp", 5, 10 * time.Minute, "Too many verification attempts. Request a new code or try again in %d seconds."}
)

// lockouts counts failures by kind and by address of whatever the kind protects.
type lockouts struct {
	windows map[lockoutKey]failureWindow
}

type lockoutKey struct{ kind, subject string }

type failureWindow struct {
	failures int
	ends     time.Time
}

func newLockouts() lockouts { return lockouts{windows: make(map[lockoutKey]failureWindow)} }

// guard is one counter as it applies to one request.
type guard struct {
	kind    lockoutKind
	subject string
}

// lockedOut returns the text of the first guard that refuses, or "".
func (s *state) lockedOut(guards []guard) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, g := range guards {
		w := s.lockouts.windows[lockoutKey{g.kind.name, g.subject}]
		if w.failures >= g.kind.failures && now.Before(w.ends) {
			return fmt.Sprintf(g.kind.text, int(math.Ceil(w.ends.Sub(now).Seconds())))
		}
	}
	return ""
}

// countFailure adds one failure to every guard.
func (s *state) countFailure(guards []guard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, g := range guards {
		key := lockoutKey{g.kind.name, g.subject}
		w := s.lockouts.windows[key]
		if !now.Before(w.ends) {
			w = failureWindow{ends: now.Add(g.kind.window)}
		}
		w.failures++
		s.lockouts.windows[key] = w
	}
}

// clearFailures forgets what a success forgives: the network and account counters, not the code counter.
func (s *state) clearFailures(guards []guard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range guards {
		if g.kind.name != codeLockout.name {
			delete(s.lockouts.windows, lockoutKey{g.kind.name, g.subject})
		}
	}
}
