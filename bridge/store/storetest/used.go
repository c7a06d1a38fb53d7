package storetest

import (
	"sync/atomic"
	"testing"
	"time"
)

var usedTests = []test{
	{"TK-12, AS-078/an id is used once", usedOnce},
	{"TK-12/64 uses at once, one is the first", usedRace},
	{"an id is remembered until its time", usedSwept},
	{"what has expired is not used at all", usedExpired},
}

func (f *fixture) wantUse(t testing.TB, namespace, id string, expires time.Time, want bool) {
	t.Helper()
	first, err := f.UseOnce(t.Context(), namespace, id, expires, f.now)
	must(t, err)
	equal(t, "first use of "+namespace+" "+id, first, want)
}

func usedOnce(t *testing.T, f *fixture) {
	expires := f.now.Add(time.Minute)
	f.wantUse(t, "client a", "1", expires, true)
	f.wantUse(t, "client a", "1", expires, false)
	f.wantUse(t, "client a", "1", expires.Add(time.Hour), false)
	f.wantUse(t, "client a", "2", expires, true)
	f.wantUse(t, "client b", "1", expires, true)
	f.wantUse(t, "client ", "a1", expires, true) // not the same pair
	f.wantUse(t, "", "", expires, true)
	f.wantUse(t, "", "", expires, false)
	f.reopen(t)
	f.now = f.now.Add(time.Minute - time.Nanosecond)
	f.wantUse(t, "client a", "1", expires, false)
}

func usedRace(t *testing.T, f *fixture) {
	expires := f.now.Add(time.Minute)
	for range 5 {
		id := f.name("id")
		var won atomic.Int32
		barrier(64, func(int) {
			first, err := f.UseOnce(t.Context(), "client", id, expires, f.now)
			if err != nil {
				t.Error(err)
			}
			if first {
				won.Add(1)
			}
		})
		equal(t, "first uses", won.Load(), int32(1))
	}
}

func usedSwept(t *testing.T, f *fixture) {
	expires := f.now.Add(time.Minute)
	f.wantUse(t, "client", "1", expires, true)
	f.now = expires.Add(-time.Nanosecond)
	f.wantSwept(t, 0)
	f.wantUse(t, "client", "1", expires, false)
	f.now = expires
	f.wantSwept(t, 1)
	f.wantUse(t, "client", "1", expires, false) // no longer remembered, and no longer good
}

func usedExpired(t *testing.T, f *fixture) {
	f.wantUse(t, "client", "1", f.now, false)
	f.wantUse(t, "client", "1", f.now.Add(-time.Hour), false)
	f.wantUse(t, "client", "1", time.Time{}, false)
	f.wantUse(t, "client", "1", f.now.Add(time.Nanosecond), true) // none of them was noted
}
