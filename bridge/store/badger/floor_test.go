package badger

import (
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	engine "github.com/dgraph-io/badger/v4"
	engineoptions "github.com/dgraph-io/badger/v4/options"
)

// floorRow is how long a sealed grant is, and randomID an id that says nothing.
const (
	floorRow = 177
	randomID = 16
)

// BenchmarkFloor says what the engine takes for rows nobody can compress and for places that lead to them, all merged: of
// grants, and what each step to that was worth.
func BenchmarkFloor(b *testing.B) {
	tests := []struct {
		name        string
		compression engineoptions.CompressionType
		row         int // bytes
		keys        func(n uint64) [][]byte
	}{
		{"as grants are", engineoptions.ZSTD, floorRow, floorKeys},
		{"not compressed", engineoptions.None, floorRow, floorKeys},
		{"random ids with times before them", engineoptions.ZSTD, floorRow, floorLongKeys},
		{"not compressed, and with rows of 343 bytes, too", engineoptions.None, 343, floorLongKeys},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			dir := b.TempDir()
			options := engineOptions(Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)}).WithSyncWrites(false).WithCompression(tt.compression)
			db, err := engine.Open(options)
			must(b, err)
			batch := db.NewWriteBatch()
			for n := range uint64(b.N) {
				row := randomBytes(tt.row)
				for i, key := range tt.keys(n) {
					if i > 0 {
						row = nil
					}
					must(b, batch.Set(key, row))
				}
			}
			must(b, batch.Flush())
			must(b, db.Flatten(2))
			must(b, db.Close())
			tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
			must(b, err)
			var size int64
			for _, table := range tables {
				info, err := os.Stat(table)
				must(b, err)
				size += info.Size()
			}
			b.ReportMetric(float64(size)/float64(b.N), "bytes/row")
		})
	}
}

// floorKeys are the key of a grant's row, by which it is in the list of all, and those of its places in the lists of a person,
// who has five, of a client, and of grants that lapse. A million are made in a year.
func floorKeys(n uint64) [][]byte {
	made := n * 31_536
	random := randomBytes(4)
	id := slices.Concat(floorTime(^made), random)
	return [][]byte{
		slices.Concat([]byte{timedGrant}, id),
		slices.Concat([]byte{firstIndex}, floorPerson(n), id),
		slices.Concat([]byte{firstIndex + 1}, make([]byte, 16), id),
		slices.Concat([]byte{firstIndex + 2}, floorTime(made), id),
	}
}

// floorLongKeys are the same where an id says no time.
func floorLongKeys(n uint64) [][]byte {
	id := randomBytes(randomID)
	newest := binary.BigEndian.AppendUint64(nil, ^(n * 31_536_000_000))
	return [][]byte{
		slices.Concat([]byte{firstKind}, id),
		slices.Concat([]byte{firstIndex}, floorPerson(n), newest, id),
		slices.Concat([]byte{firstIndex + 1}, make([]byte, 16), newest, id),
		slices.Concat([]byte{firstIndex + 2}, binary.BigEndian.AppendUint64(nil, n*31_536_000_000), id),
		slices.Concat([]byte{firstIndex + 3}, newest, id),
	}
}

func floorTime(ms uint64) []byte { return binary.BigEndian.AppendUint64(nil, ms)[8-timeBytes:] }

// floorPerson is whose the n-th grant is.
func floorPerson(n uint64) []byte {
	person := n/5 + 1
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, person*0x9e3779b97f4a7c15), person*0xc2b2ae3d27d4eb4f)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
