package badger

import (
	"bytes"
	"context"
	"flag"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
	"github.com/abilityai/trinity-bridge/e2e/powercut"
)

var powerCuts = flag.Int("cuts", 6, "how often the tests that cut the power do so")

// cutsOfOne is how many cuts one disk sees: it is in memory, and the logs it has seen are on it.
const cutsOfOne = 8

// TestStore_OP01_powerCut cuts the power while the store works and the engine takes one log after the other,
// writes them out and merges them. Each time the store must open by itself and hold all that was acknowledged since
// the disk was new. It is looked at in a copy; the next round goes on with the disk.
func TestStore_OP01_powerCut(t *testing.T) {
	t.Parallel()
	total, tables := 0, int64(0)
	for left := *powerCuts; left > 0; left -= cutsOfOne {
		disk := powercut.New(t)
		book := map[string]*acknowledged{}
		for range min(left, cutsOfOne) {
			for _, line := range killedChild(t, childRolls, filepath.Join(disk.Dir, "store"), 1+rand.IntN(800), rand.IntN(5) > 0) {
				record(t, book, line)
			}
			disk.Cut(t)
			tables = max(tables, checkCopy(t, disk, book))
		}
		total += len(book)
	}
	t.Logf("%d connections over %d cuts, %d bytes in tables", total, *powerCuts, tables)
	if total == 0 || *powerCuts > cutsOfOne && tables < 2*memTableBytes {
		t.Error("no log was filled, so this tests little")
	}
}

// checkCopy checks a copy of the disk and returns the size of its tables.
func checkCopy(t *testing.T, disk *powercut.Disk, book map[string]*acknowledged) int64 {
	t.Helper()
	dir := t.TempDir()
	disk.Copy(t, dir)
	s := openStore(t, Options{Dir: filepath.Join(dir, "store")})
	checkWhole(t, s)
	for id, a := range book {
		checkAcknowledged(t, s, id, a)
	}
	tables := s.tableBytes()
	must(t, s.Close())
	return tables
}

// fillLogs writes long rows until the process is killed.
func fillLogs(s *Store) error {
	for {
		flow := flowNamed(storetest.RandomID())
		flow.ExpiresAt = time.Now().Add(time.Hour)
		flow.Exit = bytes.Repeat([]byte("x"), 150<<10)
		if err := s.CreateFlow(context.Background(), flow); err != nil {
			return err
		}
	}
}
