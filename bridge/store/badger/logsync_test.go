package badger

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// TestLogSync_followsTheLogs: what was committed lies in the log that is synced, however often the engine takes
// a new one.
func TestLogSync_followsTheLogs(t *testing.T) {
	t.Parallel()
	if !syncsItself {
		t.Skip("the engine syncs its logs itself")
	}
	dir := t.TempDir()
	s := openClosed(t, Options{Dir: dir})
	first := s.synced.number
	flow := flowNamed("")
	flow.Exit = bytes.Repeat([]byte("x"), 100<<10)
	for i := 0; s.synced.number < first+2; i++ {
		flow.ID = fmt.Sprint("flow-", i)
		must(t, s.CreateFlow(t.Context(), flow))
		logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
		must(t, err)
		if newest := slices.Max(logs); s.synced.file.Name() != newest {
			t.Fatalf("%s is synced, and written was to %s", s.synced.file.Name(), newest)
		}
	}
}
