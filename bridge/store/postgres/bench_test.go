package postgres_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// manyWorkers is the other width the transitions are measured at.
const manyWorkers = 64

func BenchmarkRedeem(b *testing.B) {
	for _, workers := range []int{1, manyWorkers} {
		b.Run(fmt.Sprint("workers=", workers), func(b *testing.B) {
			s := openClosed(b, server.Database(b))
			issued := make([]connection, b.N)
			inParallel(b, manyWorkers, func(i int) (err error) {
				issued[i], err = issue(b.Context(), s)
				return err
			})
			measured(b, workers, func(i int) error {
				outcome, err := redeem(b.Context(), s, issued[i], issued[i].token)
				if err == nil && outcome != bridge.CodeRedeemed {
					err = fmt.Errorf("redeeming came to %s", outcome)
				}
				return err
			})
		})
	}
}

func BenchmarkRotate(b *testing.B) {
	for _, workers := range []int{1, manyWorkers} {
		b.Run(fmt.Sprint("workers=", workers), func(b *testing.B) {
			s := openClosed(b, server.Database(b))
			live := lively(b, s, workers)
			measured(b, workers, func(i int) error { return rotate(b.Context(), s, &live[i%workers]) })
		})
	}
}

// BenchmarkGrant is the read of a call whose grant is not remembered.
func BenchmarkGrant(b *testing.B) {
	s := openClosed(b, server.Database(b))
	live := lively(b, s, 100)
	measured(b, 1, func(i int) error {
		_, err := s.Grant(b.Context(), live[i%len(live)].grantID)
		return err
	})
}

// rotate presents the head and makes its successor the head.
func rotate(ctx context.Context, s bridge.Store, c *connection) error {
	successor := rand.Text()
	rotation, err := s.RotateRefresh(ctx, bridge.RefreshUse{
		Token: bridge.HashOf(c.token), ClientID: "client", Successor: bridge.HashOf(successor), SealedSuccessor: []byte("sealed"),
		Idle: time.Hour, AccessTokenLife: time.Hour,
		Rule: func(bridge.Family, bridge.Hash, time.Time) bridge.RefreshOutcome { return bridge.RefreshRotated },
	}, time.Now())
	if err == nil && rotation.Outcome != bridge.RefreshRotated {
		err = fmt.Errorf("rotating came to %s", rotation.Outcome)
	}
	c.token = successor
	return err
}

// lively makes n connections with a live grant.
func lively(b *testing.B, s bridge.Store, n int) []connection {
	b.Helper()
	all := make([]connection, n)
	for i := range all {
		var err error
		all[i], err = issue(b.Context(), s)
		must(b, err)
		_, err = redeem(b.Context(), s, all[i], all[i].token)
		must(b, err)
	}
	return all
}

// measured runs b.N steps on so many workers, worker w those with i%workers == w, and reports
// the median and the 99th percentile of a step.
func measured(b *testing.B, workers int, step func(i int) error) {
	b.Helper()
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	inParallel(b, workers, func(i int) error {
		start := time.Now()
		err := step(i)
		took[i] = time.Since(start)
		return err
	})
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

func inParallel(b *testing.B, workers int, step func(i int) error) {
	b.Helper()
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			for i := w; i < b.N; i += workers {
				if err := step(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}
