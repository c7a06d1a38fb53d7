package badger

import (
	"fmt"
	"os"
	"path/filepath"
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
			s := openClosed(b, Options{Dir: b.TempDir()})
			connections := make([]*connection, b.N)
			inParallel(b, manyWorkers, func(i int) error {
				connections[i] = newConnection(s)
				return connections[i].issue(b.Context())
			})
			measured(b, workers, func(i int) error {
				outcome, err := connections[i].redeem(b.Context())
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
			s := openClosed(b, Options{Dir: b.TempDir()})
			connections := live(b, s, workers)
			measured(b, workers, func(i int) error { return connections[i%workers].rotate(b.Context()) })
		})
	}
}

// BenchmarkGrant is the read on the path of every call, alone and while others write.
func BenchmarkGrant(b *testing.B) {
	for _, writers := range []int{0, 8} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			s := openClosed(b, Options{Dir: b.TempDir()})
			connections := live(b, s, 100)
			stop := make(chan struct{})
			var writing sync.WaitGroup
			for i := range writers {
				writing.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							if err := connections[i].rotate(b.Context()); err != nil {
								b.Error(err)
								return
							}
						}
					}
				})
			}
			measured(b, 1, func(i int) error {
				_, err := s.Grant(b.Context(), connections[i%len(connections)].grantID)
				return err
			})
			close(stop)
			writing.Wait()
		})
	}
}

// BenchmarkFileSync is the disk's floor: append 1 KiB and sync.
func BenchmarkFileSync(b *testing.B) {
	file, err := os.Create(filepath.Join(b.TempDir(), "file"))
	must(b, err)
	defer file.Close()
	block := make([]byte, 1<<10)
	measured(b, 1, func(int) error {
		if _, err := file.Write(block); err != nil {
			return err
		}
		return dataSync(file)
	})
}

// live makes n connections with a live grant.
func live(b *testing.B, s *Store, n int) []*connection {
	b.Helper()
	connections := make([]*connection, n)
	for i := range connections {
		connections[i] = newConnection(s)
		must(b, connections[i].issue(b.Context()))
		_, err := connections[i].redeem(b.Context())
		must(b, err)
	}
	return connections
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
