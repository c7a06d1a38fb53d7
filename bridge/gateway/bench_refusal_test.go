package gateway_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

// BenchmarkRefusal is how fast tokens that mean nothing are refused, over HTTP and by the gateway alone: one of them over
// and over, words that are none, and forgeries of which each costs its own look at a signature.
func BenchmarkRefusal(b *testing.B) {
	w := start(b, func(o *gateway.Options) {
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = null.Close() })
		o.Log = slog.New(slog.NewJSONHandler(null, nil)) // as the program logs
		o.Trail = audit.New(&auditStore{}, o.Log, o.Now)
	})
	good := w.connect("alice").token
	var n atomic.Int64
	for _, bad := range []struct {
		name  string
		token func() string
	}{
		{"one", func() string { return good[:len(good)-8] + "AAAAAAAA" }},
		{"rubbish", func() string { return fmt.Sprintf("rubbish-%d", n.Add(1)) }},
		{"forged", func() string { return fmt.Sprintf("%s%08d%s", good[:len(good)-9], n.Add(1), good[len(good)-1:]) }},
	} {
		for _, conns := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%dconn", bad.name, conns), func(b *testing.B) {
				s := &side{url: w.server.URL, token: bad.token, status: http.StatusUnauthorized, client: outbound.Transport()}
				b.Cleanup(s.client.CloseIdleConnections)
				s.run(b, conns, conns)
				b.ResetTimer()
				s.run(b, conns, b.N)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refused/s")
			})
		}
	}
	serve := w.gateway.Before(nil)
	b.Run("one/alone", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				serve.ServeHTTP(&nowhere{header: http.Header{}}, w.request(b.Context(), http.MethodPost, "/mcp", ping, bearer(good[:len(good)-8]+"AAAAAAAA")))
			}
		})
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refused/s")
	})
}

// nowhere takes an answer that nobody reads.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header       { return n.header }
func (*nowhere) WriteHeader(int)             {}
func (*nowhere) Write(p []byte) (int, error) { return len(p), nil }
