package gateway_test

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
)

// BenchmarkEvents is what the gateway adds to the first event of a stream and to each later one, beside reading the
// same from the upstream itself, in turns within one run. Events are sent a millisecond apart and carry when they were.
func BenchmarkEvents(b *testing.B) {
	w := start(b, func(o *gateway.Options) { o.Limits.Recheck, o.Limits.CallRate = time.Hour, rate.Inf })
	c := w.connect("alice", bridge.AllScopes()...)
	const events = 50 // of a stream
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, _ string) {
		rw.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(rw)
		for range events {
			_, _ = fmt.Fprintf(rw, "data: %d\n\n", time.Now().UnixNano())
			_ = flush.Flush()
			select {
			case <-time.After(time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	})
	direct, ours := &stopwatch{}, &stopwatch{}
	for range max(1, b.N/events) {
		req := w.request(b.Context(), http.MethodPost, "/mcp", toolCall("list_agents"), bearer(c.key))
		req.URL.Host = strings.TrimPrefix(w.upstream.server.URL, "http://")
		direct.follow(b, w, req)
		ours.follow(b, w, w.request(b.Context(), http.MethodPost, "/mcp", toolCall("list_agents"), bearer(c.token)))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(at(ours.first, 0.5)-at(direct.first, 0.5), "first-added-p50-µs")
	b.ReportMetric(at(ours.first, 0.99), "first-p99-µs")
	b.ReportMetric(at(ours.later, 0.5)-at(direct.later, 0.5), "added-p50-µs")
	b.ReportMetric(at(ours.later, 0.99)-at(direct.later, 0.99), "added-p99-µs")
}

// stopwatch is how long events were on their way.
type stopwatch struct{ first, later []time.Duration }

func (s *stopwatch) follow(b *testing.B, w *world, req *http.Request) {
	b.Helper()
	res, err := w.server.Client().Transport.RoundTrip(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	into := &s.first
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		sent, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		nano, err := strconv.ParseInt(sent, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		*into = append(*into, time.Since(time.Unix(0, nano)))
		into = &s.later
	}
}

// at is a quantile in microseconds.
func at(took []time.Duration, q float64) float64 {
	sorted := slices.Sorted(slices.Values(took))
	return float64(sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]) / float64(time.Microsecond)
}
