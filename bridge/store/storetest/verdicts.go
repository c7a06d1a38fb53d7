package storetest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var verdictTests = []test{
	{"AS-113/the list is replaced at its revision only", verdictsSwap},
	{"AS-113/64 swaps at once, one wins", verdictsRace},
}

func verdictsSwap(t *testing.T, f *fixture) {
	verdicts, rev, err := f.Verdicts(t.Context())
	must(t, err)
	equal(t, "verdicts and revision at first", []int{len(verdicts), rev}, []int{0, 0})
	list := []bridge.Verdict{
		{Entry: "app.example.com", Allowed: true, DecidedAt: f.now},
		{Entry: "https://bad.example.com/client.json", DecidedAt: f.now.Add(time.Minute)},
	}
	wantError(t, f.SwapVerdicts(t.Context(), list, 1), bridge.ErrConflict)
	wantError(t, f.SwapVerdicts(t.Context(), list, -1), bridge.ErrConflict)
	must(t, f.SwapVerdicts(t.Context(), list, 0))
	f.reopen(t)
	verdicts, rev, err = f.Verdicts(t.Context())
	must(t, err)
	equal(t, "verdicts", verdicts, list)
	wantError(t, f.SwapVerdicts(t.Context(), nil, 0), bridge.ErrConflict)
	must(t, f.SwapVerdicts(t.Context(), nil, rev))
	verdicts, next, err := f.Verdicts(t.Context())
	must(t, err)
	equal(t, "verdicts left", len(verdicts), 0)
	if next == rev {
		t.Fatalf("the revision stayed at %d", rev)
	}
}

func verdictsRace(t *testing.T, f *fixture) {
	for range 5 {
		_, rev, err := f.Verdicts(t.Context())
		must(t, err)
		var won, lost atomic.Int32
		barrier(64, func(int) {
			switch err := f.SwapVerdicts(t.Context(), []bridge.Verdict{{Entry: f.name("host")}}, rev); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, bridge.ErrConflict):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
		equal(t, "won and lost", []int32{won.Load(), lost.Load()}, []int32{1, 63})
	}
}
