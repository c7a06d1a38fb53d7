package gateway_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

func (w *world) probe() *gateway.Probe {
	w.t.Helper()
	target, err := url.Parse(w.upstream.server.URL + "/mcp")
	if err != nil {
		w.t.Fatal(err)
	}
	transport := outbound.Transport()
	w.t.Cleanup(transport.CloseIdleConnections)
	return &gateway.Probe{Upstream: target, Transport: transport, Trail: w.trail, Log: w.log}
}

// byKey answers one way without a key and another way with one.
func byKey(without, with func(http.ResponseWriter, *http.Request, string)) func(http.ResponseWriter, *http.Request, string) {
	return func(rw http.ResponseWriter, r *http.Request, body string) {
		if r.Header.Get("Authorization") == "" {
			without(rw, r, body)
		} else {
			with(rw, r, body)
		}
	}
}

func TestProbe_OP34(t *testing.T) {
	t.Parallel()
	refused := status(401, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Invalid API key"}}`)
	forbidden := status(403, "text/plain", "no")
	oldest := status(500, "text/plain", "Error creating server")
	document := status(200, "application/json", `{"jsonrpc":"2.0","id":1,"result":{}}`, "Mcp-Session-Id", "s-1")
	stream := func(rw http.ResponseWriter, r *http.Request, _ string) {
		events(rw, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n")
		<-r.Context().Done() // it never ends by itself
	}
	tests := []struct {
		name  string
		serve func(http.ResponseWriter, *http.Request, string)
		want  gateway.ProbeState
	}{
		{"refuses both", refused, gateway.ProbeGuarded},
		{"refuses with 403", forbidden, gateway.ProbeGuarded},
		{"refuses as the oldest do", oldest, gateway.ProbeGuarded},
		{"open", document, gateway.ProbeOpen},
		{"open, as a stream", stream, gateway.ProbeOpen},
		{"open to any key", byKey(refused, document), gateway.ProbeOpen},
		{"open without a key only", byKey(document, refused), gateway.ProbeOpen},
		{"a page", status(200, "text/html", "<html></html>"), gateway.ProbeNotMCP},
		{"not found", status(404, "text/html", "no"), gateway.ProbeNotMCP},
		{"redirect", status(302, "text/html", "", "Location", "/login"), gateway.ProbeNotMCP},
		{"another 500", status(500, "text/plain", "boom"), gateway.ProbeNotMCP},
		{"an error with 200", status(200, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}`), gateway.ProbeNotMCP},
		{"no JSON-RPC", status(200, "application/json", `{"result":{}}`), gateway.ProbeNotMCP},
		{"a page for those with a key", byKey(refused, status(200, "text/html", "<html></html>")), gateway.ProbeNotMCP},
		{"proxy without server", status(502, "text/html", "bad gateway"), gateway.ProbeUnreachable},
		{"hangs up", func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) }, gateway.ProbeUnreachable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			w.upstream.answer(tt.serve)
			p := w.probe()
			if p.State() != gateway.ProbeUnknown || p.Ready() == nil {
				t.Error("ready before it probed")
			}
			if got := p.Check(t.Context()); got != tt.want || p.State() != tt.want {
				t.Errorf("found %s, want %s", got, tt.want)
			}
			if ready := p.Ready() == nil; ready != (tt.want == gateway.ProbeGuarded) {
				t.Errorf("ready %v", ready)
			}
			if tt.want != gateway.ProbeOpen {
				w.wantAudit(t)
				return
			}
			w.wantAudit(t, "upstream_open not_proxied")
			if !strings.Contains(w.logs.String(), "MCP_REQUIRE_API_KEY=true") {
				t.Errorf("the log does not say what to do: %s", w.logs)
			}
		})
	}
}

func TestProbe_asksLikeAStranger(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.upstream.answer(status(401, "text/plain", ""))
	p := w.probe()
	p.Check(t.Context())
	p.Check(t.Context())
	seen := w.upstream.requests()
	if len(seen) != 4 {
		t.Fatalf("%d requests, want 4", len(seen))
	}
	if seen[0].header.Get("Authorization") != "" {
		t.Error("the first came with a key")
	}
	first, second := seen[1].header.Get("Authorization"), seen[3].header.Get("Authorization")
	if len(first) != len("Bearer ")+55 || !strings.HasPrefix(first, "Bearer trinity_mcp_") || first == second {
		t.Errorf("keys %q and %q, want two random ones of the right shape", first, second)
	}
}

// TestProbe_revokes: an upstream that is found open later is not proxied any more, and is again once it is shut.
func TestProbe_changesItsMind(t *testing.T) {
	t.Parallel()
	w := start(t)
	p := w.probe()
	refused := status(401, "text/plain", "")
	for _, step := range []struct {
		serve func(http.ResponseWriter, *http.Request, string)
		ready bool
	}{{refused, true}, {mcpServer, false}, {mcpServer, false}, {refused, true}} {
		w.upstream.answer(step.serve)
		p.Check(t.Context())
		if ready := p.Ready() == nil; ready != step.ready {
			t.Errorf("ready %v, want %v", ready, step.ready)
		}
	}
	if last := w.upstream.requests(); !func() bool { // the session that nobody should have got was ended
		for _, r := range last {
			if r.method == "DELETE" && r.header.Get("Mcp-Session-Id") == "upstream-session" {
				return true
			}
		}
		return false
	}() {
		t.Error("a session was left behind")
	}
	w.wantAudit(t, "upstream_open not_proxied") // told once, not with every probe
}

func TestProbe_Run(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.upstream.answer(status(401, "text/plain", ""))
	p := w.probe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	eventually(t, "ready", func() bool { return p.Ready() == nil })
	cancel()
	within(t, "Run returns", done)
	if got := p.Check(ctx); got != gateway.ProbeGuarded {
		t.Errorf("a probe that was called off found %s", got)
	}
}
