package powercut

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// node is a file or a folder.
type node struct {
	number uint64
	*file  // nil in a folder

	written, safe map[string]*node // of a folder
	pending       []change         // what made written of safe

	parent *node // nil of the root, and when it has no name any more
}

// change is one change of the names in a folder, which happens as a whole or not at all.
type change struct {
	from, to string // "" for none: a file that is made was nowhere, one that is removed goes nowhere
	node     *node
}

func (c change) apply(names map[string]*node) {
	if names[c.from] == c.node {
		delete(names, c.from)
	}
	if c.to != "" {
		names[c.to] = c.node
	}
}

func newFolder() *node {
	return &node{written: map[string]*node{}, safe: map[string]*node{}}
}

func (n *node) change(c change) {
	if over := n.written[c.to]; over != nil {
		over.parent = nil
	}
	c.apply(n.written)
	n.pending = append(n.pending, c)
	c.node.parent = n
	if c.to == "" && !slices.Contains(slices.Collect(maps.Values(n.written)), c.node) { // nor another name
		c.node.parent = nil
	}
}

// sync makes safe what a sync does: the bytes of a file or the names in a folder.
func (n *node) sync() {
	if n.file != nil {
		n.file.sync()
		return
	}
	n.safe = maps.Clone(n.written)
	n.pending = nil
}

// keepName makes the name of a node safe, and those of the folders it is in.
func (n *node) keepName() {
	for ; n.parent != nil; n = n.parent {
		var others []change
		for _, c := range n.parent.pending {
			if c.node == n {
				c.apply(n.parent.safe)
			} else {
				others = append(others, c)
			}
		}
		n.parent.pending = others
	}
}

// losses is what cuts take away: pages, in whole or in part, and changes of names.
type losses struct{ pages, names int }

func (l *losses) add(more losses) {
	l.pages += more.pages
	l.names += more.names
}

// cut leaves of a folder and all in it what is safe and what chance adds.
func (n *node) cut(c chance) (lost losses) {
	if n.file != nil {
		return losses{pages: n.file.cut(c)}
	}
	left, ended := c.leaves(), false
	for _, change := range n.pending {
		ended = ended || left == some && c.oneIn(len(n.pending))
		if left == nothing || ended || left == torn && c.oneIn(2) {
			lost.names++
		} else {
			change.apply(n.safe)
		}
	}
	n.pending = nil
	n.written = maps.Clone(n.safe)
	for _, child := range n.safe {
		child.parent = n
		lost.add(child.cut(c))
	}
	return lost
}

// copy copies a folder, or a file, to a path outside.
func (n *node) copy(path string) error {
	if n.file != nil {
		return n.file.written.copy(path)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	for name, child := range n.written {
		if err := child.copy(filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}
