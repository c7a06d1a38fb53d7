package outbound

import (
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// How often strangers are asked, per second and at once. Failures are never remembered, so this
// is what keeps them from being free (AS-108); good documents are cached by who asks for them.
const (
	totalRate, totalBurst   = 10, 50
	hostRate, hostBurst     = 0.5, 20
	sourceRate, sourceBurst = 0.2, 10 // below a host's, so that no network alone closes a host to others
	ratesKept               = 10_000
)

// rates bounds fetches in total, to one host, and from one network.
type rates struct {
	now func() time.Time

	mu      sync.Mutex
	total   *rate.Limiter
	hosts   *lru.Cache[string, *rate.Limiter]
	sources *lru.Cache[string, *rate.Limiter]
}

func newRates(now func() time.Time) (*rates, error) {
	hosts, err := lru.New[string, *rate.Limiter](ratesKept)
	if err != nil {
		return nil, fmt.Errorf("making the rates of hosts: %w", err)
	}
	sources, err := lru.New[string, *rate.Limiter](ratesKept)
	if err != nil {
		return nil, fmt.Errorf("making the rates of networks: %w", err)
	}
	return &rates{now: now, total: rate.NewLimiter(totalRate, totalBurst), hosts: hosts, sources: sources}, nil
}

// allow counts a fetch to host caused by the network from, "" for nobody's.
func (r *rates) allow(host, from string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if from != "" && !limiter(r.sources, from, sourceRate, sourceBurst).AllowN(now, 1) {
		return false
	}
	return limiter(r.hosts, host, hostRate, hostBurst).AllowN(now, 1) && r.total.AllowN(now, 1)
}

func limiter(all *lru.Cache[string, *rate.Limiter], key string, perSecond rate.Limit, burst int) *rate.Limiter {
	if known, ok := all.Get(key); ok {
		return known
	}
	made := rate.NewLimiter(perSecond, burst)
	all.Add(key, made)
	return made
}
