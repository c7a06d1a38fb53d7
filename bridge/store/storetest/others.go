package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var revocationTests = []test{
	{"entries are due in their order until finished", revocationQueue},
	{"an entry is replaced", revocationReplaced},
	{"an entry belongs to a grant", revocationNameless},
}

func revocationQueue(t *testing.T, f *fixture) {
	var all []bridge.KeyRevocation
	for i, person := range []bridge.Person{alice, bob, alice, bob} {
		revocation := bridge.KeyRevocation{
			GrantID: f.name("grant"), PersonID: person.ID(), Tries: i, NeedsSignIn: i == 2,
			Credential: bridge.Credential{KeyID: f.name("key"), KeyName: "name", Sealed: []byte("sealed")},
			DueAt:      f.now.Add(time.Duration(4-i) * time.Minute),
		}
		must(t, f.QueueKeyRevocation(t.Context(), revocation))
		all = append(all, revocation)
	}
	f.reopen(t)
	wantDue := func(after time.Duration, limit int, want ...bridge.KeyRevocation) {
		t.Helper()
		got, err := f.DueKeyRevocations(t.Context(), f.now.Add(after), limit)
		must(t, err)
		equal(t, "due", append([]bridge.KeyRevocation{}, got...), append([]bridge.KeyRevocation{}, want...))
	}
	wantDue(time.Minute-time.Nanosecond, 10)
	wantDue(time.Minute, 10, all[3])
	wantDue(time.Hour, 10, all[3], all[2], all[1], all[0])
	wantDue(time.Hour, 2, all[3], all[2])

	f.wantKeysOf(t, alice, all[0], all[2])
	f.wantKeysOf(t, bridge.Person{})
	must(t, f.FinishKeyRevocation(t.Context(), all[2].GrantID))
	must(t, f.FinishKeyRevocation(t.Context(), all[2].GrantID))
	must(t, f.FinishKeyRevocation(t.Context(), ""))
	f.wantKeysOf(t, alice, all[0])
	wantDue(time.Hour, 10, all[3], all[1], all[0])
	_, err := f.Sweep(t.Context(), f.now.Add(100*longestLife), 100)
	must(t, err)
	wantDue(time.Hour, 10, all[3], all[1], all[0]) // only Trinity's word ends one
}

// wantKeysOf wants these entries of a person, in the order they were named.
func (f *fixture) wantKeysOf(t testing.TB, person bridge.Person, want ...bridge.KeyRevocation) {
	t.Helper()
	got, err := f.KeyRevocationsOf(t.Context(), person.ID())
	must(t, err)
	equal(t, "entries of a person", append([]bridge.KeyRevocation{}, got...), append([]bridge.KeyRevocation{}, want...))
}

func revocationReplaced(t *testing.T, f *fixture) {
	grant, _ := f.live(t)
	_, _, err := f.EndGrant(t.Context(), grant.ID, bridge.EndExpired, f.now)
	must(t, err)
	queue, err := f.DueKeyRevocations(t.Context(), f.now, 10)
	must(t, err)
	equal(t, "entries", len(queue), 1)
	later := queue[0]
	later.Tries, later.DueAt, later.NeedsSignIn = 1, f.now.Add(time.Hour), true
	must(t, f.QueueKeyRevocation(t.Context(), later))
	queue, err = f.DueKeyRevocations(t.Context(), f.now, 10)
	must(t, err)
	equal(t, "entries due now", len(queue), 0)
	queue, err = f.DueKeyRevocations(t.Context(), later.DueAt, 10)
	must(t, err)
	equal(t, "entries due later", queue, []bridge.KeyRevocation{later})

	moved := later
	moved.PersonID = bob.ID()
	must(t, f.QueueKeyRevocation(t.Context(), moved))
	f.wantKeysOf(t, alice)
	f.wantKeysOf(t, bob, moved)
}

func revocationNameless(t *testing.T, f *fixture) {
	wantRefused(t, f.QueueKeyRevocation(t.Context(), bridge.KeyRevocation{PersonID: alice.ID(), DueAt: f.now}))
	f.wantUnqueued(t)
}

var counterTests = []test{
	{"a window is counted to its limit", countWindow},
	{"64 hits at once are counted exactly", countRace},
	{"a limit of nothing, a window of nothing", countNothing},
	{"OP-16/a clock that was ahead locks nobody out", countClockBack},
}

