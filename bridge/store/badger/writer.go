package badger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
)

// maxBatch is how many writes share one engine transaction, and so one disk sync.
const maxBatch = 128

var errClosed = errors.New("the store is closed")

// writer runs all writes of a store on one goroutine.
type writer struct {
	db    *engine.DB
	log   *slog.Logger
	space func() error         // nil error: there is room to write
	tell  func(...string)      // of grants whose copies are no longer good
	mark  func(position) error // tells the watermark; nil while a loss is being accepted

	wake    chan struct{}
	stopped chan struct{}

	mu     sync.Mutex
	queue  []*job
	closed bool

	// Only the writer's goroutine looks at these until it has stopped.
	at     position // of the last batch
	failed error    // the commit error that ended writing
	full   bool     // the last batch found no room
}

// job is one write on its way.
type job struct {
	run      func(*tx) error
	claimed  atomic.Bool // by the writer, who will run it, or by a caller who went away
	err      error
	panicked any
	done     chan struct{}
}

// start begins the writer's goroutine.
func (w *writer) start() *writer {
	w.wake, w.stopped = make(chan struct{}, 1), make(chan struct{})
	go w.loop()
	return w
}

// do hands run to the writer and waits for its commit. run may be called more than once. When ctx
// ends before the writer has taken run, it is never called; afterwards its result is waited for,
// since a write that may have happened must not be reported as one that did not.
func (w *writer) do(ctx context.Context, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{run: run, done: make(chan struct{})}
	if err := w.enqueue(j); err != nil {
		return err
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if j.claimed.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-j.done
	}
	if j.panicked != nil {
		panic(j.panicked) // where the caller's own guard can see it
	}
	return j.err
}

func (w *writer) enqueue(j *job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	w.queue = append(w.queue, j)
	w.nudge()
	return nil
}

func (w *writer) nudge() {
	select {
	case w.wake <- struct{}{}:
	default: // it is awake already
	}
}

// close takes no new writes, finishes those in the queue and ends the goroutine.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.nudge()
	w.mu.Unlock()
	<-w.stopped
}

func (w *writer) loop() {
	defer close(w.stopped)
	for {
		batch, open := w.next()
		if len(batch) > 0 {
			w.commit(batch)
			continue
		}
		if !open {
			return
		}
		<-w.wake
	}
}

// next takes up to maxBatch jobs whose callers still wait, and reports whether more may come.
func (w *writer) next() (batch []*job, open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 && len(batch) < maxBatch {
		j := w.queue[0]
		w.queue[0], w.queue = nil, w.queue[1:]
		if j.claimed.CompareAndSwap(false, true) {
			batch = append(batch, j)
		}
	}
	return batch, !w.closed
}

// commit runs a batch as one transaction, or one by one when it does not fit into one, and
// answers every caller.
func (w *writer) commit(batch []*job) {
	err := w.refusal()
	if err == nil {
		err = w.together(batch)
	}
	if errors.Is(err, errRefused) && len(batch) > 1 {
		for _, j := range batch {
			w.commit([]*job{j})
		}
		return
	}
	for _, j := range batch {
		if err != nil {
			j.err = err // also for jobs that refused: they may have seen changes that are not stored
		}
		close(j.done)
	}
}

// refusal says why nothing may be written at the moment, nil when it may.
func (w *writer) refusal() error {
	if w.failed != nil {
		return fmt.Errorf("%w since one failed: %w", bridge.ErrReadOnly, w.failed)
	}
	err := w.space()
	if full := err != nil; full != w.full {
		w.full = full
		if full {
			w.log.Warn("the store takes no writes until there is room on the disk", "error", err)
		} else {
			w.log.Info("there is room on the disk again, the store takes writes")
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", bridge.ErrReadOnly, err)
	}
	return nil
}

// errRefused: the engine did not take the transaction, usually for its size; nothing is stored.
var errRefused = errors.New("the storage engine refused a write")

// together runs the jobs of a batch in one engine transaction.
func (w *writer) together(batch []*job) error {
	txn := w.db.NewTransaction(true)
	defer txn.Discard()
	var told []string
	next, changed := position{w.at.generation, w.at.sequence + 1}, false
	for _, j := range batch {
		t := &tx{txn: txn, next: next}
		j.call(t)
		if j.err != nil || j.panicked != nil || len(t.changes) == 0 {
			continue
		}
		if err := t.apply(); err != nil {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
		told = append(told, t.told...)
		next, changed = t.next, true
	}
	if !changed {
		return nil
	}
	if err := txn.SetEntry(next.tick()); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	err := txn.Commit()
	w.tell(told...) // before anybody is answered, and also when it is not known what was stored
	if errors.Is(err, engine.ErrTxnTooBig) || errors.Is(err, engine.ErrConflict) {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if err != nil {
		w.failed = err
		w.log.Error("a write to the store failed; it takes no more until the program is started again", "error", err)
		return fmt.Errorf("writing to the store: %w", err)
	}
	w.at = next
	if w.mark == nil {
		return nil
	}
	if err := w.mark(next); err != nil { // the batch is stored, but the next loss would not be noticed
		w.failed = err
		w.log.Error("the store's watermark cannot be kept; the store takes no writes until the program is started again", "error", err)
	}
	return nil
}

// call runs the job's function and keeps its error or panic for the caller.
func (j *job) call(t *tx) {
	j.err, j.panicked = nil, nil
	defer func() { j.panicked = recover() }()
	j.err = j.run(t)
}
