package badger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	// maxBatch is how many writes share one engine transaction, and so one disk sync.
	maxBatch = 128
	// enoughForBatch is how many are committed without looking for more when nothing else is being
	// committed: while they are synced the next ones run, so that both cores have work.
	enoughForBatch = 32
	// mostKept is how many batches are remembered for those who run ahead: as many as are committed while one
	// write waits, unless a thousand do.
	mostKept = 8
)

var errClosed = errors.New("the store is closed")

// writer runs all writes of a store on one goroutine, one after the other, and commits them in batches on
// another one: while a batch is being synced the writes of the next one run, and see what it changed.
type writer struct {
	db    *engine.DB
	log   *slog.Logger
	space func() error         // nil error: there is room to write
	sync  func() error         // syncs what is committed
	tell  func(...string)      // of grants whose copies are no longer good
	mark  func(position) error // tells the watermark; nil while a loss is being accepted

	batches atomic.Uint64 // that were written
	written atomic.Uint64 // bytes, since all was merged

	wake    chan struct{}
	stopped chan struct{}

	waiting atomic.Int64   // writes that were not answered yet
	ahead   sync.WaitGroup // those of them that are being run ahead

	mu       sync.Mutex
	queue    []*job
	closed   bool
	snapshot *snapshot // what was committed before underWay; only the writer's goroutine changes it

	// Only the writer's goroutine looks at these until it has stopped.
	at        position // of the last batch that was handed over
	failed    error    // the commit error that ended writing
	full      bool     // the last batch found no room
	pending   *batch   // takes writes
	underWay  *batch   // is being committed; nil when nothing is
	kept      []layer  // what the last batches up to snapshot have changed, the newest last; none while nothing is under way
	toCommit  chan *batch
	committed chan error // of underWay
}

// job is one write on its way.
type job struct {
	run      func(*tx) error
	ahead    *tx         // what it came to when it was run ahead, nil when it was not
	claimed  atomic.Bool // by the writer, who will run it, or by a caller who went away
	err      error
	panicked any
	done     chan struct{}
}

// start begins the writer's goroutines.
func (w *writer) start() *writer {
	w.wake, w.stopped = make(chan struct{}, 1), make(chan struct{})
	w.toCommit, w.committed = make(chan *batch), make(chan error)
	w.newSnapshot(w.at.sequence)
	w.pending = w.newBatch()
	go func() {
		for b := range w.toCommit {
			w.committed <- w.commit(b)
		}
	}()
	go w.loop()
	return w
}

// do hands run to the writer and waits for its commit. run may be called more than once. When ctx
// ends before the writer has taken run, nothing comes of it; afterwards its result is waited for,
// since a write that may have happened must not be reported as one that did not.
func (w *writer) do(ctx context.Context, run func(*tx) error) error { return w.submit(ctx, run, false) }

// doAhead is do for what may be run ahead.
func (w *writer) doAhead(ctx context.Context, run func(*tx) error) error {
	return w.submit(ctx, run, true)
}

func (w *writer) submit(ctx context.Context, run func(*tx) error, ahead bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.waiting.Add(1)
	defer w.waiting.Add(-1)
	j := &job{run: run, done: make(chan struct{})}
	if ahead && w.waiting.Load() > 1 {
		w.runAhead(j)
	}
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

// close takes no new writes, finishes those in the queue and ends the goroutines.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.nudge()
	w.mu.Unlock()
	<-w.stopped
	w.ahead.Wait()
}

func (w *writer) loop() {
	defer close(w.stopped)
	defer close(w.toCommit)
	for {
		j, open := w.next()
		switch {
		case j != nil:
			w.take(j)
		case len(w.pending.jobs) > 0 && w.underWay == nil:
			w.handOver()
		case w.underWay != nil:
			select {
			case err := <-w.committed:
				w.settle(err)
			case <-w.wake:
			}
		case !open:
			w.release(w.snapshot)
			return
		default:
			w.kept = nil
			<-w.wake
		}
	}
}

// next takes a job whose caller still waits, nil when there is none, and reports whether more may come.
func (w *writer) next() (j *job, open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 {
		j := w.queue[0]
		w.queue[0], w.queue = nil, w.queue[1:]
		if j.claimed.CompareAndSwap(false, true) {
			return j, !w.closed
		}
	}
	return nil, !w.closed
}

// take runs a job into the pending batch, and hands that over when it is time.
func (w *writer) take(j *job) {
	if len(w.pending.jobs) == 0 {
		if err := w.refusal(); err != nil {
			j.err = err
			close(j.done)
			return
		}
	}
	if !w.pending.run(j) { // it is full
		w.handOver()
		w.take(j)
		return
	}
	select {
	case err := <-w.committed:
		w.settle(err)
	default:
	}
	if n := len(w.pending.jobs); n >= maxBatch || n >= enoughForBatch && w.underWay == nil {
		w.handOver()
	}
}

// handOver has the pending batch committed, after the one that is under way.
func (w *writer) handOver() {
	if w.underWay != nil {
		w.settle(<-w.committed)
	}
	b := w.pending
	if w.failed != nil { // what it was built on is not stored
		b.answer(w.failure())
		w.pending = w.newBatch()
		return
	}
	if len(b.changes) > 0 {
		w.at = b.at
	}
	w.underWay = b
	w.pending = w.newBatch()
	if len(b.jobs) == 1 && w.quiet() { // nobody gains by another goroutine
		err := w.commit(b)
		runtime.Gosched() // the caller goes first: what is left is for the next write, and a tenth of the time of a refresh
		w.settle(err)
		return
	}
	w.toCommit <- b
}

// quiet reports whether no write waits.
func (w *writer) quiet() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) == 0
}

// settle takes the result of the batch that was under way. What was built on a batch that failed fails
// as it is handed over.
func (w *writer) settle(err error) {
	b := w.underWay
	w.underWay = nil
	switch {
	case err != nil:
		w.failed = err
	case len(b.changes) > 0:
		w.keep(b.changes)
		w.newSnapshot(b.at.sequence)
	}
}

// refusal says why nothing may be written at the moment, nil when it may.
func (w *writer) refusal() error {
	if w.failed != nil {
		return w.failure()
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

func (w *writer) failure() error {
	return fmt.Errorf("%w since one failed: %w", bridge.ErrReadOnly, w.failed)
}

// call runs the job's function and keeps its error or panic for the caller.
func (j *job) call(t *tx) {
	j.err, j.panicked = nil, nil
	defer func() { j.panicked = recover() }()
	j.err = j.run(t)
}
