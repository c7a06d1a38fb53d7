package badger

import (
	"context"
	"flag"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

// churned is how many connections TestSweep_churn makes and ends; `make bench-store` asks for more.
var churned = flag.Int("churned", 3000, "how many connections TestSweep_churn lets come and go")

// TestSweep_churn lets connections come and go for longer than any row is kept, by the clock the store
// is given, and compares what the folder takes with what is left in it.
func TestSweep_churn(t *testing.T) {
	t.Parallel()
	var log logBuffer
	dir := filepath.Join(t.TempDir(), "store")
	s := openClosed(t, Options{Dir: dir, Logger: log.logger()})
	const days = 6
	kept := *churned / 10
	for range kept { // these stay
		c := storetest.NewConnection(s)
		must(t, c.Issue(t.Context()))
		_, err := c.Redeem(t.Context())
		must(t, err)
	}
	now := time.Now()
	for day := range days {
		inParallelT(t, 64, *churned/days, func() {
			c := storetest.NewConnection(s)
			must(t, c.Issue(t.Context()))
			_, err := c.Redeem(t.Context())
			must(t, err)
			must(t, c.Rotate(t.Context()))
			_, _, err = s.EndGrant(t.Context(), c.GrantID, bridge.EndRevokedByClient, now)
			must(t, err)
			must(t, s.FinishKeyRevocation(t.Context(), c.GrantID))
		})
		sweepAll(t, s, now.AddDate(0, 0, day))
	}
	sweepAll(t, s, now.AddDate(2, 0, 0))   // the ended ones and their tokens go
	s.swept.Store(s.writer.batches.Load()) // a minute in which nothing happens
	sweepAll(t, s, now.AddDate(2, 0, 0))

	live := int64(0)
	for key, value := range rowsOf(t, s) {
		live += int64(len(key) + len(value))
	}
	tables := s.tableBytes()
	folder, err := folderSize(dir)
	must(t, err)
	t.Logf("%d connections came and went, %d stayed: %d KiB of rows, %d KiB of tables, %d KiB in the folder, compacted %d times",
		*churned, kept, live>>10, tables>>10, folder>>10, log.count("the store was compacted"))
	// What is written between two merges of a small store comes on top, and what that has removed.
	if int64(folder) > 3*live+2*waitingFrom {
		t.Errorf("%d bytes of tables and %d in all for %d bytes of rows", tables, folder, live)
	}
}

// TestSweep_reopened: what was removed from a small store that was closed since is given back, too.
func TestSweep_reopened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	for range 60 {
		flow := flowNamed(storetest.RandomID())
		flow.Exit = []byte(strings.Repeat("x", 150<<10))
		must(t, s.CreateFlow(t.Context(), flow))
	}
	must(t, s.Close())
	s = openClosed(t, Options{Dir: dir})
	before, err := folderSize(dir)
	must(t, err)
	sweepAll(t, s, testTime.AddDate(1, 0, 0))
	sweepAll(t, s, testTime.AddDate(1, 0, 0))
	after, err := folderSize(dir)
	must(t, err)
	if before < 8<<20 || after > 1<<20 {
		t.Errorf("%d bytes in the folder, %d before", after, before)
	}
}

// TestSweep_OP01_killed kills a process that works while all tables are merged again and again, memory tables filled up
// before among them.
func TestSweep_OP01_killed(t *testing.T) {
	t.Parallel()
	killAgain(t, childMerges, 900)
}

// mergeAll merges all tables until the process is killed.
func mergeAll(s *Store) error {
	for {
		s.writer.written.Store(s.tableBytes() + waitingFrom)
		s.swept.Store(s.writer.batches.Load())
		if err := s.compact(context.Background()); err != nil {
			return err
		}
	}
}

// TestSweep_compacts: a store whose rows have been removed gives their room back, once, when it is calm.
func TestSweep_compacts(t *testing.T) {
	t.Parallel()
	var log logBuffer
	s := openClosed(t, Options{Dir: t.TempDir(), Logger: log.logger()})
	exit := []byte(strings.Repeat("x", 150<<10))
	inParallelT(t, 16, 300, func() {
		flow := flowNamed(storetest.RandomID())
		flow.Exit = exit
		must(t, s.CreateFlow(t.Context(), flow))
	})
	must(t, s.db.Flatten(1)) // so that what is removed lies below its removal
	before := s.tableBytes()
	if before < compactFrom {
		t.Fatalf("there are only %d bytes of tables, so this tests nothing", before)
	}
	busy := func() { s.swept.Store(s.writer.batches.Load() - calmBatches) } // as if much had been written: not now
	busy()
	sweepAll(t, s, testTime.AddDate(1, 0, 0))
	must(t, s.Close())
	s = openClosed(t, Options{Dir: s.opts.Dir, Logger: log.logger()}) // the removals are in a table now
	busy()
	_, err := s.Sweep(t.Context(), testTime, 10)
	must(t, err)
	if n := log.count("the store was compacted"); n != 0 {
		t.Errorf("compacted %d times in a busy minute", n)
	}
	for range 2 {
		_, err := s.Sweep(t.Context(), testTime, 10)
		must(t, err)
	}
	if n := log.count("the store was compacted"); n != 1 || s.tableBytes() > before/10 {
		t.Errorf("compacted %d times, from %d to %d bytes", n, before, s.tableBytes())
	}
}

func sweepAll(t *testing.T, s *Store, now time.Time) {
	t.Helper()
	for {
		n, err := s.Sweep(t.Context(), now, 1000)
		must(t, err)
		if n < 1000 {
			return
		}
	}
}

// inParallelT runs step n times on so many workers.
func inParallelT(t *testing.T, workers, n int, step func()) {
	t.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for left.Add(-1) >= 0 {
				step()
			}
		})
	}
	running.Wait()
}

// What lies above the lowest level may be removals, which are short, or rows in the place of others, which are not.
func TestWorthCompacting(t *testing.T) {
	t.Parallel()
	lowest := tableSum{keys: 1_000_000, bytes: 240 << 20}
	for _, tt := range []struct {
		name  string
		above tableSum
		want  bool
	}{
		{"nothing", tableSum{}, false},
		{"some rows", tableSum{50_000, 19 << 20}, false},
		{"many rows", tableSum{50_000, 21 << 20}, true},
		{"some removals", tableSum{240_000, 5 << 20}, false},
		{"many removals", tableSum{260_000, 5 << 20}, true},
	} {
		all := tableSum{lowest.keys + tt.above.keys, lowest.bytes + tt.above.bytes}
		if got := worthCompacting(all, tt.above); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
	if worthCompacting(tableSum{10, compactFrom - 1}, tableSum{5, compactFrom / 2}) {
		t.Error("a small store is merged for what lies in its tables")
	}
}
