package badger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	engine "github.com/dgraph-io/badger/v4"
	enginetable "github.com/dgraph-io/badger/v4/table"

	"github.com/abilityai/trinity-bridge/bridge"
)

// listing is a beginning of the MANIFEST, the engine's list of its tables. The engine appends to
// the file. When its end is missing it takes the tables that are not in it for rubbish and deletes them.
type listing struct {
	length int64
	digest bridge.Hash
}

// follower keeps the listing of a MANIFEST that grows.
type follower struct {
	path  string
	file  fs.FileInfo
	sum   hash.Hash
	known listing
}

func follow(dir string) *follower {
	return &follower{path: filepath.Join(dir, engine.ManifestFilename), sum: sha256.New()}
}

// follow returns the listing as it is now. What has come to it is synced first: a watermark must not
// ask for more than a power cut leaves.
func (f *follower) follow() (listing, error) {
	now, err := os.Stat(f.path)
	if err != nil {
		return listing{}, fmt.Errorf("looking at the store's list of tables: %w", err)
	}
	if f.file != nil && os.SameFile(f.file, now) && now.Size() == f.known.length {
		return f.known, nil
	}
	if err := f.readOn(); err != nil {
		return listing{}, fmt.Errorf("reading the store's list of tables: %w", err)
	}
	return f.known, nil
}

// readOn reads what is not known yet, all of one file: the engine may give its name to another meanwhile.
func (f *follower) readOn() (err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	now, err := file.Stat()
	if err != nil {
		return err
	}
	if f.file == nil || !os.SameFile(f.file, now) || now.Size() < f.known.length { // written anew, or cut by the engine at a torn end
		f.sum.Reset()
		f.known = listing{}
	}
	more := make([]byte, now.Size()-f.known.length)
	if _, err := file.ReadAt(more, f.known.length); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	f.sum.Write(more)
	f.file, f.known = now, listing{length: now.Size(), digest: bridge.Hash(f.sum.Sum(nil))}
	return nil
}

// begins reports whether the MANIFEST in a folder begins with the listing.
func (l listing) begins(dir string) bool {
	const longest = 1 << 30 // a damaged slot may ask for any length
	if l.length < 0 || l.length > longest {
		return false
	}
	content, err := readFrom(filepath.Join(dir, engine.ManifestFilename), 0, l.length)
	return err == nil && sha256.Sum256(content) == l.digest
}

// fits reports whether a MANIFEST is whole and names the tables in the folder, no more and no
// fewer. The engine writes its list anew every so many thousand tables, and may have died
// before the watermark heard of it.
func fits(dir string) bool {
	file, err := os.Open(filepath.Join(dir, engine.ManifestFilename)) //nolint:gosec // in the store's folder
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return false
	}
	layout, _ := layoutOf(dir) // of another version it may fit, too
	manifest, whole, err := engine.ReplayManifestFile(file, layout, engine.DefaultOptions(dir))
	if err != nil || whole != info.Size() {
		return false
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	var there []uint64
	for _, entry := range entries {
		if id, ok := enginetable.ParseFileID(entry.Name()); ok {
			there = append(there, id)
		}
	}
	slices.Sort(there)
	return slices.Equal(there, slices.Sorted(maps.Keys(manifest.Tables)))
}
