package badger

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// TestTimeKey_order: times sort in keys as they do, those beyond what a key holds at the ends, and those of a millisecond as
// one.
func TestTimeKey_order(t *testing.T) {
	t.Parallel()
	oldest, newest := rows.Index{Order: rows.OldestFirst}, rows.Index{Order: rows.NewestFirst}
	times := []time.Time{
		time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC),
		{},
		time.Unix(-1, 5e6),
		time.Unix(0, 0),
		time.Unix(0, 1e6),
		time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC),
		time.Date(2026, 11, 2, 9, 30, 0, 1e6, time.UTC),
		time.Date(2026, 11, 2, 9, 30, 1, 0, time.UTC),
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	for i, at := range times {
		if i > 0 && (timePart(oldest, times[i-1]) >= timePart(oldest, at) || timePart(newest, times[i-1]) <= timePart(newest, at)) {
			t.Errorf("%s does not sort before %s", times[i-1], at)
		}
		key := timePart(oldest, at)
		if again := timePart(oldest, timeOf(key)); again != key || len(key) != timeBytes {
			t.Errorf("%s comes back as %s", at, timeOf(key))
		}
		if i == 0 || i == len(times)-1 {
			continue
		}
		if got := timeOf(key); !got.Equal(at) {
			t.Errorf("%s comes back as %s", at, got)
		}
		within := at.Add(time.Millisecond - 1)
		if timePart(oldest, within) != key || timePart(newest, within) != timePart(newest, at) {
			t.Errorf("%s is not of the same millisecond as %s", within, at)
		}
	}
}

// TestTurned: ids that begin with a time sort as the places of that time do, and come back.
func TestTurned(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{time.UnixMilli(0), time.Date(2026, 11, 2, 9, 30, 0, 1, time.UTC), time.Date(6000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		id := string(bridge.BytesOf(bridge.GrantID(at, rand.Text())))
		if got := turned(id); got[:timeBytes] != timePart(rows.IndexGrants, at) || got[timeBytes:] != id[timeBytes:] || turned(got) != id {
			t.Errorf("%x of %s is turned to %x", id, at, got)
		}
	}
}
