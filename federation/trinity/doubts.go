package trinity

import (
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/abilityai/trinity-bridge/bridge"
)

// maxDoubts is how many grants a silence of their own is remembered for. A silence of Trinity
// altogether needs no room.
const maxDoubts = 4096

// doubts knows since when Trinity has not said what a key is worth: about one grant, and about any
// at all. Within the grace not knowing is as good as a yes, so that an outage throws nobody out.
type doubts struct {
	grace time.Duration

	mu     sync.Mutex
	silent time.Time // zero while Trinity answers
	since  *lru.Cache[string, time.Time]
}

func newDoubts(grace time.Duration) *doubts {
	since, err := lru.New[string, time.Time](maxDoubts)
	if err != nil {
		panic(fmt.Sprintf("a memory of constant size: %v", err))
	}
	return &doubts{grace: grace, since: since}
}

// judge makes of an answer about something what it means now.
func (d *doubts) judge(about string, standing bridge.Standing, now time.Time) bridge.Standing {
	d.mu.Lock()
	defer d.mu.Unlock()
	if standing != bridge.StandingUnknown {
		d.silent = time.Time{}
		d.since.Remove(about)
		return standing
	}
	if d.silent.IsZero() {
		d.silent = now
	}
	began, known := d.since.Get(about)
	if !known {
		began = now
		d.since.Add(about, now)
	}
	if d.silent.Before(began) {
		began = d.silent
	}
	if now.Sub(began) >= d.grace {
		return bridge.StandingOverdue
	}
	return bridge.StandingUnknown
}
