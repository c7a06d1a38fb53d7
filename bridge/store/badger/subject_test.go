package badger

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	engine "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	enginetable "github.com/dgraph-io/badger/v4/table"
	"google.golang.org/protobuf/proto"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

func optionsOf(t *testing.T, dir string) Options {
	t.Helper()
	opts, err := Options{Dir: dir, Sealer: secrettest.Ring()}.withDefaults()
	must(t, err)
	return opts
}

// grownStore makes a closed store of so many logs that the engine has written out, and merged every two of.
func grownStore(t *testing.T, logs int) subject {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	for i := range logs + 1 {
		s := openStore(t, Options{Dir: dir})
		waitMerged(t, s)
		if i < logs {
			connect(t, s, 20)
		}
		must(t, s.Close())
	}
	return subjectOf(t, dir)
}

// waitMerged waits until the engine has nothing to merge.
func waitMerged(t *testing.T, s *Store) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(lookAgain) {
		level0 := 0
		for _, table := range s.db.Tables() {
			if table.Level == 0 {
				level0++
			}
		}
		if level0 < 2 {
			return
		}
	}
	t.Fatal("the engine merges nothing")
}

// twoLogs makes a closed store of two logs that were written out, which the engine will merge.
func twoLogs(t *testing.T) string {
	t.Helper()
	dir := killedStore(t)
	writeOut(t, dir)
	return dir
}

// writeOut writes out the log a killed process has left, and merges nothing.
func writeOut(t *testing.T, dir string) {
	t.Helper()
	db, err := engine.Open(engineOptions(optionsOf(t, dir)).WithNumCompactors(0))
	must(t, err)
	must(t, db.Close())
}

// failedMerge returns a folder as it is when a sync of the list has failed in a merge: the list is of a copy in which it has
// succeeded.
func failedMerge(t *testing.T) subject {
	t.Helper()
	dir := twoLogs(t)
	failed, done := subjectOf(t, dir), copied(t, dir)
	s := openStore(t, Options{Dir: done})
	waitMerged(t, s)
	must(t, s.Close())
	copyFile(t, filepath.Join(done, engine.ManifestFilename), filepath.Join(dir, engine.ManifestFilename))
	copyFile(t, done+".watermark", dir+".watermark")
	return failed
}

// failedLog is failedMerge of a log that was written out.
func failedLog(t *testing.T) subject {
	t.Helper()
	failed := subjectOf(t, killedStore(t))
	done := copied(t, failed.dir)
	writeOut(t, done)
	copyFile(t, filepath.Join(done, engine.ManifestFilename), filepath.Join(failed.dir, engine.ManifestFilename))
	return failed
}

// failAndTryAgain makes of some sets that were done two: one that failed, and one with other tables.
func (of subject) failAndTryAgain(t *testing.T, failed []int) {
	t.Helper()
	dir := of.dir
	again := map[uint64]uint64{}
	var sets []*pb.ManifestChangeSet
	for i, set := range listOf(t, dir).sets {
		if slices.Contains(failed, i) {
			sets = append(sets, proto.Clone(set).(*pb.ManifestChangeSet))
			for _, c := range sets[len(sets)-1].GetChanges() {
				if to, ok := again[c.GetId()]; ok {
					c.Id = to
				}
			}
		}
		for _, c := range set.GetChanges() {
			if creates(c) && slices.Contains(failed, i) {
				again[c.GetId()] = c.GetId() + 1000
			}
			if to, ok := again[c.GetId()]; ok {
				c.Id = to
			}
		}
		sets = append(sets, set)
	}
	for from, to := range again {
		path := filepath.Join(dir, enginetable.IDToFilename(from))
		if _, err := os.Stat(path); err == nil {
			must(t, os.Rename(path, filepath.Join(dir, enginetable.IDToFilename(to))))
		}
	}
	of.writeList(t, sets)
}

func listOf(t *testing.T, dir string) *list {
	t.Helper()
	l, err := readList(dir)
	must(t, err)
	return l
}

// subject is a store and what was in it when it was well.
type subject struct {
	dir  string
	want map[string]string
	key  bridge.RowKey
}

// subjectOf looks into a copy of a store.
func subjectOf(t *testing.T, dir string) subject {
	t.Helper()
	s := openStore(t, Options{Dir: copied(t, dir)})
	defer func() { must(t, s.Close()) }()
	return subject{dir, rowsOf(t, s), s.key}
}

func (of subject) copied(t *testing.T) subject {
	t.Helper()
	of.dir = copied(t, of.dir)
	return of
}

// writeList replaces the list, and has the watermark know it.
func (of subject) writeList(t *testing.T, sets []*pb.ManifestChangeSet) {
	t.Helper()
	content := slices.Clip(listOf(t, of.dir).content[:8])
	for _, set := range sets {
		var err error
		content, err = appendSet(content, set)
		must(t, err)
	}
	overwrite(t, of.dir, engine.ManifestFilename, content)
	before, err := readMarks(of.dir + ".watermark")
	must(t, err)
	said, _, _ := before.newest(of.key)
	w, err := openWatermark(of.dir+".watermark", of.key, follow(of.dir), before, said.position)
	must(t, err)
	must(t, w.close())
}

func logOf(t *testing.T, dir string) string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	must(t, err)
	if len(logs) != 1 {
		t.Fatalf("there are %d logs, want one", len(logs))
	}
	return logs[0]
}

// wantMended opens a store twice: it is mended the first time, and holds what it held.
func (of subject) wantMended(t *testing.T) {
	t.Helper()
	var log logBuffer
	for range 2 {
		s, err := tryStore(Options{Dir: of.dir, Sealer: secrettest.Ring(), Logger: log.logger()})
		must(t, err)
		if diff := difference(of.want, rowsOf(t, s)); diff != "" {
			t.Error(diff)
		}
		checkWhole(t, s)
		waitMerged(t, s)
		must(t, s.Close())
	}
	if n := log.count(mendedLine); n != 1 {
		t.Errorf("it was mended %d times, want once", n)
	}
}
