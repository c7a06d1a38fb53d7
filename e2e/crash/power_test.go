package crash_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/powercut"
)

// TestCrash_OP01_powerCut cuts the power while clients are at work, by the clock and at the n-th step that changes or
// syncs a file, and at the n-th step as the program starts and as it stops. What was not synced is lost, in whole or in part.
func TestCrash_OP01_powerCut(t *testing.T) {
	t.Parallel()
	disk := powercut.New(t)
	h := newHouse(t)
	h.child.Flags.Data = filepath.Join(disk.Dir, "data")
	h.cut = func() { disk.Cut(t) }
	for round := range *rounds {
		h.round(t, round, h.powerCut(t, disk, round))
	}
	h.report(t, byPower)
	pages, names := disk.Lost()
	t.Logf("the cuts took %d pages, in whole or in part, and %d changes of names", pages, names)
	if *rounds >= 50 && (pages == 0 || names == 0) {
		t.Error("no cut took anything, so this tests nothing")
	}
}

func (h *house) powerCut(t *testing.T, disk *powercut.Disk, round int) ending {
	t.Helper()
	after := time.Duration(1+rand.IntN(200)) * time.Millisecond
	switch round % 4 {
	case 0:
		step := 1 + rand.IntN(60)
		return ending{
			again: func() *running {
				begun := make(chan *running, 1)
				disk.After(step, func() { (<-begun).strike() })
				r := h.child.start(t)
				begun <- r
				return r
			},
			after: after,
			told:  fmt.Sprintf("the power was cut at step %d of the start, or %s later", step, after),
		}
	case 1:
		step := 1 + rand.IntN(60)
		return ending{
			bomb: func(r *running) {
				disk.After(step, r.strike)
				_ = r.end(syscall.SIGTERM)
			},
			after: after,
			told:  fmt.Sprintf("the power was cut at step %d of the stop", step),
		}
	case 2:
		step := 1 + rand.IntN(60)
		return ending{
			bomb:  func(r *running) { disk.After(step, r.strike) },
			after: after,
			told:  fmt.Sprintf("the power was cut at step %d of the work", step),
		}
	}
	return ending{after: after, told: "the power was cut"}
}

// strike kills the program and does not wait until it is gone, since it may be waiting for the disk.
func (r *running) strike() { _ = syscall.Kill(-r.command.Process.Pid, syscall.SIGKILL) }
