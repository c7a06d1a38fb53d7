package trinitytest

import "sync"

// crowd counts work in progress and, once told to, lets no more in and waits for the rest to leave.
// A sync.WaitGroup will not do: work may arrive while somebody is already waiting.
type crowd struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{} // closed when closed && inside == 0
}

func newCrowd() *crowd { return &crowd{empty: make(chan struct{})} }

// enter reports whether the work may begin; if so, leave must follow.
func (c *crowd) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.inside++
	return true
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inside--
	if c.closed && c.inside == 0 {
		close(c.empty)
	}
}

// closeAndWait is called at most once.
func (c *crowd) closeAndWait() {
	c.mu.Lock()
	c.closed = true
	if c.inside == 0 {
		close(c.empty)
	}
	c.mu.Unlock()
	<-c.empty
}
