package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

// TestUpstreamRequest_onePiece: header and body of a call leave in one write, so that the upstream wakes up once.
func TestUpstreamRequest_onePiece(t *testing.T) {
	t.Parallel()
	var writes atomic.Int64
	w := start(t, func(o *gateway.Options) {
		transport := outbound.Transport()
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return &countedConn{Conn: conn, writes: &writes}, err
		}
		o.Transport = transport
	})
	c := w.connect("alice")
	const calls = 3
	for range calls {
		w.call(c, toolCall("list_agents")).want(t, http.StatusOK)
	}
	if got := writes.Load(); got != calls {
		t.Errorf("%d writes for %d calls", got, calls)
	}
}

// TestEvents_allocateNothing: an event that is passed on is read into the buffer of the stream it came in, and costs
// nothing else.
func TestEvents_allocateNothing(t *testing.T) { //nolint:paralleltest // what others allocate would be counted
	const event = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":2}}\n\n"
	from := &eventSource{event: event}
	w := start(t, func(o *gateway.Options) { o.Transport = from })
	c := w.connect("alice")
	serve := func(events int) func() {
		return func() {
			from.left = events
			to := &flushed{}
			w.handler.ServeHTTP(to, w.request(t.Context(), http.MethodPost, "/mcp", toolCall("list_agents"), bearer(c.token)))
			if to.bytes != events*len(event) {
				t.Fatalf("%d bytes were passed on, want %d events of %d", to.bytes, events, len(event))
			}
		}
	}
	const few, many = 100, 2100
	// The store's own goroutines allocate a little meanwhile.
	if more := testing.AllocsPerRun(10, serve(many)) - testing.AllocsPerRun(10, serve(few)); more >= (many-few)/20 {
		t.Errorf("%d events allocate %.0f times more than %d", many, more, few)
	}
}

// eventSource is an upstream whose answer is one event in each read.
type eventSource struct {
	event string
	left  int
}

func (s *eventSource) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, ContentLength: -1, Body: s}, nil
}

func (s *eventSource) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	s.left--
	return copy(p, s.event), nil
}

func (*eventSource) Close() error { return nil }

// flushed counts what is passed on.
type flushed struct {
	header http.Header
	bytes  int
}

func (f *flushed) Header() http.Header {
	if f.header == nil {
		f.header = http.Header{}
	}
	return f.header
}

func (f *flushed) Write(p []byte) (int, error) {
	f.bytes += len(p)
	return len(p), nil
}

func (*flushed) WriteHeader(int)                  {}
func (*flushed) Flush()                           {}
func (*flushed) SetReadDeadline(time.Time) error  { return nil }
func (*flushed) SetWriteDeadline(time.Time) error { return nil }

type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// idlers keep connections, each with goroutines of its own.
type idlers interface{ CloseIdleConnections() }

// goroutines are those that are there when no connection is kept.
func goroutines(connections ...idlers) int {
	for _, keeper := range connections {
		keeper.CloseIdleConnections()
	}
	return runtime.NumGoroutine()
}

// quiet is how many goroutines there are once their number stays.
func quiet(t *testing.T, connections ...idlers) int {
	t.Helper()
	before := goroutines(connections...)
	eventually(t, "quiet", func() bool {
		last := before
		before = goroutines(connections...)
		return before == last
	})
	return before
}

// TestLoad_goroutinesGoBack: when streams and calls are over, nothing of them goes on.
func TestLoad_goroutinesGoBack(t *testing.T) { //nolint:paralleltest // what others start would be counted
	transport := outbound.Transport()
	w := start(t, func(o *gateway.Options) { o.Transport = transport })
	c := w.connect("alice")
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, body string) {
		if strings.Contains(body, `"ping"`) {
			mcpServer(rw, r, body)
			return
		}
		events(rw, "data: {}\n\n")
		<-r.Context().Done()
	})
	client := outbound.Transport()
	w.call(c, ping).want(t, http.StatusOK)
	before := quiet(t, w.server.Client(), client, transport)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var streams sync.WaitGroup
	var open atomic.Int64
	const listening, calling = 100, 50
	ask := func(method, body string, h ...header) {
		res, err := client.RoundTrip(w.request(ctx, method, "/mcp", body, append(h, bearer(c.token))...))
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = res.Body.Close() }()
		open.Add(1)
		_, _ = io.Copy(io.Discard, res.Body)
	}
	for range listening {
		streams.Go(func() { ask(http.MethodGet, "") })
	}
	body, fields := modern("tools/call", `"name":"list_agents"`)
	fields["Mcp-Name"] = []string{"list_agents"}
	for range calling {
		streams.Go(func() { ask(http.MethodPost, body, fields) })
		streams.Go(func() { ask(http.MethodPost, ping) })
	}
	eventually(t, "all streams and answers", func() bool { return open.Load() == listening+2*calling })
	leave()
	streams.Wait()
	eventually(t, "as many goroutines as before", func() bool { return goroutines(client, transport) <= before })
}
