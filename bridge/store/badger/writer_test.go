package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// held is a store whose writer is kept busy, so that what is queued meanwhile becomes one batch.
type held struct {
	*Store
	release func() error
}

func hold(t *testing.T, s *Store) held {
	t.Helper()
	busy, free := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.writer.do(context.Background(), func(*tx) error {
			close(busy)
			<-free
			return nil
		})
	}()
	<-busy
	return held{s, func() error {
		close(free)
		return <-done
	}}
}

// queue hands a write over and returns once it waits; its result comes on the channel.
func (h held) queue(ctx context.Context, run func(*tx) error) <-chan error {
	return h.queued(func() error { return h.writer.do(ctx, run) })
}

// queued is queue for what hands a write over.
func (h held) queued(do func() error) <-chan error {
	h.writer.mu.Lock()
	before := len(h.writer.queue)
	h.writer.mu.Unlock()
	result := make(chan error, 1)
	go func() { result <- do() }()
	for {
		h.writer.mu.Lock()
		now := len(h.writer.queue)
		h.writer.mu.Unlock()
		if now > before {
			return result
		}
	}
}

func putFlow(s *Store, flow bridge.Flow) func(*tx) error {
	return func(t *tx) error {
		row := rows.Ref{Kind: rows.KindFlow, ID: flow.ID}
		value, err := rows.Encode(s.key, row, flow)
		if err != nil {
			return err
		}
		return t.Put(rows.Row{Ref: row, Record: value})
	}
}

// sawFlow reports whether a transaction sees a flow.
func sawFlow(t *tx, id string) (bool, error) {
	value, err := t.Get(rows.Ref{Kind: rows.KindFlow, ID: id})
	return value != nil, err
}

func TestWriter_oneCommitForABatch(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	h := hold(t, s)
	const many = enoughForBatch - 1 // and the one that holds
	var results []<-chan error
	for i := range many {
		results = append(results, h.queue(t.Context(), putFlow(s, flowNamed(fmt.Sprint("flow-", i)))))
	}
	before := s.db.MaxVersion()
	must(t, h.release())
	for _, result := range results {
		must(t, <-result)
	}
	if commits := s.db.MaxVersion() - before; commits != 1 {
		t.Errorf("%d writes took %d commits", many, commits)
	}
	for i := range many {
		if !hasFlow(t, s, fmt.Sprint("flow-", i)) {
			t.Errorf("flow-%d is lost", i)
		}
	}
}

func TestWriter_refusalLeavesNoTrace(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	h := hold(t, s)
	no := errors.New("no")
	first := h.queue(t.Context(), putFlow(s, flowNamed("first")))
	refused := h.queue(t.Context(), func(t *tx) error { return errors.Join(putFlow(s, flowNamed("refused"))(t), no) })
	var sawFirst, sawRefused bool
	last := h.queue(t.Context(), func(t *tx) (err error) {
		if sawFirst, err = sawFlow(t, "first"); err != nil {
			return err
		}
		if sawRefused, err = sawFlow(t, "refused"); err != nil {
			return err
		}
		return putFlow(s, flowNamed("last"))(t)
	})
	must(t, h.release())
	must(t, <-first)
	must(t, <-last)
	if err := <-refused; !errors.Is(err, no) {
		t.Errorf("got %v, want the write's own error", err)
	}
	if !sawFirst || sawRefused {
		t.Errorf("a later write of the batch saw first: %t, refused: %t", sawFirst, sawRefused)
	}
	if !hasFlow(t, s, "first") || hasFlow(t, s, "refused") || !hasFlow(t, s, "last") {
		t.Error("what is stored is not what was said")
	}
}

