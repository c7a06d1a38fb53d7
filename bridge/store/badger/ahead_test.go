package badger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// countRow is a row that holds a number.
func countRow(id string) rows.Ref { return rows.Ref{Kind: rows.KindCounter, ID: id} }

func numberIn(t *tx, id string) (int, error) {
	value, err := t.Get(countRow(id))
	if err != nil || value == nil {
		return 0, err
	}
	return strconv.Atoi(string(value))
}

// count adds one to a number.
func count(id string) func(*tx) error {
	return func(t *tx) error {
		n, err := numberIn(t, id)
		if err != nil {
			return err
		}
		return t.Put(rows.Row{Ref: countRow(id), Record: []byte(strconv.Itoa(n + 1))})
	}
}

// queueAhead is queue for a write that may be run ahead.
func (h held) queueAhead(ctx context.Context, run func(*tx) error) <-chan error {
	return h.queued(func() error { return h.writer.doAhead(ctx, run) })
}

// released is release beside what follows.
func (h held) released() <-chan error {
	result := make(chan error, 1)
	go func() { result <- h.release() }()
	return result
}

// TestWriter_ahead: what was run ahead stands unless it looked at something that was changed meanwhile.
func TestWriter_ahead(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	tests := []struct {
		name string
		// meanwhile is what writes do that are queued before the one that is run ahead.
		meanwhile []func(*tx) error
		run       func(*tx) error
		want      error
		runs      int
		number    int // in the end
	}{
		{"nothing else was written", nil, count("a"), nil, 1, 1},
		{"what it did not look at was written", []func(*tx) error{count("b")}, count("a"), nil, 1, 1},
		{"what it changed was written", []func(*tx) error{count("a")}, count("a"), nil, 2, 2},
		{"many times", []func(*tx) error{count("a"), count("b"), count("a")}, count("a"), nil, 2, 3},
		{"it refuses", nil, func(*tx) error { return refused }, refused, 1, 0},
		{"it refuses what was not there yet", []func(*tx) error{count("a")}, func(t *tx) error {
			if n, err := numberIn(t, "a"); err != nil || n == 0 {
				return refused
			}
			return count("a")(t)
		}, nil, 2, 2},
		{"it makes what was made meanwhile", []func(*tx) error{count("a")}, func(t *tx) error {
			return t.Put(rows.Row{Ref: countRow("a"), Record: []byte("100"), New: true})
		}, bridge.ErrConflict, 2, 1},
		{"it changed and looked at its own change", nil, func(t *tx) error {
			return errors.Join(count("a")(t), count("a")(t))
		}, nil, 1, 2},
		{"it walked", nil, func(t *tx) error {
			for range t.suffixes("no such", "") {
				break
			}
			return count("a")(t)
		}, nil, 2, 1},
		{"it walks through what it has not changed and is refused", nil, func(t *tx) error {
			_, err := t.Due(time.Unix(0, 0), 1)
			return errors.Join(err, refused)
		}, refused, 2, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := openClosed(t, Options{Dir: t.TempDir()})
			h := hold(t, s)
			var before []<-chan error
			for _, run := range tt.meanwhile {
				before = append(before, h.queue(t.Context(), run))
			}
			runs := 0
			result := h.queueAhead(t.Context(), func(t *tx) error {
				runs++
				return tt.run(t)
			})
			if runs != 1 {
				t.Errorf("it ran %d times while the writer was busy", runs)
			}
			must(t, h.release())
			for _, result := range before {
				must(t, <-result)
			}
			if err := <-result; !errors.Is(err, tt.want) {
				t.Errorf("it came to %v, not to %v", err, tt.want)
			}
			if runs != tt.runs {
				t.Errorf("it ran %d times, not %d", runs, tt.runs)
			}
			must(t, s.view(func(tx *tx) error {
				n, err := numberIn(tx, "a")
				if n != tt.number {
					t.Errorf("the number is %d, not %d", n, tt.number)
				}
				return err
			}))
		})
	}
}

// TestWriter_aheadWhileCommitting: what is being committed is newer than what a write was run ahead on.
func TestWriter_aheadWhileCommitting(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	committing, free := make(chan struct{}), make(chan struct{})
	disk, batches := s.writer.sync, 0
	s.writer.sync = func() error {
		if batches++; batches == 1 {
			close(committing)
			<-free
		}
		return disk()
	}
	h := hold(t, s)
	results := []<-chan error{h.queue(t.Context(), count("a")), h.queue(t.Context(), count("a"))}
	results = append(results, h.released())
	<-committing
	h = hold(t, s)
	runs := 0
	results = append(results, h.queueAhead(t.Context(), func(t *tx) error {
		runs++
		return count("a")(t)
	}), h.queue(t.Context(), func(*tx) error {
		close(free)
		return nil
	}), h.released())
	for _, result := range results {
		must(t, <-result)
	}
	must(t, s.view(func(tx *tx) error {
		n, err := numberIn(tx, "a")
		if n != 3 || runs != 2 {
			t.Errorf("the number is %d after %d runs", n, runs)
		}
		return err
	}))
}

