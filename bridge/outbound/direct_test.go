package outbound_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

// host is a server that answers as a script has it, one function per request of a connection.
type host struct {
	listener    net.Listener
	connections atomic.Int32
	requests    atomic.Int32
}

func newHost(t *testing.T, serve func(conn net.Conn, in *bufio.Reader, n int) bool) *host {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{listener: listener}
	var open sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		open.Wait()
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			h.connections.Add(1)
			open.Go(func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				for serve(conn, in, int(h.requests.Load())) {
					h.requests.Add(1)
				}
			})
		}
	}()
	return h
}

// take reads a whole request.
func take(in *bufio.Reader) (string, bool) {
	req, err := http.ReadRequest(in)
	if err != nil {
		return "", false
	}
	body, err := io.ReadAll(req.Body)
	return string(body), err == nil
}

// always answers each request with the same bytes, and goes on if more is true.
func always(answer string, more bool) func(net.Conn, *bufio.Reader, int) bool {
	return func(conn net.Conn, in *bufio.Reader, _ int) bool {
		if _, ok := take(in); !ok {
			return false
		}
		_, err := io.WriteString(conn, answer)
		return err == nil && more
	}
}

func (h *host) post(t *testing.T, ctx context.Context, d *outbound.Direct, body string, headers ...string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.listener.Addr().String()+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header[headers[i]] = []string{headers[i+1]}
	}
	res, err := d.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

func direct(t *testing.T) *outbound.Direct {
	t.Helper()
	d := &outbound.Direct{IdleFor: time.Minute}
	t.Cleanup(d.CloseIdleConnections)
	return d
}

const (
	hello   = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
)

// TestDirect_answers: what is an answer, what is none, and whether the connection is used again.
func TestDirect_answers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, answer string
		body         string // "" with no error is an empty answer
		fails        bool
		again        bool // the connection serves the next request
	}{
		{"content length", hello, "hello", false, true},
		{"chunks", chunked, "hello", false, true},
		{"nothing", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "", false, true},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", "", false, true},
		{"interim answers first", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + hello, "hello", false, true},
		{"to be closed", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "hello", false, false},
		{"an older server", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", false, false},
		{"more than it said", hello + "HTTP/1.1 200 OK\r\n", "hello", false, false},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "", true, false},
		{"nothing but interim answers", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 20), "", true, false},
		{"no HTTP", "hello\r\n\r\n", "", true, false},
		{"a header without an end", "HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", 1<<20), "", true, false},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, always(tt.answer, true))
			d := direct(t)
			for range 2 {
				_, body, err := h.post(t, t.Context(), d, "{}")
				if body != tt.body || (err != nil) != tt.fails {
					t.Fatalf("%q, %v", body, err)
				}
			}
			want := int32(2)
			if tt.again {
				want = 1
			}
			if got := h.connections.Load(); got != want {
				t.Errorf("%d connections, want %d", got, want)
			}
		})
	}
}

// TestDirect_untilClosed: an answer without a length ends with its connection; one that breaks off is an error.
func TestDirect_untilClosed(t *testing.T) {
	t.Parallel()
	for answer, whole := range map[string]bool{
		"HTTP/1.1 200 OK\r\n\r\nhello":                                     true,
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello":                false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello":  false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello":  false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\nhello":  false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello":      false,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX:\r\n y\r\n\r\nhel":      false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n": false,
	} {
		h := newHost(t, always(answer, false))
		_, body, err := h.post(t, t.Context(), direct(t), "{}")
		if (err == nil) != whole || whole && body != "hello" {
			t.Errorf("%q: %q, %v", answer, body, err)
		}
	}
}

// TestDirect_idle: a connection that was closed while idle is noticed before anything is sent on it; one that is closed
// on a request is not tried again, for the request may have been acted on (GW-36).
func TestDirect_idle(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 8)
	h := newHost(t, func(conn net.Conn, in *bufio.Reader, n int) bool {
		if _, ok := take(in); !ok || n == 2 {
			return false
		}
		_, _ = io.WriteString(conn, hello)
		if n == 0 {
			_ = conn.Close()
			closed <- struct{}{}
			return true
		}
		return true
	})
	d := direct(t)
	if _, body, err := h.post(t, t.Context(), d, "{}"); body != "hello" || err != nil {
		t.Fatal(body, err)
	}
	<-closed
	time.Sleep(10 * time.Millisecond) // until the end has crossed the loopback
	if _, body, err := h.post(t, t.Context(), d, "{}"); body != "hello" || err != nil {
		t.Fatal(body, err)
	}
	if got := h.connections.Load(); got != 2 {
		t.Fatalf("%d connections, want 2", got)
	}
	if _, _, err := h.post(t, t.Context(), d, "{}"); err == nil {
		t.Error("a request without an answer was answered")
	}
	if got := h.connections.Load(); got != 2 {
		t.Errorf("the request was sent again: %d connections", got)
	}
}

