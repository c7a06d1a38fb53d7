package rows

import (
	"testing"
	"time"
)

// TestKeys_order: the time parts of keys sort as times do, over every length a configuration may name.
func TestKeys_order(t *testing.T) {
	t.Parallel()
	times := []time.Time{
		{},
		time.Unix(-1, 5),
		time.Unix(0, 0),
		time.Unix(0, 1),
		time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC),
		time.Date(2026, 11, 2, 9, 30, 0, 1, time.UTC),
		time.Date(2026, 11, 2, 9, 30, 1, 0, time.UTC),
		time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	for _, at := range times {
		if got := TimeOfKey(OldestFirstKey(at)); !got.Equal(at) {
			t.Errorf("%s comes back as %s", at, got)
		}
	}
	for i := range times[:len(times)-1] {
		if OldestFirstKey(times[i]) >= OldestFirstKey(times[i+1]) {
			t.Errorf("%s does not sort before %s", times[i], times[i+1])
		}
		if NewestFirstKey(times[i]) <= NewestFirstKey(times[i+1]) {
			t.Errorf("%s does not sort after %s, newest first", times[i], times[i+1])
		}
	}
}
