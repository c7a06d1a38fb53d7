package gateway_test

import (
	"bufio"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
)

// BenchmarkEvents is what the gateway adds to each event of a stream, beside reading the same stream from the upstream
// itself in the same run. Events are sent a millisecond apart and carry when they were.
func BenchmarkEvents(b *testing.B) {
	w := start(b, func(o *gateway.Options) { o.Limits.Recheck = time.Hour })
	c := w.connect("alice", bridge.AllScopes()...)
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, _ string) {
		rw.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(rw)
		for range b.N {
			_, _ = fmt.Fprintf(rw, "data: %d\n\n", time.Now().UnixNano())
			_ = flush.Flush()
			select {
			case <-time.After(time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	})
	took := map[string][]time.Duration{}
	for name, ask := range map[string]func() *http.Response{
		"direct": func() *http.Response {
			req := w.request(b.Context(), http.MethodPost, "/mcp", toolCall("list_agents"), bearer(c.key))
			req.URL.Host = strings.TrimPrefix(w.upstream.server.URL, "http://")
			res, err := w.server.Client().Transport.RoundTrip(req)
			if err != nil {
				b.Fatal(err)
			}
			return res
		},
		"gateway": func() *http.Response {
			return w.open(b.Context(), http.MethodPost, "/mcp", toolCall("list_agents"), bearer(c.token))
		},
	} {
		var before, after runtime.MemStats
		res := ask()
		runtime.ReadMemStats(&before)
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if sent, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				at, err := strconv.ParseInt(sent, 10, 64)
				if err != nil {
					b.Fatal(err)
				}
				took[name] = append(took[name], time.Since(time.Unix(0, at)))
			}
		}
		runtime.ReadMemStats(&after)
		_ = res.Body.Close()
		b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N), name+"-allocs/event")
		slices.Sort(took[name])
	}
	at := func(name string, q float64) float64 {
		return float64(took[name][min(len(took[name])-1, int(q*float64(len(took[name]))))]) / float64(time.Microsecond)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(at("gateway", 0.5)-at("direct", 0.5), "added-p50-µs")
	b.ReportMetric(at("gateway", 0.99)-at("direct", 0.99), "added-p99-µs")
}