// TestDirect_IdleFor: connections go when they have been idle for that long.
func TestDirect_IdleFor(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 1)
	h := newHost(t, func(conn net.Conn, in *bufio.Reader, _ int) bool {
		if _, ok := take(in); !ok {
			gone <- struct{}{}
			return false
		}
		_, err := io.WriteString(conn, hello)
		return err == nil
	})
	d := &outbound.Direct{IdleFor: 20 * time.Millisecond}
	if _, _, err := h.post(t, t.Context(), d, "{}"); err != nil {
		t.Fatal(err)
	}
	<-gone
}

// TestDirect_ended: whoever gives up does not wait for the server, wherever it stands.
func TestDirect_ended(t *testing.T) {
	t.Parallel()
	for _, sent := range []string{"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"} {
		seen := make(chan struct{})
		h := newHost(t, func(conn net.Conn, in *bufio.Reader, _ int) bool {
			if _, ok := take(in); !ok {
				return false
			}
			_, _ = io.WriteString(conn, sent)
			close(seen)
			_, _ = in.ReadByte() // until the client is gone
			return false
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-seen
			cancel()
		}()
		if _, _, err := h.post(t, ctx, direct(t), "{}"); err == nil {
			t.Errorf("%q: no error", sent)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := newHost(t, always(hello, true))
	if _, _, err := h.post(t, ctx, direct(t), "{}"); err == nil || h.requests.Load() != 0 {
		t.Errorf("who had left was served: %v", err)
	}
}

// TestDirect_largeBody: a body of any size arrives, and a server need not read it before it answers.
func TestDirect_largeBody(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(conn net.Conn, in *bufio.Reader, _ int) bool {
		body, ok := take(in)
		if !ok {
			return false
		}
		_, err := conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + body[len(body)-1:]))
		return err == nil
	})
	d := direct(t)
	for _, size := range []int{1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 8 << 20} {
		if _, body, err := h.post(t, t.Context(), d, strings.Repeat("x", size-1)+"e"); body != "e" || err != nil {
			t.Errorf("%d bytes: %q, %v", size, body, err)
		}
	}
	if got := h.connections.Load(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
	hasty := newHost(t, func(conn net.Conn, in *bufio.Reader, _ int) bool {
		if _, err := in.Peek(1); err != nil {
			return false
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, in) // the client hangs up
		return false
	})
	status, body, err := hasty.post(t, t.Context(), d, strings.Repeat("x", 8<<20))
	if status != http.StatusRequestEntityTooLarge || body != "no" || err != nil {
		t.Errorf("%d %q, %v", status, body, err)
	}
}

// TestDirect_RS14: nothing in a request ends its line early, whoever let it pass.
func TestDirect_RS14_lines(t *testing.T) {
	t.Parallel()
	h := newHost(t, always(hello, true))
	d := direct(t)
	for _, headers := range [][]string{
		{"X", "a\r\nHost: evil.example"}, {"X", "a\nb"}, {"X", "a\x00b"}, {"X\r\nY", "a"}, {"X\n", "a"},
	} {
		if _, _, err := h.post(t, t.Context(), d, "{}", headers...); err == nil {
			t.Errorf("%q was sent", headers)
		}
	}
	if got := h.requests.Load(); got != 0 {
		t.Errorf("%d requests arrived", got)
	}
	for _, edit := range []func(*http.Request){
		func(r *http.Request) { r.Host = "a\r\nX: y" },
		func(r *http.Request) { r.URL.Scheme = "https" },
		func(r *http.Request) { r.ContentLength = -1 },
		func(r *http.Request) { r.Body = io.NopCloser(bytes.NewReader(nil)) }, // shorter than it says
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+h.listener.Addr().String(), strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		edit(req)
		res, err := d.RoundTrip(req)
		if err == nil {
			_ = res.Body.Close()
			t.Error("it was sent")
		}
	}
}

// TestDirect_unreachable: the error says that it was dialling, which tells a server that is down from one that failed.
func TestDirect_unreachable(t *testing.T) {
	t.Parallel()
	h := newHost(t, always(hello, true))
	_ = h.listener.Close()
	_, _, err := h.post(t, t.Context(), direct(t), "{}")
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("error %v", err)
	}
}

// TestDirect_manyAtOnce: answers go to who asked, over connections that are shared in time alone.
func TestDirect_manyAtOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(conn net.Conn, in *bufio.Reader, _ int) bool {
		body, ok := take(in)
		if !ok {
			return false
		}
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n"+body+"\r\n0\r\n\r\n")
		return err == nil
	})
	d := direct(t)
	var group sync.WaitGroup
	for worker := range 32 {
		group.Go(func() {
			for n := range 50 {
				want := string(rune('A'+worker)) + strings.Repeat(string(rune('a'+n%26)), 7)
				ctx, cancel := context.WithCancel(t.Context())
				if _, body, err := h.post(t, ctx, d, want); body != want || err != nil {
					t.Errorf("%q, %v, want %q", body, err, want)
				}
				cancel()
			}
		})
	}
	group.Wait()
	if got := h.connections.Load(); got > 40 {
		t.Errorf("%d connections for 32 at a time", got)
	}
}
