package badger

import engine "github.com/dgraph-io/badger/v4"

// A write that comes while others are under way is run ahead: on its caller's goroutine, on what was committed last,
// while the writer's goroutine is busy. When its turn comes, the writer takes what it came to if no batch since has
// changed anything it read, and otherwise runs it again as if it had not been. So two cores share the work, and the
// writes still happen one after the other.

// snapshot is what was committed up to a batch.
type snapshot struct {
	txn      *engine.Txn
	sequence uint64 // of that batch
	users    int    // the writer, while it is the newest, and those who run ahead on it; guarded by the writer's mu
}

// reads is what a write that was run ahead has looked at.
type reads struct {
	since  uint64 // the last batch whose changes it could see
	keys   []string
	walked bool // it looked for keys, too, and what it did not find has no name
}

// newSnapshot makes the newest snapshot, of all that is committed.
func (w *writer) newSnapshot(sequence uint64) {
	newest := &snapshot{txn: w.db.NewTransaction(false), sequence: sequence, users: 1}
	w.mu.Lock()
	before := w.snapshot
	w.snapshot = newest
	w.mu.Unlock()
	if before != nil {
		w.release(before)
	}
}

// borrow returns the newest snapshot, nil when the writer is closed.
func (w *writer) borrow() *snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.snapshot.users++
	w.ahead.Add(1)
	return w.snapshot
}

// release ends a use of a snapshot, and the snapshot with its last one.
func (w *writer) release(s *snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.users--; s.users == 0 {
		s.txn.Discard()
	}
}

// runAhead runs a job ahead. One that walked or panicked is left to the writer.
func (w *writer) runAhead(j *job) {
	s := w.borrow()
	if s == nil {
		return
	}
	defer w.ahead.Done()
	defer w.release(s)
	t := &tx{txn: s.txn, reads: &reads{since: s.sequence}}
	j.call(t)
	if j.panicked == nil && !t.reads.walked {
		j.ahead = t
	}
}

// ahead returns what a job came to that was run ahead; nil when it has to be run now.
func (b *batch) ahead(j *job) *tx {
	t := j.ahead
	j.ahead = nil // when the batch is full, what the next one does is another question
	if t == nil || !b.holds(t.reads) {
		return nil
	}
	t.next = b.at
	return t
}

// holds reports whether nothing that a write has read has been changed since by the writes before it.
func (b *batch) holds(r *reads) bool {
	w := b.writer
	newer := []layer{b.changes}
	if w.underWay != nil {
		newer = append(newer, w.underWay.changes)
	}
	since := w.snapshot.sequence - r.since
	if since > uint64(len(w.kept)) {
		return false // what changed first is not known any more
	}
	newer = append(newer, w.kept[uint64(len(w.kept))-since:]...)
	for _, l := range newer {
		for _, key := range r.keys {
			if _, changed := l[key]; changed {
				return false
			}
		}
	}
	return true
}

// keep keeps the changes of a batch that was committed, for those who run ahead on what was before it.
func (w *writer) keep(changes layer) {
	if len(w.kept) == mostKept {
		w.kept = append(w.kept[:0], w.kept[1:]...)
	}
	w.kept = append(w.kept, changes)
}
