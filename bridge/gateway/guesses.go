package gateway

import (
	"net"
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	guessWindow = 5 * time.Minute
	maxGuesses  = 30 // refused static keys per network and window
	badKeyFor   = time.Minute
	goodKeyFor  = time.Minute
	maxNetworks = 4096
	maxVerdicts = 4096 // keys remembered as good, and as bad
)

// guesses keeps people from trying static keys out (ST-03). Everything in it is bounded and lives in
// this process. A network that guesses too much cannot spoil the keys of others behind its address:
// a key that Trinity took before is not counted.
type guesses struct {
	good *lru.Cache[bridge.Hash, time.Time] // until when Trinity need not be asked again
	bad  *lru.Cache[bridge.Hash, time.Time] // until when it is refused without asking

	mu       sync.Mutex
	networks *lru.Cache[netip.Prefix, *guessCount]
}

type guessCount struct {
	n     int
	until time.Time
}

func newGuesses() (*guesses, error) {
	good, err := lru.New[bridge.Hash, time.Time](maxVerdicts)
	if err != nil {
		return nil, err
	}
	bad, err := lru.New[bridge.Hash, time.Time](maxVerdicts)
	if err != nil {
		return nil, err
	}
	networks, err := lru.New[netip.Prefix, *guessCount](maxNetworks)
	return &guesses{good: good, bad: bad, networks: networks}, err
}

// isGood reports whether Trinity took the key before, and whether that was just now.
func (g *guesses) isGood(key bridge.Hash, now time.Time) (known, fresh bool) {
	until, known := g.good.Get(key)
	return known, known && now.Before(until)
}

func (g *guesses) isBad(key bridge.Hash, now time.Time) bool {
	until, ok := g.bad.Get(key)
	return ok && now.Before(until)
}

// accepted notes that Trinity took the key.
func (g *guesses) accepted(key bridge.Hash, now time.Time) { g.good.Add(key, now.Add(goodKeyFor)) }

// refused notes that Trinity did not.
func (g *guesses) refused(key bridge.Hash, now time.Time) {
	g.good.Remove(key)
	g.bad.Add(key, now.Add(badKeyFor))
}

// take counts a guess before its outcome is known, so that many at once do not slip through. The
// function it returns takes the guess back.
func (g *guesses) take(network netip.Prefix, now time.Time) (refund func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	count, known := g.networks.Get(network)
	if !known || !now.Before(count.until) {
		count = &guessCount{until: now.Add(guessWindow)}
		g.networks.Add(network, count)
	}
	if count.n >= maxGuesses {
		return nil, false
	}
	count.n++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		count.n--
	}, true
}

// networkOf is the network of a client's address: what one guesser has at hand.
func networkOf(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{} // all who cannot be told apart are one network
	}
	addr = addr.Unmap().WithZone("")
	bits := 56
	if addr.Is4() {
		bits = 24
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}
