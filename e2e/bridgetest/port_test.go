package bridgetest

import "testing"

func TestFreePort(t *testing.T) {
	t.Parallel()
	const lastBlocked = 10_080
	given := map[int]bool{}
	for range 500 {
		port := FreePort(t)
		if given[port] {
			t.Errorf("port %d was given out twice", port)
		}
		given[port] = true
		if port <= lastBlocked {
			t.Errorf("port %d may be one that fetch refuses", port)
		}
	}
}
