package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// manyWorkers is the other width the transitions are measured at.
const manyWorkers = 64

// Took is how long each of some steps took, and all of them.
type Took struct {
	each []time.Duration
	all  time.Duration
}

// Measure runs step n times on so many workers, worker w those with i%workers == w.
func Measure(ctx context.Context, n, workers int, step func(ctx context.Context, i int) error) (*Took, error) {
	k := &Took{each: make([]time.Duration, n)}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			for i := w; i < n && ctx.Err() == nil; i += workers {
				start := time.Now()
				if err := step(ctx, i); err != nil {
					cancel(err)
					return
				}
				k.each[i] = time.Since(start)
			}
		})
	}
	running.Wait()
	k.all = time.Since(began)
	slices.Sort(k.each)
	return k, context.Cause(ctx)
}

// At is a quantile of the steps.
func (k *Took) At(quantile float64) time.Duration {
	return k.each[int(quantile*float64(len(k.each)-1))]
}

// Rate is steps in a second.
func (k *Took) Rate() float64 { return float64(len(k.each)) / k.all.Seconds() }

// Syncs is what an answer that is not to be forgotten waits for at least: n appends of 1 KiB to a file in a folder, each with
// its sync. A disk that had nothing to do for a moment takes longer: pause is that moment, for which the processor is busy.
func Syncs(dir string, n int, pause time.Duration) (*Took, error) {
	file, err := os.CreateTemp(dir, "syncs")
	if err != nil {
		return nil, err
	}
	k, block := &Took{each: make([]time.Duration, n)}, make([]byte, 1<<10)
	for i := 0; i < n && err == nil; i++ {
		for began := time.Now(); time.Since(began) < pause; {
		}
		start := time.Now()
		if _, err = file.Write(block); err == nil {
			err = dataSync(file)
		}
		k.each[i] = time.Since(start)
		k.all += k.each[i]
	}
	slices.Sort(k.each)
	return k, errors.Join(err, file.Close(), os.Remove(file.Name()))
}

// Transitions measures redemption and refresh, alone and many at once, each when calm has returned: what a store still does
// about the writes before is no part of them.
func Transitions(ctx context.Context, s bridge.Store, calm func(), row func(what string, workers int, took *Took)) error {
	for _, workers := range []int{1, manyWorkers} {
		n := 1000 * min(workers, 30) // enough for the engine to write memory tables out meanwhile
		all := make([]*Connection, n)
		_, err := Measure(ctx, n, manyWorkers, func(ctx context.Context, i int) error {
			all[i] = NewConnection(s)
			return all[i].Issue(ctx)
		})
		if err != nil {
			return err
		}
		calm()
		redeem, err := Measure(ctx, n, workers, func(ctx context.Context, i int) error { return all[i].mustRedeem(ctx) })
		if err != nil {
			return err
		}
		row("redeem", workers, redeem)
		calm()
		refresh, err := Measure(ctx, n, workers, func(ctx context.Context, i int) error { return all[i].Rotate(ctx) })
		if err != nil {
			return err
		}
		row("refresh", workers, refresh)
	}
	return nil
}

// Benchmark is the transitions one by one, and the read of every call whose grant is not remembered, on
// stores that open makes.
func Benchmark(b *testing.B, open func(testing.TB) bridge.Store) {
	for _, workers := range []int{1, manyWorkers} {
		b.Run(fmt.Sprintf("redeem/workers=%d", workers), func(b *testing.B) {
			all := connections(b, open(b), b.N, (*Connection).Issue)
			measured(b, workers, func(ctx context.Context, i int) error { return all[i].mustRedeem(ctx) })
		})
		b.Run(fmt.Sprintf("refresh/workers=%d", workers), func(b *testing.B) {
			all := connections(b, open(b), workers, (*Connection).Connect)
			measured(b, workers, func(ctx context.Context, i int) error { return all[i%workers].Rotate(ctx) })
		})
	}
	b.Run("grant", func(b *testing.B) {
		s := open(b)
		all := connections(b, s, 100, (*Connection).Connect)
		measured(b, 1, func(ctx context.Context, i int) error {
			_, err := s.Grant(ctx, all[i%len(all)].GrantID)
			return err
		})
	})
}

// connections makes n that have come as far as begin takes them.
func connections(b *testing.B, s bridge.Store, n int, begin func(*Connection, context.Context) error) []*Connection {
	b.Helper()
	all := make([]*Connection, n)
	_, err := Measure(b.Context(), n, manyWorkers, func(ctx context.Context, i int) error {
		all[i] = NewConnection(s)
		return begin(all[i], ctx)
	})
	must(b, err)
	return all
}

func measured(b *testing.B, workers int, step func(ctx context.Context, i int) error) {
	b.Helper()
	b.ResetTimer()
	took, err := Measure(b.Context(), b.N, workers, step)
	b.StopTimer()
	must(b, err)
	b.ReportMetric(float64(took.At(0.5).Microseconds()), "p50-µs")
	b.ReportMetric(float64(took.At(0.99).Microseconds()), "p99-µs")
}
