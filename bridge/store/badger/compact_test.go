package badger

import (
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
	sweepAll(t, s, now.AddDate(2, 0, 0)) // the ended ones and their tokens go
	s.swept.Store(s.db.MaxVersion())     // a minute in which nothing happens
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
	// Removals that wait in a memory table leave about as much again on the disk as it is large. The engine's logs, of which one is
	// in use and one may wait, come on top of the tables.
	if most := max(3*live, 2*memTableBytes); tables > most || int64(folder) > most+2*memTableBytes+2*valueLogBytes {
		t.Errorf("%d bytes of tables and %d in all for %d bytes of rows", tables, folder, live)
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
	busy := func() { s.swept.Store(s.db.MaxVersion() - calmBatches) } // as if much had been written: not now
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
