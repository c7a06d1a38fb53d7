package badger

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// syncing is a store with a batch whose sync is under way until it is ended with a result.
type syncing struct {
	held
	first []<-chan error // the batch's writes
	end   chan error
}

// beginSync has a batch of writes committed up to its sync.
func beginSync(t *testing.T, s *Store, writes ...func(*tx) error) syncing {
	t.Helper()
	began, end := make(chan struct{}), make(chan error)
	sync := s.writer.sync
	s.writer.sync = func() error {
		s.writer.sync = sync // the next ones are as usual
		close(began)
		return errors.Join(<-end, sync())
	}
	h := hold(t, s)
	var first []<-chan error
	for _, write := range writes {
		first = append(first, h.queue(t.Context(), write))
	}
	released := make(chan error, 1)
	go func() { released <- h.release() }()
	<-began
	return syncing{h, append(first, released), end}
}

// runs hands a write over and returns once it has run; what it came to comes on the channel.
func runs(t *testing.T, s *Store, write func(*tx) error) <-chan error {
	t.Helper()
	ran, result := make(chan struct{}), make(chan error, 1)
	go func() {
		result <- s.writer.do(t.Context(), func(t *tx) error {
			defer close(ran)
			return write(t)
		})
	}()
	<-ran
	return result
}

func sessionRow(s *Store, id string, at time.Time) (rows.Row, error) {
	row := rows.Ref{Kind: rows.KindFlow, ID: id}
	value, err := rows.Encode(s.key, row, flowNamed(id))
	return rows.Row{Ref: row, Record: value, Places: []rows.Place{{Index: rows.IndexSessions, At: at}}}, err
}

func putSession(s *Store, id string, at time.Time) func(*tx) error {
	return func(t *tx) error {
		row, err := sessionRow(s, id, at)
		return errors.Join(err, t.Put(row))
	}
}

func removeSession(s *Store, id string, at time.Time) func(*tx) error {
	return func(t *tx) error {
		row, err := sessionRow(s, id, at)
		return errors.Join(err, t.Remove(row.Ref, row.Places))
	}
}

// TestWriter_runsWhileOthersAreSynced: writes run on what is being synced and on what waits for that, in lists too, and
// nobody is answered before.
func TestWriter_runsWhileOthersAreSynced(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	at := func(n int) time.Time { return testTime.Add(time.Duration(n) * time.Second) }
	for i, id := range []string{"a", "b", "c"} {
		must(t, s.writer.do(t.Context(), putSession(s, id, at(2*i))))
	}
	under := beginSync(t, s, putSession(s, "between", at(1)), removeSession(s, "b", at(2)))

	waits := runs(t, s, putSession(s, "last", at(9)))
	var listed []string
	var between, b bool
	looks := runs(t, s, func(t *tx) error {
		found, err := t.Scan(rows.Scan{Index: rows.IndexSessions, Limit: 10})
		for _, row := range found {
			listed = append(listed, row.ID)
		}
		var err1, err2 error
		between, err1 = sawFlow(t, "between")
		b, err2 = sawFlow(t, "b")
		return errors.Join(err, err1, err2)
	})
	for i, answer := range append(under.first, waits, looks) {
		select {
		case <-answer:
			t.Errorf("write %d was answered before the sync", i)
		default:
		}
	}
	under.end <- nil
	for _, answer := range append(under.first, waits, looks) {
		must(t, <-answer)
	}
	if diff := cmp.Diff([]string{"a", "between", "c", "last"}, listed); diff != "" || !between || b {
		t.Errorf("between is there: %t, b: %t, listed (-want +got):\n%s", between, b, diff)
	}
}

// TestWriter_failedSync: when a sync fails, so does everything that ran on what was being synced, and what
// comes after.
func TestWriter_failedSync(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	under := beginSync(t, s, putFlow(s, flowNamed("first")), putFlow(s, flowNamed("second")))
	waits := runs(t, s, putFlow(s, flowNamed("third")))
	broken := errors.New("the disk is gone")
	under.end <- broken
	for _, answer := range append(under.first, waits) {
		if err := <-answer; !errors.Is(err, broken) {
			t.Errorf("got %v, want the sync's error", err)
		}
	}
	if err := s.CreateFlow(t.Context(), flowNamed("fourth")); !errors.Is(err, bridge.ErrReadOnly) {
		t.Errorf("got %v, want ErrReadOnly", err)
	}
	if hasFlow(t, s, "third") {
		t.Error("a write that ran on one that failed was committed")
	}
}
