package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
)

const (
	// publishedAhead is how long a key is in the JWKS before it signs: five minutes that a cache may
	// keep the document, and one for the other replicas to publish it.
	publishedAhead = 6 * time.Minute
	// keptRetired is how long a retired key stays in the list, for the operator to see what became of it.
	keptRetired = 24 * time.Hour
)

// ErrRotating means that a key is already named to take over and has not done so yet.
var ErrRotating = errors.New("a rotation is under way")

// KeyPolicy says how signing keys are made and replaced.
type KeyPolicy struct {
	Algorithm string        // of new keys: one of bridge.SigningAlgorithms
	Every     time.Duration // between planned rotations; 0 means by command only
	TokenLife time.Duration // the longest life of an access token
}

// DefaultKeyPolicy is ES256, 90 days, and tokens of an hour.
func DefaultKeyPolicy() KeyPolicy {
	return KeyPolicy{Algorithm: bridge.SignES256, Every: 90 * 24 * time.Hour, TokenLife: time.Hour}
}

// Why keys were rotated, as the outcome of the audit event.
const (
	rotatedScheduled = "scheduled"
	rotatedCommand   = "command"
	rotatedAlgorithm = "algorithm_changed"
	rotatedEmergency = "emergency"
)

// plan changes a list of keys, a pure function of list, policy and time but for the keys it makes.
//
// The list holds, in this order: the line, whose keys have a SignsFrom each and, but for the last, a
// RetiresAt; then at most one key that waits to be called. Unless the last of the line is still to
// take over there is one that waits, so that the JWKS always shows the current and a next key
// (AS-017) and a rotation need not wait for caches.
type plan struct {
	KeyPolicy
	now     time.Time
	newKey  func(algorithm string, now time.Time) (bridge.SigningKey, error)
	keys    []bridge.SigningKey
	changed bool
	events  []bridge.AuditEvent
}

// settle does what is due. starting is true until it has been stored once in the life of the
// program: only then is a changed algorithm a reason to rotate, for replicas that are configured
// differently would else rotate against each other for ever.
func (p *plan) settle(starting bool) error {
	if len(p.keys) == 0 {
		return p.begin()
	}
	p.drop()
	p.lengthen()
	last := p.last()
	var err error
	switch {
	case starting && last.Algorithm != p.Algorithm:
		err = p.rotate(rotatedAlgorithm)
	case p.Every > 0 && !p.now.Before(last.SignsFrom.Add(p.Every)):
		err = p.rotate(rotatedScheduled)
	}
	if err != nil {
		return err
	}
	return p.provide()
}

// command rotates because the operator says so.
func (p *plan) command() error {
	if len(p.keys) > 0 && p.last().SignsFrom.After(p.now) {
		return ErrRotating
	}
	if err := p.rotate(rotatedCommand); err != nil {
		return err
	}
	return p.provide()
}

// emergency drops every key, with its private part, and begins anew: whoever could read one of them
// could read all. Tokens die at once; refresh tokens are not signed and live on.
func (p *plan) emergency() error {
	var dropped []string
	for _, k := range p.keys {
		dropped = append(dropped, k.ID)
	}
	p.keys = nil
	if err := p.begin(); err != nil {
		return err
	}
	p.note(audit.SigningKeysRotated, rotatedEmergency, fmt.Sprintf("%s signs, dropped %s", p.last().ID, strings.Join(dropped, " ")))
	return nil
}

// begin makes the first key, which signs at once, and one that waits.
func (p *plan) begin() error {
	first, err := p.fresh()
	if err != nil {
		return err
	}
	first.SignsFrom = p.now
	p.keys, p.changed = append(p.keys, first), true
	return p.provide()
}

// rotate names the key that takes over: the one that waits, or a new one when that has another
// algorithm. It signs as soon as it has been published for long enough.
func (p *plan) rotate(outcome string) error {
	var next bridge.SigningKey
	if i := slices.IndexFunc(p.keys, waiting); i >= 0 {
		next = p.keys[i]
		p.keys = slices.Delete(p.keys, i, i+1)
	}
	if next.Algorithm != p.Algorithm {
		var err error
		if next, err = p.fresh(); err != nil {
			return err
		}
	}
	last := p.last()
	next.SignsFrom = latest(p.now, next.CreatedAt.Add(publishedAhead), last.SignsFrom)
	last.RetiresAt = retirement(*last, next.SignsFrom)
	p.note(audit.SigningKeysRotated, outcome, fmt.Sprintf("%s signs from %s, %s retires at %s",
		next.ID, next.SignsFrom.UTC().Format(time.RFC3339), last.ID, last.RetiresAt.UTC().Format(time.RFC3339)))
	p.keys, p.changed = append(p.keys, next), true
	return nil
}

// provide adds a key that waits, unless there is a next key already.
func (p *plan) provide() error {
	if p.last().SignsFrom.After(p.now) || slices.ContainsFunc(p.keys, waiting) {
		return nil
	}
	next, err := p.fresh()
	if err != nil {
		return err
	}
	p.keys, p.changed = append(p.keys, next), true
	return nil
}

// drop deletes keys that retired long enough ago.
func (p *plan) drop() {
	p.keys = slices.DeleteFunc(p.keys, func(k bridge.SigningKey) bool {
		if k.RetiresAt.IsZero() || p.now.Before(k.RetiresAt.Add(keptRetired)) {
			return false
		}
		p.changed = true
		p.note(audit.SigningKeyDropped, string(KeyRetired), k.ID)
		return true
	})
}

// lengthen notes a longer life of tokens with every key that may still sign one.
func (p *plan) lengthen() {
	for i := range p.keys {
		k := &p.keys[i]
		if k.TokenSeconds == 0 || k.TokenSeconds >= p.tokenSeconds() {
			continue
		}
		if !k.RetiresAt.IsZero() { // another follows
			takeover := p.keys[i+1].SignsFrom
			if !takeover.After(p.now) {
				continue
			}
			k.RetiresAt = takeover.Add(p.TokenLife + bridge.Leeway)
		}
		k.TokenSeconds, p.changed = p.tokenSeconds(), true
	}
}

func (p *plan) fresh() (bridge.SigningKey, error) {
	made, err := p.newKey(p.Algorithm, p.now)
	made.TokenSeconds = p.tokenSeconds()
	return made, err
}

func (p *plan) tokenSeconds() int64 { return int64((p.TokenLife + time.Second - 1) / time.Second) }

// last is the end of the line: the key that signs, or the one that is to take over.
func (p *plan) last() *bridge.SigningKey {
	last := len(p.keys) - 1
	if last > 0 && waiting(p.keys[last]) {
		last--
	}
	return &p.keys[last]
}

func (p *plan) note(kind, outcome, detail string) {
	p.events = append(p.events, bridge.AuditEvent{Kind: kind, Outcome: outcome, Detail: detail})
}

// retirement is when the last token that k signs before takeover is dead, by anybody's clock.
func retirement(k bridge.SigningKey, takeover time.Time) time.Time {
	life := time.Duration(k.TokenSeconds) * time.Second
	if life == 0 {
		life = maxLife
	}
	return takeover.Add(life + bridge.Leeway)
}

func waiting(k bridge.SigningKey) bool { return k.SignsFrom.IsZero() }

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }
