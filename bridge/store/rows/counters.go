package rows

import (
	"context"
	"fmt"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// counter is a stored counter in its window. It is kept under the hash of its key: keys are made
// of mailboxes and the like.
type counter struct {
	N       int       `json:"n"`
	From    time.Time `json:"from"`
	ResetAt time.Time `json:"reset_at"`
}

var counters = table[counter]{
	kind:  KindCounter,
	due:   func(c *counter) time.Time { return c.ResetAt },
	broom: true,
}

// running reports whether the counter's window includes now. One that ends more than two windows
// ahead was begun by a clock that has since been set back; it must not lock anybody out for the
// difference (OP-16).
func (c *counter) running(now time.Time) bool {
	return now.Before(c.ResetAt) && c.ResetAt.Sub(now) <= 2*c.ResetAt.Sub(c.From)
}

func (c *counter) count(limit int) bridge.Count {
	return bridge.Count{Allowed: c.N < limit, N: c.N, ResetAt: c.ResetAt}
}

// Hit counts one event under key unless limit is reached in the current window.
func (s *Store) Hit(ctx context.Context, key string, limit int, window time.Duration, now time.Time) (bridge.Count, error) {
	if window <= 0 {
		return bridge.Count{}, fmt.Errorf("counting in a window of %s is not possible", window)
	}
	return write(ctx, s, func(t *tx) (bridge.Count, error) {
		stored, found, err := counters.get(t, t.foreign(key))
		if err != nil {
			return bridge.Count{}, err
		}
		next := stored
		if !stored.running(now) {
			next = counter{From: now, ResetAt: now.Add(window)}
		}
		count := next.count(limit)
		if !count.Allowed {
			return count, nil
		}
		next.N++
		count.N++
		if !found {
			return count, counters.put(t, t.foreign(key), nil, &next, now)
		}
		return count, counters.put(t, t.foreign(key), &stored, &next, now)
	})
}

// Peek tells what Hit would find, without counting. ResetAt is zero when no window is running.
func (s *Store) Peek(ctx context.Context, key string, limit int, now time.Time) (bridge.Count, error) {
	stored, _, err := readOne(ctx, s, counters, s.foreign(key))
	if err != nil {
		return bridge.Count{}, err
	}
	if !stored.running(now) {
		stored = counter{}
	}
	return stored.count(limit), nil
}

// ResetCount forgets the counter.
func (s *Store) ResetCount(ctx context.Context, key string) error {
	return s.write(ctx, func(t *tx) error {
		stored, found, err := counters.get(t, t.foreign(key))
		if err != nil || !found {
			return err
		}
		return counters.remove(t, t.foreign(key), &stored)
	})
}
