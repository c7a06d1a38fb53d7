package badger

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	engine "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	enginetable "github.com/dgraph-io/badger/v4/table"
	"google.golang.org/protobuf/proto"

	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/e2e/powercut"
)

const mendedLine = "the store's list of tables was mended"

// TestMend_OP01_syncFails has the n-th sync of the list fail, of a store that writes out its logs, or merges its tables, until
// it is killed: the engine's, who then tries again or does not come to it, or the one before a watermark. It opens by itself,
// and holds what it acknowledged.
func TestMend_OP01_syncFails(t *testing.T) {
	t.Parallel()
	const engines, watermarks = os.O_RDWR, os.O_RDONLY // as they open it
	var mended logBuffer                               // of those in which it was the engine's
	t.Run("each", func(t *testing.T) {
		for _, tt := range []struct {
			role      string
			access, n int
		}{
			{childRolls, engines, 1},
			{childRolls, engines, 2},
			{childRolls, watermarks, 1},
			{childMerges, engines, 1},
			{childMerges, engines, 2},
			{childMerges, watermarks, 1},
		} {
			t.Run(fmt.Sprint(tt), func(t *testing.T) {
				t.Parallel()
				disk := powercut.New(t)
				lines := childKilledBy(t, tt.role, filepath.Join(disk.Dir, "store"), true, func(kill func()) {
					later := time.Duration(rand.IntN(1500)) * time.Millisecond
					disk.FailSync(engine.ManifestFilename, tt.access, tt.n, func() { time.AfterFunc(later, kill) })
				})
				book := map[string]*acknowledged{}
				for _, line := range lines {
					if !strings.HasPrefix(line, "failed: ") {
						record(t, book, line)
					}
				}
				log := &mended
				if tt.access == watermarks {
					log = &logBuffer{}
				}
				must(t, checkCopy(t, disk, "store", book, log.logger()))
			})
		}
	})
	t.Logf("of 4 stores %d were mended", mended.count(mendedLine))
	if mended.count(mendedLine) < 2 { // a kill may come before the engine has given anything up
		t.Error("too few were mended for this to test anything")
	}
}

// TestMend_OP01_triedAgain: each set of changes in turn, and then all, had failed, and the engine did it over again and
// went on; with some tables left to be merged, and with none.
func TestMend_OP01_triedAgain(t *testing.T) {
	t.Parallel()
	for name, whole := range map[string]subject{"some": grownStore(t, 5), "none": grownStore(t, 6)} {
		var making []int
		for i, set := range listOf(t, whole.dir).sets {
			if slices.ContainsFunc(set.GetChanges(), creates) {
				making = append(making, i)
			}
		}
		cases := [][]int{making}
		for _, i := range making {
			cases = append(cases, []int{i})
		}
		for _, failed := range cases {
			t.Run(fmt.Sprint(name, failed), func(t *testing.T) {
				t.Parallel()
				again := whole.copied(t)
				again.failAndTryAgain(t, failed)
				again.wantMended(t)
			})
		}
	}
}

// TestMend_OP01_killed: the program was killed when the tables of a merge, or of a log, had been given up.
func TestMend_OP01_killed(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*testing.T) subject{"merge": failedMerge, "log": failedLog} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := fail(t)
			failed.copied(t).wantMended(t)

			again := failed.copied(t)
			overwrite(t, again.dir, engine.ManifestFilename+"-MENDED", []byte("what the death of the program has left"))
			overwrite(t, again.dir, "999999.sst", []byte("half a table"))
			again.wantMended(t)

			emptied := failed.copied(t) // and not removed yet
			there, err := tablesIn(emptied.dir)
			must(t, err)
			for id := range listOf(t, emptied.dir).tables {
				if !there[id] {
					overwrite(t, emptied.dir, enginetable.IDToFilename(id), nil)
				}
			}
			emptied.wantMended(t)

			torn := failed.copied(t)
			overwrite(t, torn.dir, engine.ManifestFilename, append(listOf(t, torn.dir).content, 0, 0, 0, 99))
			torn.wantMended(t)

			twice := failed.copied(t)
			sets := listOf(t, twice.dir).sets
			must(t, mend(optionsOf(t, twice.dir)))
			twice.writeList(t, append(listOf(t, twice.dir).sets, sets[len(sets)-1]))
			twice.wantMended(t)
		})
	}
}

// TestMend_OP01_halfGivenUp: the program was killed while it removed the tables of a merge.
func TestMend_OP01_halfGivenUp(t *testing.T) {
	t.Parallel()
	failed := failedMerge(t)
	other := failed.addTable(t)
	overwrite(t, failed.dir, enginetable.IDToFilename(other), []byte("one of two"))
	failed.wantMended(t)
}

// addTable has the last merge in the list make one more table, and returns its number.
func (of subject) addTable(t *testing.T) uint64 {
	t.Helper()
	sets := listOf(t, of.dir).sets
	last := sets[len(sets)-1]
	other := proto.Clone(last.GetChanges()[slices.IndexFunc(last.GetChanges(), creates)]).(*pb.ManifestChange)
	other.Id += 100
	last.Changes = append(last.Changes, other)
	of.writeList(t, sets)
	return other.GetId()
}

// TestMend_OP01_diesAgain: the list is still known when the program dies after the engine has gone on with it and before
// the watermark is written.
func TestMend_OP01_diesAgain(t *testing.T) {
	t.Parallel()
	failed := failedMerge(t)
	opts := optionsOf(t, failed.dir)
	must(t, mend(opts))
	db, err := engine.Open(engineOptions(opts))
	must(t, err)
	must(t, db.Flatten(1))
	must(t, db.Close())
	overwrite(t, failed.dir, "999999.sst", []byte("half a table"))
	if diff := difference(failed.want, contents(t, failed.dir)); diff != "" {
		t.Error(diff)
	}
}

