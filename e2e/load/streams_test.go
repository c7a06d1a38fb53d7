//go:build load

package load_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

const (
	idleStreams = 2000
	busyStreams = 500
	eventsEvery = 200 * time.Millisecond // of a busy stream
	maxResident = 256                    // MB
	people      = 1000
	calls       = 50
	callers     = 24 // fewer than the keys that a network may try out at once
)

// TestStreams: 2,000 streams that say nothing and 500 that do, at once, through a process of its own, and what that
// process holds in memory. Then 1,000 keys make 50 calls each, every answer checked against who asked. When all have
// left, no goroutine of theirs is left behind. At last it is counted how many bad tokens are refused in a second.
func TestStreams(t *testing.T) {
	machine := &programtest.Machine{Folder: t.TempDir()}
	var err error
	if machine.Bridge, err = machine.Build("trinity-bridge", "github.com/abilityai/trinity-bridge/cmd/trinity-bridge"); err != nil {
		t.Fatal(err)
	}
	simulated := programtest.StartTrinity(t)
	over := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { streams(w, r, over) }))
	t.Cleanup(upstream.Close)
	operator := fmt.Sprintf("127.0.0.1:%d", bridgetest.FreePort(t))
	b := machine.StartServe(t, "http", simulated, upstream.URL+"/mcp", "TRINITY_BRIDGE_LOG_LEVEL=error", "TRINITY_BRIDGE_OPERATOR_LISTEN="+operator)
	web := &bridgetest.Bridge{URL: b.Origin, MCP: b.Connector, Trinity: simulated.Server}
	token := web.Connect(t, web.Register(t), programtest.Alice).Access

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := goroutines(t, operator)
	client := newClient()
	var open, events, late atomic.Int64
	var ended sync.WaitGroup
	listen := func(method, body string, each func(line string)) {
		ended.Go(func() {
			res := ask(ctx, t, client, b.Connector, method, token, body)
			if res == nil {
				return
			}
			defer res.Body.Close()
			open.Add(1)
			defer open.Add(-1)
			for lines := bufio.NewScanner(res.Body); lines.Scan(); {
				each(lines.Text())
			}
		})
	}
	for range idleStreams {
		listen(http.MethodGet, "", func(string) {})
	}
	for range busyStreams {
		listen(http.MethodPost, call("list_agents", "1"), func(line string) {
			if sent, ok := strings.CutPrefix(line, "data: "); ok {
				events.Add(1)
				if at, err := strconv.ParseInt(sent, 10, 64); err == nil && time.Since(time.Unix(0, at)) > time.Second {
					late.Add(1)
				}
			}
		})
	}
	for end := time.Now().Add(time.Minute); open.Load() < idleStreams+busyStreams && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	if got := open.Load(); got != idleStreams+busyStreams {
		t.Fatalf("%d streams are open, want %d", got, idleStreams+busyStreams)
	}
	highest := 0.0
	for began := time.Now(); time.Since(began) < quiet(); time.Sleep(time.Second) {
		highest = max(highest, residentOf(t, b.PID()))
	}
	fmt.Printf("\n%d idle and %d busy streams: %.0f MB resident at most, %.0f events/s, %d of %d later than a second\n",
		idleStreams, busyStreams, highest, float64(events.Load())/quiet().Seconds(), late.Load(), events.Load())
	if highest >= maxResident {
		t.Errorf("%.0f MB resident, want less than %d", highest, maxResident)
	}
	if got := open.Load(); got != idleStreams+busyStreams {
		t.Errorf("%d streams were cut", idleStreams+busyStreams-got)
	}
	cancel()
	ended.Wait()
	client.CloseIdleConnections()
	close(over) // a call of these revisions goes on when its client leaves (GW-35)
	crossed(t, simulated, b)
	after := goroutines(t, operator)
	for end := time.Now().Add(2 * time.Minute); after > before && time.Now().Before(end); after = goroutines(t, operator) {
		time.Sleep(time.Second)
	}
	fmt.Printf("%d goroutines before, %d after\n", before, after)
	if after > before {
		t.Errorf("%d goroutines are left behind", after-before)
	}
	refused(t, b, token[:len(token)-8]+"AAAAAAAA")
}

