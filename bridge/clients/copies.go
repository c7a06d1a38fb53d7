package clients

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// How long a copy is used without asking again, whatever its host says (AS-108, CM-26).
const (
	shortestFresh = time.Minute
	longestFresh  = 24 * time.Hour
	usualFresh    = 10 * time.Minute // when its host says nothing
	copiesKept    = 2000
)

// copies remembers the last good copy of what was fetched from an address. Failures and bad
// documents are never remembered.
type copies[T any] struct {
	now func() time.Time

	mu      sync.Mutex
	entries *lru.Cache[string, copyOf[T]]
}

type copyOf[T any] struct {
	value                          T
	fetchedAt, freshUntil, triedAt time.Time
}

func newCopies[T any](now func() time.Time) (*copies[T], error) {
	entries, err := lru.New[string, copyOf[T]](copiesKept)
	if err != nil {
		return nil, fmt.Errorf("making the memory of documents: %w", err)
	}
	return &copies[T]{now: now, entries: entries}, nil
}

// fresh returns a copy that need not be asked for again.
func (c *copies[T]) fresh(address string) (T, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, _ := c.entries.Get(address)
	return entry.value, c.now().Before(entry.freshUntil)
}

// last returns a copy that is a day old at most, for when its host cannot be asked.
func (c *copies[T]) last(address string) (T, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, _ := c.entries.Get(address)
	return entry.value, c.now().Before(entry.fetchedAt.Add(longestFresh))
}

// put remembers a copy.
func (c *copies[T]) put(address string, value T, fresh time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.entries.Add(address, copyOf[T]{value: value, fetchedAt: now, freshUntil: now.Add(fresh), triedAt: now})
}

// before returns the copy there is, however old.
func (c *copies[T]) before(address string) (T, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, known := c.entries.Get(address)
	return entry.value, known && !entry.fetchedAt.IsZero()
}

// mayTry reports whether asking anew, for a reason somebody else gave, is not too soon.
func (c *copies[T]) mayTry(address string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, _ := c.entries.Get(address)
	return !c.now().Before(entry.triedAt.Add(askAgain))
}

// tried notes that the address is being asked.
func (c *copies[T]) tried(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, _ := c.entries.Get(address)
	entry.triedAt = c.now()
	c.entries.Add(address, entry)
}

// freshFor is how long an answer may be used without asking again (RFC 9111 §4.2), within our own
// bounds. Vary does not count: every request for a document is the same.
func freshFor(h http.Header, now time.Time) time.Duration {
	lifetime, said := lifetimeOf(h, now)
	if !said {
		return usualFresh
	}
	if age, err := strconv.ParseUint(h.Get("Age"), 10, 31); err == nil {
		lifetime -= time.Duration(age) * time.Second
	}
	return min(max(lifetime, shortestFresh), longestFresh)
}

func lifetimeOf(h http.Header, now time.Time) (lifetime time.Duration, said bool) {
	lifetime = longestFresh
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache", "private":
			return 0, true
		case "max-age", "s-maxage":
			// Of several the shortest; what is no number is none at all, and one too long is the longest.
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				seconds = 0
			}
			lifetime, said = min(lifetime, time.Duration(seconds)*time.Second), true
		}
	}
	if said || h.Get("Expires") == "" {
		return lifetime, said
	}
	expires, err := http.ParseTime(h.Get("Expires"))
	if err != nil {
		return 0, true // RFC 9111 §5.3: already over
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return expires.Sub(now), true
}
