package oauth

import (
	"sync"
	"time"
)

const (
	// goodFor is how long Trinity's good word on a grant stands: Claude refreshes from two addresses at once and
	// repeats answers that were lost, and one question does for what comes in the same second. Access tokens
	// live for an hour, and the gateway asks once a minute.
	goodFor = time.Second
	// mostGood bounds the memory.
	mostGood = 8192
)

// lately remembers which grants were good in this second. The zero value remembers none.
type lately struct {
	mu    sync.Mutex
	since time.Time
	good  map[string]bool
}

func (l *lately) has(grantID string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	age := now.Sub(l.since)
	return l.good[grantID] && age >= 0 && age < goodFor
}

func (l *lately) add(grantID string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if age := now.Sub(l.since); age < 0 || age >= goodFor || len(l.good) >= mostGood {
		l.since, l.good = now, map[string]bool{}
	}
	l.good[grantID] = true
}
