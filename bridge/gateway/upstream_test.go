package gateway_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

// TestUpstreamRequest: what goes upstream is the allow-list and nothing else, for each method.
func TestUpstreamRequest_allowList(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	id := w.openSession(c.token)
	hostile := header{
		// RS-12, RS-15, GW-48
		"X-Trinity-User": {"admin"}, "X-Forwarded-User": {"admin"}, "X-Remote-User": {"admin"}, "X-Auth-Request-Email": {"admin@example.com"},
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"evil.example.com"}, "X-Forwarded-Proto": {"http"}, "Forwarded": {"for=127.0.0.1"},
		"X-Real-Ip": {"127.0.0.1"}, "X-Mcp-Key-Id": {"1"}, "X-Source-Agent": {"root"}, "X-Internal-Secret": {"s"}, "Mcp_Session_Id": {"other"},
		"Cookie": {"a=b"}, "Dpop": {"proof"}, "X-Request-Id": {"client-chosen"}, "X-Api-Key": {"k"}, "X-Goog-Iap-Jwt-Assertion": {"j"},
		"Idempotency-Key": {"i"}, "User-Agent": {"client/1"}, "Accept": {"text/html"}, "Accept-Encoding": {"gzip"}, "Expect": {""},
		"Content-Encoding": {"identity"}, "X-Http-Method-Override": {"DELETE"}, "Upgrade": {"h2c"},
		// RS-14
		"Connection": {"Authorization, X-Trinity-User, Mcp-Session-Id, X-Request-Id"},
		"Te":         {"trailers"}, "Trailer": {"Authorization"}, "Keep-Alive": {"timeout=9"},
	}
	common := map[string][]string{
		"Authorization": {"Bearer " + c.key}, "User-Agent": {"trinity-bridge"}, "X-Request-Id": {"ref-1"},
		"Mcp-Session-Id": {"upstream-session"}, "Mcp-Protocol-Version": {"2025-11-25"},
	}
	tests := []struct {
		method, path string
		own          map[string][]string
	}{
		{"POST", "/mcp?access_token=canary&x=1", map[string][]string{
			"Accept": {"application/json, text/event-stream"}, "Content-Type": {"application/json"}, "Content-Length": {fmt.Sprint(len(ping))},
		}},
		{"GET", "/mcp/?y=2", map[string][]string{"Accept": {"text/event-stream"}}},
		{"DELETE", "/mcp", nil},
	}
	for _, tt := range tests {
		w.send(tt.method, tt.path, ping, hostile, bearer(c.token), session(id), version("2025-11-25")).want(t, http.StatusOK)
		got := w.upstream.last(t)
		want := map[string][]string{}
		for _, part := range []map[string][]string{common, tt.own} {
			for name, value := range part {
				want[name] = value
			}
		}
		if diff := cmp.Diff(want, map[string][]string(got.header)); diff != "" {
			t.Errorf("%s: headers\n%s", tt.method, diff)
		}
		target, _ := url.Parse(w.upstream.server.URL)
		if got.method != tt.method || got.path != "/mcp" || got.query != "" || got.host != target.Host {
			t.Errorf("the upstream got %s %s?%s at %s", got.method, got.path, got.query, got.host)
		}
		if tt.method != "POST" && got.body != "" {
			t.Errorf("%s: body %q", tt.method, got.body)
		}
	}
	for _, seen := range w.upstream.requests() { // I4, GW-25
		if strings.Contains(fmt.Sprint(seen), c.token) || strings.Contains(fmt.Sprint(seen), "canary") {
			t.Errorf("the client's token reached the upstream: %v", seen)
		}
	}
}

// TestAnswer_RS22: what comes back is an allow-list too.
func TestAnswer_RS22_allowList(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	leaks := []string{
		"Set-Cookie", "sid=canary", "Authorization", "Bearer canary", "X-Api-Key", "canary", "Server", "canary/1", "X-Powered-By", "canary",
		"Access-Control-Allow-Origin", "*", "Access-Control-Allow-Credentials", "true", "WWW-Authenticate", "Bearer canary", "Location", "http://canary",
		"Link", "<canary>", "Alt-Svc", "canary", "Cache-Control", "public, max-age=99", "ETag", "canary", "Mcp-Protocol-Version", "2025-11-25",
		"Mcp-Session-Id", "upstream-session",
	}
	for _, kind := range []string{"application/json; charset=utf-8", "text/event-stream; charset=utf-8"} {
		body := `{"jsonrpc":"2.0","id":1,"result":{}}`
		if strings.HasPrefix(kind, "text/") {
			body = "data: " + body + "\n\n"
		}
		w.upstream.answer(status(200, kind, body, leaks...))
		got := w.call(c, ping).want(t, http.StatusOK)
		var names []string
		for name := range got.header {
			names = append(names, name)
		}
		slices.Sort(names)
		want := []string{"Cache-Control", "Content-Type", "Date", "Mcp-Protocol-Version", "Mcp-Session-Id", "Vary", "X-Content-Type-Options", "X-Request-Id"}
		want = append(want, "Content-Length") // net/http knows it, for the answer was complete before it was sent
		if strings.HasPrefix(kind, "text/") {
			want = append(want, "X-Accel-Buffering")
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s: headers\n%s", kind, diff)
		}
		if strings.Contains(fmt.Sprint(got), "canary") || strings.Contains(fmt.Sprint(got.header), "upstream-session") {
			t.Errorf("%s: leaked: %v", kind, got)
		}
		if got.header.Get("Content-Type") != kind || !strings.Contains(got.header.Get("Cache-Control"), "no-store") || got.body != body {
			t.Errorf("%s: answer %v", kind, got)
		}
	}
}

