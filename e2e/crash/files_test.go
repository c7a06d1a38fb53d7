package crash_test

import (
	"net"
	"strings"
	"testing"
	"time"
)

// TestServe_OP36_fileLimit: strangers hold every file the program may open. It lives, and serves again as
// soon as they let go.
func TestServe_OP36_fileLimit(t *testing.T) {
	t.Parallel()
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
