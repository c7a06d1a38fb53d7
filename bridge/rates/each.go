// Package rates bounds how often each of many strangers does something.
//
// The endpoints of oauth and the fetches of outbound each say who is one of them (a network, a host, a client) and how
// much they may; what is for all of them together is a rate.Limiter beside this.
package rates

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Each is a rate for each of many, of which those seen last are kept. Make one with New.
type Each struct {
	kept      *lru.Cache[string, *rate.Limiter]
	perSecond rate.Limit
	atOnce    int
}

// New keeps the rates of so many, at least one.
func New(kept int, perSecond rate.Limit, atOnce int) *Each {
	cache, err := lru.New[string, *rate.Limiter](kept)
	if err != nil {
		panic(err) // none are to be kept: a mistake of this program
	}
	return &Each{kept: cache, perSecond: perSecond, atOnce: atOnce}
}

// Spent reports whether one has nothing left. Who did nothing yet has all of it, and is not kept for being asked about.
func (e *Each) Spent(key string, now time.Time) bool {
	known, ok := e.kept.Get(key)
	return ok && known.TokensAt(now) < 1
}

// Of is the rate of one.
func (e *Each) Of(key string) *rate.Limiter {
	if known, ok := e.kept.Get(key); ok {
		return known
	}
	made := rate.NewLimiter(e.perSecond, e.atOnce)
	if other, meanwhile, _ := e.kept.PeekOrAdd(key, made); meanwhile {
		return other
	}
	return made
}
