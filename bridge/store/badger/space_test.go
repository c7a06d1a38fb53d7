package badger

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRoom_OP05_plenty: each write asks for the free space but those right after one that found plenty.
func TestRoom_OP05_plenty(t *testing.T) {
	t.Parallel()
	const floor = 100 << 20
	for name, tt := range map[string]struct {
		free       uint64
		questions  int // of three at once
		afterwards int
		good       bool
	}{
		"plenty":          {plentyFloors * floor, 1, 2, true},
		"enough":          {plentyFloors*floor - 1, 6, 8, true},
		"below the floor": {floor - 1, 6, 8, false},
		"nothing (OP-05)": {0, 6, 8, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				r := &room{opts: Options{FreeSpaceFloor: floor, freeSpace: func(string) (uint64, error) { asked++; return tt.free, nil }}}
				check := func() {
					if err := r.check(); (err == nil) != tt.good {
						t.Errorf("got %v", err)
					}
				}
				for range 3 {
					check()
				}
				if asked != tt.questions {
					t.Errorf("three writes asked %d times, want %d", asked, tt.questions)
				}
				time.Sleep(plentyFor)
				if check(); asked != tt.afterwards {
					t.Errorf("and one that came later made it %d, want %d", asked, tt.afterwards)
				}
			})
		})
	}
}
