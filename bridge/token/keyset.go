package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// keySet is the signing keys as of one revision of the stored list. It never changes, so that it is
// read without a lock; what depends on the time is asked with the time.
type keySet struct {
	rev       int
	stored    []bridge.SigningKey // all of them
	line      []*key              // those that sign or have signed or are about to, in the order they take over
	byID      map[string]*key     // all that are published
	documents []document          // in the order of time
}

// document is the JWKS until a key leaves it; a zero until is for good.
type document struct {
	until time.Time
	text  []byte
}

// openKeySet opens every key that is published at now. One that cannot be opened is an error: its
// tokens would be refused, and nobody would know why.
func openKeySet(stored []bridge.SigningKey, rev int, ring *secret.Keyring, now time.Time) (*keySet, error) {
	set := &keySet{rev: rev, stored: stored, byID: map[string]*key{}}
	var published []*key
	for _, k := range stored {
		if !k.RetiresAt.IsZero() && !now.Before(k.RetiresAt) {
			continue
		}
		opened, err := openKey(k, ring)
		if err != nil {
			return nil, err
		}
		published = append(published, opened)
		set.byID[k.ID] = opened
		if !k.SignsFrom.IsZero() {
			set.line = append(set.line, opened)
		}
	}
	slices.SortStableFunc(set.line, func(a, b *key) int { return a.SignsFrom.Compare(b.SignsFrom) })
	if len(set.line) == 0 || !set.line[len(set.line)-1].RetiresAt.IsZero() {
		return nil, errors.New("no signing key is in force")
	}
	return set, set.write(published)
}

// write makes the JWKS for now and for each later moment that a key leaves it.
func (s *keySet) write(published []*key) error {
	var departures []time.Time
	for _, k := range published {
		if !k.RetiresAt.IsZero() {
			departures = append(departures, k.RetiresAt)
		}
	}
	slices.SortFunc(departures, time.Time.Compare)
	for _, until := range append(departures, time.Time{}) {
		var jwks jose.JSONWebKeySet
		for _, k := range published {
			if k.RetiresAt.IsZero() || !until.IsZero() && !k.RetiresAt.Before(until) {
				jwks.Keys = append(jwks.Keys, k.public)
			}
		}
		text, err := json.Marshal(jwks)
		if err != nil {
			return fmt.Errorf("encoding the key set: %w", err)
		}
		s.documents = append(s.documents, document{until: until, text: text})
	}
	return nil
}

// signing is the key that signs at now: the last that has taken over. Before the first one's time,
// which is another replica's clock running ahead, it is the first.
func (s *keySet) signing(now time.Time) *key {
	current := s.line[0]
	for _, next := range s.line[1:] {
		if !next.SignsFrom.After(now) {
			current = next
		}
	}
	return current
}

// jwks is the public key set document at now (RFC 7517 §5).
func (s *keySet) jwks(now time.Time) []byte {
	for _, d := range s.documents[:len(s.documents)-1] {
		if now.Before(d.until) {
			return d.text
		}
	}
	return s.documents[len(s.documents)-1].text
}

// KeyPhase is where in its life a signing key is.
type KeyPhase string

// The phases of a signing key, in the order it goes through them.
const (
	KeyNext      KeyPhase = "next"      // published ahead of its use
	KeySigning   KeyPhase = "signing"   // new tokens are signed with it
	KeyVerifying KeyPhase = "verifying" // signed before; its tokens still live
	KeyRetired   KeyPhase = "retired"   // out of the JWKS; nothing verifies with it
)

// KeyInfo is what may be told of a signing key.
type KeyInfo struct {
	ID        string
	Algorithm string
	Phase     KeyPhase
	CreatedAt time.Time
	SignsFrom time.Time // zero: not called yet
	RetiresAt time.Time // zero: no other is to take over
}

// list tells of all stored keys.
func (s *keySet) list(now time.Time) []KeyInfo {
	current := s.signing(now)
	infos := make([]KeyInfo, 0, len(s.stored))
	for _, k := range s.stored {
		info := KeyInfo{ID: k.ID, Algorithm: k.Algorithm, CreatedAt: k.CreatedAt, SignsFrom: k.SignsFrom, RetiresAt: k.RetiresAt}
		switch {
		case !k.RetiresAt.IsZero() && !now.Before(k.RetiresAt):
			info.Phase = KeyRetired
		case k.ID == current.ID:
			info.Phase = KeySigning
		case k.SignsFrom.IsZero() || k.SignsFrom.After(now):
			info.Phase = KeyNext
		default:
			info.Phase = KeyVerifying
		}
		infos = append(infos, info)
	}
	return infos
}
