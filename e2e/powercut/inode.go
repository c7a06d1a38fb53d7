package powercut

import (
	"context"
	"maps"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// inode is what the kernel knows of a node while the disk is mounted.
type inode struct {
	fs.Inode

	disk *Disk
	node *node
}

var (
	_ fs.NodeLookuper  = (*inode)(nil)
	_ fs.NodeReaddirer = (*inode)(nil)
	_ fs.NodeCreater   = (*inode)(nil)
	_ fs.NodeMkdirer   = (*inode)(nil)
	_ fs.NodeUnlinker  = (*inode)(nil)
	_ fs.NodeRmdirer   = (*inode)(nil)
	_ fs.NodeRenamer   = (*inode)(nil)
	_ fs.NodeLinker    = (*inode)(nil)
	_ fs.NodeOpener    = (*inode)(nil)
	_ fs.NodeReader    = (*inode)(nil)
	_ fs.NodeWriter    = (*inode)(nil)
	_ fs.NodeFsyncer   = (*inode)(nil)
	_ fs.NodeGetattrer = (*inode)(nil)
	_ fs.NodeSetattrer = (*inode)(nil)
	_ fs.NodeStatfser  = (*inode)(nil)
)

func (n *node) mode() uint32 {
	if n.file == nil {
		return syscall.S_IFDIR | 0o700
	}
	return syscall.S_IFREG | 0o600
}

func (n *node) attr(out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink, out.Blksize = n.number, n.mode(), 1, pageBytes
	if n.file != nil {
		out.Size = uint64(n.file.written.length)
		out.Blocks = uint64(len(n.file.written.pages)) * (pageBytes / 512) // as stat counts
	}
}

// known tells the kernel of a node.
func (i *inode) known(ctx context.Context, n *node, out *fuse.EntryOut) *fs.Inode {
	n.attr(&out.Attr)
	return i.NewInode(ctx, &inode{disk: i.disk, node: n}, fs.StableAttr{Mode: n.mode(), Ino: n.number, Gen: 1})
}

func (i *inode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	n := i.node.written[name]
	if n == nil {
		return nil, syscall.ENOENT
	}
	return i.known(ctx, n, out), 0
}

func (i *inode) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	var list []fuse.DirEntry
	for _, name := range slices.Sorted(maps.Keys(i.node.written)) {
		n := i.node.written[name]
		list = append(list, fuse.DirEntry{Name: name, Mode: n.mode(), Ino: n.number})
	}
	return fs.NewListDirStream(list), 0
}

// handle is the access mode that a file was opened with.
type handle uint32

func handleOf(flags uint32) handle { return handle(flags & syscall.O_ACCMODE) }

// Create makes a file. The kernel keeps what it has read and written of it.
func (i *inode) Create(ctx context.Context, name string, flags, _ uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	made, errno := i.add(ctx, name, &node{file: newFile()}, out)
	return made, handleOf(flags), fuse.FOPEN_KEEP_CACHE, errno
}

func (i *inode) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return i.add(ctx, name, newFolder(), out)
}

func (i *inode) add(ctx context.Context, name string, n *node, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	if i.node.written[name] != nil {
		return nil, syscall.EEXIST
	}
	i.disk.step()
	i.disk.nodes++
	n.number = i.disk.nodes
	i.node.change(change{to: name, node: n})
	return i.known(ctx, n, out), 0
}

func (i *inode) Unlink(_ context.Context, name string) syscall.Errno { return i.remove(name) }

func (i *inode) Rmdir(_ context.Context, name string) syscall.Errno { return i.remove(name) }

func (i *inode) remove(name string) syscall.Errno {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	n := i.node.written[name]
	switch {
	case n == nil:
		return syscall.ENOENT
	case len(n.written) > 0:
		return syscall.ENOTEMPTY
	}
	i.disk.step()
	i.node.change(change{from: name, node: n})
	return 0
}

// Rename renames within a folder; nothing here moves from one to another.
func (i *inode) Rename(_ context.Context, from string, folder fs.InodeEmbedder, to string, flags uint32) syscall.Errno {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	n := i.node.written[from]
	switch {
	case n == nil:
		return syscall.ENOENT
	case folder.EmbeddedInode() != i.EmbeddedInode() || flags != 0:
		return syscall.EXDEV
	}
	i.disk.step()
	i.node.change(change{from: from, to: to, node: n})
	return 0
}

// Link gives a file another name, in the folder it has one in.
func (i *inode) Link(ctx context.Context, of fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	file, ours := of.(*inode)
	switch {
	case !ours || file.node.parent != i.node:
		return nil, syscall.EXDEV
	case i.node.written[name] != nil:
		return nil, syscall.EEXIST
	}
	i.disk.step()
	i.node.change(change{to: name, node: file.node})
	return i.known(ctx, file.node, out), 0
}

func (i *inode) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return handleOf(flags), fuse.FOPEN_KEEP_CACHE, 0
}

func (i *inode) Read(_ context.Context, _ fs.FileHandle, into []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	return fuse.ReadResultData(into[:i.node.file.written.readAt(into, at)]), 0
}

func (i *inode) Write(_ context.Context, _ fs.FileHandle, what []byte, at int64) (uint32, syscall.Errno) {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	i.disk.step()
	f := i.node.file
	f.writeAt(what, at)
	for number := at / pageBytes; number*pageBytes < at+int64(len(what)); number++ {
		if i.disk.chance.oneIn(early) {
			f.keep(number)
		}
	}
	return uint32(len(what)), 0
}

// Fsync is fsync, fdatasync and msync, of files and of folders.
func (i *inode) Fsync(_ context.Context, by fs.FileHandle, _ uint32) syscall.Errno {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	i.disk.step()
	if i.disk.failsSync(i.node, by) {
		return syscall.EIO
	}
	i.node.sync()
	if !i.disk.strict {
		i.node.keepName()
	}
	return 0
}

func (i *inode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	i.node.attr(&out.Attr)
	return 0
}

// Setattr changes the length of a file, and nothing else.
func (i *inode) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	if length, ok := in.GetSize(); ok {
		i.disk.step()
		i.node.truncate(int64(length))
	}
	i.node.attr(&out.Attr)
	return 0
}

// Statfs: there is always room.
func (i *inode) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	const blocks = 64 << 30 / pageBytes
	out.Bsize, out.Frsize, out.Blocks, out.Bfree, out.Bavail, out.NameLen = pageBytes, pageBytes, blocks, blocks, blocks, 255
	return 0
}