// TestAnswer_failures: GW-51, GW-68, RS-21, RS-24: the upstream's trouble in the bridge's words.
func TestAnswer_failures(t *testing.T) {
	t.Parallel()
	trace := "Traceback: canary"
	rpc := func(code int) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":"c-1","error":{"code":%d,"message":"no"}}`, code)
	}
	tests := []struct {
		id, name string
		serve    func(http.ResponseWriter, *http.Request, string)
		status   int
		code     int
	}{
		{"RS-21", "redirect", status(302, "text/html", "canary", "Location", "http://127.0.0.1:1/canary"), 502, jsonrpc.CodeInternal},
		{"RS-21", "permanent redirect", status(308, "text/html", "", "Location", "/mcp/"), 502, jsonrpc.CodeInternal},
		{"RS-24", "500 with a stack trace", status(500, "text/plain", trace), 502, jsonrpc.CodeInternal},
		{"RS-24", "500 as JSON-RPC", status(500, "application/json", rpc(-32603)+trace), 502, jsonrpc.CodeInternal},
		{"GW-51", "403", status(403, "application/json", rpc(-32000)), 502, jsonrpc.CodeInternal},
		{"GW-51", "407", status(407, "text/html", "canary", "Proxy-Authenticate", "Basic canary"), 407, jsonrpc.CodeServer},
		{"GW-51", "a page with 200", status(200, "text/html", "<html>canary"), 502, jsonrpc.CodeInternal},
		{"GW-51", "text with 200", status(200, "text/plain", "canary"), 502, jsonrpc.CodeInternal},
		{"GW-51", "no type with 200", func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header()["Content-Type"] = nil
			_, _ = w.Write([]byte("canary"))
		}, 502, jsonrpc.CodeInternal},
		{"GW-51", "206", status(206, "application/json", "{}"), 502, jsonrpc.CodeInternal},
		{"GW-51", "encoded", status(200, "application/json", "canary", "Content-Encoding", "gzip"), 502, jsonrpc.CodeInternal},
		{"GW-51", "404 page", status(404, "text/html", "canary"), 502, jsonrpc.CodeInternal},
		{"GW-21", "404 of a modern server", status(404, "application/json", rpc(-32601)), 404, -32601},
		{"GW-21", "400 of a modern server", status(400, "application/json; charset=utf-8", rpc(-32022)), 400, -32022},
		{"GW-51", "406 in text", status(406, "text/plain", "canary"), 406, jsonrpc.CodeServer},
		{"GW-51", "405", status(405, "text/plain", "canary"), 405, jsonrpc.CodeServer},
		{"GW-68", "429", status(429, "text/plain", "canary", "Retry-After", "17"), 429, jsonrpc.CodeServer},
		{"GW-68", "503", status(503, "text/html", "canary"), 503, jsonrpc.CodeServer},
		{"GW-68", "502", status(502, "text/html", "canary"), 502, jsonrpc.CodeInternal},
		{"GW-68", "504", status(504, "text/html", "canary"), 504, jsonrpc.CodeInternal},
		{"GW-68", "no answer", func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) }, 502, jsonrpc.CodeInternal},
		{"GW-51", "an endless error", status(400, "application/json", strings.Repeat("canary", 10<<10)), 502, jsonrpc.CodeInternal},
	}
	for _, tt := range tests {
		t.Run(tt.id+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			c := w.connect("alice")
			w.upstream.answer(tt.serve)
			got := w.call(c, toolCall("list_agents")).want(t, tt.status)
			if code, id := got.rpcError(t); code != tt.code || id != `"c-1"` {
				t.Errorf("code %d id %s, want %d", code, id, tt.code)
			}
			if strings.Contains(fmt.Sprint(got), "canary") || got.header.Get("Www-Authenticate") != "" || got.header.Get("Location") != "" {
				t.Errorf("leaked: %v", got)
			}
			if tt.status == 502 && !strings.Contains(got.body, "ref-1") {
				t.Errorf("no reference in %s", got.body)
			}
			if tt.status == 503 && got.header.Get("Retry-After") != "5" || tt.status == 429 && got.header.Get("Retry-After") != "17" {
				t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
			}
			if n := len(w.upstream.requests()); n != 1 { // GW-36
				t.Errorf("the upstream was asked %d times", n)
			}
			wantPrivate(t, got)
			if strings.Contains(w.logs.String(), "canary") {
				t.Error("the log holds the upstream's words or the arguments")
			}
		})
	}
}

