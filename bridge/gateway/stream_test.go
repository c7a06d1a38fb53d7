package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

// feed is an upstream whose events a test sends one by one.
type feed struct {
	events  chan string   // what to send next; closed to end the answer
	started chan struct{} // a request has come
	gone    chan struct{} // its context has ended
	broken  atomic.Bool   // end it by cutting the connection
}

func newFeed(w *world) *feed {
	f := &feed{events: make(chan string), started: make(chan struct{}, 16), gone: make(chan struct{}, 16)}
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, _ string) {
		rw.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(rw).Flush()
		f.started <- struct{}{}
		for {
			select {
			case text, ok := <-f.events:
				if !ok {
					if f.broken.Load() {
						panic(http.ErrAbortHandler)
					}
					return
				}
				_, _ = io.WriteString(rw, text)
				_ = http.NewResponseController(rw).Flush()
			case <-r.Context().Done():
				f.gone <- struct{}{}
				return
			}
		}
	})
	return f
}

// reader reads a stream of events as far as a test wants.
type reader struct {
	t    *testing.T
	res  *http.Response
	buf  *bufio.Reader
	stop context.CancelFunc
}

func (w *world) stream(t *testing.T, method, body string, headers ...header) *reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	res := w.open(ctx, method, "/mcp", body, headers...)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %d", res.StatusCode)
	}
	t.Cleanup(func() { cancel(); _ = res.Body.Close() })
	return &reader{t: t, res: res, buf: bufio.NewReader(res.Body), stop: cancel}
}

// event reads up to the next blank line and leaves comments out.
func (r *reader) event() (string, error) {
	var event strings.Builder
	for {
		line, err := r.buf.ReadString('\n')
		if err != nil {
			return event.String(), err
		}
		if line == "\n" {
			return event.String(), nil
		}
		if !strings.HasPrefix(line, ":") {
			event.WriteString(line)
		}
	}
}

func (r *reader) wantEvent(want string) {
	r.t.Helper()
	if got, err := r.event(); err != nil || got != want {
		r.t.Fatalf("event %q (%v), want %q", got, err, want)
	}
}

// wantEnd wants a proper end of the answer.
func (r *reader) wantEnd() {
	r.t.Helper()
	if rest, err := r.event(); rest != "" || !errors.Is(err, io.EOF) {
		r.t.Fatalf("%q (%v), want the end", rest, err)
	}
}

func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("never happened: %s", what)
	}
}

// TestStream_GW33: each event arrives before the next is sent.
func TestStream_GW33_eachEventAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	f := newFeed(w)
	for _, method := range []string{"POST", "GET"} {
		r := w.stream(t, method, toolCall("chat_with_agent"), bearer(c.token))
		for i := range 5 {
			f.events <- fmt.Sprintf("id: %d\ndata: {\"n\":%d}\n\n", i, i)
			r.wantEvent(fmt.Sprintf("id: %d\ndata: {\"n\":%d}\n", i, i))
		}
		h := r.res.Header
		if h.Get("X-Accel-Buffering") != "no" || h.Get("Cache-Control") != "no-cache, no-transform, no-store, private" || h.Get("Content-Length") != "" || h.Get("Content-Encoding") != "" {
			t.Errorf("headers %v", h)
		}
		r.stop()
		if method == "GET" {
			within(t, "the upstream stream ends with the client's", f.gone)
		} else {
			f.events <- "data: unread\n\n"
		}
		w.upstream.answer(nil)
		f = newFeed(w)
	}
}

// TestStream_RS52: a silent stream gets its headers and a comment, and more comments later.
func TestStream_RS52_comments(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Limits.Prime, o.Limits.KeepAlive = time.Millisecond, 2*time.Millisecond })
	c := w.connect("alice")
	f := newFeed(w)
	r := w.stream(t, "GET", "", bearer(c.token)) // the upstream has sent nothing but headers
	for range 3 {
		if line, err := r.buf.ReadString('\n'); err != nil || line != ": ok\n" {
			t.Fatalf("%q (%v), want a comment", line, err)
		}
	}
	f.events <- "data: {\"half" // in the middle of a line nothing is put in
	time.Sleep(20 * time.Millisecond)
	f.events <- "\":1}\n\n"
	r.wantEvent("data: {\"half\":1}\n")
	close(f.events)
}

