package oauth

import (
	"testing"
	"time"
)

// DC-06: whatever one network does, another one's few registrations are let through; many networks at once come to no
// more than there is in all.
func TestRegistrations_DC06_shares(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := NewRegistrations(func() time.Time { return now })
	allowed := func(n int, network func(int) string) (yes int) {
		for i := range n {
			if r.allow(network(i)) {
				yes++
			}
		}
		return yes
	}
	flood := func(int) string { return "203.0.113.0/24" }
	if got := allowed(10_000, flood); got != registrationBurst+ownBurst {
		t.Errorf("%d of one network", got)
	}
	other := func(int) string { return "198.51.100.0/24" }
	if got := allowed(ownBurst, other); got != ownBurst {
		t.Errorf("%d of another network", got)
	}
	each := func(i int) string { return time.Duration(i).String() }
	if got := allowed(1000, each); got != keptBurst-2*ownBurst {
		t.Errorf("%d of many networks", got)
	}
	if r.allow("") {
		t.Error("one of nobody's")
	}
	now = now.Add(time.Minute)
	for range 1000 {
		r.allow("")
	}
	if r.allow("") || !r.allow("192.0.2.0/24") {
		t.Error("what is kept for networks went to nobody's, or is not kept")
	}
}
