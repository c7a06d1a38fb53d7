package badger

import (
	"context"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var revocations = table[bridge.KeyRevocation]{
	kind: "revocation",
	index: func(t *tx, id string, r *bridge.KeyRevocation) []string {
		return []string{
			indexRevocations + oldestFirst(r.DueAt) + id,
			indexPersonKeys + t.foreign(r.PersonID) + id,
		}
	},
}

// DueKeyRevocations returns the entries that are due, the longest due first.
func (s *Store) DueKeyRevocations(ctx context.Context, now time.Time, limit int) ([]bridge.KeyRevocation, error) {
	return read(ctx, s, func(t *tx) ([]bridge.KeyRevocation, error) {
		return listDue(t, revocations, indexRevocations, now, limit)
	})
}

// KeyRevocationsOf returns the entries of one person.
func (s *Store) KeyRevocationsOf(ctx context.Context, personID string) ([]bridge.KeyRevocation, error) {
	return read(ctx, s, func(t *tx) ([]bridge.KeyRevocation, error) {
		var list []bridge.KeyRevocation
		for id := range t.suffixes(indexPersonKeys+t.foreign(personID), "") {
			revocation, found, err := revocations.get(t, id)
			if err != nil {
				return nil, err
			}
			if found {
				list = append(list, revocation)
			}
		}
		return list, nil
	})
}

// QueueKeyRevocation stores or replaces the entry of a grant.
func (s *Store) QueueKeyRevocation(ctx context.Context, revocation bridge.KeyRevocation) error {
	return s.writer.do(ctx, func(t *tx) error { return putRevocation(t, revocation) })
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
	return s.writer.do(ctx, func(t *tx) error {
		revocation, found, err := revocations.get(t, grantID)
		if err != nil || !found {
			return err
		}
		revocations.remove(t, grantID, &revocation)
		return nil
	})
}
