package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/gateway"
)

// flood answers with head and then with text again and again, until the request ends or limit bytes
// are written. It says on ended how many there were.
func flood(contentType, head, text string, limit int, ended chan<- int) func(http.ResponseWriter, *http.Request, string) {
	return func(rw http.ResponseWriter, r *http.Request, _ string) {
		rw.Header().Set("Content-Type", contentType)
		written, err := io.WriteString(rw, head)
		for err == nil && r.Context().Err() == nil && written < limit {
			var n int
			n, err = io.WriteString(rw, text)
			written += n
		}
		ended <- written
	}
}

// TestStream_RS48_oversized: a message without an end is broken off, and so is what goes on upstream.
func TestStream_RS48_oversized(t *testing.T) {
	t.Parallel()
	const limit, far = 256 << 10, 1 << 30
	tests := map[string]struct {
		method, contentType, head, text string
	}{
		"one line":                   {"POST", "text/event-stream", "data: 1\n\ndata: ", strings.Repeat("x", 1<<10)},
		"one event of many lines":    {"POST", "text/event-stream", "data: 1\n\n", "data: " + strings.Repeat("x", 1<<10) + "\n"},
		"one event with CRLF":        {"POST", "text/event-stream", "data: 1\r\n\r\n", "data: x\r\n"},
		"one event of a GET stream":  {"GET", "text/event-stream", "data: 1\n\n", "data: x\n"},
		"one document":               {"POST", "application/json", `{"jsonrpc":"2.0","id":1,"result":"`, strings.Repeat("x", 1<<10)},
		"nothing but empty comments": {"POST", "text/event-stream", "data: 1\n\n", ":\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(o *gateway.Options) { o.Limits.MessageBytes = limit })
			c := w.connect("alice")
			ended := make(chan int, 1)
			w.upstream.answer(flood(tt.contentType, tt.head, tt.text, far, ended))
			r := w.stream(t, tt.method, toolCall("chat_with_agent"), bearer(c.token))
			got, err := io.Copy(io.Discard, r.res.Body)
			if err == nil || got > limit+64<<10 {
				t.Errorf("%d bytes came and ended with %v, want about %d and then a broken connection", got, err, limit)
			}
			if n := <-ended; n >= far {
				t.Error("the upstream was read to its end")
			}
			w.wantLogged(t, "larger than any client")
		})
	}
}

// TestStream_RS48_announced: a document that says itself that it is too large is refused in words.
func TestStream_RS48_announced(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Limits.MessageBytes = 64 })
	c := w.connect("alice")
	w.upstream.answer(status(200, "application/json", `{"jsonrpc":"2.0","id":1,"result":"`+strings.Repeat("x", 64)+`"}`, "Content-Length", "100"))
	w.call(c, ping).want(t, http.StatusBadGateway)
}

// TestStream_RS48_manyEvents: neither the length of a stream nor its pace is bounded, only one event is.
func TestStream_RS48_manyEvents(t *testing.T) {
	t.Parallel()
	const events = 20_000
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(o *gateway.Options) { o.Limits.MessageBytes = 1 << 10 })
			c := w.connect("alice")
			w.upstream.answer(func(rw http.ResponseWriter, _ *http.Request, _ string) {
				rw.Header().Set("Content-Type", "text/event-stream")
				for i := range events {
					_, _ = fmt.Fprintf(rw, "id: %d%sdata: {}%s%s", i, end, end, end)
				}
			})
			r := w.stream(t, "POST", toolCall("chat_with_agent"), bearer(c.token))
			all, err := io.ReadAll(r.res.Body)
			if n := strings.Count(string(all), "data: {}"+end+end); err != nil || n != events {
				t.Errorf("%d events (%v), want %d", n, err, events)
			}
		})
	}
}

// TestStream_RS48_stuck: the rest of a line or a document that does not come is not waited for without end …
func TestStream_RS48_stuck(t *testing.T) {
	t.Parallel()
	impatient := func(o *gateway.Options) {
		o.Limits.Recheck, o.Limits.StuckWithin = 2*time.Millisecond, 10*time.Millisecond
	}
	for name, contentType := range map[string]string{"line": "text/event-stream", "document": "application/json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, impatient)
			c := w.connect("alice")
			gone := make(chan struct{})
			w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, _ string) {
				rw.Header().Set("Content-Type", contentType)
				_, _ = io.WriteString(rw, `data: {"half`)
				_ = http.NewResponseController(rw).Flush()
				<-r.Context().Done()
				close(gone)
			})
			res, err := w.server.Client().Do(w.request(t.Context(), "POST", "/mcp", toolCall("chat_with_agent"), bearer(c.token)))
			if err == nil { // the head of a document leaves with its first bytes
				_, err = io.ReadAll(res.Body)
				_ = res.Body.Close()
			}
			if err == nil {
				t.Error("half an answer ended as if it were complete")
			}
			within(t, "the upstream's request ends", gone)
			w.wantLogged(t, "level=WARN", "in the middle of its answer")
		})
	}
}

// … while silence between events is ordinary: the bridge fills it with comments of its own.
func TestStream_RS48_silence(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) {
		o.Limits.Recheck, o.Limits.StuckWithin = time.Millisecond, time.Millisecond
		o.Limits.Prime, o.Limits.KeepAlive = time.Millisecond, 5*time.Millisecond
	})
	c := w.connect("alice")
	f := newFeed(w)
	r := w.stream(t, "POST", toolCall("chat_with_agent"), bearer(c.token))
	for range 10 { // much longer than StuckWithin
		if line, err := r.buf.ReadString('\n'); err != nil || line != ": ok\n" {
			t.Fatalf("%q (%v), want a comment", line, err)
		}
	}
	f.events <- "data: 1\n\n"
	r.wantEvent("data: 1\n")
	close(f.events)
	r.wantEnd()
}

// TestStream_RS48_unread: an answer that nobody reads any more is read on for the work's sake, but not for ever.
func TestStream_RS48_unread(t *testing.T) {
	t.Parallel()
	const far = 1 << 30
	w := start(t, func(o *gateway.Options) { o.Limits.UnreadBytes = 1 << 20 })
	c := w.connect("alice")
	ended := make(chan int, 1)
	w.upstream.answer(flood("text/event-stream", "", "data: "+strings.Repeat("x", 1<<10)+"\n\n", far, ended))
	r := w.stream(t, "POST", toolCall("chat_with_agent"), bearer(c.token))
	if _, err := r.event(); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	r.stop()
	if n := <-ended; n >= far {
		t.Error("the upstream was read to its end")
	}
}
