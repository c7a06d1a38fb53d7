package rows_test

import (
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
)

// TestSweep_rowThatMoved: a row that was due when the rows were listed and is used before they are
// removed stays.
func TestSweep_rowThatMoved(t *testing.T) {
	t.Parallel()
	s, err := badger.Open(badger.Options{Dir: t.TempDir(), Sealer: secrettest.Ring()})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	ctx := t.Context()
	start := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	_, err = s.Hit(ctx, "key", 5, time.Minute, start)
	must(t, err)
	now := start.Add(time.Minute)
	listed, err := s.DueRows(ctx, now, 10)
	must(t, err)
	if len(listed) != 1 {
		t.Fatalf("%d rows are due, want the counter", len(listed))
	}
	_, err = s.Hit(ctx, "key", 5, time.Minute, now)
	must(t, err)
	swept, err := s.SweepRows(ctx, listed, now)
	must(t, err)
	count, err := s.Peek(ctx, "key", 5, now)
	must(t, err)
	if swept != 0 || count.N != 1 {
		t.Errorf("%d rows were swept and %d hits are left", swept, count.N)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}
