package oauth

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge/rates"
)

// How many flows may begin, per second and at once: in all, and for the browsers of one network. Each costs the store a
// write, and who begins one has shown nothing yet. Clients share addresses, the browsers of people do not, but for those
// of one office (decision 12).
const (
	flowRate, flowBurst               = 100, 2000
	networkFlowRate, networkFlowBurst = 5, 300
	flowNetworksKept                  = 10_000
)

// Beginners bounds the flows that begin, whatever they are for. Make one with NewBeginners.
type Beginners struct {
	now func() time.Time

	mu       sync.Mutex
	total    *rate.Limiter
	networks *rates.Each
}

// NewBeginners makes a Beginners.
func NewBeginners(now func() time.Time) *Beginners {
	return &Beginners{
		now: now, total: rate.NewLimiter(flowRate, flowBurst), networks: rates.New(flowNetworksKept, networkFlowRate, networkFlowBurst),
	}
}

// Allow counts a flow that a browser begins, and reports whether it may.
func (b *Beginners) Allow(r *http.Request) bool { return b.allow(sourceOf(r)) }

// allow counts a flow that a browser in a network begins; "" is nobody's. A network that has had its share takes nothing
// of the others'.
func (b *Beginners) allow(network string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if network != "" && !b.networks.Of(network).AllowN(now, 1) {
		return false
	}
	return b.total.AllowN(now, 1)
}
