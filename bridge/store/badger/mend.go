package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	engine "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"google.golang.org/protobuf/proto"
)

// mend takes back what a failed sync has left in the engine's list of tables.
//
// The engine (v4.9.6, manifest.go, addChanges) writes a set of changes to its list, syncs it, and when that fails gives up
// the merge, or the writing out of a log, and removes the tables it had made for it. Its list names them all the same, and
// no longer those they were to replace. A set is taken back when a table it made is not there and nothing can be lost with
// it: of a merge, when each table it was to replace is there, or was replaced by a later set, for which the engine must still have
// had it; of a log, when the rows are elsewhere (passOver, remains). Otherwise nothing is changed, and checkTables refuses the store.
//
// Nothing is cut off the list: one more set undoes those that failed, so that it still begins as the watermark says if
// the program dies before that is written again.
func mend(opts Options) (err error) {
	folder, err := os.Open(opts.Dir)
	if err != nil {
		return fmt.Errorf("looking at the store's folder: %w", err)
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { // as the engine's own lock
		return inUse(opts.Dir)
	}
	l, err := readList(opts.Dir)
	if err != nil {
		return nil //nolint:nilerr // the engine will say so
	}
	there, err := tablesIn(opts.Dir)
	if err != nil {
		return fmt.Errorf("looking at the store's folder: %w", err)
	}
	u := l.undo(there)
	if u == nil {
		return nil
	}
	if err := u.apply(opts.Dir, l); err != nil {
		return fmt.Errorf("mending the store's list of tables: %w", err)
	}
	if u.done {
		opts.Logger.Warn("the store's list of tables was mended: it named some that are not there, and all that was in them is elsewhere", "changes", len(u.set.GetChanges()))
	}
	return nil
}

// undoing is what is to be undone of a list.
type undoing struct {
	set       *pb.ManifestChangeSet // that does it
	logs      []uint64              // tables that logs were to be written out as, and may have been
	made      map[uint64]bool       // tables that logs were written out as
	unordered bool                  // the tables of level 0 are, since the first of logs
	done      bool
}

func creates(c *pb.ManifestChange) bool { return c.GetOp() == pb.ManifestChange_CREATE }

func deletes(c *pb.ManifestChange) bool { return !creates(c) }

// ofLog reports whether a set is that of a log that was written out.
func ofLog(set *pb.ManifestChangeSet) bool {
	return len(set.GetChanges()) == 1 && creates(set.GetChanges()[0]) && set.GetChanges()[0].GetLevel() == 0
}

// undo returns what undoes the sets that failed, and nil when none did or one of them must stay.
func (l *list) undo(there map[uint64]bool) *undoing {
	maker := map[uint64]int{} // of each table the last set that made it: the engine uses numbers again
	for i, set := range l.sets {
		for _, c := range set.GetChanges() {
			if creates(c) {
				maker[c.GetId()] = i
			}
		}
	}
	failed := map[int]bool{}
	for id := range l.tables {
		if !there[id] {
			failed[maker[id]] = true
		}
	}
	if len(failed) == 0 {
		return nil
	}
	u := &undoing{set: &pb.ManifestChangeSet{}, made: map[uint64]bool{}}
	left := map[uint64]*pb.ManifestChange{} // the tables without these sets
	for i, set := range l.sets {
		switch {
		case failed[i] && ofLog(set):
			u.logs = append(u.logs, set.GetChanges()[0].GetId())
		case failed[i] && !slices.ContainsFunc(set.GetChanges(), deletes):
			return nil // the engine has written its list anew
		case !failed[i]:
			u.passOver(set)
		}
		for _, c := range set.GetChanges() {
			id := c.GetId()
			_, named := l.tables[id]
			switch {
			case failed[i] && creates(c):
				if !named || maker[id] != i {
					return nil // a later set knows it
				}
				u.set.Changes = append(u.set.Changes, &pb.ManifestChange{Id: id, Op: pb.ManifestChange_DELETE})
			case failed[i]:
			case creates(c):
				left[id] = c
				u.made[id] = ofLog(set)
			default:
				delete(left, id)
			}
		}
	}
	for id, c := range left {
		if !there[id] {
			return nil
		}
		if _, named := l.tables[id]; !named {
			u.set.Changes = append(u.set.Changes, c)
		}
	}
	return u
}

// passOver takes off the logs those that a merge shows not to have become tables: the engine merges the oldest tables of level
// 0 first, and has merged a later one. It keeps to that until it merges some within the level. What it made stands
// first in a set of its own, and last in one that undoes others.
func (u *undoing) passOver(set *pb.ManifestChangeSet) {
	merged := set.GetChanges()
	if len(merged) < 2 || deletes(merged[0]) || len(u.logs) == 0 || u.unordered {
		return
	}
	u.unordered = merged[0].GetLevel() == 0
	for _, c := range merged {
		if deletes(c) && u.made[c.GetId()] && !u.unordered {
			u.logs = slices.DeleteFunc(u.logs, func(log uint64) bool { return log < c.GetId() })
		}
	}
}

// apply gives the list's name to one that is as it should be, if nothing is lost with it.
func (u *undoing) apply(dir string, l *list) (err error) {
	anew := filepath.Join(dir, engine.ManifestFilename+"-MENDED")
	defer func() { _ = os.Remove(anew) }() // it may have another name by then
	content, err := appendSet(slices.Clip(l.content), u.set)
	if err == nil {
		err = writeSynced(anew, content)
	}
	if err != nil {
		return err
	}
	mended, _, err := replayList(anew)
	if err != nil {
		return err
	}
	newest, err := checkTables(dir, mended)
	if err != nil {
		return nil //nolint:nilerr // it is refused as it is
	}
	if len(u.logs) > 1 || len(u.logs) == 1 && !u.remains(dir, u.logs[0], mended, newest) {
		return nil // of two the second may have been another log's, whose rows would have to be looked for behind the first one's
	}
	u.done = true
	return errors.Join(os.Rename(anew, filepath.Join(dir, engine.ManifestFilename)), syncFolder(dir))
}

// appendSet appends a set to a list as the engine writes it.
func appendSet(list []byte, set *pb.ManifestChangeSet) ([]byte, error) {
	content, err := proto.Marshal(set)
	if err != nil {
		return nil, err
	}
	list = binary.BigEndian.AppendUint32(list, uint32(len(content))) //nolint:gosec // the engine's own is no longer
	list = binary.BigEndian.AppendUint32(list, crc32.Checksum(content, castagnoli))
	return append(list, content...), nil
}

func writeSynced(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // in the store's folder
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Sync(), file.Close())
}
