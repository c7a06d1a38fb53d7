package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	// refreshEvery is how soon a replica learns of what another did to the keys.
	refreshEvery = time.Second
	// catchUpEvery is how often at most a token with an unknown kid makes the keys be read (RS-23).
	catchUpEvery = time.Second
	// refreshWithin bounds a look into the store that no request's context bounds.
	refreshWithin = 5 * time.Second
	// swapTries is how often a change is tried that other replicas get ahead of.
	swapTries = 16
)

// Signer mints and checks access tokens of one issuer, and keeps the keys for it. It is safe for
// concurrent use: minting and checking read one immutable set of keys and take no lock.
type Signer struct {
	issuer string
	now    func() time.Time
	store  bridge.SigningKeyStore
	ring   *secret.Keyring
	policy KeyPolicy
	record func(context.Context, bridge.AuditEvent)
	log    *slog.Logger

	keys    atomic.Pointer[keySet]
	settled atomic.Bool // what was due at the start is done

	reading  sync.Mutex // one reads the list at a time, so that an older one never follows a newer
	caughtUp time.Time  // guarded by reading
}

// Option changes how OpenSigner makes a Signer.
type Option func(*Signer)

// WithKeyPolicy replaces DefaultKeyPolicy.
func WithKeyPolicy(policy KeyPolicy) Option { return func(s *Signer) { s.policy = policy } }

// WithTrail tells trail of rotations, and log of what fails in the background.
func WithTrail(trail *audit.Trail, log *slog.Logger) Option {
	return func(s *Signer) { s.record, s.log = trail.Record, log }
}

// OpenSigner loads the signing keys from the store, making the first ones in a new store and
// rotating when that is due, and returns a Signer for issuer. Keys that cannot be opened are an
// error, and then nothing was changed (OP-23).
func OpenSigner(
	ctx context.Context, store bridge.SigningKeyStore, ring *secret.Keyring, issuer string, now func() time.Time, options ...Option,
) (*Signer, error) {
	s := &Signer{
		issuer: issuer, now: now, store: store, ring: ring, policy: DefaultKeyPolicy(),
		record: func(context.Context, bridge.AuditEvent) {}, log: slog.New(slog.DiscardHandler),
	}
	for _, option := range options {
		option(s)
	}
	switch err := s.settle(ctx); {
	case s.keys.Load() == nil:
		return nil, err
	case err != nil: // they sign all the same; Run tries again
		s.log.WarnContext(ctx, "the signing keys were not brought up to date", "error", err)
	}
	return s, nil
}

// Run brings the keys up to date until ctx ends: what other replicas did, and what is due.
func (s *Signer) Run(ctx context.Context) {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		within, cancel := context.WithTimeout(ctx, refreshWithin)
		if err := s.settle(within); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "the signing keys were not brought up to date", "error", err)
		}
		cancel()
	}
}

// Keys lists the signing keys as they are stored.
func (s *Signer) Keys(ctx context.Context) ([]KeyInfo, error) {
	if _, _, err := s.refresh(ctx); err != nil {
		return nil, err
	}
	return s.keys.Load().list(s.now()), nil
}

// Rotate lets the next key take over: at once when it has been published for long enough, else as
// soon as it will have been. Tokens signed before stay good. ErrRotating when a key is named already.
func (s *Signer) Rotate(ctx context.Context) error { return s.change(ctx, (*plan).command) }

// RotateNow drops every key and signs with a new one: all access tokens there are die, here at once
// and on other replicas as soon as they hear of it. Refresh tokens live on, so clients recover by themselves.
func (s *Signer) RotateNow(ctx context.Context) error { return s.change(ctx, (*plan).emergency) }

// Revision changes whenever the keys do. What was concluded from a token before need not hold after.
func (s *Signer) Revision() int { return s.keys.Load().rev }

// settle does what the policy has due, and has the effect of refresh.
func (s *Signer) settle(ctx context.Context) error {
	starting := !s.settled.Load()
	err := s.change(ctx, func(p *plan) error { return p.settle(starting) })
	if err == nil {
		s.settled.Store(true)
	}
	return err
}

// change edits the stored list, again from the start when another replica was faster.
func (s *Signer) change(ctx context.Context, edit func(*plan) error) error {
	for range swapTries {
		stored, rev, err := s.refresh(ctx)
		if err != nil {
			return err
		}
		p := plan{
			KeyPolicy: s.policy, now: s.now(), keys: slices.Clone(stored),
			newKey: func(algorithm string, now time.Time) (bridge.SigningKey, error) {
				return newKey(s.ring, algorithm, now)
			},
		}
		if err := edit(&p); err != nil || !p.changed {
			return err
		}
		err = s.store.SwapSigningKeys(ctx, p.keys, rev)
		if errors.Is(err, bridge.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("storing the signing keys: %w", err)
		}
		for _, event := range p.events {
			s.record(ctx, event)
		}
		_, _, err = s.refresh(ctx)
		return err
	}
	return fmt.Errorf("storing the signing keys: %w, again and again", bridge.ErrConflict)
}

// refresh reads the list and, when it is another than before, signs and verifies by it from now on.
func (s *Signer) refresh(ctx context.Context) ([]bridge.SigningKey, int, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	return s.read(ctx)
}

// read is refresh for who holds reading.
func (s *Signer) read(ctx context.Context) ([]bridge.SigningKey, int, error) {
	stored, rev, err := s.store.SigningKeys(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the signing keys: %w", err)
	}
	current := s.keys.Load()
	if current == nil && len(stored) == 0 || current != nil && current.rev == rev {
		return stored, rev, nil
	}
	set, err := openKeySet(stored, rev, s.ring, s.now())
	if err != nil {
		return nil, 0, fmt.Errorf("opening the signing keys: %w", err)
	}
	s.keys.Store(set)
	return stored, rev, nil
}

// verifying is the published key with that id, or nil.
func (s *Signer) verifying(id string) *key {
	k := s.keys.Load().byID[id]
	if k == nil {
		k = s.catchUp(id)
	}
	if k == nil || !k.published(s.now()) {
		return nil
	}
	return k
}

// catchUp reads the list for a kid that is not known: another replica may have made that key a
// moment ago. It does so once in catchUpEvery whatever is presented, and whoever comes meanwhile
// waits for that one look.
func (s *Signer) catchUp(id string) *key {
	s.reading.Lock()
	defer s.reading.Unlock()
	now := s.now()
	if k := s.keys.Load().byID[id]; k != nil || now.Sub(s.caughtUp).Abs() < catchUpEvery {
		return k
	}
	s.caughtUp = now
	ctx, cancel := context.WithTimeout(context.Background(), refreshWithin)
	defer cancel()
	if _, _, err := s.read(ctx); err != nil {
		s.log.WarnContext(ctx, "the signing keys were not read again", "error", err)
	}
	return s.keys.Load().byID[id]
}
