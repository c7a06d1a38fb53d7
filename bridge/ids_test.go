package bridge_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

func TestBytesOf(t *testing.T) {
	t.Parallel()
	id, err := bridge.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	grant := bridge.GrantID(time.Now(), id)
	for id, n := range map[string]int{id: bridge.IDBytes, grant: bridge.GrantIDBytes} {
		if raw := bridge.BytesOf(id); len(raw) != n || bridge.IDOf(raw) != id {
			t.Errorf("%s came back as %x, %s", id, raw, bridge.IDOf(raw))
		}
	}
	for name, other := range map[string]string{
		"empty":              "",
		"upper case":         strings.ToUpper(id[:25]) + "A",
		"short":              id[:25],
		"long":               id + "a",
		"bits left over":     id[:25] + "b",
		"a line end":         id[:24] + "\n" + id[25:],
		"not its letter":     id[:25] + "1",
		"a grant's, short":   grant[:15],
		"a grant's, long":    grant + "a",
		"a grant's, another": grant[:15] + "0",
	} {
		if raw := bridge.BytesOf(other); raw != nil {
			t.Errorf("%s: %q is taken for the identifier of %x", name, other, raw)
		}
	}
}

// TestGrantID: identifiers of grants sort by the time they say, to the millisecond.
func TestGrantID(t *testing.T) {
	t.Parallel()
	last := ""
	for _, created := range []time.Time{
		{}, time.UnixMilli(1), time.Date(2026, 11, 2, 9, 30, 0, 999_999, time.UTC), time.Date(2026, 11, 2, 9, 30, 0, 1e6, time.UTC),
	} {
		id := bridge.GrantID(created, "a flow")
		if id != bridge.GrantID(created, "a flow") || id == bridge.GrantID(created, "another") {
			t.Errorf("%s: %s is not the flow's alone", created, id)
		}
		raw := bridge.BytesOf(id)
		if said, ok := bridge.GrantTime(id); !ok || said.UnixMilli() != max(0, created.UnixMilli()) {
			t.Errorf("%s: it says %s, %t", created, said, ok)
		}
		if string(raw) <= last {
			t.Errorf("%s does not sort behind the one before", created)
		}
		last = string(raw)
	}
	for _, id := range []string{"", "abcdefghijklmnopqrstuvwxya", "client"} {
		if said, ok := bridge.GrantTime(id); ok {
			t.Errorf("%q says %s", id, said)
		}
	}
}
