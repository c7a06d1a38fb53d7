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
	custodyEvery = 5 * time.Second
	custodyBatch = 32 // of each kind in one round
)

// CustodianStore is what the Custodian looks after.
type CustodianStore interface {
	bridge.RevocationStore
	ExpiredFlows(ctx context.Context, now time.Time, limit int) ([]bridge.Flow, error)
	DropFlow(ctx context.Context, id string) error
	LapsedGrants(ctx context.Context, now time.Time, limit int) ([]bridge.Grant, error)
	Grant(ctx context.Context, id string) (bridge.Grant, error)
	Grants(ctx context.Context, personID, clientID, after string, limit int) ([]bridge.Grant, error)
	Link(ctx context.Context, id string) (bridge.Link, error)
	Links(ctx context.Context, after string, limit int) ([]bridge.Link, error)
	EndGrant(ctx context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Grant, bool, error)
	EndUnlinked(ctx context.Context, now time.Time) ([]bridge.Grant, error)
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
	// Deployment is as in CredentialsOptions.
	Deployment string
	// Done is told of every piece of work: its name, how many things it did, and what kept it from going on.
	Done func(job string, items int, took time.Duration, err error)
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
	done  func(job string, items int, took time.Duration, err error)

	orphans *orphans
	walk    orphanWalk // of Run's goroutine
}

// NewCustodian makes a Custodian; Run starts it.
func NewCustodian(o CustodianOptions) *Custodian {
	c := &Custodian{
		api: o.API, ring: o.Ring, store: o.Store, trail: o.Trail, log: o.Log, now: o.Now, every: o.Every,
		queue: &revoker{api: o.API, ring: o.Ring, store: o.Store, trail: o.Trail, log: o.Log, now: o.Now},
		wake:  make(chan struct{}, 1), done: o.Done, walk: orphanWalk{seen: map[string]int{}},
		orphans: &orphans{api: o.API, deployment: o.Deployment, owners: o.Store, trail: o.Trail, log: o.Log, now: o.Now},
	}
	if c.done == nil {
		c.done = func(string, int, time.Duration, error) {}
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
	c.walk = orphanWalk{seen: map[string]int{}}
	for {
		c.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.search(ctx)
		case <-c.wake:
		}
	}
}

// round does one batch of everything. Grants come first: ending them needs no Trinity, and puts
// their keys on the queue of the same round.
func (c *Custodian) round(ctx context.Context) {
	full := c.work(ctx, "lapsed_grants", c.endLapsed)
	full = c.work(ctx, "unlinked_grants", c.endUnlinked) || full
	full = c.work(ctx, "key_revocations", c.revokeDue) || full
	full = c.work(ctx, "trinity_sessions", c.logOutExpired) || full
	if full {
		c.Wake()
	}
}

// search goes on with the walk through all accounts, until that is done.
func (c *Custodian) search(ctx context.Context) {
	if !c.walk.done {
		c.work(ctx, "orphaned_keys", c.findOrphans)
	}
}

// work does one batch of one thing, logs what kept it from going on, and tells of it. It reports whether
// there may be more.
func (c *Custodian) work(ctx context.Context, job string, run func(context.Context) (int, error)) bool {
	began := time.Now()
	items, err := run(ctx)
	if err != nil {
		c.trouble(ctx, "background work could not go on: "+job, err)
	}
	if ctx.Err() == nil {
		c.done(job, items, time.Since(began), err)
	}
	return err == nil && items >= custodyBatch
}

// endLapsed ends grants whose code nobody redeemed or whose last token is dead.
func (c *Custodian) endLapsed(ctx context.Context) (ended int, err error) {
	lapsed, err := c.store.LapsedGrants(ctx, c.now(), custodyBatch)
	if err != nil {
		return 0, fmt.Errorf("reading lapsed grants: %w", err)
	}
	for _, grant := range lapsed {
		reason := bridge.EndExpired
		if grant.Status == bridge.GrantPending {
			reason = bridge.EndCodeUnredeemed
		}
		after, now, err := c.store.EndGrant(ctx, grant.ID, reason, c.now())
		if err != nil {
			return ended, fmt.Errorf("ending a lapsed grant: %w", err)
		}
		ended++
		if now {
			recordEnded(ctx, c.trail, after)
		}
	}
	return ended, nil
}

// endUnlinked ends grants whose link has ended without them: the program died in between.
func (c *Custodian) endUnlinked(ctx context.Context) (int, error) {
	over, err := c.store.EndUnlinked(ctx, c.now())
	recordEnded(ctx, c.trail, over...)
	if err != nil {
		return len(over), fmt.Errorf("ending the grants of a link: %w", err)
	}
	return len(over), nil
}

func recordEnded(ctx context.Context, trail *audit.Trail, over ...bridge.Grant) {
	for _, grant := range over {
		trail.Record(ctx, bridge.AuditEvent{
			Kind: audit.GrantEnded, PersonID: grant.Person.ID(), ClientID: grant.ClientID, GrantID: grant.ID, Outcome: string(grant.EndReason),
		})
	}
}

// revokeDue settles what is due in the queue of keys. When nobody answers the rest waits for the
// next round; an entry that fails alone holds up no other.
func (c *Custodian) revokeDue(ctx context.Context) (settled int, err error) {
	due, err := c.store.DueKeyRevocations(ctx, c.now(), custodyBatch)
	if err != nil {
		return 0, fmt.Errorf("reading the keys to revoke: %w", err)
	}
	for _, entry := range due {
		if err := c.queue.settle(ctx, entry); err != nil {
			return settled, err
		}
		settled++
	}
	return settled, nil
}

// logOutExpired ends the Trinity sessions of sign-ins that nobody finished, or that were finished while
// Trinity did not answer or before the process died. One that cannot be logged out is tried again until
// the store forgets the flow.
func (c *Custodian) logOutExpired(ctx context.Context) (dropped int, err error) {
	expired, err := c.store.ExpiredFlows(ctx, c.now(), custodyBatch)
	if err != nil {
		return 0, fmt.Errorf("reading expired sign-ins: %w", err)
	}
	for _, flow := range expired {
		session, err := c.ring.OpenToken(sealSession, flow.ID, flow.SignIn.Session)
		if err != nil {
			c.trouble(ctx, "the session of an expired sign-in cannot be opened and ends by itself", err)
		} else if err = c.api.Logout(ctx, session); errors.Is(err, outbound.ErrUnreachable) || ctx.Err() != nil {
			return dropped, fmt.Errorf("logging out an expired sign-in: %w", err)
		} else if err != nil {
			c.trouble(ctx, "an expired sign-in could not be logged out yet", err)
			continue
		}
		if err := c.store.DropFlow(ctx, flow.ID); err != nil {
			return dropped, fmt.Errorf("dropping an expired sign-in: %w", err)
		}
		dropped++
	}
	return dropped, nil
}

// trouble logs an error, unless it is only that the program is stopping.
func (c *Custodian) trouble(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		c.log.WarnContext(ctx, what, "error", err)
	}
}
