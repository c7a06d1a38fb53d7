package gateway_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/bridge/store/remember"
)

// BenchmarkGateway compares the gateway (cached token, grant remembered, strict reading, scope, session,
// redaction) with a bare httputil.ReverseProxy on the same transport before the same upstream, in turns within one
// run. Client and upstream run in the same process, so CPU is what each adds to asking the upstream directly.
func BenchmarkGateway(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"small", 300}, {"100KB", 100 << 10}} {
		for _, kind := range []string{"json", "sse"} {
			for _, conns := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("%s/%s/%dconn", size.name, kind, conns), func(b *testing.B) { compare(b, kind, size.bytes, conns) })
			}
		}
	}
}

// side is one of the three ways a request takes.
type side struct {
	url     string
	headers header
	token   func() string   // of each request, where it is not in headers
	status  int             // of the answers
	took    []time.Duration // per request
	wall    time.Duration
	cpu     time.Duration
	client  *http.Transport
}

func compare(b *testing.B, kind string, size, conns int) {
	b.Helper()
	sides := threeWays(b, kind, size)
	for _, s := range sides {
		s.run(b, conns, 20*conns) // warm
		s.took, s.wall, s.cpu = nil, 0, 0
	}
	const block = 100
	for done := 0; done < b.N; done += block {
		for _, s := range sides {
			s.run(b, conns, block)
		}
	}
	direct, proxy, ours := sides[0], sides[1], sides[2]
	b.ReportMetric(0, "ns/op")
	for _, m := range []struct {
		name  string
		value float64
	}{
		{"bare-p50-µs", at(proxy.took, 0.5)},
		{"p50-µs", at(ours.took, 0.5)},
		{"p50-ratio", at(ours.took, 0.5) / at(proxy.took, 0.5)},
		{"bare-p99-µs", at(proxy.took, 0.99)},
		{"p99-µs", at(ours.took, 0.99)},
		{"p99-ratio", at(ours.took, 0.99) / at(proxy.took, 0.99)},
		{"rate-ratio", proxy.wall.Seconds() / ours.wall.Seconds()},
		{"cpu-ratio", float64(ours.cpu-direct.cpu) / float64(proxy.cpu-direct.cpu)},
	} {
		b.ReportMetric(m.value, m.name)
	}
}

// threeWays are the upstream itself, a bare reverse proxy before it, and the gateway.
func threeWays(b *testing.B, kind string, size int) []*side {
	b.Helper()
	store, err := badger.Open(badger.Options{Dir: b.TempDir(), Sealer: secrettest.Ring()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	w := start(b, func(o *gateway.Options) { o.Grants, o.Limits.CallRate = remember.New(store).Remembered(), rate.Inf })
	c := w.connect("alice")
	keepGrant(b, store, c.grant)
	w.upstream.server.Config.Handler = http.HandlerFunc(answerOf(kind, size))
	id := w.openSession(c.token)

	target, err := url.Parse(w.upstream.server.URL)
	if err != nil {
		b.Fatal(err)
	}
	proxied := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: outbound.Transport(), BufferPool: &buffers{},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // it has a line for each connection closed at the end
	}
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Otherwise the server closes the body it was sent as soon as the answer begins, now and then
		// before the proxy's transport has read to its end, and breaks the answer off.
		_ = http.NewResponseController(w).EnableFullDuplex()
		proxied.ServeHTTP(w, r)
	}))
	b.Cleanup(bare.Close)
	sides := []*side{
		{url: w.upstream.server.URL, headers: merge(bearer(c.key), session("upstream-session"))},
		{url: bare.URL, headers: merge(bearer(c.key), session("upstream-session"))},
		{url: w.server.URL, headers: merge(bearer(c.token), session(id))},
	}
	for _, s := range sides {
		s.status = http.StatusOK
		s.client = outbound.Transport()
		b.Cleanup(s.client.CloseIdleConnections)
	}
	return sides
}

// run makes n requests over conns connections.
func (s *side) run(b *testing.B, conns, n int) {
	var mu sync.Mutex
	var group sync.WaitGroup
	cpu, began := processTime(b), time.Now()
	for worker := range conns {
		group.Go(func() {
			var took []time.Duration
			for i := worker; i < n; i += conns {
				at := time.Now()
				if err := s.ask(); err != nil {
					b.Error(err)
					return
				}
				took = append(took, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			s.took = append(s.took, took...)
		})
	}
	group.Wait()
	s.wall += time.Since(began)
	s.cpu += processTime(b) - cpu
}

func (s *side) ask() error {
	req, err := http.NewRequest(http.MethodPost, s.url+"/mcp", strings.NewReader(benchCall))
	if err != nil {
		return err
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Mcp-Protocol-Version": {"2025-11-25"}}
	for name, value := range s.headers {
		req.Header[name] = value
	}
	if s.token != nil {
		req.Header["Authorization"] = []string{"Bearer " + s.token()}
	}
	res, err := s.client.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != s.status {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

const benchCall = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"list_agents","arguments":{"query":` +
	`"an agent that can read a spreadsheet and write a summary of what has changed since the last time it was looked at","limit":20},"_meta":{"progressToken":7}}}`

func answerOf(kind string, size int) func(http.ResponseWriter, *http.Request) {
	document := `{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"` + strings.Repeat("x", size) + `"}]}}`
	return func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Mcp-Session-Id", "upstream-session")
		if kind == "json" {
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, document)
			return
		}
		rw.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(rw, "event: message\ndata: "+document+"\n\n")
		_ = http.NewResponseController(rw).Flush()
	}
}

type buffers struct{ pool sync.Pool }

func (p *buffers) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *buffers) Put(b []byte) { p.pool.Put(&b) }

func processTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
