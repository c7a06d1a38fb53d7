package rows

import (
	"cmp"
	"context"
	"errors"
	"slices"
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
	made, err := s.swapFlow(ctx, nil, nil, &flow, flow.CreatedAt)
	if err == nil && !made {
		err = bridge.ErrConflict
	}
	return err
}

// swapFlow stores a flow in the place of one that was read as before, nil when there was none.
func (s *Store) swapFlow(ctx context.Context, record []byte, before, flow *bridge.Flow, now time.Time) (bool, error) {
	t := &tx{key: s.key}
	row, err := flows.row(t, flow.ID, flow, now)
	if err != nil {
		return false, err
	}
	row.Places, row.Before = flows.all(t, flow), flows.all(t, before)
	done, err := s.engine.Swap(ctx, record, row)
	if done && err == nil {
		s.lately.Add(flow.ID, row.Record)
	}
	return done, err
}

// Flow returns a flow that has not expired.
func (s *Store) Flow(ctx context.Context, id string, now time.Time) (bridge.Flow, error) {
	flow, _, err := s.readFlow(ctx, id, now)
	return flow, err
}

// readFlow returns the record of a flow, too.
func (s *Store) readFlow(ctx context.Context, id string, now time.Time) (bridge.Flow, []byte, error) {
	if id == "" {
		return bridge.Flow{}, nil, cmp.Or(ctx.Err(), bridge.ErrNotFound)
	}
	record, err := s.engine.ReadRow(ctx, flows.ref(id))
	if err != nil {
		return bridge.Flow{}, nil, err
	}
	s.lately.Add(id, record)
	flow, err := s.openFlow(id, record, now)
	return flow, record, err
}

func (s *Store) openFlow(id string, record []byte, now time.Time) (bridge.Flow, error) {
	flow, found, err := flows.read(s.key, id, record)
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

// UpdateFlow applies change to a flow that has not expired. A flow is its browser's alone, so that hardly ever two
// change it at once: nobody holds it meanwhile, and whoever was overtaken begins again. A page reads its flow right
// before it changes it, so that what was read last here is tried first: it is stored only in the place of the same,
// and what cannot be done with it is tried with what is stored.
func (s *Store) UpdateFlow(ctx context.Context, id string, now time.Time, change func(*bridge.Flow) error) (bridge.Flow, error) {
	if record, ok := s.lately.Get(id); ok {
		if flow, err := s.openFlow(id, record, now); err == nil {
			before := flow
			if apply(change, &flow, id) == nil {
				if done, err := s.swapFlow(ctx, record, &before, &flow, now); done || err != nil {
					return flow, err
				}
			}
		}
	}
	for {
		flow, record, err := s.readFlow(ctx, id, now)
		if err != nil {
			return bridge.Flow{}, err
		}
		before := flow // its index keys do not look into slices, which change may write to
		if err := apply(change, &flow, id); err != nil {
			return bridge.Flow{}, err
		}
		if done, err := s.swapFlow(ctx, record, &before, &flow, now); done || err != nil {
			return flow, err
		}
	}
}

func apply(change func(*bridge.Flow) error, flow *bridge.Flow, id string) error {
	if err := change(flow); err != nil {
		return err
	}
	if flow.ID != id {
		return errors.New("a flow cannot change its id")
	}
	return nil
}

// ExpiredFlows returns expired flows that hold a Trinity session, the longest expired first.
func (s *Store) ExpiredFlows(ctx context.Context, now time.Time, limit int) ([]bridge.Flow, error) {
	return read(ctx, s, func(t *tx) ([]bridge.Flow, error) {
		return listDue(t, flows, Scan{Index: IndexSessions, Until: now, Limit: limit}, func(f bridge.Flow) time.Time { return f.ExpiresAt })
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
	return decodeAll(t.key, records, found)
}

// listDue is list of a walk until now, without what is not due yet: an engine may take it for that by less than a millisecond.
func listDue[T any](t *tx, records table[T], scan Scan, due func(T) time.Time) ([]T, error) {
	found, err := list(t, records, scan)
	return slices.DeleteFunc(found, func(record T) bool { return scan.Until.Before(due(record)) }), err
}

func decodeAll[T any](key bridge.RowKey, records table[T], found []Found) ([]T, error) {
	all := slices.Grow([]T(nil), len(found))
	for _, row := range found {
		record, _, err := records.read(key, row.ID, row.Record)
		if err != nil {
			return nil, err
		}
		all = append(all, record)
	}
	return all, nil
}
