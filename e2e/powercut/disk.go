package powercut

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Disk is a mounted file system.
type Disk struct {
	Dir string // where it is mounted

	strict  bool
	mu      sync.Mutex
	root    *node
	nodes   uint64
	chance  chance
	lost    losses // in all cuts
	left    int    // steps until trip is called
	trip    func() // nil when nothing is to be called
	unsound string // a file of which a sync is to fail
	by      handle // of whoever syncs it
	fails   int    // syncs until then
	failed  func() // is called then
	mounted *fuse.Server
}

// early: one of so many pages that are written is safe at once.
const early = 16

// patience is how long to wait at most for what must happen.
const patience = 20 * time.Second

// New mounts an empty disk, or skips the test where the machine lets nobody mount one. It is unmounted when the
// test ends; by then nothing may use it.
func New(t *testing.T) *Disk {
	t.Helper()
	return start(t, &Disk{})
}

// Strict is New of a disk that keeps to the letter of POSIX: syncing a file does not keep its name.
func Strict(t *testing.T) *Disk {
	t.Helper()
	return start(t, &Disk{strict: true})
}

func start(t *testing.T, d *Disk) *Disk {
	t.Helper()
	d.Dir, d.root, d.chance = t.TempDir(), newFolder(), newChance()
	d.nodes, d.root.number = 1, 1
	if err := d.mount(); err != nil {
		t.Skip("this machine allows no file systems of ours:", err)
	}
	t.Cleanup(func() { d.unmount(t) })
	return d
}

// unmount waits for the kernel, which closes the files of a program that was killed when it gets to it. Unmount by
// itself tries for a tenth of a second, which a busy machine does not always do with.
func (d *Disk) unmount(t *testing.T) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if err = d.mounted.Unmount(); err == nil {
			return
		}
	}
	t.Fatalf("unmounting %s: %v", d.Dir, err)
}

func (d *Disk) mount() (err error) {
	forever := 24 * time.Hour // nobody changes it but through the kernel
	d.mounted, err = fs.Mount(d.Dir, &inode{disk: d, node: d.root}, &fs.Options{
		EntryTimeout: &forever, AttrTimeout: &forever,
		RootStableAttr: &fs.StableAttr{Ino: d.root.number, Gen: 1},
		MountOptions: fuse.MountOptions{
			FsName: "powercut", DirectMountStrict: true, ExplicitDataCacheControl: true, DisableXAttrs: true, MaxWrite: 1 << 20,
			Logger: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // it tells of every unmounting
		},
	})
	return err
}

// After calls trip once, before the n-th step from now that changes something or syncs it.
func (d *Disk) After(n int, trip func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left, d.trip = n, trip
}

// FailSync has the n-th sync from now fail, once, of a file of that name by those who have opened it with an access mode, as
// os.O_RDWR, and calls failed before it does.
func (d *Disk) FailSync(name string, access, n int, failed func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unsound, d.by, d.fails, d.failed = name, handle(access), n, failed
}

// failsSync is called with the lock before each sync.
func (d *Disk) failsSync(n *node, by fs.FileHandle) bool {
	if d.fails == 0 || by != d.by || n.parent == nil || n.parent.written[d.unsound] != n {
		return false
	}
	if d.fails--; d.fails > 0 {
		return false
	}
	d.failed()
	return true
}

// Cut cuts the power: what comes after is what the disk would show. Whatever ran on it must have been killed.
func (d *Disk) Cut(t *testing.T) {
	t.Helper()
	d.unmount(t) // the kernel forgets what it knows
	d.mu.Lock()
	d.lost.add(d.root.cut(d.chance))
	d.trip = nil
	d.mu.Unlock()
	if err := d.mount(); err != nil {
		t.Fatalf("mounting %s again: %v", d.Dir, err)
	}
}

// Lost is what all cuts have taken away: pages, in whole or in part, and changes of names.
func (d *Disk) Lost() (pages, names int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost.pages, d.lost.names
}

// step is called with the lock before each step that changes something or syncs it.
func (d *Disk) step() {
	if d.left--; d.left == 0 && d.trip != nil {
		d.trip()
		d.trip = nil
	}
}

// Copy copies what is on the disk into a folder, for a look at it by the process that runs the disk, which must not
// map a file of it.
func (d *Disk) Copy(t *testing.T, into string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.root.copy(into); err != nil {
		t.Fatalf("copying the disk: %v", err)
	}
}