func TestStream_promptAnswersHaveNoComment(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	got := w.call(c, initialize).want(t, http.StatusOK)
	if !strings.HasPrefix(got.body, "event: message\n") {
		t.Errorf("body %q", got.body)
	}
}

// TestStream_GW35: who leaves withdraws a request in 2026-07-28, and does not before.
func TestStream_GW35_clientLeaves(t *testing.T) {
	t.Parallel()
	t.Run("modern", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		c := w.connect("alice")
		f := newFeed(w)
		call, headers := modern("tools/call", `"name":"chat_with_agent"`)
		r := w.stream(t, "POST", call, bearer(c.token), headers, header{"Mcp-Name": {"chat_with_agent"}})
		r.stop()
		within(t, "RS-50: the upstream's request ends", f.gone)
	})
	t.Run("modern, before the answer", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		c := w.connect("alice")
		arrived, gone := make(chan struct{}, 1), make(chan struct{}, 1)
		w.upstream.answer(func(_ http.ResponseWriter, r *http.Request, _ string) {
			arrived <- struct{}{}
			<-r.Context().Done()
			gone <- struct{}{}
		})
		call, headers := modern("tools/list", "")
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if res, err := w.server.Client().Do(w.request(ctx, "POST", "/mcp", call, bearer(c.token), headers)); err == nil {
				_ = res.Body.Close()
			}
		}()
		within(t, "the request arrives", arrived)
		cancel()
		within(t, "the upstream's request ends", gone)
	})
	t.Run("legacy", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		c := w.connect("alice")
		f := newFeed(w)
		r := w.stream(t, "POST", toolCall("chat_with_agent"), bearer(c.token))
		r.stop()
		for range 50 { // the work goes on and its events are read
			f.events <- "data: " + strings.Repeat("x", 10<<10) + "\n\n"
		}
		close(f.events)
		select {
		case <-f.gone:
			t.Error("the upstream's request was ended")
		default:
		}
	})
	t.Run("legacy, too long ago", func(t *testing.T) {
		t.Parallel()
		w := start(t, func(o *gateway.Options) { o.Limits.Recheck, o.Limits.Linger = 2*time.Millisecond, 5*time.Millisecond })
		c := w.connect("alice")
		f := newFeed(w)
		r := w.stream(t, "POST", toolCall("chat_with_agent"), bearer(c.token))
		r.stop()
		within(t, "the upstream's request ends", f.gone)
	})
}

// TestStream_GW36: an answer that breaks off is broken off, not ended.
func TestStream_GW36_upstreamBreaks(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	f := newFeed(w)
	f.broken.Store(true)
	r := w.stream(t, "POST", toolCall("chat_with_agent"), bearer(c.token))
	f.events <- "data: 1\n\n"
	r.wantEvent("data: 1\n")
	close(f.events)
	if _, err := r.event(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the answer ended as if it were complete: %v", err)
	}
	w.upstream.answer(func(rw http.ResponseWriter, _ *http.Request, _ string) {
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(rw, `{"jsonrpc"`)
	})
	res, err := w.server.Client().Do(w.request(t.Context(), "POST", "/mcp", ping, bearer(c.token)))
	if err == nil {
		defer func() { _ = res.Body.Close() }()
		_, err = io.ReadAll(res.Body)
	}
	if err == nil {
		t.Error("half a document came as a whole")
	}
}

// TestStream_slowReader: a client that takes nothing holds neither the upstream nor memory for long.
func TestStream_slowReader(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Limits.ReaderStall = 30 * time.Millisecond })
	c := w.connect("alice")
	ended := make(chan struct{}, 1)
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, _ string) {
		rw.Header().Set("Content-Type", "text/event-stream")
		event := "data: " + strings.Repeat("x", 64<<10) + "\n\n"
		for {
			if _, err := io.WriteString(rw, event); err != nil || r.Context().Err() != nil {
				ended <- struct{}{}
				return
			}
		}
	})
	_ = w.stream(t, "GET", "", bearer(c.token)) // and never read
	within(t, "the upstream's stream ends", ended)
}

