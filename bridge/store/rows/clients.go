package rows

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// client is a stored client.
type client struct {
	bridge.Client
	Used bool `json:"used,omitzero"` // a code was redeemed once; it no longer counts as unused
}

var clients = table[client]{
	kind: KindClient,
	due:  func(c *client) time.Time { return c.UnusedUntil },
}

// crowdedLife is how long an unused registration stays while half of the room for them is taken: longer than a
// sign-in takes. A flood at the rate there is for registrations never fills the rest, and keeps nobody out.
const crowdedLife = 15 * time.Minute

// CreateClient stores a newly registered client. The number of unused ones is a row of its own,
// read and written here, since the engine would not notice two inserts that each counted first.
func (s *Store) CreateClient(ctx context.Context, registered bridge.Client, maxUnused int) error {
	if registered.Kind != bridge.ClientRegistered || registered.ID == "" {
		return fmt.Errorf("a client of kind %q with the id %q is not stored", registered.Kind, registered.ID)
	}
	return s.write(ctx, func(t *tx) error {
		_, exists, err := clients.get(t, t.foreign(registered.ID))
		if err != nil {
			return err
		}
		if exists {
			return bridge.ErrConflict
		}
		unused, err := unusedClients(t)
		if err != nil {
			return err
		}
		if unused >= maxUnused {
			return bridge.ErrFull
		}
		if 2*unused >= maxUnused {
			registered.UnusedUntil = earlier(registered.UnusedUntil, registered.CreatedAt.Add(crowdedLife))
		}
		if err := clients.put(t, t.foreign(registered.ID), nil, &client{Client: registered}, registered.CreatedAt); err != nil {
			return err
		}
		return save(t, unusedClientsRow, unused+1)
	})
}

// PutClient stores or replaces what a client's document says. Such a client is not counted among the
// unused registrations: it is stored for a person who decides, not for whoever asks.
func (s *Store) PutClient(ctx context.Context, described bridge.Client, now time.Time) error {
	if described.Kind != bridge.ClientDocument || described.ID == "" {
		return fmt.Errorf("a client of kind %q with the id %q does not come from a document", described.Kind, described.ID)
	}
	return s.write(ctx, func(t *tx) error {
		id := t.foreign(described.ID)
		stored, found, err := clients.get(t, id)
		if err != nil {
			return err
		}
		next := client{Client: described, Used: true}
		if !found {
			return clients.put(t, id, nil, &next, now)
		}
		switch {
		case stored.Kind != bridge.ClientDocument:
			return bridge.ErrConflict
		case !described.CreatedAt.After(stored.CreatedAt) && !described.UnusedUntil.After(stored.UnusedUntil):
			return nil
		}
		if stored.CreatedAt.After(described.CreatedAt) {
			next = stored
		}
		next.UnusedUntil = stored.UnusedUntil
		if described.UnusedUntil.After(stored.UnusedUntil) {
			next.UnusedUntil = described.UnusedUntil
		}
		return clients.put(t, id, &stored, &next, now)
	})
}

// Client returns a stored client. One that is past its time is gone unless a grant of it has not
// ended, whether or not Sweep came by.
func (s *Store) Client(ctx context.Context, id string, now time.Time) (bridge.Client, error) {
	stored, found, err := readOne(ctx, s, clients, s.foreign(id))
	if err == nil && found && stored.past(now) {
		found, err = read(ctx, s, func(t *tx) (bool, error) { return hasOpenGrant(t, id) })
	}
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	return stored.Client, err
}

func (c *client) past(now time.Time) bool {
	return !c.UnusedUntil.IsZero() && !now.Before(c.UnusedUntil)
}

// keptAhead is how much longer than asked a client is kept of which a second code is redeemed within that time: not each
// redemption of one that everybody uses writes its row, and waits for the others that do.
const keptAhead = 24 * time.Hour

// keepClient notes that a code of a stored client was redeemed, and keeps it at least until
// the given time.
func keepClient(t *tx, id string, until, now time.Time) error {
	row := t.foreign(id)
	stored, found, err := clients.get(t, row)
	if err != nil || !found {
		return err // not found: a configured client
	}
	if stored.Used && !until.After(stored.UnusedUntil) {
		return nil
	}
	kept := stored
	kept.Used = true
	switch longer := until.Sub(stored.UnusedUntil); {
	case longer > keptAhead:
		kept.UnusedUntil = until
	case longer > 0:
		kept.UnusedUntil = until.Add(keptAhead)
	}
	if !stored.Used {
		if err := changeUnused(t, -1); err != nil {
			return err
		}
	}
	return clients.put(t, row, &stored, &kept, now)
}

// sweepClient removes a client past its time, or looks again a day later when a grant of it has
// not ended.
func sweepClient(t *tx, id string, stored *client, now time.Time) (bool, error) {
	wanted, err := hasOpenGrant(t, stored.ID)
	if err != nil {
		return false, err
	}
	if wanted {
		kept := *stored
		kept.UnusedUntil = now.Add(24 * time.Hour)
		return false, clients.put(t, id, stored, &kept, now)
	}
	if err := clients.remove(t, id, stored); err != nil || stored.Used {
		return true, err
	}
	return true, changeUnused(t, -1)
}

// hasOpenGrant reports whether a client has a grant that has not ended. It is asked for when a client is past its time, and
// then hardly any has: an index of them alone would cost each grant more than this walk costs anybody.
func hasOpenGrant(t *tx, clientID string) (bool, error) {
	for scan := (Scan{Index: IndexClientGrants, Whose: t.foreign(clientID), Limit: passAtOnce}); ; {
		some, err := list(t, grants, scan)
		if err != nil || len(some) == 0 {
			return false, err
		}
		if slices.ContainsFunc(some, func(g grantRow) bool { return g.Status != bridge.GrantEnded }) {
			return true, nil
		}
		last := some[len(some)-1]
		scan.After = &Position{last.CreatedAt, last.ID}
	}
}

func unusedClients(t *tx) (int, error) {
	var n int
	_, err := load(t, unusedClientsRow, &n)
	return n, err
}

func changeUnused(t *tx, by int) error {
	n, err := unusedClients(t)
	if err != nil {
		return err
	}
	return save(t, unusedClientsRow, max(n+by, 0))
}
