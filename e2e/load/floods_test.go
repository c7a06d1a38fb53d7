//go:build load

package load_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

const (
	halfOpen  = 2000 // connections that never say anything
	bigBodies = 8    // bodies of bigBytes that are always on their way
	bigBytes  = 100 << 20
	steady    = 20 // refreshes per second of people who have nothing to do with it
)

// TestFloods_OP37: strangers do all at once what each of the floods does, and the process stays within the memory of a
// small container. Who is connected goes on undisturbed.
func TestFloods_OP37(t *testing.T) {
	machine := &programtest.Machine{Folder: t.TempDir()}
	var err error
	if machine.Bridge, err = machine.Build("trinity-bridge", "github.com/abilityai/trinity-bridge/cmd/trinity-bridge"); err != nil {
		t.Fatal(err)
	}
	simulated := programtest.StartTrinity(t)
	b := machine.StartServe(t, "http", simulated, simulated.MCPURL(), "TRINITY_BRIDGE_LOG_LEVEL=error")
	web := &bridgetest.Bridge{URL: b.Origin, MCP: b.Connector, Trinity: simulated.Server}
	client := web.Register(t)
	connected := &connection{client: client, refresh: web.Connect(t, client, programtest.Alice).Refresh}

	f := &strangers{origin: b.Origin, client: newClient(), answers: map[string]*atomic.Int64{}}
	var all sync.WaitGroup
	ctx, stop := context.WithTimeout(t.Context(), flood())
	defer stop()
	for _, each := range f.floods() {
		f.answers[each.name] = &atomic.Int64{}
		all.Go(func() { pace(flood(), each.rate, func(i int) { f.send(ctx, each, i) }) })
	}
	all.Go(func() { f.linger(ctx) })
	for range bigBodies {
		all.Go(func() { f.pour(ctx) })
	}
	calm := &measure{lasted: flood()}
	all.Go(func() { pace(flood(), steady, func(int) { connected.renew(t, web, calm) }) })
	highest := 0.0
	for ctx.Err() == nil {
		highest = max(highest, residentOf(t, b.PID()))
		time.Sleep(200 * time.Millisecond)
	}
	all.Wait()

	fmt.Printf("\nall floods at once for %s: %.0f MB resident at most\n", flood(), highest)
	for _, each := range f.floods() {
		fmt.Printf("  %-28s %6.0f answers/s of %d/s asked\n", each.name, float64(f.answers[each.name].Load())/flood().Seconds(), each.rate)
	}
	fmt.Printf("  %d connections held open, %d bodies of %d MB refused\n", f.held.Load(), f.refused.Load(), bigBytes>>20)
	fmt.Printf("  refreshes meanwhile: %d, p99 %.1f ms, other answers %v\n", len(calm.took), sorted(calm).at(0.99), calm.others)
	if highest > maxResident {
		t.Errorf("%.0f MB resident, want at most %d", highest, maxResident)
	}
}

// strangers send what nobody should.
type strangers struct {
	origin        string
	client        *http.Transport
	answers       map[string]*atomic.Int64
	held, refused atomic.Int64
}

// nuisance is one kind of request, so many times a second.
type nuisance struct {
	name, method, path string
	rate               int
	header             http.Header
	body               func(i int) string
}

func (f *strangers) floods() []nuisance {
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	document := http.Header{"Content-Type": {"application/json"}}
	bearer := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln"}}
	return []nuisance{
		{"registrations", http.MethodPost, "/oauth/register", 1000, document, func(i int) string {
			return fmt.Sprintf(`{"client_name":"flood %d","redirect_uris":["https://app.example.com/cb"]}`, i)
		}},
		{"flows of unknown documents", http.MethodGet, "/oauth/authorize", 500, nil, func(i int) string {
			return url.Values{
				"response_type": {"code"}, "client_id": {fmt.Sprintf("https://app-%d.example.com/client.json", i)},
				"redirect_uri": {bridgetest.Redirect}, "code_challenge": {bridgetest.Challenge()}, "code_challenge_method": {"S256"},
			}.Encode()
		}},
		{"token requests", http.MethodPost, "/oauth/token", 2000, form, func(i int) string {
			return fmt.Sprintf("grant_type=refresh_token&client_id=nobody&refresh_token=tbr_%043d", i)
		}},
		{"calls with a bad token", http.MethodPost, "/mcp", 5000, bearer, func(i int) string { return call("list_agents", fmt.Sprint(i)) }},
	}
}

func (f *strangers) send(ctx context.Context, n nuisance, i int) {
	target, body := f.origin+n.path, n.body(i)
	if n.method == http.MethodGet {
		target, body = target+"?"+body, ""
	}
	req, err := http.NewRequestWithContext(ctx, n.method, target, strings.NewReader(body))
	if err != nil {
		return
	}
	if n.header != nil {
		req.Header = n.header.Clone()
	}
	res, err := f.client.RoundTrip(req)
	if err != nil {
		return // turned away
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	f.answers[n.name].Add(1)
}

// linger opens connections and says nothing.
func (f *strangers) linger(ctx context.Context) {
	for range halfOpen {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", strings.TrimPrefix(f.origin, "http://"))
		if err != nil {
			continue
		}
		f.held.Add(1)
		context.AfterFunc(ctx, func() { _ = conn.Close() })
	}
}

// pour sends bodies that are far too long.
func (f *strangers) pour(ctx context.Context) {
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.origin+"/oauth/register", io.LimitReader(endless{}, bigBytes))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := f.client.RoundTrip(req)
		if err != nil {
			continue // cut while it was still sending
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusRequestEntityTooLarge {
			f.refused.Add(1)
		}
	}
}

// endless is blanks without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
