package badger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	engine "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	enginetable "github.com/dgraph-io/badger/v4/table"
	"google.golang.org/protobuf/proto"

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

// list is the engine's list of tables as it stands in a folder.
type list struct {
	tables  map[uint64]engine.TableManifest // that it names
	content []byte                          // as far as the engine takes it
	sets    []*pb.ManifestChangeSet         // all in it
	torn    bool                            // there is more than the engine takes
}

func readList(dir string) (*list, error) {
	path := filepath.Join(dir, engine.ManifestFilename)
	tables, whole, err := replayList(path)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path) //nolint:gosec // in the store's folder
	if err != nil {
		return nil, err
	}
	const head, frame = 8, 8 // the engine's name and the versions; before each set its length and a checksum
	if len(content) < head {
		return nil, errListChanged
	}
	l := &list{tables: tables, content: content[:min(whole, int64(len(content)))], torn: whole != int64(len(content))}
	for rest := l.content[head:]; len(rest) > 0; {
		if len(rest) < frame || frame+int64(binary.BigEndian.Uint32(rest)) > int64(len(rest)) {
			return nil, errListChanged
		}
		set, end := &pb.ManifestChangeSet{}, frame+binary.BigEndian.Uint32(rest)
		if err := proto.Unmarshal(rest[frame:end], set); err != nil {
			return nil, err
		}
		l.sets, rest = append(l.sets, set), rest[end:]
	}
	return l, nil
}

// errListChanged: another process has the store open.
var errListChanged = errors.New("the store's list of tables has changed while it was read")

// replayList reads a list as the engine does: the tables it names, and how far it is whole.
func replayList(path string) (tables map[uint64]engine.TableManifest, whole int64, err error) {
	file, err := os.Open(path) //nolint:gosec // in the store's folder
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	layout, _ := layoutOf(path) // of another version it may be whole, too
	manifest, whole, err := engine.ReplayManifestFile(file, layout, engine.DefaultOptions("").WithLogger(nil))
	return manifest.Tables, whole, err
}

// fits reports whether a MANIFEST is whole and names the tables in the folder, no more and no
// fewer. The engine writes its list anew every so many thousand tables, and may have died
// before the watermark heard of it.
func fits(dir string) bool {
	l, err := readList(dir)
	if err != nil || l.torn {
		return false
	}
	there, err := tablesIn(dir)
	return err == nil && slices.Equal(slices.Sorted(maps.Keys(there)), slices.Sorted(maps.Keys(l.tables)))
}

// tablesIn returns which tables are there. One that is empty is not: the engine empties a table before it removes it, and may
// die in between.
func tablesIn(dir string) (map[uint64]bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	there := map[uint64]bool{}
	for _, entry := range entries {
		id, ok := enginetable.ParseFileID(entry.Name())
		if !ok {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		if info.Size() > 0 {
			there[id] = true
		}
	}
	return there, nil
}
