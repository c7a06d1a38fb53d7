package rows

import (
	"context"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// maxKeysOfPerson bounds a list that is short by nature.
const maxKeysOfPerson = 10_000

var revocations = table[bridge.KeyRevocation]{
	kind: KindRevocation,
	places: func(t *tx, r *bridge.KeyRevocation) []Place {
		return []Place{
			{Index: IndexRevocations, At: r.DueAt},
			{Index: IndexPersonKeys, Whose: t.foreign(r.PersonID)},
		}
	},
}

// DueKeyRevocations returns the entries that are due, the longest due first.
func (s *Store) DueKeyRevocations(ctx context.Context, now time.Time, limit int) ([]bridge.KeyRevocation, error) {
	return read(ctx, s, func(t *tx) ([]bridge.KeyRevocation, error) {
		return listDue(t, revocations, Scan{Index: IndexRevocations, Until: now, Limit: limit}, func(r bridge.KeyRevocation) time.Time { return r.DueAt })
	})
}

// KeyRevocationsOf returns the entries of one person.
func (s *Store) KeyRevocationsOf(ctx context.Context, personID string) ([]bridge.KeyRevocation, error) {
	return read(ctx, s, func(t *tx) ([]bridge.KeyRevocation, error) {
		return list(t, revocations, Scan{Index: IndexPersonKeys, Whose: t.foreign(personID), Limit: maxKeysOfPerson})
	})
}

// QueueKeyRevocation stores or replaces the entry of a grant.
func (s *Store) QueueKeyRevocation(ctx context.Context, revocation bridge.KeyRevocation) error {
	s.sealCurrent(revocation.SealedValues())
	return s.write(ctx, func(t *tx) error { return putRevocation(t, revocation) })
}

func putRevocation(t *tx, revocation bridge.KeyRevocation) error {
	before, found, err := revocations.get(t, revocation.GrantID)
	if err != nil {
		return err
	}
	if !found {
		return revocations.put(t, revocation.GrantID, nil, &revocation, time.Time{})
	}
	return revocations.put(t, revocation.GrantID, &before, &revocation, time.Time{})
}

// FinishKeyRevocation removes an entry, if it is there.
func (s *Store) FinishKeyRevocation(ctx context.Context, grantID string) error {
	return s.write(ctx, func(t *tx) error {
		revocation, found, err := revocations.get(t, grantID)
		if err != nil || !found {
			return err
		}
		return revocations.remove(t, grantID, &revocation)
	})
}