func TestAnswer_empty(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	note := `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	for name, serve := range map[string]func(http.ResponseWriter, *http.Request, string){
		"202":           status(202, "text/plain", ""),
		"202 with text": status(202, "text/plain", "canary"),
		"204":           func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(204) },
		"200 of nothing": func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.WriteHeader(200)
		},
	} {
		w.upstream.answer(serve)
		got := w.call(c, note)
		if got.status/100 != 2 || got.body != "" || got.header.Get("Content-Type") != "" { // GW-40
			t.Errorf("%s: %d %q %v", name, got.status, got.body, got.header)
		}
	}
	w.upstream.answer(status(200, "text/plain", "bye"))
	if got := w.send("DELETE", "/mcp", "", bearer(c.token)).want(t, 200); got.body != "" {
		t.Errorf("DELETE: body %q", got.body)
	}
}

// TestKeyRefused: an upstream 401 is never relayed; only Trinity's word ends a grant.
func TestKeyRefused(t *testing.T) {
	t.Parallel()
	refusals := map[string]func(http.ResponseWriter, *http.Request, string){
		"401":            status(401, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Invalid API key"}}`),
		"500 of old age": status(500, "text/plain", "Error creating server"),
	}
	tests := []struct {
		name     string
		standing bridge.Standing
		status   int
		reason   bridge.EndReason
		audit    []string
	}{
		{"dead", bridge.StandingDead, 401, bridge.EndCredentialDead, []string{"grant_ended credential_dead", "call_refused credential_dead"}},
		{"changed", bridge.StandingChanged, 401, bridge.EndAccountChanged, []string{"grant_ended account_changed", "call_refused account_changed"}},
		{"good", bridge.StandingGood, 502, "", nil},
		{"unknown", bridge.StandingUnknown, 503, "", nil},
		{"no answer at all", "", 503, "", nil},
	}
	for name, serve := range refusals {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				var ended atomic.Int32
				w := start(t, func(o *gateway.Options) { o.Ended = func() { ended.Add(1) } })
				c := w.connect("alice")
				w.upstream.answer(serve)
				w.trinity.say("", tt.standing)
				got := w.call(c, initialize).want(t, tt.status)
				if challenged := got.header.Get("Www-Authenticate") == challengeInvalid; challenged != (tt.status == 401) {
					t.Errorf("challenge %q", got.header.Get("Www-Authenticate"))
				}
				w.wantAudit(t, tt.audit...)
				g := w.grants.get(c.grant.ID)
				if g.EndReason != tt.reason || (g.Status == bridge.GrantEnded) != (tt.reason != "") || (ended.Load() == 1) != (tt.reason != "") {
					t.Errorf("grant %s %q, told %d times", g.Status, g.EndReason, ended.Load())
				}
			})
		}
	}
}

func TestKeyRefused_storeDownWhileEnding(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, body string) {
		w.trinity.say("", bridge.StandingDead)
		w.grants.fail(errors.New("disk"))
		status(401, "application/json", "{}")(rw, r, body)
	})
	w.call(c, initialize).want(t, http.StatusServiceUnavailable)
}

func TestUpstream_GW68_unreachable(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	w.upstream.server.Close()
	for _, method := range []string{"POST", "GET", "DELETE"} {
		got := w.send(method, "/mcp", ping, bearer(c.token)).want(t, http.StatusServiceUnavailable)
		got.rpcError(t)
		if got.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
}

// TestUpstream_GW36_onePOSTPerCall: a call whose connection breaks after it was sent is not sent again.
func TestUpstream_GW36_onePOSTPerCall(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	w.call(c, ping).want(t, http.StatusOK) // an idle connection to reuse
	before := len(w.upstream.requests())
	w.upstream.answer(func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) })
	w.call(c, toolCall("create_agent")).want(t, http.StatusBadGateway)
	if n := len(w.upstream.requests()) - before; n != 1 {
		t.Errorf("the upstream was asked %d times, want once", n)
	}
}

func TestUpstream_patience(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	w := start(t, func(o *gateway.Options) {
		o.Limits.Recheck, o.Limits.AnswerWithin, o.Limits.CallWithin = 5*time.Millisecond, 20*time.Millisecond, time.Hour
	})
	c := w.connect("alice")
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, body string) {
		select {
		case <-release:
			mcpServer(rw, r, body)
		case <-r.Context().Done():
		}
	})
	w.call(c, ping).want(t, http.StatusGatewayTimeout) // what needs no work
	answered := make(chan int, 1)
	go func() {
		res, err := w.server.Client().Do(w.request(t.Context(), "POST", "/mcp", toolCall("chat_with_agent"), bearer(c.token)))
		if err != nil {
			answered <- 0
			return
		}
		_ = res.Body.Close()
		answered <- res.StatusCode
	}()
	w.call(c, ping).want(t, http.StatusGatewayTimeout) // the same time again goes by
	close(release)
	if got := <-answered; got != http.StatusOK {
		t.Errorf("the long call got %d", got)
	}
}
