package crash_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestServe_OP36_fileLimit: strangers hold more connections than the program may open files. It tells whoever
// comes that there is no place, and serves again as soon as they let go.
//
// It is not parallel: beside the tests that kill programs it saw 200 now and then, after the strangers had been let go.
func TestServe_OP36_fileLimit(t *testing.T) {
	h := newHouse(t)
	r := h.child.start(t, "sh", "-c", `ulimit -n 256 && exec "$0"`)
	if !<-r.ready {
		t.Fatalf("the program does not start with 256 files: %s", r.said)
	}
	h.client = h.Register(t)
	c := &connection{bridge: h.Bridge, client: h.client, code: h.Code(t, h.client, "person-0@example.com")}
	for range 3 {
		if err := c.next(false); err != nil {
			t.Fatal(err)
		}
		var held []net.Conn
		for range 400 {
			conn, err := net.DialTimeout("tcp", strings.TrimPrefix(h.URL, "http://"), time.Second)
			if err != nil {
				break // the queue of connections that wait is full, too
			}
			held = append(held, conn)
		}
		h.wantTurnedAway(t)
		if len(held) < 256 {
			t.Fatalf("only %d connections could be held, so this tests nothing", len(held))
		}
		for _, conn := range held {
			_ = conn.Close()
		}
	}
	if err := c.next(false); err != nil {
		t.Errorf("after all have let go: %v", err)
	}
	r.stop(t)
}

// wantTurnedAway wants to be told, soon, that there is no place. So many are told at a time, and more are closed; before
// the strangers have come in there may be a place still.
func (h *house) wantTurnedAway(t *testing.T) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	last := 0
	for range 500 {
		if res, err := client.Get(h.URL + "/oauth/jwks"); err == nil {
			_ = res.Body.Close()
			if last = res.StatusCode; last == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != "" {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("while there is no place it answers %d", last)
}
