package rows

import (
	"context"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// How many rows one write of StartGeneration ends. Flows may be as long as a record gets, and they are few.
const (
	passAtOnce  = 50
	flowsAtOnce = bytesAtOnce / maxRecordBytes
)

// StartGeneration ends what a lost span of writes may have ended. Identity sessions end with the last
// of their grants.
func (s *Store) StartGeneration(ctx context.Context, now time.Time) (int, error) {
	ended, err := pass(ctx, s,
		func(after string) ([]bridge.Grant, error) { return s.Grants(ctx, "", "", after, passAtOnce) },
		func(g bridge.Grant) string { return g.ID },
		func(t *tx, id string) (bool, error) {
			grant, err := mustGrant(t, id)
			if err != nil || grant.Status == bridge.GrantEnded {
				return false, err
			}
			_, err = endGrant(t, grant, bridge.EndStoreLost, now)
			return true, err
		})
	if err != nil {
		return ended, err
	}
	_, err = pass(ctx, s,
		func(after string) ([]bridge.Link, error) { return s.Links(ctx, after, passAtOnce) },
		func(l bridge.Link) string { return l.ID },
		func(t *tx, id string) (bool, error) {
			link, err := mustLink(t, id)
			if err != nil || !link.Live() {
				return false, err
			}
			_, err = endLink(t, link, bridge.EndStoreLost, now)
			return true, err
		})
	if err != nil {
		return ended, err
	}
	if err := s.endFlows(ctx, now); err != nil {
		return ended, err
	}
	return ended, s.write(ctx, func(t *tx) error {
		var signing keyList
		if _, err := load(t, signingKeysRow, &signing); err != nil {
			return err
		}
		return save(t, signingKeysRow, keyList{Revision: signing.Revision + 1})
	})
}

// endFlows ends every sign-in that is under way: it may have been decided in what was lost.
func (s *Store) endFlows(ctx context.Context, now time.Time) error {
	scan := Scan{Index: Index{Kind: KindFlow}, Limit: flowsAtOnce}
	_, err := pass(ctx, s,
		func(after string) ([]bridge.Flow, error) {
			if after != "" {
				scan.After = &Position{ID: after}
			}
			return read(ctx, s, func(t *tx) ([]bridge.Flow, error) { return list(t, flows, scan) })
		},
		func(f bridge.Flow) string { return f.ID },
		func(t *tx, id string) (bool, error) {
			flow, found, err := flows.get(t, id)
			if err != nil || !found || !now.Before(flow.ExpiresAt) {
				return false, err
			}
			over := flow
			over.Step, over.ExpiresAt = bridge.StepFinished, now
			return true, flows.put(t, id, &flow, &over, now)
		})
	return err
}

// pass has end look at all that list returns, a page and a write at a time, and counts what it ended.
func pass[T any](ctx context.Context, s *Store, list func(after string) ([]T, error), id func(T) string,
	end func(t *tx, id string) (bool, error),
) (int, error) {
	total, after := 0, ""
	for {
		page, err := list(after)
		if err != nil || len(page) == 0 {
			return total, err
		}
		ended, err := write(ctx, s, func(t *tx) (int, error) {
			ended := 0
			for _, row := range page {
				this, err := end(t, id(row))
				if err != nil {
					return 0, err
				}
				if this {
					ended++
				}
			}
			return ended, nil
		})
		if err != nil {
			return total, err
		}
		total, after = total+ended, id(page[len(page)-1])
	}
}
