package bridge_test

import (
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// TestNow: whole milliseconds, by the machine's clock and by the one that nobody sets.
func TestNow(t *testing.T) {
	t.Parallel()
	before := time.Now()
	now := bridge.Now()
	if now.Nanosecond()%int(time.Millisecond) != 0 || before.Sub(now) >= time.Millisecond || now.After(time.Now()) {
		t.Errorf("after %s it is %s", before, now)
	}
	if !strings.Contains(now.String(), " m=") { // as times say that have the second clock, too
		t.Errorf("%s has one clock", now)
	}
}
