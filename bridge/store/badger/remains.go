package badger

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	engine "github.com/dgraph-io/badger/v4"
	enginetable "github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
)

// remains reports whether the rows of a log, whose table is not there, are elsewhere: in that log, since the engine had no
// time to try again, or in the table it made then. Writes are counted by the engine, so that the first of them follows
// on the newest of the tables that were there before. Tables of level 0 that were made of others since may hold either, and
// say nothing.
func (u *undoing) remains(dir string, log uint64, tables map[uint64]engine.TableManifest, newest map[uint64]uint64) bool {
	var before uint64
	for id, table := range tables {
		if table.Level > 0 || id < log {
			before = max(before, newest[id])
		}
	}
	for id, table := range tables {
		if table.Level == 0 && id > log && u.made[id] {
			if first, err := firstOfTable(filepath.Join(dir, enginetable.IDToFilename(id)), table); err == nil && first == before+1 {
				return true
			}
		}
	}
	logs, _ := fs.Glob(os.DirFS(dir), "*.mem") // the pattern is right
	for _, name := range logs {
		if first, err := firstOfLog(filepath.Join(dir, name)); err == nil && first == before+1 {
			return true
		}
	}
	return false
}

// firstOfTable returns the oldest version in a table that was checked.
func firstOfTable(path string, of engine.TableManifest) (first uint64, err error) {
	content, err := os.ReadFile(path) //nolint:gosec // in the store's folder
	if err != nil {
		return 0, err
	}
	table, err := enginetable.OpenInMemoryTable(content, 0, &enginetable.Options{Compression: of.Compression, BlockSize: blockBytes})
	if err != nil {
		return 0, err
	}
	it := table.NewIterator(enginetable.NOCACHE)
	defer func() { err = errors.Join(err, it.Close()) }()
	first = math.MaxUint64
	for it.Rewind(); it.Valid(); it.Next() {
		first = min(first, y.ParseTs(it.Key()))
	}
	return first, nil
}

// firstOfLog returns the version of the first write in a log, which ends its key: behind a head of the log's own the
// entry begins with two bytes, the lengths of key and value, and when it ends.
func firstOfLog(path string) (first uint64, err error) {
	const head, flags = 20, 2
	file, err := os.Open(path) //nolint:gosec // in the store's folder
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	entry := bufio.NewReader(io.NewSectionReader(file, head+flags, 3*binary.MaxVarintLen64+maxKeyBytes))
	var sizes [3]uint64
	for i := range sizes {
		if sizes[i], err = binary.ReadUvarint(entry); err != nil {
			return 0, err
		}
	}
	key := make([]byte, min(sizes[0], maxKeyBytes))
	_, err = io.ReadFull(entry, key)
	return y.ParseTs(key), err
}
