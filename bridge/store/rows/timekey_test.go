package rows

import (
	"testing"
	"time"
)

// TestKeys_order: the time parts of keys sort as times do, and those beyond what they hold are at the ends.
func TestKeys_order(t *testing.T) {
	t.Parallel()
	times := []time.Time{
		{},
		time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Unix(-1, 5),
		time.Unix(0, 0),
		time.Unix(0, 1),
		time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC),
		time.Date(2026, 11, 2, 9, 30, 0, 1, time.UTC),
		time.Date(2026, 11, 2, 9, 30, 1, 0, time.UTC),
		time.Date(2250, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	for i := range times[:len(times)-1] {
		if OldestFirstKey(times[i]) >= OldestFirstKey(times[i+1]) {
			t.Errorf("%s does not sort before %s", times[i], times[i+1])
		}
		if NewestFirstKey(times[i]) <= NewestFirstKey(times[i+1]) {
			t.Errorf("%s does not sort after %s, newest first", times[i], times[i+1])
		}
	}
	for _, at := range times[1 : len(times)-1] {
		if got := TimeOfKey(OldestFirstKey(at)); !got.Equal(at) {
			t.Errorf("%s comes back as %s", at, got)
		}
	}
	for _, beyond := range []time.Time{times[0], times[len(times)-1]} {
		if at := TimeOfKey(OldestFirstKey(beyond)); Nanoseconds(at) != Nanoseconds(beyond) {
			t.Errorf("%s comes back as %s", beyond, at)
		}
	}
}

// TestAuditID_older: events whose ids begin with seconds, as they were written once, come after those of today.
func TestAuditID_older(t *testing.T) {
	t.Parallel()
	seconds := invert("\x80\x00\x00\x00" + "\x6b\x00\x00\x00") // of November 2026, as eight bytes
	if id := auditID(time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC), 1); id >= seconds {
		t.Errorf("%x does not come before %x", id, seconds)
	}
}
