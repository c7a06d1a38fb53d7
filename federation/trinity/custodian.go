package trinity

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	custodyEvery = 5 * time.Second
	custodyBatch = 32 // of each kind in one round
)

// CustodianStore is what the Custodian looks after.
type CustodianStore interface {
	bridge.RevocationStore
	ExpiredFlows(ctx context.Context, now time.Time, limit int) ([]bridge.Flow, error)
	DropFlow(ctx context.Context, id string) error
	LapsedGrants(ctx context.Context, now time.Time, limit int) ([]bridge.Grant, error)
	EndGrant(ctx context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Grant, bool, error)
}

// CustodianOptions are what a Custodian needs.
type CustodianOptions struct {
	API   *API
	Ring  *secret.Keyring
	Store CustodianStore
	Trail *audit.Trail
	Log   *slog.Logger
	Now   func() time.Time
	Every time.Duration // between two rounds; 0 means 5 s
}

// Custodian sees to it that nothing of ours stays at Trinity longer than it should: keys of ended
// grants, sessions of sign-ins nobody finished. Use NewCustodian.
type Custodian struct {
	api   *API
	ring  *secret.Keyring
	store CustodianStore
	trail *audit.Trail
	log   *slog.Logger
	now   func() time.Time
	every time.Duration
	queue *revoker
	wake  chan struct{}
}

// NewCustodian makes a Custodian; Run starts it.
func NewCustodian(o CustodianOptions) *Custodian {
	c := &Custodian{
		api: o.API, ring: o.Ring, store: o.Store, trail: o.Trail, log: o.Log, now: o.Now, every: o.Every,
		queue: &revoker{api: o.API, ring: o.Ring, store: o.Store, trail: o.Trail, log: o.Log, now: o.Now},
		wake:  make(chan struct{}, 1),
	}
	if c.every == 0 {
		c.every = custodyEvery
	}
	return c
}

// Wake makes the next round come at once: a grant has just ended. It never blocks.
func (c *Custodian) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, in this goroutine alone.
func (c *Custodian) Run(ctx context.Context) {
	ticker := time.NewTicker(c.every)
	defer ticker.Stop()
	for {
		c.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-c.wake:
		}
	}
}

// round does one batch of everything. Grants come first: ending them needs no Trinity, and puts
// their keys on the queue of the same round.
func (c *Custodian) round(ctx context.Context) {
	full := c.endLapsed(ctx)
	full = c.revokeDue(ctx) || full
	full = c.logOutExpired(ctx) || full
	if full {
		c.Wake()
	}
}

// endLapsed ends grants whose code nobody redeemed or whose last token is dead. It reports whether
// there may be more.
func (c *Custodian) endLapsed(ctx context.Context) bool {
	lapsed, err := c.store.LapsedGrants(ctx, c.now(), custodyBatch)
	if err != nil {
		c.trouble(ctx, "lapsed grants could not be read", err)
		return false
	}
	ended := 0
	for _, grant := range lapsed {
		reason := bridge.EndExpired
		if grant.Status == bridge.GrantPending {
			reason = bridge.EndCodeUnredeemed
		}
		after, now, err := c.store.EndGrant(ctx, grant.ID, reason, c.now())
		if err != nil {
			c.trouble(ctx, "a lapsed grant could not be ended", err)
			return false
		}
		ended++
		if now {
			c.trail.Record(ctx, bridge.AuditEvent{
				Kind: audit.GrantEnded, PersonID: after.Person.ID(), ClientID: after.ClientID, GrantID: after.ID, Outcome: string(reason),
			})
		}
	}
	return ended == custodyBatch
}

// revokeDue settles what is due in the queue of keys. When nobody answers the rest waits for the
// next round; an entry that fails alone holds up no other.
func (c *Custodian) revokeDue(ctx context.Context) bool {
	due, err := c.store.DueKeyRevocations(ctx, c.now(), custodyBatch)
	if err != nil {
		c.trouble(ctx, "keys to revoke could not be read", err)
		return false
	}
	for _, entry := range due {
		if c.queue.settle(ctx, entry) != nil {
			return false
		}
	}
	return len(due) == custodyBatch
}

// logOutExpired ends the Trinity sessions of sign-ins that nobody finished. One that cannot be
// logged out is tried again until the store forgets the flow.
func (c *Custodian) logOutExpired(ctx context.Context) bool {
	expired, err := c.store.ExpiredFlows(ctx, c.now(), custodyBatch)
	if err != nil {
		c.trouble(ctx, "expired sign-ins could not be read", err)
		return false
	}
	dropped := 0
	for _, flow := range expired {
		session, err := c.ring.OpenToken(sealSession, flow.ID, flow.SignIn.Session)
		if err == nil {
			err = c.api.Logout(ctx, session)
		} else {
			c.trouble(ctx, "the session of an expired sign-in cannot be opened and ends by itself", err)
			err = nil
		}
		if err != nil {
			c.trouble(ctx, "an expired sign-in could not be logged out yet", err)
			if errors.Is(err, outbound.ErrUnreachable) || ctx.Err() != nil {
				return false
			}
			continue
		}
		if err := c.store.DropFlow(ctx, flow.ID); err != nil {
			c.trouble(ctx, "an expired sign-in could not be dropped", err)
			return false
		}
		dropped++
	}
	return dropped == custodyBatch
}

// trouble logs an error, unless it is only that the program is stopping.
func (c *Custodian) trouble(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		c.log.WarnContext(ctx, what, "error", err)
	}
}
