package bridgetest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// canaries are the secrets seen during a test.
type canaries struct {
	mu     sync.Mutex
	values []string
}

func (c *canaries) add(values ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, value := range values {
		if len(value) >= 6 { // a shorter one would be found by chance
			c.values = append(c.values, value)
		}
	}
}

// scan fails the test when an output shows a canary (I4, OP-30).
func (c *canaries) scan(t *testing.T, where, output string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, value := range c.values {
		if i := find(output, value); i >= 0 {
			start := max(0, i-200)
			t.Errorf("OP-30: %s shows a secret (%.12s…) after: %s", where, value, output[start:i])
		}
	}
}

// find is strings.Index, but a value of digits alone, such as a sign-in code, has to stand by
// itself: any six digits are in some time stamp by chance.
func find(output, value string) int {
	digits := strings.Trim(value, "0123456789") == ""
	for from := 0; ; {
		i := strings.Index(output[from:], value)
		if i < 0 {
			return -1
		}
		start, end := from+i, from+i+len(value)
		if !digits || !continues(output, start-1) && !continues(output, end) {
			return start
		}
		from = start + 1
	}
}

func continues(output string, i int) bool {
	return i >= 0 && i < len(output) && (output[i] >= '0' && output[i] <= '9' || output[i] == '.')
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bridge.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
