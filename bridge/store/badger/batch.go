package badger

import (
	"errors"
	"fmt"
	"time"

	engine "github.com/dgraph-io/badger/v4"
)

// change is one row to be put, or removed when value is nil.
type change struct {
	value []byte
	ttl   time.Duration // 0: stays until removed
}

// bytes is what the engine counts for a change of a key.
func (c change) bytes(key string) int64 { return int64(len(key) + len(c.value) + 12) }

// layer is changes that lie over what is committed.
type layer map[string]change

// batch is writes that are committed together.
type batch struct {
	jobs    []*job
	changes layer
	bytes   int64    // of changes
	told    []string // grants of which copies kept elsewhere are no longer good
	at      position // where the store stands afterwards, if there are changes
	writer  *writer
}

func (w *writer) newBatch() *batch {
	return &batch{changes: layer{}, at: position{w.at.generation, w.at.sequence + 1}, writer: w}
}

// errRefused: the engine does not take a write, usually for its size; nothing is stored.
var errRefused = errors.New("the storage engine refused a write")

// run runs a job on top of the batch, unless it was run ahead, and takes its changes over; false when they do not fit in. A
// job that refuses stays in the batch without changes: it may have seen those of the others.
func (b *batch) run(j *job) bool {
	t := b.ahead(j)
	if t == nil {
		t = &tx{txn: b.writer.snapshot.txn, below: []layer{b.changes}, next: b.at}
		if under := b.writer.underWay; under != nil {
			t.below = append(t.below, under.changes)
		}
		j.call(t)
	}
	if j.err == nil && j.panicked == nil {
		if !b.fits(t.changes) {
			if len(b.jobs) > 0 {
				return false
			}
			j.err = fmt.Errorf("%w: it is too long", errRefused)
		} else {
			b.add(t)
		}
	}
	b.jobs = append(b.jobs, j)
	return true
}

// fits reports whether the engine takes more changes in one transaction.
func (b *batch) fits(more layer) bool {
	const marks = 2 // the tick, and the engine's own end of a transaction
	bytes := b.bytes
	for key, c := range more {
		bytes += c.bytes(key)
	}
	db := b.writer.db
	return int64(len(b.changes)+len(more)+marks) < db.MaxBatchCount() && bytes+marks*maxKeyBytes < db.MaxBatchSize()
}

func (b *batch) add(t *tx) {
	for key, c := range t.changes {
		b.changes[key] = c
		b.bytes += c.bytes(key)
	}
	b.told = append(b.told, t.told...)
	if len(t.changes) > 0 {
		b.at = t.next
	}
}

// answer tells the callers, each what its own write came to or, when the batch failed, that: also those
// that were refused, since they may have seen changes that are not stored.
func (b *batch) answer(err error) {
	for _, j := range b.jobs {
		if err != nil {
			j.err = err
		}
		close(j.done)
	}
}

// commit commits a batch and answers its callers. The error it returns ends writing.
func (w *writer) commit(b *batch) error {
	if len(b.changes) == 0 {
		b.answer(nil)
		return nil
	}
	err := w.store(b)
	w.tell(b.told...) // before anybody is answered, and also when it is not known what was stored
	if err != nil {
		w.log.Error("a write to the store failed; it takes no more until the program is started again", "error", err)
		b.answer(fmt.Errorf("writing to the store: %w", err))
		return err
	}
	if w.mark != nil {
		if err = w.mark(b.at); err != nil { // the batch is stored, but the next loss would not be noticed
			w.log.Error("the store's watermark cannot be kept; the store takes no writes until the program is started again", "error", err)
		}
	}
	b.answer(nil)
	return err
}

// store hands the changes to the engine and syncs them.
func (w *writer) store(b *batch) error {
	txn := w.db.NewTransaction(true)
	defer txn.Discard()
	for key, c := range b.changes {
		if err := c.put(txn, key); err != nil {
			return err
		}
	}
	if err := txn.SetEntry(b.at.tick()); err != nil {
		return err
	}
	if err := txn.Commit(); err != nil {
		return err
	}
	w.batches.Add(1)
	w.written.Add(uint64(b.bytes)) //nolint:gosec // a sum of lengths
	return w.sync()
}

// put hands a change to an engine's transaction.
func (c change) put(txn *engine.Txn, key string) error {
	if c.value == nil {
		return txn.Delete([]byte(key))
	}
	entry := engine.NewEntry([]byte(key), c.value)
	if c.ttl > 0 {
		entry = entry.WithTTL(c.ttl)
	}
	return txn.SetEntry(entry)
}
