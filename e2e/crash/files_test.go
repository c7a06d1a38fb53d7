package crash_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestServe_OP36_fileLimit: strangers hold more connections than the program may open files. It tells whoever
// comes that there is no place, and serves again when they let go.
func TestServe_OP36_fileLimit(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.child.start(t, "sh", "-c", `ulimit -n 256 && exec "$0"`)
	if !r.starts(t) {
		t.Fatalf("the program does not start with 256 files: %s", r.said)
	}
	h.client = h.Register(t)
	c := &connection{bridge: h.Bridge, client: h.client, code: h.Code(t, h.client, "person-0@example.com")}
	for range 3 {
		h.wantServed(t, c)
		var held strangers
		for range 400 {
			held.come(t, h.URL)
		}
		h.wantTurnedAway(t, &held)
		for _, conn := range held {
			_ = conn.Close()
		}
	}
	h.wantServed(t, c)
	r.stop(t)
}

// strangers are connections on which nothing is said.
type strangers []net.Conn

func (s *strangers) come(t *testing.T, url string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), patience)
	if err != nil {
		t.Fatal(err)
	}
	*s = append(*s, conn)
}

// wantTurnedAway wants to be told, soon, that there is no place. Only so many are told at a time. A place may be free
// yet: this test's own connections from before end when they like; the next stranger takes it.
func (h *house) wantTurnedAway(t *testing.T, held *strangers) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		res, err := client.Get(h.URL + "/oauth/jwks")
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		switch {
		case res.StatusCode == http.StatusOK:
			held.come(t, h.URL)
		case res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "":
			t.Fatalf("while there is no place it answers %d %v", res.StatusCode, res.Header)
		default:
			return
		}
	}
	t.Fatal("nobody is told that there is no place")
}

// wantServed wants the connection's next step to be taken as soon as the program has seen that the strangers are gone.
func (h *house) wantServed(t *testing.T, c *connection) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = c.next(false); err == nil {
			return
		}
	}
	t.Fatalf("after all have let go: %v", err)
}
