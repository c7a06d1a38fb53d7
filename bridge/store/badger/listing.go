package badger

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

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
	file  *os.File // that was read last; nil at first
	links uint64   // names it had then
	sum   hash.Hash
	known listing
}

func follow(dir string) *follower {
	return &follower{path: filepath.Join(dir, engine.ManifestFilename), sum: sha256.New()}
}

// follow returns the listing as it is now. What has come to it is synced first: a watermark must not
// ask for more than a power cut leaves.
func (f *follower) follow() (listing, error) {
	size, err := f.size()
	if err == nil && size != f.known.length {
		err = f.readOn(size)
	}
	if err != nil {
		return listing{}, fmt.Errorf("reading the store's list of tables: %w", err)
	}
	return f.known, nil
}

// size is how long the list is. One that the engine has written anew, which takes the name from the file that is open, or has cut
// at a torn end is read from its beginning. This is asked with every batch, and an open file answers in a fifth of the time
// that one takes to be found by its name.
func (f *follower) size() (int64, error) {
	if f.file != nil {
		size, links, err := sizeAndLinks(f.file)
		if err != nil || links == f.links && size >= f.known.length {
			return size, err
		}
		if err := f.close(); err != nil {
			return 0, err
		}
	}
	file, err := os.Open(f.path)
	if err != nil {
		return 0, err
	}
	f.file, f.known = file, listing{}
	f.sum.Reset()
	size, links, err := sizeAndLinks(file)
	f.links = links
	return size, err
}

func sizeAndLinks(file *os.File) (size int64, links uint64, err error) {
	var stat syscall.Stat_t
	err = syscall.Fstat(int(file.Fd()), &stat)
	return stat.Size, uint64(stat.Nlink), err //nolint:unconvert // the field's type differs between systems
}

// readOn reads what is not known yet of a list of so many bytes.
func (f *follower) readOn(size int64) error {
	more := make([]byte, size-f.known.length)
	if _, err := f.file.ReadAt(more, f.known.length); err != nil {
		return err
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	f.sum.Write(more)
	f.known = listing{length: size, digest: bridge.Hash(f.sum.Sum(nil))}
	return nil
}

func (f *follower) close() error {
	if f.file == nil {
		return nil
	}
	file := f.file
	f.file = nil
	return file.Close()
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
