package badger

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	engine "github.com/dgraph-io/badger/v4"
	engineoptions "github.com/dgraph-io/badger/v4/options"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Sizes of the engine, in bytes.
const (
	memTableBytes = 16 << 20
	tableBytes    = 2 << 20   // of the upper levels; further down they are larger
	valueLogBytes = 16 << 20  // the engine's default reserves 2 GB, which alarms operators and breaks quotas
	inlineBytes   = 256 << 10 // longer values would go to the value log, which nothing here ever collects
	blockBytes    = 16 << 10  // of a table, compressed and read as one
	blocksBytes   = 8 << 20   // of blocks that are kept as they were before they were compressed
)

// Options say where the store is and whom it talks to.
type Options struct {
	Dir    string        // made with mode 0700 when it does not exist
	Sealer bridge.Sealer // wraps the key that every row is sealed under
	// RowKey is the wrapped key that a new store takes over, with its rows, from another; nil makes one.
	RowKey []byte
	Base   string       // what many texts in rows begin with: the public URL. A new store takes it for good, unless it takes over RowKey
	Logger *slog.Logger // nil logs nothing
	// Watermark is the file that says how far the store has come; Dir with ".watermark" behind it when
	// empty. Where it does not share Dir's fate it also tells of a Dir that was put back.
	Watermark string
	// FreeSpaceFloor is in bytes; 0 means what the store's size asks for.
	FreeSpaceFloor uint64

	freeSpace func(dir string) (uint64, error) // nil asks the file system
	filling   bool                             // it is being made of another, see Fill
}

// sizes are what the engine's memory grows with. It builds up to 13 tables at once, and keeps the buffers of eight for the
// next ones, each of them as large as what was ever built in it, a memory table among it: several hundred MB with those
// of a store that is served from.
type sizes struct {
	memTable, table int64
	mapped          int // how many bytes of mapped files, most of them tables, may count as the program's memory
}

func (o Options) sizes() sizes {
	if o.filling {
		return sizes{memTableBytes / 2, tableBytes / 2, mappedMost / 4}
	}
	return sizes{memTableBytes, tableBytes, mappedMost}
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("opening the store: no folder is named")
	}
	if o.Sealer == nil {
		return o, errors.New("opening the store: nothing seals its rows")
	}
	if o.Watermark == "" {
		o.Watermark = filepath.Clean(o.Dir) + ".watermark"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.freeSpace == nil {
		o.freeSpace = freeSpace
	}
	return o, nil
}

// engineOptions are the engine's settings. The ones safety rests on are asserted again by
// checkInForce on what the engine says it runs with.
func engineOptions(opts Options) engine.Options {
	sizes := opts.sizes()
	return engine.DefaultOptions(opts.Dir).
		WithSyncWrites(!syncsItself). // off by default
		WithExternalMagic(schemaVersion).
		WithDetectConflicts(true).
		WithBypassLockGuard(false).
		WithChecksumVerificationMode(engineoptions.OnBlockRead).
		WithNumVersionsToKeep(1).
		// Sealed rows cannot be compressed. What lies between them can: of a row and its places all but a few bytes.
		WithCompression(engineoptions.ZSTD).
		WithBlockSize(blockBytes).
		WithBlockCacheSize(blocksBytes).
		WithMemTableSize(sizes.memTable).
		WithBaseTableSize(sizes.table).
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(6).
		WithNumCompactors(2).
		WithValueThreshold(inlineBytes).
		WithValueLogFileSize(valueLogBytes).
		WithIndexCacheSize(0).
		WithMetricsEnabled(false).
		WithLogger(engineLog{to: opts.Logger})
}

// checkInForce refuses an engine that does not run with the settings the promises rest on
// (OP-03): an acknowledged write is on disk, one process owns the folder, damage is noticed.
func checkInForce(in engine.Options, sizes sizes) error {
	required := []struct {
		name string
		ok   bool
	}{
		{"SyncWrites", in.SyncWrites == !syncsItself},
		{"DetectConflicts", in.DetectConflicts},
		{"the folder lock", !in.BypassLockGuard && !in.ReadOnly && !in.InMemory},
		{"block checksums", in.ChecksumVerificationMode == engineoptions.OnBlockRead},
		{"NumVersionsToKeep", in.NumVersionsToKeep == 1},
		{"MemTableSize", in.MemTableSize == sizes.memTable && in.NumMemtables == 2},
		{"ValueThreshold", in.ValueThreshold == inlineBytes && in.VLogPercentile == 0},
		{"ValueLogFileSize", in.ValueLogFileSize == valueLogBytes},
		{"NumCompactors", in.NumCompactors == 2},
		{"level zero limits", in.NumLevelZeroTables == 2 && in.NumLevelZeroTablesStall == 6},
		{"layout", in.ExternalMagicVersion == schemaVersion},
		{"caches", in.BlockCacheSize == blocksBytes && in.IndexCacheSize == 0},
		{"one folder", in.Dir == in.ValueDir},
	}
	var wrong []error
	for _, r := range required {
		if !r.ok {
			wrong = append(wrong, fmt.Errorf("the engine does not run with the required setting of %s", r.name))
		}
	}
	return errors.Join(wrong...)
}
