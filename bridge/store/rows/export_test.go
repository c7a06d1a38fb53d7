package rows

import (
	"context"
	"time"
)

// DueRows is the first half of Sweep.
func (s *Store) DueRows(ctx context.Context, now time.Time, limit int) ([]Due, error) {
	return read(ctx, s, func(t *tx) ([]Due, error) { return t.Due(now, limit) })
}

// SweepRows is the second.
func (s *Store) SweepRows(ctx context.Context, overdue []Due, now time.Time) (int, error) {
	return write(ctx, s, func(t *tx) (int, error) { return sweepRows(t, overdue, now) })
}
