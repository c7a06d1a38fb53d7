package badger

import (
	"context"
	"fmt"
	"time"
)

const (
	// compactFrom is the size of tables below which nothing is worth being merged. Removals wait in memory
	// tables of as much before any merge sees them.
	compactFrom = 16 << 20
	// compactShare: so many keys of the lowest level come to one above it before they are merged. Each
	// one above may be a removal, and then the row it removes is still on the disk.
	compactShare = 4
	// calmBatches is how many writes between two sweeps, a minute as the program runs, still leave the
	// engine calm enough: while it merges everything it does not merge what is written.
	calmBatches = 6000
	// compactPatience is how long Close waits for a merge that is under way.
	compactPatience = 5 * time.Second
)

// Sweep removes rows and, when nothing more is due and the store is calm, gives their room back. The
// engine does so by itself only as far as its levels fill, and its own collection of garbage looks at
// a log that holds none of our rows.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	swept, err := s.Store.Sweep(ctx, now, limit)
	if err != nil || swept >= limit || ctx.Err() != nil {
		return swept, err
	}
	return swept, s.compact()
}

// worthCompacting compares what the lowest level holds with what lies above it.
func (s *Store) worthCompacting() bool {
	keys := map[int]uint64{}
	all, lowest := uint64(0), 1 // the tables of level 0 lie above each other
	for _, table := range s.db.Tables() {
		keys[table.Level] += uint64(table.KeyCount)
		all += uint64(table.KeyCount)
		lowest = max(lowest, table.Level)
	}
	above := all - keys[lowest]
	return s.tableBytes() >= compactFrom && above*compactShare >= keys[lowest]
}

// compact merges all tables if the store is calm and it is worth it. What dies in the middle of it has
// lost nothing.
func (s *Store) compact() error {
	select {
	case s.compacting <- struct{}{}:
	default:
		return nil // another one is at it, or the store is closed
	}
	defer func() { <-s.compacting }()
	version := s.db.MaxVersion()
	calm := version-s.swept.Swap(version) < calmBatches
	if !calm || !s.worthCompacting() {
		return nil
	}
	began, before := time.Now(), s.tableBytes()
	if err := s.db.Flatten(1); err != nil {
		return fmt.Errorf("compacting the store: %w", err)
	}
	if after := s.tableBytes(); after != before { // the engine leaves up to two tables of level 0 alone
		s.opts.Logger.Info("the store was compacted", "bytes_before", before, "bytes_after", after, "took", time.Since(began))
	}
	return nil
}

// endCompacting keeps the store from being compacted ever again, and reports whether it is not at it.
func (s *Store) endCompacting() bool {
	timer := time.NewTimer(compactPatience)
	defer timer.Stop()
	select {
	case s.compacting <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (s *Store) tableBytes() (total int64) {
	for _, table := range s.db.Tables() {
		total += int64(table.OnDiskSize)
	}
	return total
}