func (f *fixture) wantHit(t testing.TB, key string, limit int, want bridge.Count) {
	t.Helper()
	peeked, err := f.Peek(t.Context(), key, limit, f.now)
	must(t, err)
	equal(t, "allowed as peeked", peeked.Allowed, want.Allowed)
	got, err := f.Hit(t.Context(), key, limit, time.Minute, f.now)
	must(t, err)
	equal(t, "count", got, want)
	peeked, err = f.Peek(t.Context(), key, limit, f.now)
	must(t, err)
	if limit > 0 {
		equal(t, "peeked after", peeked, bridge.Count{Allowed: got.N < limit, N: got.N, ResetAt: got.ResetAt})
	}
}

func countWindow(t *testing.T, f *fixture) {
	reset := f.now.Add(time.Minute)
	peeked, err := f.Peek(t.Context(), "key", 2, f.now)
	must(t, err)
	equal(t, "peeked at first", peeked, bridge.Count{Allowed: true})
	f.wantHit(t, "key", 2, bridge.Count{Allowed: true, N: 1, ResetAt: reset})
	f.now = f.now.Add(20 * time.Second)
	f.reopen(t)
	f.wantHit(t, "key", 2, bridge.Count{Allowed: true, N: 2, ResetAt: reset})
	f.wantHit(t, "key", 2, bridge.Count{N: 2, ResetAt: reset})
	f.wantHit(t, "other key", 2, bridge.Count{Allowed: true, N: 1, ResetAt: f.now.Add(time.Minute)})
	f.now = reset.Add(-time.Nanosecond)
	f.wantHit(t, "key", 2, bridge.Count{N: 2, ResetAt: reset})
	f.wantHit(t, "key", 3, bridge.Count{Allowed: true, N: 3, ResetAt: reset}) // the limit was raised
	f.now = reset
	f.wantHit(t, "key", 2, bridge.Count{Allowed: true, N: 1, ResetAt: f.now.Add(time.Minute)})

	must(t, f.ResetCount(t.Context(), "key"))
	must(t, f.ResetCount(t.Context(), "unknown key"))
	f.wantHit(t, "key", 1, bridge.Count{Allowed: true, N: 1, ResetAt: f.now.Add(time.Minute)})
}

func countRace(t *testing.T, f *fixture) {
	var mu sync.Mutex
	counts := map[bool]int{}
	seen := map[int]bool{}
	barrier(64, func(i int) {
		// Requests do not reach the store in the order of their clocks.
		count, err := f.Hit(t.Context(), "key", 10, time.Minute, f.now.Add(time.Duration(i)*time.Millisecond))
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		counts[count.Allowed]++
		if count.Allowed {
			if seen[count.N] {
				t.Errorf("%d was counted twice", count.N)
			}
			seen[count.N] = true
		}
	})
	equal(t, "allowed and refused", counts, map[bool]int{true: 10, false: 54})
}

func countNothing(t *testing.T, f *fixture) {
	for _, limit := range []int{0, -1} {
		f.wantHit(t, "key", limit, bridge.Count{ResetAt: f.now.Add(time.Minute)})
	}
	for _, window := range []time.Duration{0, -time.Minute} {
		_, err := f.Hit(t.Context(), "key", 10, window, f.now)
		wantRefused(t, err)
	}
	f.wantHit(t, "", 1, bridge.Count{Allowed: true, N: 1, ResetAt: f.now.Add(time.Minute)})
	f.wantHit(t, "", 1, bridge.Count{N: 1, ResetAt: f.now.Add(time.Minute)})
}

func countClockBack(t *testing.T, f *fixture) {
	right := f.now
	f.now = right.Add(10 * 365 * 24 * time.Hour)
	f.wantHit(t, "key", 1, bridge.Count{Allowed: true, N: 1, ResetAt: f.now.Add(time.Minute)})
	f.now = right
	f.wantHit(t, "key", 1, bridge.Count{Allowed: true, N: 1, ResetAt: f.now.Add(time.Minute)})
	f.wantHit(t, "key", 1, bridge.Count{N: 1, ResetAt: f.now.Add(time.Minute)})
}
