// Package clocktest is the clock that tests hand to what they test: time passes when the test says so.
package clocktest

import (
	"context"
	"sync"
	"time"
)

// A Clock stands still until it is moved. Make one with At.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// At is a clock that shows this time.
func At(now time.Time) *Clock { return &Clock{now: now} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock, back if d is less than nothing.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Follow moves the clock along with the machine's until ctx ends, for counterparts that have no other clock. It never
// goes back.
func (c *Clock) Follow(ctx context.Context) {
	go func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				c.mu.Lock()
				if now.After(c.now) {
					c.now = now
				}
				c.mu.Unlock()
			}
		}
	}()
}
