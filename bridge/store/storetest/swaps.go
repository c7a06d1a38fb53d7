package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// The lists that are replaced whole, at the revision they were read at.
var (
	signingKeyTests = []test{
		{"the list is replaced at its revision only", listSwap(signingKeys, (*fixture).SigningKeys, (*fixture).SwapSigningKeys)},
		{"OP-21/64 swaps at once, one wins", listRace(signingKeys, (*fixture).SigningKeys, (*fixture).SwapSigningKeys)},
	}
	verdictTests = []test{
		{"AS-113/the list is replaced at its revision only", listSwap(verdicts, (*fixture).Verdicts, (*fixture).SwapVerdicts)},
		{"AS-113/64 swaps at once, one wins", listRace(verdicts, (*fixture).Verdicts, (*fixture).SwapVerdicts)},
	}
)

type (
	reading[T any]  func(*fixture, context.Context) ([]T, int, error)
	swapping[T any] func(*fixture, context.Context, []T, int) error
)

func signingKeys(f *fixture) []bridge.SigningKey {
	return []bridge.SigningKey{
		{ID: "kid-1", Algorithm: "ES256", Private: []byte("sealed"), Public: []byte(`{"kty":"EC"}`), CreatedAt: f.now, SignsFrom: f.now},
		{ID: "kid-0", Algorithm: "ES256", Private: []byte("sealed"), Public: []byte(`{}`), CreatedAt: f.now, SignsFrom: f.now, RetiresAt: f.now},
	}
}

func verdicts(f *fixture) []bridge.Verdict {
	return []bridge.Verdict{
		{Entry: "app.example.com", Allowed: true, DecidedAt: f.now},
		{Entry: "https://bad.example.com/client.json", DecidedAt: f.now.Add(time.Minute)},
	}
}

func listSwap[T any](some func(*fixture) []T, read reading[T], swap swapping[T]) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) {
		ctx, list := t.Context(), some(f)
		at := 0
		want := func(what string, want []T) {
			t.Helper()
			got, rev, err := read(f, ctx)
			must(t, err)
			equal(t, what, got, want)
			at = rev
		}
		want("the list at first", nil)
		equal(t, "the revision at first", at, 0)
		wantError(t, swap(f, ctx, list, 1), bridge.ErrConflict)
		wantError(t, swap(f, ctx, list, -1), bridge.ErrConflict)
		must(t, swap(f, ctx, list, 0))
		f.reopen(t)
		want("the list", list)
		for _, next := range [][]T{list[:1], nil} {
			before := at
			wantError(t, swap(f, ctx, nil, before-1), bridge.ErrConflict)
			must(t, swap(f, ctx, next, before))
			want("the list after", next)
			if at == before {
				t.Fatalf("the revision stayed at %d", at)
			}
		}
	}
}

func listRace[T any](some func(*fixture) []T, read reading[T], swap swapping[T]) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) {
		for range 5 {
			_, rev, err := read(f, t.Context())
			must(t, err)
			var won, lost atomic.Int32
			barrier(64, func(int) {
				switch err := swap(f, t.Context(), some(f), rev); {
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
}
