package badger

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

// TestStore_unmapTables: tables that were read do not count as memory for good, and what is in them is read as before,
// also while tables are merged away. It runs alone: beside tests that map much the store gives its tables back by itself.
func TestStore_unmapTables(t *testing.T) { //nolint:paralleltest // see above
	s := openClosed(t, Options{Dir: t.TempDir()})
	exit := bytes.Repeat([]byte("x"), 96<<10)
	var mu sync.Mutex
	var all []string
	write := func() {
		inParallelT(t, 16, 300, func() {
			flow := flowNamed(storetest.RandomID())
			flow.Exit = exit
			must(t, s.CreateFlow(t.Context(), flow))
			mu.Lock()
			defer mu.Unlock()
			all = append(all, flow.ID)
		})
	}
	write()
	must(t, s.db.Flatten(1))
	read := func(some int) {
		for _, id := range all[:some] {
			if !hasFlow(t, s, id) {
				t.Errorf("the flow %s is gone", id)
			}
		}
	}
	read(len(all))
	before := mappedOfTables(t, s)
	must(t, s.unmapTables())
	if after := mappedOfTables(t, s); before < 10<<20 || after > before/10 {
		t.Errorf("%d bytes of tables counted as memory, %d after they were given back", before, after)
	}
	write() // what comes into tables above the others
	merged := make(chan error)
	go func() { merged <- s.db.Flatten(1) }()
	for merging := true; merging; {
		select {
		case err := <-merged:
			must(t, err)
			merging = false
		default:
		}
		must(t, s.unmapTables())
		read(10)
	}
	read(len(all))
}

// mappedOfTables is how many bytes of the store's tables count as the process's memory.
func mappedOfTables(t *testing.T, s *Store) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/smaps")
	must(t, err)
	total, ours := 0, false
	for line := range strings.Lines(string(maps)) {
		if first, _, _ := strings.Cut(line, " "); strings.Contains(first, "-") { // its addresses: a mapping begins
			ours = strings.Contains(line, s.opts.Dir+"/") && strings.HasSuffix(line, ".sst\n")
		}
		var kib int
		if _, err := fmt.Sscanf(line, "Rss: %d kB", &kib); err == nil && ours {
			total += kib << 10
		}
	}
	return total
}
