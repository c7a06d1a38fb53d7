package gateway

import (
	"bytes"
	"strings"
	"testing"
)

const redactKey = "trinity_mcp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// pump runs text through a redactor in chunks of the given sizes, round and round, with a buffer as small as
// it may be.
func pump(text string, sizes []int) (string, int) {
	r := redactor{secret: []byte(redactKey)}
	buf := make([]byte, 4*len(redactKey))
	var out bytes.Buffer
	for i := 0; ; i++ {
		n := copy(buf[r.held:min(len(buf), r.held+sizes[i%len(sizes)])], text)
		text = text[n:]
		out.Write(r.clean(buf[:r.held+n], text == ""))
		if text == "" {
			return out.String(), r.found
		}
		r.keep(buf)
	}
}

func TestRedactor_RS23_anyChunks(t *testing.T) {
	t.Parallel()
	mask := "[redacted]" + strings.Repeat("*", len(redactKey)-len("[redacted]"))
	tests := []struct {
		name, text, want string
		found            int
	}{
		{"nothing", "", "", 0},
		{"none", "hello, trinity", "hello, trinity", 0},
		{"alone", redactKey, mask, 1},
		{"inside", `{"error":"bad key ` + redactKey + `"}`, `{"error":"bad key ` + mask + `"}`, 1},
		{"twice in a row", redactKey + redactKey, mask + mask, 2},
		{"cut short", "x" + redactKey[:54], "x" + redactKey[:54], 0},
		{"one letter other", redactKey[:54] + "B", redactKey[:54] + "B", 0},
		{"its beginning before it", redactKey[:30] + redactKey, redactKey[:30] + mask, 1},
		{"after many beginnings", strings.Repeat("trinity_mcp_t", 20) + redactKey, strings.Repeat("trinity_mcp_t", 20) + mask, 1},
		{"longer than it", redactKey + "A", mask + "A", 1},
	}
	for _, tt := range tests {
		for _, sizes := range [][]int{{1}, {2}, {3, 1}, {54}, {55}, {56}, {7, 53, 1}, {200}} {
			got, found := pump(tt.text, sizes)
			if got != tt.want || found != tt.found {
				t.Errorf("%s in chunks of %v: %q (%d found), want %q (%d)", tt.name, sizes, got, found, tt.want, tt.found)
			}
		}
	}
}

// TestRedactor_wholeEventsNeverWait: what ends with a line end cannot be the beginning of a key.
func TestRedactor_wholeEventsNeverWait(t *testing.T) {
	t.Parallel()
	r := redactor{secret: []byte(redactKey)}
	for _, event := range []string{"data: trinity_mcp_\n\n", ": keepalive\n\n", "data: t\r\n\r\n"} {
		if got := r.clean([]byte(event), false); string(got) != event {
			t.Errorf("%q: only %q was sent", event, got)
		}
	}
}

func FuzzRedactor(f *testing.F) {
	f.Add("a"+redactKey+"b", byte(3), byte(50))
	f.Add(redactKey[:20]+redactKey, byte(1), byte(1))
	f.Fuzz(func(t *testing.T, text string, a, b byte) {
		mask := "[redacted]" + strings.Repeat("*", len(redactKey)-len("[redacted]"))
		want := strings.ReplaceAll(text, redactKey, mask)
		if got, _ := pump(text, []int{int(a) + 1, int(b) + 1}); got != want {
			t.Fatalf("%q became %q, want %q", text, got, want)
		}
	})
}