// TestEcho_RS23: a key that the upstream sends back is gone from every kind of answer, and the alarm is raised.
func TestEcho_RS23(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	half := len(c.key) / 2
	tests := []struct {
		name   string
		status int
		serve  func(http.ResponseWriter, *http.Request, string)
	}{
		{"document", 200, status(200, "application/json", `{"jsonrpc":"2.0","id":1,"result":"`+c.key+`"}`)},
		{"error", 400, status(400, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"bad `+c.key+`"}}`)},
		{"two events", 200, func(rw http.ResponseWriter, _ *http.Request, _ string) {
			events(rw, "data: "+c.key+"\n\n")
			events(rw, "data: "+c.key[:half])
			time.Sleep(10 * time.Millisecond) // so that the halves come in two reads, as a rule
			events(rw, c.key[half:]+"\n\n")
		}},
	}
	for _, tt := range tests {
		w.upstream.answer(tt.serve)
		got := w.call(c, toolCall("list_agents")).want(t, tt.status)
		if strings.Contains(got.body, c.key[12:]) || !strings.Contains(got.body, "[redacted]***") {
			t.Errorf("%s: body %q", tt.name, got.body)
		}
		w.wantAudit(t, "credential_echoed redacted")
		if w.wantLogged(t, "level=ERROR"); strings.Contains(w.logs.String(), c.key) {
			t.Errorf("%s: log %s", tt.name, w.logs)
		}
	}
	w.upstream.answer(status(500, "text/plain", "boom "+c.key))
	if got := w.call(c, ping).want(t, http.StatusBadGateway); strings.Contains(got.body, "trinity_mcp_") {
		t.Errorf("body %q", got.body)
	}
}

// TestStream_noGoroutinesStay counts them before and after many streams of every end.
func TestStream_noGoroutinesStay(t *testing.T) { //nolint:paralleltest // it counts what the process runs
	transport := outbound.Transport()
	w := start(t, func(o *gateway.Options) { o.Transport = transport })
	c := w.connect("alice")
	w.call(c, ping).want(t, http.StatusOK)
	before := quiet(t, w.server.Client(), transport)
	for range 20 {
		f := newFeed(w)
		w.stream(t, "GET", "", bearer(c.token)).stop()
		within(t, "the upstream's request ends", f.gone)
		r := w.stream(t, "POST", toolCall("chat_with_agent"), bearer(c.token))
		f.events <- "data: 1\n\n"
		r.wantEvent("data: 1\n")
		close(f.events)
		r.wantEnd()
	}
	eventually(t, "goroutines back to where they were", func() bool { return goroutines(w.server.Client(), transport) <= before })
}

// TestStream_GW34: a stream lasts many times longer than whatever is timed on it, also in silence, in both versions of HTTP.
func TestStream_GW34_outlastsEveryTimeout(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const stall, comments = 500 * time.Millisecond, 40
			w := start(t, func(o *gateway.Options) {
				o.Limits = gateway.Limits{
					BodyIdle: stall, BodyTotal: stall, AnswerWithin: stall, CallWithin: time.Hour, Linger: stall, Recheck: stall / 10,
					StuckWithin: stall, ReaderStall: stall, Prime: time.Millisecond, KeepAlive: stall / 10, TokenSlack: stall,
				}
			})
			if secure {
				server := httptest.NewUnstartedServer(w.handler)
				server.EnableHTTP2 = true
				server.StartTLS()
				t.Cleanup(server.Close)
				w.server.Close()
				w.server = server
			}
			c := w.connect("alice")
			f := newFeed(w)
			r := w.stream(t, "POST", toolCall("chat_with_agent"), bearer(c.token))
			if r.res.Proto != name {
				t.Fatalf("the test speaks %s", r.res.Proto)
			}
			for n := range comments { // four times as long as each of the timeouts, which are long enough for a slow machine to write in
				if line, err := r.buf.ReadString('\n'); err != nil || line != ": ok\n" {
					t.Fatalf("after %d comments: %q, %v", n, line, err)
				}
			}
			f.events <- "data: at last\n\n"
			r.wantEvent("data: at last\n")
			close(f.events)
			r.wantEnd()
		})
	}
}
