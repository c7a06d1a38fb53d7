package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
)

// TestStream_I10: revoking cuts what is open, whatever it is.
func TestStream_I10_revoked(t *testing.T) {
	t.Parallel()
	ends := map[string]func(w *world, c connection){
		"ended": func(w *world, c connection) {
			w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Status = bridge.GrantEnded })
		},
		"gone": func(w *world, c connection) { w.grants.drop(c.grant.ID) },
		"lapsed": func(w *world, c connection) {
			w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Lapses = w.clock.Now() })
		},
		"client shut out": func(*world, connection) {},
		"store is down":   func(w *world, c connection) { w.grants.fail(errors.New("disk")) },
	}
	listen, listenHeaders := modern("subscriptions/listen", `"notifications":{}`)
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var barred atomic.Bool
			w := start(t, func(o *gateway.Options) {
				o.Limits.Recheck = 2 * time.Millisecond
				o.Barred = func(id string) bool { return id == "client-1" && barred.Load() }
			})
			c, other := w.connect("alice"), w.connect("bob")
			f := newFeed(w)
			streams := []*reader{
				w.stream(t, "GET", "", bearer(c.token)),
				w.stream(t, "POST", toolCall("chat_with_agent"), bearer(c.token)),
				w.stream(t, "POST", listen, bearer(c.token), listenHeaders),
			}
			unharmed := w.stream(t, "GET", "", bearer(other.token))
			barred.Store(name == "client shut out") // bob's is the same client
			end(w, c)
			for range streams {
				within(t, "the upstream's request ends", f.gone)
			}
			for _, r := range streams {
				for {
					_, err := r.event()
					if errors.Is(err, context.DeadlineExceeded) {
						t.Error("the stream was not ended")
					}
					if err != nil {
						break
					}
				}
			}
			if name != "store is down" && name != "client shut out" {
				f.events <- "data: 1\n\n"
				unharmed.wantEvent("data: 1\n")
			}
		})
	}
}

// TestStream_GW37: what only listens ends soon after its token; a call does not.
func TestStream_GW37_tokenExpires(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Limits.Recheck = 2 * time.Millisecond })
	c := w.connect("alice")
	f := newFeed(w)
	listen, listenHeaders := modern("subscriptions/listen", `"notifications":{}`)
	standing := w.stream(t, "GET", "", bearer(c.token))
	listening := w.stream(t, "POST", listen, bearer(c.token), listenHeaders)
	call := w.stream(t, "POST", toolCall("chat_with_agent"), bearer(c.token))
	w.clock.Advance(time.Hour + 30*time.Second) // the slack
	for range 3 {
		f.events <- "data: still\n\n"
	}
	for _, r := range []*reader{standing, listening, call} {
		r.wantEvent("data: still\n")
	}
	w.clock.Advance(31 * time.Second)
	standing.wantEnd()
	listening.wantEvent("event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{\"resultType\":\"complete\"," +
		"\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":9}}}\n")
	listening.wantEnd()
	within(t, "the upstream's stream ends", f.gone)
	within(t, "the upstream's subscription ends", f.gone)
	f.events <- "data: done\n\n"
	close(f.events)
	call.wantEvent("data: done\n")
	call.wantEnd()
}

func TestStream_drainAndClose(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	f := newFeed(w)
	standing := w.stream(t, "GET", "", bearer(c.token))
	call := w.stream(t, "POST", toolCall("chat_with_agent"), bearer(c.token))
	w.gateway.Drain()
	standing.wantEnd()
	within(t, "the upstream's stream ends", f.gone)
	w.send("GET", "/mcp", "", bearer(c.token)).want(t, http.StatusServiceUnavailable)
	f.events <- "data: going on\n\n"
	call.wantEvent("data: going on\n")
	w.gateway.Close()
	if _, err := call.event(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the call ended as if it were complete: %v", err)
	}
	w.call(c, ping).want(t, http.StatusServiceUnavailable)
}

// TestStream_I10_beforeTheAnswer: a call that waits for the upstream ends with its grant, too.
func TestStream_I10_beforeTheAnswer(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Limits.Recheck = 2 * time.Millisecond })
	c := w.connect("alice")
	w.upstream.answer(func(_ http.ResponseWriter, r *http.Request, _ string) {
		w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Status = bridge.GrantEnded })
		<-r.Context().Done()
	})
	got := w.call(c, toolCall("chat_with_agent")).want(t, http.StatusUnauthorized)
	if got.header.Get("Www-Authenticate") != challengeInvalid {
		t.Errorf("challenge %q", got.header.Get("Www-Authenticate"))
	}
	w.wantAudit(t, "call_refused grant_ended")
}

// TestStream_I10_cutAsTheGrantEnds: what a grant has open here is cut when its end is told, not at the next look.
func TestStream_I10_cutAsTheGrantEnds(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Limits.Recheck = time.Hour })
	alice, bob := w.connect("alice"), w.connect("bob")
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, body string) {
		if strings.Contains(body, "initialize") {
			mcpServer(rw, r, body)
			return
		}
		events(rw, "data: {}\n\n")
		<-r.Context().Done()
	})
	var open []*http.Response
	for _, c := range []connection{alice, bob} {
		id := w.openSession(c.token)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			res := w.open(t.Context(), method, "/mcp", toolCall("list_agents"), bearer(c.token), session(id))
			t.Cleanup(func() { _ = res.Body.Close() })
			open = append(open, res)
		}
	}
	w.grants.change(alice.grant.ID, func(g *bridge.Grant) { g.Status = bridge.GrantEnded })
	w.gateway.GrantChanged(alice.grant.ID)
	for _, res := range open[:2] {
		_, _ = io.ReadAll(res.Body) // comes back, or the test times out
	}
	w.gateway.GrantChanged(bob.grant.ID) // whose grant lives
	buf := make([]byte, 8)
	for _, res := range open[2:] {
		if _, err := io.ReadFull(res.Body, buf); err != nil {
			t.Errorf("bob's stream was cut: %v", err)
		}
	}
}
