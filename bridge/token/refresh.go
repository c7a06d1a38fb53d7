package token

import (
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// RefreshPolicy is the refresh rule's knobs.
type RefreshPolicy struct {
	Grace      time.Duration // how long the predecessor gets the same successor again
	MaxRepeats int           // and how often
}

// DefaultRefreshPolicy is the design's: 60 s, 10 times.
func DefaultRefreshPolicy() RefreshPolicy {
	return RefreshPolicy{Grace: time.Minute, MaxRepeats: 10}
}

// Decide is the refresh rule, a pure function of family, token and time (design §4, Renewing):
//
//   - the head rotates;
//   - its predecessor, whose successor it is, within Grace of the rotation and at most MaxRepeats times, is answered with
//     the same successor: Claude refreshes from two addresses at once and repeats lost answers, and
//     both must get the same token or one of them is thrown out (TK-14, TK-15). Once the successor
//     is itself rotated it is no longer the head, so that ends the grace (TK-16);
//   - any older token of the family, or the predecessor too late or too often, is reuse.
//
// It is a bridge.RefreshRule.
func (p RefreshPolicy) Decide(family bridge.Family, use bridge.RefreshUse, now time.Time) bridge.RefreshOutcome {
	switch {
	case use.Token.Hash.IsZero(), use.Successor.IsZero():
		return bridge.RefreshUnknown
	case family.IsHead(use.Token.Hash):
		if !now.Before(family.IdleUntil) || !now.Before(family.EndsAt) {
			return bridge.RefreshExpired
		}
		return bridge.RefreshRotated
	case family.IsHead(use.Successor) && now.Before(family.RotatedAt.Add(p.Grace)) && family.Repeats < p.MaxRepeats:
		if !now.Before(family.EndsAt) {
			return bridge.RefreshExpired
		}
		return bridge.RefreshRepeated
	}
	return bridge.RefreshReused
}
