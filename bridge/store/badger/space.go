package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
)

// The free space below which the store takes no writes. The engine goes on writing tables for what it
// has accepted, and for a while holds both the tables it merges and what they become; the larger the
// store, the larger these are. Flooded with writes until it was full, on a busy machine, it took 18 to 114 MiB of the
// room below the floor in a store of 150 MiB, in twenty floods, and up to 144 in one of 700. A floor of 64 MiB at the least
// left 9 of 115.
const (
	leastFloor = 8 * memTableBytes
	mostFloor  = 384 << 20
	floorShare = 4 // of the store's size
)

// closingBytes is the free space closing may need for the memory tables it writes out.
const closingBytes = 2 * memTableBytes

// floorFor is the floor of a store of so many bytes.
func floorFor(size uint64) uint64 { return min(leastFloor+size/floorShare, mostFloor) }

// room watches the free space of a store's disk.
type room struct {
	opts  Options
	asked atomic.Uint64
	floor atomic.Uint64
}

// sizeEvery is how many questions about the free space come to one about the store's size, which looks at each file. In
// between the store grows by a small part of the least floor.
const sizeEvery = 256

// check returns an error that says how little is free when that is below the floor.
func (r *room) check() error {
	if r.asked.Add(1)%sizeEvery == 1 {
		floor := r.opts.FreeSpaceFloor
		if floor == 0 {
			size, err := folderSize(r.opts.Dir)
			if err != nil {
				return err
			}
			floor = floorFor(size)
		}
		r.floor.Store(floor)
	}
	return checkSpace(r.opts, r.floor.Load())
}

// folderSize is what the files of a folder take on the disk.
func folderSize(dir string) (uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("asking for the size of %s: %w", dir, err)
	}
	total := uint64(0)
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // merged away since
		}
		if err != nil {
			return 0, fmt.Errorf("asking for the size of %s: %w", dir, err)
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			total += uint64(stat.Blocks) * 512 //nolint:gosec // not negative
		}
	}
	return total, nil
}

// freeSpace returns the bytes an ordinary user may still write below dir.
func freeSpace(dir string) (uint64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize), nil //nolint:gosec,unconvert // the fields' types differ between systems; neither is negative
}

// checkSpace returns an error that says how little is free when it is less than needed bytes.
func checkSpace(opts Options, needed uint64) error {
	free, err := opts.freeSpace(opts.Dir)
	if err != nil {
		return err
	}
	if free < needed {
		return fmt.Errorf("%d MiB are free in %s, at least %d MiB are needed", free>>20, opts.Dir, needed>>20)
	}
	return nil
}
