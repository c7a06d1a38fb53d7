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
		if i := strings.Index(output, value); i >= 0 {
			start := max(0, i-200)
			t.Errorf("OP-30: %s shows a secret (%.12s…) after: %s", where, value, output[start:i])
		}
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bridge.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