// TestBatch_holds: a write that was run ahead holds as long as each change since is known and none is of what it read.
func TestBatch_holds(t *testing.T) {
	t.Parallel()
	changed := func(keys ...string) layer {
		l := layer{}
		for _, key := range keys {
			l[key] = change{}
		}
		return l
	}
	kept := []layer{changed("three"), changed("four"), changed("five")} // the batches of these numbers
	tests := []struct {
		name     string
		since    uint64
		underWay layer
		pending  layer
		reads    []string
		want     bool
	}{
		{"read nothing", 2, changed("six"), changed("seven"), nil, true},
		{"read other things", 2, changed("six"), changed("seven"), []string{"one", "two"}, true},
		{"saw the change", 4, nil, nil, []string{"three", "four"}, true},
		{"saw all changes", 5, nil, nil, []string{"three", "four", "five"}, true},
		{"changed in the oldest batch that is kept", 2, nil, nil, []string{"three"}, false},
		{"changed just after", 3, nil, nil, []string{"three", "four"}, false},
		{"changed in the newest", 4, nil, nil, []string{"one", "five"}, false},
		{"changed in what is under way", 5, changed("six"), nil, []string{"six"}, false},
		{"changed in what waits", 5, changed("six"), changed("seven"), []string{"seven"}, false},
		{"older than what is kept", 1, nil, nil, []string{"one"}, false},
		{"much older, and read nothing", 0, nil, nil, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &writer{snapshot: &snapshot{sequence: 5}, kept: kept}
			if tt.underWay != nil {
				w.underWay = &batch{changes: tt.underWay}
			}
			b := &batch{writer: w, changes: tt.pending}
			if got := b.holds(&reads{since: tt.since, keys: tt.reads}); got != tt.want {
				t.Errorf("holds is %v", got)
			}
		})
	}
}

// TestWriter_aheadCounts: many who count at once, some of them the same, lose nothing.
func TestWriter_aheadCounts(t *testing.T) {
	t.Parallel()
	const workers, each, numbers = 64, 50, 40
	s := openClosed(t, Options{Dir: t.TempDir()})
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := range each {
				own, shared := fmt.Sprint("own ", w), strconv.Itoa((w+i)%numbers)
				err := s.writer.doAhead(t.Context(), func(t *tx) error { return errors.Join(count(own)(t), count(shared)(t)) })
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	sum := 0
	must(t, s.view(func(tx *tx) error {
		for w := range workers {
			if n, err := numberIn(tx, fmt.Sprint("own ", w)); err != nil || n != each {
				t.Errorf("worker %d counted %d times: %v", w, n, err)
			}
		}
		for i := range numbers {
			n, err := numberIn(tx, strconv.Itoa(i))
			sum += n
			must(t, err)
		}
		return nil
	}))
	if sum != workers*each {
		t.Errorf("all counted %d times, not %d", sum, workers*each)
	}
}

// TestWriter_aheadLeft: of a write whose caller went away before its turn came nothing stays, though it was run ahead.
func TestWriter_aheadLeft(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	h := hold(t, s)
	ctx, leave := context.WithCancel(t.Context())
	result := h.queueAhead(ctx, count("a"))
	leave()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("who left was told %v", err)
	}
	must(t, h.release())
	must(t, s.writer.do(t.Context(), count("b")))
	must(t, s.view(func(tx *tx) error {
		n, err := numberIn(tx, "a")
		if n != 0 {
			t.Errorf("what it changed is there: %d", n)
		}
		return err
	}))
}

// TestWriter_aheadPanics: a write that panics ahead does so once more, and for its caller only.
func TestWriter_aheadPanics(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	h := hold(t, s)
	panicked := h.queued(func() (err error) {
		defer func() { err = fmt.Errorf("panicked: %v", recover()) }()
		return h.writer.doAhead(t.Context(), func(*tx) error { panic("a bug") })
	})
	must(t, h.release())
	if err := <-panicked; err.Error() != "panicked: a bug" {
		t.Error(err)
	}
	must(t, s.writer.do(t.Context(), count("a")))
}

// TestStore_closeWaitsForAhead: the engine is not closed under a write that is being run ahead.
func TestStore_closeWaitsForAhead(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	h := hold(t, s)
	inside, leave := make(chan struct{}), make(chan struct{})
	late := make(chan error, 1)
	go func() {
		late <- s.writer.doAhead(t.Context(), func(t *tx) error {
			close(inside)
			<-leave
			return count("a")(t)
		})
	}()
	<-inside
	must(t, h.release())
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	<-s.writer.stopped
	select {
	case err := <-closed:
		t.Fatalf("the store was closed meanwhile: %v", err)
	case <-time.After(100 * time.Millisecond): // longer than closing takes
	}
	close(leave)
	if err := <-late; !errors.Is(err, errClosed) {
		t.Errorf("the late write was told %v", err)
	}
	must(t, <-closed)
}
