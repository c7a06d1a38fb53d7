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

// BenchmarkFloor says what the engine takes for rows nobody can compress and for places that lead to them, all merged: with
// the keys there are, and with the shortest there could be.
func BenchmarkFloor(b *testing.B) {
	tests := []struct {
		name       string
		compressed bool
		id, row    int // bytes
		lists      []func(n uint64) []byte
	}{
		{"as grants are", false, 16, 343, floorLists()},
		{"as grants are, compressed", true, 16, 343, floorLists()},
		{"numbers for ids, compressed", true, 5, 343, floorShortLists()},
		{"numbers for ids and short rows, compressed", true, 5, 240, floorShortLists()},
		{"short rows in no list, compressed", true, 5, 240, nil},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			dir := b.TempDir()
			options := engineOptions(Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)}).WithSyncWrites(false)
			if tt.compressed {
				options = options.WithCompression(engineoptions.ZSTD).WithBlockCacheSize(memTableBytes)
			}
			db, err := engine.Open(options)
			must(b, err)
			batch := db.NewWriteBatch()
			for n := range uint64(b.N) {
				id := make([]byte, 16)
				_, _ = rand.Read(id)
				if tt.id < len(id) {
					id = binary.BigEndian.AppendUint64(nil, n)[8-tt.id:]
				}
				row := make([]byte, tt.row)
				_, _ = rand.Read(row)
				must(b, batch.Set(append([]byte{firstKind}, id...), row))
				for list, before := range tt.lists {
					must(b, batch.Set(slices.Concat([]byte{byte(firstIndex + list)}, before(n), id), nil))
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

// floorLists are what stands before the id in the lists of the grants of a person, who has five, and of a client, of all and
// of those that lapse: whose it is, and when.
func floorLists() []func(n uint64) []byte {
	at := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, 1<<62-n*1_000_003) }
	return []func(uint64) []byte{
		func(n uint64) []byte { return slices.Concat(floorPerson(n), floorPerson(n+1), at(n)) },
		func(n uint64) []byte { return append(make([]byte, 16), at(n)...) },
		at,
		at,
	}
}

// floorShortLists are the same where numbers say in which order grants were made, so that one list is not needed.
func floorShortLists() []func(n uint64) []byte {
	return []func(uint64) []byte{
		floorPerson,
		func(uint64) []byte { return make([]byte, 4) },
		func(n uint64) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n/200)) },
	}
}

func floorPerson(n uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, (n/5+1)*0x9e3779b97f4a7c15)
}
