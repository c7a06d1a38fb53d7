package oauth

import (
	"fmt"
	"testing"
	"time"
)

// GW-66: so much begins in all, and what one network is refused takes nothing of the others' share.
func TestBeginners_GW66(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := NewBeginners(func() time.Time { return now })
	allowed := func(n int, network func(int) string) (yes int) {
		for i := range n {
			if b.allow(network(i)) {
				yes++
			}
		}
		return yes
	}
	one := func(int) string { return "203.0.113.0/24" }
	each := func(i int) string { return fmt.Sprint("network ", i) }
	nobodys := func(int) string { return "" }
	if got := allowed(5000, one); got != networkFlowBurst {
		t.Errorf("%d of one network", got)
	}
	if got := allowed(flowBurst, each); got != flowBurst-networkFlowBurst {
		t.Errorf("%d of the others", got)
	}
	if b.allow("") {
		t.Error("one more")
	}
	now = now.Add(2 * time.Second)
	if got := allowed(1000, nobodys); got != 2*flowRate {
		t.Errorf("%d after two seconds", got)
	}
}
