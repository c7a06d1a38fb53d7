package outbound

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge/rates"
)

// How often strangers are asked, per second and at once. Failures are never remembered, so this
// is what keeps them from being free (AS-108); good documents are cached by who asks for them.
const (
	totalRate, totalBurst   = 10, 50
	hostRate, hostBurst     = 0.5, 20
	sourceRate, sourceBurst = 0.2, 10 // below a host's, so that no network alone closes a host to others
	ratesKept               = 10_000
)

// limits bounds fetches in total, to one host, and from one network.
type limits struct {
	now func() time.Time

	mu      sync.Mutex
	total   *rate.Limiter
	hosts   *rates.Each
	sources *rates.Each
}

func newLimits(now func() time.Time) *limits {
	return &limits{
		now: now, total: rate.NewLimiter(totalRate, totalBurst),
		hosts: rates.New(ratesKept, hostRate, hostBurst), sources: rates.New(ratesKept, sourceRate, sourceBurst),
	}
}

// allow counts a fetch to host caused by the network from, "" for nobody's.
func (l *limits) allow(host, from string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if from != "" && !l.sources.Of(from).AllowN(now, 1) {
		return false
	}
	return l.hosts.Of(host).AllowN(now, 1) && l.total.AllowN(now, 1)
}
