package rows

import (
	"math"
	"slices"
	"testing"
	"time"
)

// TestAuditID_order: the newest events come first, the last of one instant before the others, and those of times beyond
// what an id holds at the ends.
func TestAuditID_order(t *testing.T) {
	t.Parallel()
	var ids []string
	for _, at := range []time.Time{
		{},
		time.Unix(-1, 5),
		time.Unix(0, 0),
		time.Unix(0, 1),
		time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC),
		time.Date(2026, 11, 2, 9, 30, 0, 1, time.UTC),
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		ids = append(ids, auditID(at, 1), auditID(at, 2))
	}
	slices.Reverse(ids)
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("%q are not in order", ids)
	}
	// Those whose ids begin with seconds, as they were written once, come after those of today.
	seconds := "\x7f\xff\xff\xff" + "\x94\xff\xff\xff" // of November 2026, as eight bytes
	if id := auditID(time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC), 1); id >= seconds {
		t.Errorf("%x does not come before %x", id, seconds)
	}
	for at, want := range map[time.Time]int64{{}: math.MinInt64, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC): math.MaxInt64} {
		if got := Nanoseconds(at); got != want {
			t.Errorf("%s is %d", at, got)
		}
	}
}
