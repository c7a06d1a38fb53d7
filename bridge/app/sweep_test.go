package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/remember"
	"github.com/abilityai/trinity-bridge/bridge/telemetry"
)

// overdue is a store that has rows to be swept.
type overdue struct {
	bridge.Store

	mu     sync.Mutex
	left   int  // rows; below zero there is no end to it
	broken bool // it takes no writes
	limits []int
}

func (o *overdue) WatchGrants(func(string)) func() { return func() {} }

func (o *overdue) Sweep(ctx context.Context, _ time.Time, limit int) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limits = append(o.limits, limit)
	switch {
	case o.broken:
		return 0, errors.New("the disk is full")
	case o.left < 0:
		<-ctx.Done()
		return 0, ctx.Err()
	}
	n := min(o.left, limit)
	o.left -= n
	return n, nil
}

// become sets what there is to sweep.
func (o *overdue) become(left int, broken bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left, o.broken = left, broken
}

// want checks how often it was swept in all, and what is left.
func (o *overdue) want(t *testing.T, when string, sweeps, left int) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.limits) != sweeps || o.left != left || slices.ContainsFunc(o.limits, func(limit int) bool { return limit != sweepLimit }) {
		t.Errorf("%s: swept %v, %d rows are left", when, o.limits, o.left)
	}
}

// Sweeping goes on, a bounded number at a time, until nothing is overdue; it waits a minute after an error, tells of each
// run, and stops in the middle when the program does.
func TestBridge_sweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &overdue{left: 2500}
		b := &Bridge{store: remember.New(store), now: time.Now, log: slog.New(slog.DiscardHandler), metrics: telemetry.New(func() bool { return true })}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			b.sweep(ctx)
			close(done)
		}()
		minute := func() {
			time.Sleep(sweepEvery)
			synctest.Wait()
		}
		synctest.Wait()
		store.want(t, "while the program starts", 0, 2500)
		minute()
		store.want(t, "after a minute", 3, 0)
		store.become(10, true)
		minute()
		store.want(t, "on a full disk", 4, 10)
		store.become(-1, false)
		minute()
		stop()
		<-done
		for _, want := range []string{
			`trinity_bridge_job_runs_total{job="sweep",result="ok"} 3`, `trinity_bridge_job_runs_total{job="sweep",result="failed"} 1`,
			`trinity_bridge_job_items_total{job="sweep"} 2500`,
		} {
			answer := httptest.NewRecorder()
			b.metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			if got := answer.Body.String(); !strings.Contains(got, want+"\n") {
				t.Errorf("no %s in\n%s", want, got)
			}
		}
	})
}