// goroutines is how many the process has, by its own word.
func goroutines(t *testing.T, operator string) int {
	t.Helper()
	res, err := http.Get("http://" + operator + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the metrics do not say how many goroutines there are")
	return 0
}

// refused counts how many bad tokens the whole program refuses in a second.
func refused(t *testing.T, b *programtest.Bridge, bad string) {
	t.Helper()
	for _, width := range []int{1, 16} {
		client := newClient()
		var n atomic.Int64
		var group sync.WaitGroup
		const lasting = 5 * time.Second
		end := time.Now().Add(lasting)
		for range width {
			group.Go(func() {
				for time.Now().Before(end) {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.Connector, strings.NewReader(call("get_agent", "1")))
					if err != nil {
						t.Error(err)
						return
					}
					req.Header = http.Header{"Authorization": {"Bearer " + bad}, "Content-Type": {"application/json"}}
					res, err := client.RoundTrip(req)
					if err != nil || res.StatusCode != http.StatusUnauthorized {
						t.Errorf("a bad token: %v, %v", res, err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
					n.Add(1)
				}
			})
		}
		group.Wait()
		client.CloseIdleConnections()
		fmt.Printf("bad tokens over %d connections: %.0f refused a second\n", width, float64(n.Load())/lasting.Seconds())
	}
}

// crossed has many keys call at once and compares each answer with the question.
func crossed(t *testing.T, simulated programtest.Trinity, b *programtest.Bridge) {
	t.Helper()
	keys := make([]string, people)
	for i := range keys {
		var err error
		if keys[i], err = simulated.MintKey(programtest.Alice, fmt.Sprintf("load %d", i), "user", ""); err != nil {
			t.Fatal(err)
		}
	}
	client := newClient()
	defer client.CloseIdleConnections()
	var wrong, answered atomic.Int64
	var group sync.WaitGroup
	next := make(chan int)
	for range callers {
		group.Go(func() {
			for i := range next {
				for n := range calls {
					id := fmt.Sprintf("%d-%d", i, n)
					res := ask(t.Context(), t, client, b.Connector, http.MethodPost, keys[i], call("get_agent", id))
					if res == nil {
						continue
					}
					text, err := io.ReadAll(res.Body)
					_ = res.Body.Close()
					answered.Add(1)
					if err != nil || string(text) != echo(keys[i], id) {
						wrong.Add(1)
					}
				}
			}
		})
	}
	began := time.Now()
	for i := range people {
		next <- i
	}
	close(next)
	group.Wait()
	fmt.Printf("%d keys, %d calls each: %d answers in %.1f s, %d crossed\n", people, calls, answered.Load(), time.Since(began).Seconds(), wrong.Load())
	if wrong.Load() != 0 || answered.Load() != people*calls {
		t.Errorf("%d of %d answers, %d of them wrong", answered.Load(), people*calls, wrong.Load())
	}
}

// streams is an MCP server that refuses who has no key, keeps GET streams open, sends events to one tool's callers,
// until over, and tells the other's who they are.
func streams(w http.ResponseWriter, r *http.Request, over <-chan struct{}) {
	key := r.Header.Get("Authorization")
	if key == "" || strings.Contains(r.Header.Get("User-Agent"), "probe") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	text := string(body)
	switch {
	case strings.Contains(text, `"initialize"`): // the probe's key is not good
		w.WriteHeader(http.StatusUnauthorized)
	case strings.Contains(text, `"get_agent"`):
		id := text[strings.Index(text, `"id":"`)+6:]
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, echo(strings.TrimPrefix(key, "Bearer "), id[:strings.Index(id, `"`)]))
	default:
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w)
		_, _ = io.WriteString(w, ": open\n\n")
		_ = flush.Flush()
		if r.Method == http.MethodGet {
			<-r.Context().Done()
			return
		}
		for ticker := time.NewTicker(eventsEvery); ; {
			select {
			case <-r.Context().Done():
				ticker.Stop()
				return
			case <-over:
				ticker.Stop()
				return
			case <-ticker.C:
				_, _ = fmt.Fprintf(w, "data: %d\n\n", time.Now().UnixNano())
				_ = flush.Flush()
			}
		}
	}
}

// echo names a key without repeating it, which would be redacted.
func echo(key, id string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{"of":%q}}`, id, key[len(key)-8:])
}

func call(tool, id string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":"tools/call","params":{"name":%q,"arguments":{}}}`, id, tool)
}

func newClient() *http.Transport {
	transport := outbound.Transport()
	transport.MaxIdleConnsPerHost = 128
	transport.DialContext = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	return transport
}

func ask(ctx context.Context, t *testing.T, client *http.Transport, url, method, credential, body string) *http.Response {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return nil
	}
	req.Header = http.Header{
		"Authorization": {"Bearer " + credential}, "Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
	}
	res, err := client.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return nil
	}
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		t.Errorf("%s: %s %s", method, res.Status, text)
		_ = res.Body.Close()
		return nil
	}
	return res
}

func residentOf(t *testing.T, pid int) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return resident(string(status))
}
