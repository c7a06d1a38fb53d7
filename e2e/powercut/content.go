package powercut

import (
	"errors"
	"maps"
	"os"
)

const (
	pageBytes   = 4 << 10 // what the kernel writes at a time
	sectorBytes = 512     // what a disk writes whole
)

// content is the bytes of a file. A page that is missing is zeros; one that is there is replaced and never changed.
type content struct {
	length int64
	pages  map[int64]*[pageBytes]byte
}

func (c *content) clone() content { return content{c.length, maps.Clone(c.pages)} }

func (c *content) readAt(into []byte, from int64) int {
	length := max(0, min(int64(len(into)), c.length-from))
	into = into[:length]
	clear(into)
	for at := from; at < from+length; at = (at/pageBytes + 1) * pageBytes {
		if page := c.pages[at/pageBytes]; page != nil {
			copy(into[at-from:], page[at%pageBytes:])
		}
	}
	return int(length)
}

// page returns a copy of a page.
func (c *content) page(number int64) *[pageBytes]byte {
	page := new([pageBytes]byte)
	if old := c.pages[number]; old != nil {
		*page = *old
	}
	return page
}

// copy copies the bytes to a path outside.
func (c *content) copy(path string) error {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	for number, page := range c.pages {
		if _, err := to.WriteAt(page[:], number*pageBytes); err != nil {
			return errors.Join(err, to.Close())
		}
	}
	return errors.Join(to.Truncate(c.length), to.Close())
}

// file is what was written and what is safe of it.
type file struct {
	written, safe content
	dirty         map[int64]bool // the pages in which the two may differ
}

func newFile() *file {
	empty := func() content { return content{pages: map[int64]*[pageBytes]byte{}} }
	return &file{written: empty(), safe: empty(), dirty: map[int64]bool{}}
}

func (f *file) writeAt(what []byte, at int64) {
	for len(what) > 0 {
		number := at / pageBytes
		page := f.written.page(number)
		n := copy(page[at%pageBytes:], what)
		f.written.pages[number] = page
		f.dirty[number] = true
		what, at = what[n:], at+int64(n)
	}
	f.written.length = max(f.written.length, at)
}

func (f *file) truncate(length int64) {
	for number := range f.written.pages {
		switch start := number * pageBytes; {
		case start >= length:
			delete(f.written.pages, number)
			f.dirty[number] = true
		case start+pageBytes > length:
			page := f.written.page(number)
			clear(page[length-start:])
			f.written.pages[number] = page
			f.dirty[number] = true
		}
	}
	f.written.length = length
}

func (f *file) sync() {
	for number := range f.dirty {
		f.keep(number)
	}
	f.safe.length = f.written.length
}

// keep makes a page safe.
func (f *file) keep(number int64) {
	if page := f.written.pages[number]; page != nil {
		f.safe.pages[number] = page
	} else {
		delete(f.safe.pages, number)
	}
	delete(f.dirty, number)
}

// tear makes each sector of a page safe by chance.
func (f *file) tear(number int64, c chance) {
	page, written := f.safe.page(number), f.written.page(number)
	for at := 0; at < pageBytes; at += sectorBytes {
		if c.oneIn(2) {
			copy(page[at:at+sectorBytes], written[at:])
		}
	}
	f.safe.pages[number] = page
}

// cut leaves what is safe and what chance adds, and returns how many pages were lost in whole or in part.
func (f *file) cut(c chance) (lost int) {
	left := c.leaves()
	if left == everything || left != nothing && c.oneIn(2) {
		f.safe.length = f.written.length
	}
	for number := range f.dirty {
		switch {
		case left == everything, left == some && c.oneIn(2):
			f.keep(number)
			continue
		case left == torn:
			f.tear(number, c)
		}
		lost++
	}
	f.written = f.safe.clone()
	f.truncate(f.safe.length) // no page may be left behind the end
	f.safe = f.written.clone()
	clear(f.dirty)
	return lost
}