// TestMend_OP09_losses: what looks like it and is a loss is refused, and nothing is changed.
func TestMend_OP09_losses(t *testing.T) {
	t.Parallel()
	remove := func(t *testing.T, dir string, id uint64) {
		must(t, os.Remove(filepath.Join(dir, enginetable.IDToFilename(id))))
	}
	replaced := func(t *testing.T, dir string) uint64 {
		for _, set := range slices.Backward(listOf(t, dir).sets) {
			for _, c := range set.GetChanges() {
				if _, err := os.Stat(filepath.Join(dir, enginetable.IDToFilename(c.GetId()))); err == nil && deletes(c) {
					return c.GetId()
				}
			}
		}
		t.Fatal("nothing was merged")
		return 0
	}
	newest := func(t *testing.T, dir string, is func(*pb.ManifestChangeSet) bool) uint64 {
		l := listOf(t, dir)
		for _, set := range slices.Backward(l.sets) {
			for _, c := range set.GetChanges() {
				if _, named := l.tables[c.GetId()]; named && creates(c) && is(set) {
					return c.GetId()
				}
			}
		}
		t.Fatal("there is no such table")
		return 0
	}
	ofMerge := func(set *pb.ManifestChangeSet) bool { return !ofLog(set) }
	grown := func(t *testing.T) subject { return grownStore(t, 5) }
	killed := func(t *testing.T) subject { return subjectOf(t, killedStore(t)) }
	tests := []struct {
		name  string
		store func(*testing.T) subject
		lose  func(t *testing.T, of subject)
	}{
		{"a table that was merged is gone, too", failedMerge, func(t *testing.T, of subject) { remove(t, of.dir, replaced(t, of.dir)) }},
		{"a table that was merged is damaged", failedMerge, func(t *testing.T, of subject) {
			flip(t, filepath.Join(of.dir, enginetable.IDToFilename(replaced(t, of.dir))), 30)
		}},
		{"a table that was merged is cut", failedMerge, func(t *testing.T, of subject) {
			cut(t, filepath.Join(of.dir, enginetable.IDToFilename(replaced(t, of.dir))))
		}},
		{"one of two tables of a merge, when the other was merged on", failedMerge, func(t *testing.T, of subject) {
			table := newest(t, of.dir, ofMerge)
			of.addTable(t)
			on := &pb.ManifestChangeSet{Changes: []*pb.ManifestChange{{Id: table + 200, Level: 5, Compression: 2}, {Id: table, Op: pb.ManifestChange_DELETE}}}
			of.writeList(t, append(listOf(t, of.dir).sets, on))
			copyFile(t, filepath.Join(of.dir, enginetable.IDToFilename(replaced(t, of.dir))), filepath.Join(of.dir, enginetable.IDToFilename(table+200)))
		}},
		{"the log is gone, too", failedLog, func(t *testing.T, of subject) { must(t, os.Remove(logOf(t, of.dir))) }},
		{"the log is empty", failedLog, func(t *testing.T, of subject) { must(t, os.Truncate(logOf(t, of.dir), 0)) }},
		{"the log begins with something else", failedLog, func(t *testing.T, of subject) { flip(t, logOf(t, of.dir), 20) }},
		{"what a merge made, of a store that was closed", grown, func(t *testing.T, of subject) { remove(t, of.dir, newest(t, of.dir, ofMerge)) }},
		{"what a log became, of a store that was closed", grown, func(t *testing.T, of subject) { remove(t, of.dir, newest(t, of.dir, ofLog)) }},
		{"what a log became, of a store that has another log", killed, func(t *testing.T, of subject) { remove(t, of.dir, newest(t, of.dir, ofLog)) }},
		{"what a log became, and the next one did as well", func(t *testing.T) subject { return subjectOf(t, twoLogs(t)) }, func(t *testing.T, of subject) {
			l := listOf(t, of.dir)
			for _, set := range l.sets {
				if !ofLog(set) {
					continue
				}
				if id := set.GetChanges()[0].GetId(); l.tables[id] != (engine.TableManifest{}) {
					remove(t, of.dir, id)
					return
				}
			}
			t.Fatal("all was merged")
		}},
		{"what a log became, when the next one was mended", failedLog, func(t *testing.T, of subject) {
			must(t, mend(optionsOf(t, of.dir)))
			remove(t, of.dir, newest(t, of.dir, ofLog))
		}},
		{"a table of a list that was written anew", grown, func(t *testing.T, of subject) {
			whole := &pb.ManifestChangeSet{}
			for id, table := range listOf(t, of.dir).tables {
				whole.Changes = append(whole.Changes, &pb.ManifestChange{Id: id, Level: uint32(table.Level), Compression: uint32(table.Compression)})
			}
			of.writeList(t, []*pb.ManifestChangeSet{whole})
			remove(t, of.dir, newest(t, of.dir, ofMerge))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			of := tt.store(t)
			tt.lose(t, of)
			dir := of.dir
			before, list := fileNames(t, dir), listOf(t, dir).content
			for range 3 {
				_, err := tryStore(Options{Dir: dir, Sealer: secrettest.Ring()})
				wantSaid(t, err, "is damaged in its table file")
			}
			sameFiles(t, dir, before)
			if !bytes.Equal(list, listOf(t, dir).content) {
				t.Error("the list was changed")
			}
		})
	}
}
