package badger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	// compactFrom is the size of tables below which nothing is worth being merged for what lies in them.
	compactFrom = 16 << 20
	// smallStore is the size of tables below which it counts that removals wait in a memory table, until that is full, before
	// a merge sees them; waitingFrom is how much has to have been written before it does.
	smallStore  = 4 * memTableBytes
	waitingFrom = memTableBytes / 4
	// padBytes are written at a time to fill a memory table up, and no more than mostPads times.
	padBytes = 64 << 10
	mostPads = 2 * memTableBytes / padBytes
	// compactShare: so many keys of the lowest level come to one above it before they are merged. Each
	// one above may be a removal, and then the row it removes is still on the disk.
	compactShare = 4
	// rewriteShare: so much of the lowest level comes to one byte above it before they are merged. What is above may
	// replace rows that are still below: a million grants that were each refreshed are a sixth longer until they are merged.
	rewriteShare = 12
	// calmBatches is how many writes between two sweeps, a minute as the program runs, still leave the
	// engine calm enough: while it merges everything it does not merge what is written.
	calmBatches = 6000
	// compactPatience is how long Close waits for a merge that is under way, and that for a memory table.
	compactPatience = 5 * time.Second
	// lookAgain is between two looks whether a memory table is written out.
	lookAgain = 10 * time.Millisecond
)

// Sweep removes rows and, when nothing more is due and the store is calm, gives their room back. The
// engine does so by itself only as far as its levels fill, and its own collection of garbage looks at
// a log that holds none of our rows.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	swept, err := s.Store.Sweep(ctx, now, limit)
	if err != nil || swept >= limit || ctx.Err() != nil {
		return swept, err
	}
	return swept, s.compact(ctx)
}

// tableSum is what some tables hold.
type tableSum struct{ keys, bytes uint64 }

// tables sums up all tables, and those that lie above the lowest level.
func (s *Store) tables() (all, above tableSum) {
	of := map[int]tableSum{}
	lowest := 1 // the tables of level 0 lie above each other
	for _, table := range s.db.Tables() {
		level := of[table.Level]
		of[table.Level] = tableSum{level.keys + uint64(table.KeyCount), level.bytes + uint64(table.OnDiskSize)}
		all = tableSum{all.keys + uint64(table.KeyCount), all.bytes + uint64(table.OnDiskSize)}
		lowest = max(lowest, table.Level)
	}
	return all, tableSum{all.keys - of[lowest].keys, all.bytes - of[lowest].bytes}
}

// worthCompacting compares what the lowest level holds with what lies above it.
func worthCompacting(all, above tableSum) bool {
	lowest := tableSum{all.keys - above.keys, all.bytes - above.bytes}
	return all.bytes >= compactFrom && (above.keys*compactShare >= lowest.keys || above.bytes*rewriteShare >= lowest.bytes)
}

// waiting reports whether a small store may hold as much in removals, and in what was removed, as in rows. written is how
// many bytes, since all was merged or the store was opened.
func waiting(all, above tableSum, written uint64) bool {
	return all.bytes < smallStore && max(written, above.bytes) >= max(waitingFrom, all.bytes/compactShare)
}

// writeOut has the engine make tables of all that was written, so that a merge sees it. The engine cannot be told to, and
// does so when a memory table is full: so it is filled up, with a row that is replaced again and again and then removed.
// These are writes as any others. A merge of all tables needs some below level 0, or more than two there.
func (s *Store) writeOut(ctx context.Context) error {
	for range 3 {
		if err := s.fillUp(ctx); err != nil {
			return err
		}
		for _, table := range s.db.Tables() {
			if table.Level > 0 {
				return nil
			}
		}
	}
	return nil
}

// fillUp fills the memory table up and waits until it is a table on the disk.
func (s *Store) fillUp(ctx context.Context) error {
	first, _, err := newestLog(s.opts.Dir)
	if err != nil {
		return err
	}
	write := func(c change) error {
		return s.writer.do(ctx, func(t *tx) error { t.change(firstByte(firstPad), c); return nil })
	}
	pad := change{value: make([]byte, padBytes)}
	for newest, pads := first, 0; newest == first && pads < mostPads; pads++ {
		if err = write(pad); err == nil {
			newest, _, err = newestLog(s.opts.Dir)
		}
		if err != nil {
			return err
		}
	}
	if err := write(change{}); err != nil {
		return err
	}
	enough := time.After(compactPatience)
	for {
		if _, logs, err := newestLog(s.opts.Dir); err != nil || logs == 1 {
			return err
		}
		select {
		case <-enough: // who reads all of the store holds on to it
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return errClosed
		case <-time.After(lookAgain):
		}
	}
}

// compact merges all tables if the store is calm and it is worth it. What dies in the middle of it has
// lost nothing.
func (s *Store) compact(ctx context.Context) error {
	select {
	case s.compacting <- struct{}{}:
	default:
		return nil // another one is at it, or the store is closed
	}
	defer func() { <-s.compacting }()
	batches := s.writer.batches.Load()
	calm := batches-s.swept.Swap(batches) < calmBatches
	all, above := s.tables()
	waits := waiting(all, above, s.writer.written.Load())
	if !calm || !waits && !worthCompacting(all, above) {
		return nil
	}
	began, before := time.Now(), all.bytes
	if waits {
		err := s.writeOut(ctx)
		if errors.Is(err, bridge.ErrReadOnly) {
			return nil // not now
		}
		if err != nil {
			return fmt.Errorf("compacting the store: %w", err)
		}
		s.writer.written.Store(0)
	}
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

func (s *Store) tableBytes() uint64 {
	all, _ := s.tables()
	return all.bytes
}
