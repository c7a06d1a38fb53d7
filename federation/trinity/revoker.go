package trinity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	firstRetry = 5 * time.Second
	lastRetry  = time.Hour
	// signInRetry is how often a key that wants its owner's session is tried all the same.
	signInRetry = 24 * time.Hour
)

// revoker takes entries off the queue of keys to revoke, or puts them back for later. An entry
// leaves the queue only when Trinity has confirmed that the key opens nothing any more.
type revoker struct {
	api   *API
	ring  *secret.Keyring
	store bridge.RevocationStore
	trail *audit.Trail
	log   *slog.Logger
	now   func() time.Time
}

// settle tries one entry with the key itself: it leaves the queue or gets another time. An error
// means that trying the next one is no use now: nobody answers, or the queue cannot be written.
func (v *revoker) settle(ctx context.Context, entry bridge.KeyRevocation) error {
	key, err := v.ring.OpenToken(sealKey, entry.GrantID, entry.Credential.Sealed)
	if err != nil {
		v.log.ErrorContext(ctx, "a key to be revoked cannot be opened: revoke it in Trinity, by its name",
			"grant_id", entry.GrantID, "key_name", entry.Credential.KeyName, "error", err)
		return v.awaitSignIn(ctx, entry)
	}
	err = v.api.RevokeKey(ctx, key, entry.Credential.KeyID)
	if errors.Is(err, ErrUnauthorized) {
		err = v.refusedItself(ctx, key)
	}
	switch {
	case err == nil:
		return v.finish(ctx, entry, "by_key")
	case errors.Is(err, ErrForbidden):
		return v.awaitSignIn(ctx, entry)
	case ctx.Err() != nil:
		return err // shutting down: the entry stays due
	}
	unwritten := v.later(ctx, entry, err)
	if unwritten == nil && errors.Is(err, outbound.ErrUnreachable) {
		return err
	}
	return unwritten
}

// refusedItself tells a key that is gone already from one whose owner is suspended: that one is
// refused as well, but would be good again with its owner (contract 3.4).
func (v *revoker) refusedItself(ctx context.Context, key secret.Token) error {
	_, err := v.api.Validate(ctx, key)
	switch {
	case errors.Is(err, ErrUnauthorized):
		return nil
	case err == nil:
		return fmt.Errorf("%w: the key is active but may not revoke itself now", ErrUnavailable)
	}
	return err
}

// settleWith settles a person's entries that wait for the person's own session.
func (v *revoker) settleWith(ctx context.Context, session secret.Token, personID string) {
	entries, err := v.store.KeyRevocationsOf(ctx, personID)
	if err != nil {
		v.log.ErrorContext(ctx, "reading the keys to revoke failed", "person_id", personID, "error", err)
		return
	}
	for _, entry := range entries {
		if !entry.NeedsSignIn {
			continue
		}
		if err := v.api.RevokeKey(ctx, session, entry.Credential.KeyID); err != nil {
			v.log.WarnContext(ctx, "a key could not be revoked with its owner's session", "grant_id", entry.GrantID, "error", err)
			continue
		}
		_ = v.finish(ctx, entry, "by_session") // the log has it
	}
}

// abandon queues a key that belongs to no grant. Its row has an id of its own: the grant of the
// same sign-in may live, and may need the row of its own id one day.
func (v *revoker) abandon(ctx context.Context, entry bridge.KeyRevocation) {
	key, err := v.ring.OpenToken(sealKey, entry.GrantID, entry.Credential.Sealed)
	entry.GrantID = "abandoned-" + entry.Credential.KeyID
	entry.DueAt = v.now()
	entry.Credential.Sealed = nil
	if err == nil {
		entry.Credential.Sealed = v.ring.SealToken(sealKey, entry.GrantID, key)
	}
	_ = v.put(ctx, entry) // the log names the key
}

func (v *revoker) finish(ctx context.Context, entry bridge.KeyRevocation, how string) error {
	if err := v.store.FinishKeyRevocation(ctx, entry.GrantID); err != nil {
		// It comes up again, and Trinity will say that the key is gone.
		v.log.ErrorContext(ctx, "a revoked key could not be taken off the queue", "grant_id", entry.GrantID, "error", err)
		return fmt.Errorf("finishing a revocation: %w", err)
	}
	v.revoked(ctx, entry, how)
	return nil
}

func (v *revoker) revoked(ctx context.Context, entry bridge.KeyRevocation, how string) {
	v.trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.KeyRevoked, PersonID: entry.PersonID, GrantID: entry.GrantID, Outcome: how,
	})
}

// awaitSignIn puts an entry aside until its owner signs in the next time.
func (v *revoker) awaitSignIn(ctx context.Context, entry bridge.KeyRevocation) error {
	if !entry.NeedsSignIn {
		v.stuck(ctx, entry, "needs_sign_in")
	}
	entry.NeedsSignIn = true
	entry.Tries++
	entry.DueAt = v.now().Add(signInRetry)
	return v.put(ctx, entry)
}

// later puts an entry back: 5 s, 10 s … 1 h, for as long as it takes.
func (v *revoker) later(ctx context.Context, entry bridge.KeyRevocation, err error) error {
	if entry.Tries == 0 {
		v.stuck(ctx, entry, outcomeOf(err))
	}
	v.log.WarnContext(ctx, "a key could not be revoked yet", "grant_id", entry.GrantID, "tries", entry.Tries+1, "error", err)
	wait := lastRetry
	if entry.Tries < 10 {
		wait = min(firstRetry<<entry.Tries, lastRetry)
	}
	entry.Tries++
	entry.DueAt = v.now().Add(wait)
	return v.put(ctx, entry)
}

func (v *revoker) stuck(ctx context.Context, entry bridge.KeyRevocation, why string) {
	v.trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.KeyRevokeFailed, PersonID: entry.PersonID, GrantID: entry.GrantID, Outcome: why,
	})
}

func (v *revoker) put(ctx context.Context, entry bridge.KeyRevocation) error {
	if err := v.store.QueueKeyRevocation(ctx, entry); err != nil {
		v.log.ErrorContext(ctx, "the queue of keys to revoke could not be written", "grant_id", entry.GrantID,
			"key_name", entry.Credential.KeyName, "error", err)
		return fmt.Errorf("queueing a revocation: %w", err)
	}
	return nil
}