func TestWriter_tooMuchForOneTransaction(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	h := hold(t, s)
	long := bytes.Repeat([]byte("x"), 100<<10)
	var runs atomic.Int32
	var results []<-chan error
	for i := range maxBatch {
		results = append(results, h.queue(t.Context(), func(t *tx) error {
			runs.Add(1)
			flow := flowNamed(fmt.Sprint("flow-", i))
			flow.Exit = long
			return putFlow(s, flow)(t)
		}))
	}
	must(t, h.release())
	for _, result := range results {
		must(t, <-result)
	}
	for i := range maxBatch {
		if !hasFlow(t, s, fmt.Sprint("flow-", i)) {
			t.Errorf("flow-%d is lost", i)
		}
	}
	if runs.Load() <= maxBatch {
		t.Error("the batch went through as a whole, so this tests nothing")
	}

	row := func(i int) rows.Ref { return rows.Ref{Kind: rows.KindUsed, ID: fmt.Sprint(i)} }
	err := transactions{s}.Write(t.Context(), func(t rows.Tx) error {
		for i := range 50_000 {
			if err := t.Put(rows.Row{Ref: row(i), Record: []byte("x")}); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, errRefused) {
		t.Errorf("got %v, want errRefused", err)
	}
	part, err := transactions{s}.ReadRow(t.Context(), row(0))
	if must(t, err); part != nil {
		t.Error("a part of a refused write is stored")
	}
	must(t, s.Ping(t.Context()))
}

func TestWriter_tooLong(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	flow := flowNamed("long")
	flow.Exit = bytes.Repeat([]byte("x"), inlineBytes)
	wantSaid(t, s.CreateFlow(t.Context(), flow), "too long to store")
	wantSaid(t, s.CreateFlow(t.Context(), flowNamed(string(bytes.Repeat([]byte("x"), 2*maxKeyBytes)))), "too long to store")
	must(t, s.Ping(t.Context()))
}

func TestWriter_callerGoesAway(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	h := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := h.queue(ctx, func(*tx) error { t.Error("run for nobody"); return nil })
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	must(t, h.release())

	ctx, cancel = context.WithCancel(t.Context())
	err := s.writer.do(ctx, func(t *tx) error {
		cancel() // it is taken already
		return putFlow(s, flowNamed("taken"))(t)
	})
	must(t, err)
	if !hasFlow(t, s, "taken") {
		t.Error("a write that was reported is not stored")
	}
}

func TestWriter_panicReachesItsCaller(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	must(t, s.CreateFlow(t.Context(), flowNamed("flow")))
	func() {
		defer func() {
			if p := recover(); p != "oh" {
				t.Errorf("recovered %v", p)
			}
		}()
		err := s.writer.do(t.Context(), func(tx *tx) error {
			if err := tx.Remove(rows.Ref{Kind: rows.KindFlow, ID: "flow"}, nil); err != nil {
				return err
			}
			panic("oh")
		})
		t.Errorf("no panic, but %v", err)
	}()
	if !hasFlow(t, s, "flow") {
		t.Error("the change is stored")
	}
	must(t, s.Ping(t.Context()))
}

// TestWriter_failedCommit closes the engine under the store: the commit fails as it would on a
// disk that is gone.
func TestWriter_failedCommit(t *testing.T) {
	t.Parallel()
	var log logBuffer
	s := openClosed(t, Options{Dir: t.TempDir(), Logger: log.logger()})
	h := hold(t, s)
	must(t, s.db.Close())
	wrote := h.queue(t.Context(), putFlow(s, flowNamed("flow")))
	refused := h.queue(t.Context(), func(*tx) error { return bridge.ErrConflict })
	wantSaid(t, h.release(), "writing to the store")
	for _, result := range []<-chan error{wrote, refused} {
		err := <-result
		wantSaid(t, err, "writing to the store")
		for _, known := range []error{bridge.ErrReadOnly, bridge.ErrConflict} {
			if errors.Is(err, known) {
				t.Errorf("%v says what is not known", err)
			}
		}
	}
	for range 2 {
		if err := s.CreateFlow(t.Context(), flowNamed("flow")); !errors.Is(err, bridge.ErrReadOnly) {
			t.Errorf("got %v, want ErrReadOnly", err)
		}
		if err := s.Ping(t.Context()); !errors.Is(err, bridge.ErrReadOnly) {
			t.Errorf("got %v, want ErrReadOnly", err)
		}
	}
	if log.count("level=ERROR") != 1 {
		t.Error("the log does not say so once")
	}
}

func TestWriter_OP05_freeSpaceFloor(t *testing.T) {
	t.Parallel()
	var log logBuffer
	var free atomic.Uint64
	free.Store(100 << 20)
	dir := t.TempDir()
	s := openClosed(t, Options{
		Dir: dir, Logger: log.logger(), FreeSpaceFloor: 100 << 20,
		freeSpace: func(string) (uint64, error) { return free.Load(), nil },
	})
	must(t, s.CreateFlow(t.Context(), flowNamed("before")))
	for range 2 {
		free.Store(100<<20 - 1)
		for range 3 {
			if err := s.CreateFlow(t.Context(), flowNamed("below")); !errors.Is(err, bridge.ErrReadOnly) {
				t.Fatalf("got %v, want ErrReadOnly", err)
			}
			if err := s.Ping(t.Context()); !errors.Is(err, bridge.ErrReadOnly) {
				t.Fatalf("got %v, want ErrReadOnly", err)
			}
			if !hasFlow(t, s, "before") || hasFlow(t, s, "below") {
				t.Fatal("reads do not go on")
			}
		}
		free.Store(100 << 20)
		must(t, s.Ping(t.Context()))
	}
	must(t, s.CreateFlow(t.Context(), flowNamed("after")))
	if warned, informed := log.count("level=WARN msg=\"the store takes no writes"), log.count("level=INFO"); warned != 2 || informed != 2 {
		t.Errorf("the log warned %d and informed %d times, want twice each", warned, informed)
	}
}

// TestStore_Close_onFullDisk: closing would write tables out; what they hold is in the log.
func TestStore_Close_onFullDisk(t *testing.T) {
	t.Parallel()
	var free atomic.Uint64
	free.Store(1 << 40)
	s := openStore(t, Options{Dir: t.TempDir(), freeSpace: func(string) (uint64, error) { return free.Load(), nil }})
	free.Store(closingBytes - 1)
	wantSaid(t, s.Close(), "nothing is lost")
	must(t, s.Close())
	must(t, s.db.Close())
}

func TestStore_Close_finishesWhatWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	h := hold(t, s)
	var results []<-chan error
	for i := range 3 * maxBatch {
		results = append(results, h.queue(t.Context(), putFlow(s, flowNamed(fmt.Sprint("flow-", i)))))
	}
	var closing sync.WaitGroup
	closing.Go(func() { must(t, s.Close()) })
	for s.writer.enqueue(&job{run: func(*tx) error { return nil }, done: make(chan struct{})}) == nil {
		// until Close has shut the queue
	}
	must(t, h.release())
	for _, result := range results {
		must(t, <-result)
	}
	closing.Wait()
	again := openClosed(t, Options{Dir: dir})
	for i := range 3 * maxBatch {
		if !hasFlow(t, again, fmt.Sprint("flow-", i)) {
			t.Errorf("flow-%d is lost", i)
		}
	}
}
