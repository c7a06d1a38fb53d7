package oauth

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge/rates"
)

// How many clients may register, per second and at once. What is for everybody knows no networks: the clients of one
// vendor share addresses (decision 12). Beside it something is kept that one network can take only little of, so that a
// flood from one keeps nobody else's client out (DC-06).
const (
	registrationRate, registrationBurst = 20, 200
	keptRate, keptBurst                 = 5, 50
	ownRate, ownBurst                   = 0.2, 5
	registrantsKept                     = 10_000
)

// Registrations bounds the clients that register. Make one with NewRegistrations.
type Registrations struct {
	now func() time.Time

	mu       sync.Mutex
	all      *rate.Limiter
	kept     *rate.Limiter
	networks *rates.Each
}

// NewRegistrations makes a Registrations.
func NewRegistrations(now func() time.Time) *Registrations {
	return &Registrations{
		now: now, all: rate.NewLimiter(registrationRate, registrationBurst), kept: rate.NewLimiter(keptRate, keptBurst),
		networks: rates.New(registrantsKept, ownRate, ownBurst),
	}
}

// Allow counts a registration, and reports whether it may be.
func (g *Registrations) Allow(r *http.Request) bool { return g.allow(sourceOf(r)) }

// allow counts a registration from a network; "" is nobody's.
func (g *Registrations) allow(network string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if g.all.AllowN(now, 1) {
		return true
	}
	if network == "" {
		return false
	}
	return g.networks.Of(network).AllowN(now, 1) && g.kept.AllowN(now, 1)
}
