package badger

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
	"github.com/abilityai/trinity-bridge/e2e/powercut"
)

var powerCuts = flag.Int("cuts", 6, "how often the tests that cut the power do so")

// cutsOfOne is how many cuts one disk sees: it is in memory, and the logs it has seen are on it.
const cutsOfOne = 8

// TestStore_OP01_powerCut cuts the power while the store works and the engine takes one log after the other,
// writes them out and merges them, by itself or told to. Each time the store must open by itself and hold all that was acknowledged since
// the disk was new. It is looked at in a copy; the next round goes on with the disk.
func TestStore_OP01_powerCut(t *testing.T) {
	t.Parallel()
	total := 0
	for left := *powerCuts; left > 0; left -= cutsOfOne {
		disk := powercut.New(t)
		book := map[string]*acknowledged{}
		for range min(left, cutsOfOne) {
			for _, line := range killedChild(t, [...]string{childRolls, childMerges}[rand.IntN(2)], filepath.Join(disk.Dir, "store"), 1+rand.IntN(800), rand.IntN(5) > 0) {
				record(t, book, line)
			}
			disk.Cut(t)
			must(t, checkCopy(t, disk, "store", book, nil))
		}
		total += len(book)
	}
	t.Logf("%d connections over %d cuts", total, *powerCuts)
	if total == 0 {
		t.Error("no child got anything done, so this tests nothing")
	}
}

// TestStore_OP01_powerCutNames cuts the power of new stores on a disk that loses each name that was not synced. The
// engine does not sync those of its tables, so that one may be missing. Its log may be there still; when it is not, that is
// told, and nothing else is lost.
func TestStore_OP01_powerCutNames(t *testing.T) {
	t.Parallel()
	var log logBuffer
	disk, refused := powercut.Strict(t), 0
	for i := range *powerCuts {
		name, book := fmt.Sprint("store-", i), map[string]*acknowledged{}
		for _, line := range killedChild(t, childRolls, filepath.Join(disk.Dir, name), 1+rand.IntN(800), true) {
			record(t, book, line)
		}
		disk.Cut(t)
		if err := checkCopy(t, disk, name, book, log.logger()); err != nil {
			if !errors.Is(err, ErrLost) { // its log is there, and cut: the engine empties one before it removes it
				wantSaid(t, err, "is damaged in its table file", "no such file or directory")
			}
			refused++
		}
	}
	t.Logf("of %d stores %d lacked a table, and %d lacked one whose log was there", *powerCuts, refused, log.count(mendedLine))
}

// checkCopy opens the store in a copy of the disk, and checks it.
func checkCopy(t *testing.T, disk *powercut.Disk, name string, book map[string]*acknowledged, log *slog.Logger) (err error) {
	t.Helper()
	dir := t.TempDir()
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }() // a hundred of them fill a disk
	disk.Copy(t, dir)
	s, err := tryStore(Options{Dir: filepath.Join(dir, name), Sealer: secrettest.Ring(), Logger: log})
	if err != nil {
		return err
	}
	checkWhole(t, s)
	for id, a := range book {
		checkAcknowledged(t, s, id, a)
	}
	return s.Close()
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
