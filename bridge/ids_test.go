package bridge_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
)

func TestBitsOf(t *testing.T) {
	t.Parallel()
	id, err := bridge.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := bridge.BitsOf(id)
	if !ok || bridge.IDOf(raw) != id {
		t.Errorf("%s came back as %s, %t", id, bridge.IDOf(raw), ok)
	}
	for name, other := range map[string]string{
		"empty":          "",
		"upper case":     strings.ToUpper(id[:25]) + "A",
		"short":          id[:25],
		"long":           id + "a",
		"bits left over": id[:25] + "b",
		"a line end":     id[:24] + "\n" + id[25:],
		"not its letter": id[:25] + "1",
	} {
		if raw, ok := bridge.BitsOf(other); ok {
			t.Errorf("%s: %q is taken for the identifier of %x", name, other, raw)
		}
	}
}
