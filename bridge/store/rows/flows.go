package rows

import (
	"context"
	"errors"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// sessionKept is how long after its expiry a flow that holds a Trinity session waits to be logged
// out and dropped before Sweep gives it up.
const sessionKept = 24 * time.Hour

var flows = table[bridge.Flow]{
	kind: KindFlow,
	places: func(_ *tx, f *bridge.Flow) []Place {
		if len(f.SignIn.Session) == 0 {
			return nil
		}
		return []Place{{Index: IndexSessions, At: f.ExpiresAt}}
	},
	due: func(f *bridge.Flow) time.Time {
		if len(f.SignIn.Session) == 0 {
			return f.ExpiresAt
		}
		return f.ExpiresAt.Add(sessionKept)
	},
	broom: true,
}

// CreateFlow stores a new flow; bridge.ErrConflict when its id exists.
func (s *Store) CreateFlow(ctx context.Context, flow bridge.Flow) error {
	return s.write(ctx, func(t *tx) error {
		_, exists, err := flows.get(t, flow.ID)
		if err != nil {
			return err
		}
		if exists {
			return bridge.ErrConflict
		}
		return flows.put(t, flow.ID, nil, &flow, flow.CreatedAt)
	})
}

// Flow returns a flow that has not expired.
func (s *Store) Flow(ctx context.Context, id string, now time.Time) (bridge.Flow, error) {
	flow, found, err := readOne(ctx, s, flows, id)
	return current(flow, found, err, now)
}

func currentFlow(t *tx, id string, now time.Time) (bridge.Flow, error) {
	flow, found, err := flows.get(t, id)
	return current(flow, found, err, now)
}

func current(flow bridge.Flow, found bool, err error, now time.Time) (bridge.Flow, error) {
	if err == nil && (!found || !now.Before(flow.ExpiresAt)) {
		err = bridge.ErrNotFound
	}
	if err != nil {
		return bridge.Flow{}, err
	}
	return flow, nil
}

// UpdateFlow applies change to a flow that has not expired.
func (s *Store) UpdateFlow(ctx context.Context, id string, now time.Time, change func(*bridge.Flow) error) (bridge.Flow, error) {
	return write(ctx, s, func(t *tx) (bridge.Flow, error) {
		stored, err := currentFlow(t, id, now)
		if err != nil {
			return bridge.Flow{}, err
		}
		before := stored // its index keys do not look into slices, which change may write to
		if err := change(&stored); err != nil {
			return bridge.Flow{}, err
		}
		if stored.ID != id {
			return bridge.Flow{}, errors.New("a flow cannot change its id")
		}
		return stored, flows.put(t, id, &before, &stored, now)
	})
}

// ExpiredFlows returns expired flows that hold a Trinity session, the longest expired first.
func (s *Store) ExpiredFlows(ctx context.Context, now time.Time, limit int) ([]bridge.Flow, error) {
	return read(ctx, s, func(t *tx) ([]bridge.Flow, error) {
		return list(t, flows, Scan{Index: IndexSessions, Until: now, Limit: limit})
	})
}

// DropFlow forgets a flow, if it is there.
func (s *Store) DropFlow(ctx context.Context, id string) error {
	return s.write(ctx, func(t *tx) error {
		flow, found, err := flows.get(t, id)
		if err != nil || !found {
			return err
		}
		return flows.remove(t, id, &flow)
	})
}

// list returns the records an index leads to.
func list[T any](t *tx, records table[T], scan Scan) ([]T, error) {
	if scan.Limit <= 0 {
		return nil, nil
	}
	found, err := t.Scan(scan)
	if err != nil {
		return nil, err
	}
	var list []T
	for _, row := range found {
		record, _, err := records.read(t.key, row.ID, row.Record)
		if err != nil {
			return nil, err
		}
		list = append(list, record)
	}
	return list, nil
}
