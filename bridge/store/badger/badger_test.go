package badger

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/logtest"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

// TestMain runs the tests, or what one of them has started this binary again for.
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(childMain(role))
	}
	os.Exit(m.Run())
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) func(bridge.Sealer) (bridge.Store, error) {
		dir := t.TempDir()
		return func(sealer bridge.Sealer) (bridge.Store, error) {
			return tryStore(Options{Dir: dir, Sealer: sealer, Base: storetest.Base})
		}
	})
}

// TestStore_Close_leavesNoGoroutine is not parallel: the others' goroutines are not its own.
func TestStore_Close_leavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := openStore(t, Options{Dir: t.TempDir()})
	must(t, s.CreateFlow(t.Context(), flowNamed("flow")))
	must(t, s.Close())
	goleak.VerifyNone(t, before)
}

func openStore(t testing.TB, opts Options) *Store {
	t.Helper()
	if opts.Sealer == nil {
		opts.Sealer, opts.Base = secrettest.Ring(), storetest.Base
	}
	s, err := tryStore(opts)
	must(t, err)
	return s
}

func tryStore(opts Options) (*Store, error) {
	s, err := Open(opts)
	// Between fork and exec a child of another test holds this process's locks, too.
	for range 100 {
		if !errors.Is(err, ErrInUse) {
			break
		}
		time.Sleep(10 * time.Millisecond)
		s, err = Open(opts)
	}
	return s, err
}

// openClosed opens a store that is closed when the test ends.
func openClosed(t testing.TB, opts Options) *Store {
	t.Helper()
	s := openStore(t, opts)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

var testTime = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

func flowNamed(id string) bridge.Flow {
	return bridge.Flow{ID: id, Step: bridge.StepConsent, CreatedAt: testTime, ExpiresAt: testTime.Add(10 * time.Minute)}
}

// hasFlow reports whether a flow is stored.
func hasFlow(t testing.TB, s *Store, id string) bool {
	t.Helper()
	_, err := s.Flow(t.Context(), id, testTime)
	if err != nil && err != bridge.ErrNotFound { //nolint:errorlint // nothing else is expected
		t.Fatal(err)
	}
	return err == nil
}

// logBuffer collects log lines.
type logBuffer struct{ logtest.Buffer }

func (b *logBuffer) count(what string) int { return strings.Count(b.String(), what) }

func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
