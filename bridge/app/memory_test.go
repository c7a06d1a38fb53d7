package app

import "testing"

func TestMemory_worthGivingBack(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, test := range map[string]struct {
		before, now memory
		want        bool
	}{
		"nothing is known":         {memory{}, memory{}, false},
		"garbage":                  {memory{cycles: 3}, memory{cycles: 3, objects: 14 * mib, live: 10 * mib}, true},
		"little garbage":           {memory{cycles: 3}, memory{cycles: 3, objects: 13 * mib, live: 10 * mib}, false},
		"kept from before":         {memory{cycles: 3}, memory{cycles: 3, objects: 10 * mib, live: 10 * mib, free: 4 * mib}, true},
		"some of both":             {memory{cycles: 3}, memory{cycles: 3, objects: 12 * mib, live: 10 * mib, free: 2 * mib}, true},
		"in use while it is swept": {memory{cycles: 3}, memory{cycles: 3, objects: 9 * mib, live: 10 * mib}, false},
		"at work":                  {memory{cycles: 3}, memory{cycles: 4, objects: 90 * mib, live: 10 * mib, free: 90 * mib}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.now.worthGivingBack(test.before); got != test.want {
				t.Errorf("%v", got)
			}
		})
	}
}
