package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	readOnly  = bridge.ScopeRead
	readWrite = bridge.ScopeWrite
	admin     = bridge.ScopeAdmin
)

func TestScope(t *testing.T) {
	t.Parallel()
	plain := func(method string) string { return `{"jsonrpc":"2.0","id":1,"method":"` + method + `"}` }
	tests := []struct {
		id, name string
		scopes   bridge.Scopes
		body     string
		want     string // the challenge's scope; "" means allowed
	}{
		{"RS-27", "reading tool, read", bridge.Scopes{readOnly}, toolCall("list_agents"), ""},
		{"RS-27", "writing tool, read", bridge.Scopes{readOnly}, toolCall("create_agent"), "trinity:read trinity:write"},
		{"RS-27", "chat, read", bridge.Scopes{readOnly}, toolCall("chat_with_agent"), "trinity:read trinity:write"},
		{"RS-27", "chat of its own, write", bridge.Scopes{readOnly, readWrite}, toolCall("chat_with_helper"), ""},
		{"RS-28", "deleting tool, read", bridge.Scopes{readOnly}, toolCall("delete_agent"), "trinity:read trinity:admin"},
		{"RS-29", "deleting tool, read and write", bridge.Scopes{readOnly, readWrite}, toolCall("delete_agent"), "trinity:read trinity:write trinity:admin"},
		{"RS-30", "reading tool, admin alone", bridge.Scopes{admin}, toolCall("list_agents"), ""},
		{"RS-30", "deleting tool, admin alone", bridge.Scopes{admin}, toolCall("delete_agent"), ""},
		{"RS-38", "unknown tool, read and write", bridge.Scopes{readOnly, readWrite}, toolCall("launch_rocket"), "trinity:read trinity:write trinity:admin"},
		{"RS-38", "unknown tool, admin", bridge.Scopes{admin}, toolCall("launch_rocket"), ""},
		{"RS-41", "look-alike", bridge.Scopes{readOnly, readWrite}, toolCall("list_\u0430gents"), "trinity:read trinity:write trinity:admin"},
		{"RS-41", "path characters", bridge.Scopes{readOnly, readWrite}, toolCall("list_agents/../delete_agent"), "trinity:read trinity:write trinity:admin"},
		{"RS-39", "tools/list, read", bridge.Scopes{readOnly}, plain("tools/list"), ""},
		{"RS-40", "resources/read, read", bridge.Scopes{readOnly}, plain("resources/read"), ""},
		{"RS-40", "tasks/cancel, read", bridge.Scopes{readOnly}, plain("tasks/cancel"), "trinity:read trinity:write"},
		{"RS-40", "tasks/cancel, write alone", bridge.Scopes{readWrite}, plain("tasks/cancel"), ""},
		{"GW-22", "batch, one not allowed", bridge.Scopes{readOnly}, "[" + ping + "," + toolCall("list_agents") + "," + toolCall("create_agent") + "]", "trinity:read trinity:write"},
		{"GW-22", "batch, two not allowed", bridge.Scopes{readOnly}, "[" + toolCall("create_agent") + "," + toolCall("delete_agent") + "]", "trinity:read trinity:write trinity:admin"},
		{"GW-22", "batch, all allowed", bridge.Scopes{readOnly, readWrite}, "[" + toolCall("list_agents") + "," + toolCall("create_agent") + "]", ""},
		{"GW-23", "answer to a request of the server", bridge.Scopes{readOnly}, `{"jsonrpc":"2.0","id":1,"result":{"name":"delete_agent"}}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.id+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			c := w.connect("alice", tt.scopes...)
			got := w.call(c, tt.body)
			if tt.want == "" {
				got.want(t, http.StatusOK)
				w.wantAudit(t)
				return
			}
			got.want(t, http.StatusForbidden)
			want := `Bearer error="insufficient_scope", error_description="This needs a permission that was not given", resource_metadata="` +
				metadata + `", scope="` + tt.want + `"`
			if lines := got.header["Www-Authenticate"]; len(lines) != 1 || lines[0] != want {
				t.Errorf("challenge %q, want %q", lines, want)
			}
			got.rpcError(t)
			wantPrivate(t, got)
			w.upstream.wantUntouched(t)
			again := w.call(c, tt.body) // RS-33
			if again.header.Get("Www-Authenticate") != want || again.body != got.body {
				t.Error("the same request got another answer")
			}
			w.wantAudit(t, "call_refused insufficient_scope", "call_refused insufficient_scope")
		})
	}
}

// TestScope_RS36: no revision of the protocol, named or left out, goes by the scope.
func TestScope_RS36_everyVersion(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice", readOnly)
	for _, v := range []string{"", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"} {
		body, headers := toolCall("delete_agent"), header{}
		switch v {
		case "":
		case "2026-07-28":
			body, headers = modern("tools/call", `"name":"delete_agent"`)
			headers["Mcp-Name"] = []string{"delete_agent"}
		default:
			headers = version(v)
		}
		got := w.call(c, body, headers).want(t, http.StatusForbidden)
		if !strings.Contains(got.header.Get("Www-Authenticate"), `scope="trinity:read trinity:admin"`) {
			t.Errorf("%q: challenge %q", v, got.header.Get("Www-Authenticate"))
		}
	}
	w.upstream.wantUntouched(t)
}

// TestScope_intersection: a token never allows more than its grant does now, nor a grant more than the token.
func TestScope_intersection(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	c.token = w.mint(c.grant, bridge.Scopes{readOnly}, time.Hour)
	w.call(c, toolCall("create_agent")).want(t, http.StatusForbidden)
	d := w.connect("bob")
	w.call(d, toolCall("delete_agent")).want(t, http.StatusOK)
	w.grants.change(d.grant.ID, func(g *bridge.Grant) { g.Scopes = bridge.Scopes{readOnly} })
	w.call(d, toolCall("delete_agent")).want(t, http.StatusForbidden)
	w.grants.change(d.grant.ID, func(g *bridge.Grant) { g.Scopes = nil })
	for _, method := range []string{"POST", "GET", "DELETE"} { // I12: no scope allows nothing
		w.send(method, "/mcp", ping, bearer(d.token)).want(t, http.StatusForbidden)
	}
}

func TestScope_RS31_nobodyIsAskedForWhatIsNotGranted(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) {
		o.Obtainable = func(_ context.Context, g bridge.Grant) bridge.Scopes {
			if g.Account.Username == "alice" {
				return bridge.BaselineScopes()
			}
			return bridge.AllScopes()
		}
	})
	alice, bob := w.connect("alice", readOnly), w.connect("bob", readOnly)
	got := w.call(alice, toolCall("delete_agent")).want(t, http.StatusForbidden)
	if got.header["Www-Authenticate"] != nil {
		t.Errorf("alice is challenged: %q", got.header["Www-Authenticate"])
	}
	for _, a := range []answer{w.call(alice, toolCall("create_agent")), w.call(bob, toolCall("delete_agent"))} {
		if !strings.Contains(a.want(t, http.StatusForbidden).header.Get("Www-Authenticate"), "insufficient_scope") {
			t.Error("no challenge where asking would help")
		}
	}
}

func TestScope_RS40_unknownMethods(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	for _, method := range []string{"tools/delete", "sampling/createMessage", "roots/list", "admin/run", "Tools/call", "tools/call "} {
		got := w.call(c, `{"jsonrpc":"2.0","id":3,"method":"`+method+`","params":{"name":"list_agents"}}`).want(t, http.StatusForbidden)
		if code, id := got.rpcError(t); code != jsonrpc.CodeMethodNotFound || id != "3" {
			t.Errorf("%s: code %d id %s", method, code, id)
		}
		if got.header["Www-Authenticate"] != nil {
			t.Errorf("%s: challenged, though no scope would help", method)
		}
		w.wantAudit(t, "call_refused unknown_method")
	}
	w.upstream.wantUntouched(t)
}

// TestScope_GW21: where the revision has a status for unknown methods, it is the answer; it is refused all the same.
func TestScope_GW21_unknownMethodsOfTheModernRevision(t *testing.T) {
	t.Parallel()
	w := start(t)
	body, headers := modern("tools/delete", "")
	got := w.call(w.connect("alice"), body, headers).want(t, http.StatusNotFound)
	if code, id := got.rpcError(t); code != jsonrpc.CodeMethodNotFound || id != "9" {
		t.Errorf("code %d id %s", code, id)
	}
	w.wantAudit(t, "call_refused unknown_method")
	w.upstream.wantUntouched(t)
}

// TestScope_GW54: where the operator wants it, each call that is let through is told of: who, what and for which grant,
// and nothing of the arguments; of a static key, its fingerprint (ST-05). It is in the log, not in the store.
func TestScope_GW54_allowedCalls(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.NoteCalls = true })
	c := w.connect("alice")
	static := staticKey("static")
	w.call(c, toolCall("list_agents")).want(t, http.StatusOK)
	w.call(c, "["+ping+","+toolCall("canary-tool")+"]").want(t, http.StatusOK)
	w.send("GET", "/mcp", "", bearer(c.token)).want(t, http.StatusOK)
	w.send("POST", "/mcp", ping, bearer(static)).want(t, http.StatusOK)
	w.call(w.connect("bob", readOnly), toolCall("delete_agent")).want(t, http.StatusForbidden)
	got := w.logs.String()
	for _, want := range []string{
		`event.kind=call_allowed event.request_id=ref-1 event.person_id=` + c.grant.Person.ID() + ` event.client_id=client-1 event.grant_id=` + c.grant.ID + ` event.detail="tool list_agents"`,
		`event.detail="ping, an unknown tool"`,
		`event.detail=GET`,
		`event.detail="static key ` + w.ring.Fingerprint(secret.New(static)) + `: ping"`,
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("the log has %d times %s\n%s", strings.Count(got, want), want, got)
		}
	}
	if n := strings.Count(got, "call_allowed"); n != 4 || strings.Contains(got, "canary") || strings.Contains(got, static) {
		t.Errorf("%d calls were told of:\n%s", n, got)
	}
	w.wantAudit(t, "call_refused insufficient_scope")
}

func TestScope_auditNamesKnownToolsOnly(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice", readOnly)
	w.call(c, toolCall("delete_agent")).want(t, http.StatusForbidden)
	w.call(c, toolCall("canary-tool-name")).want(t, http.StatusForbidden)
	w.trail.Flush(t.Context())
	w.audit.mu.Lock()
	got := []string{w.audit.events[0].Detail, w.audit.events[1].Detail}
	event := w.audit.events[0]
	w.audit.mu.Unlock()
	if got[0] != "tool delete_agent needs trinity:admin" || got[1] != "an unknown tool needs trinity:admin" {
		t.Errorf("details %q", got)
	}
	if event.GrantID != c.grant.ID || event.ClientID != "client-1" || event.PersonID != c.grant.Person.ID() || event.RequestID != "ref-1" {
		t.Errorf("event %+v", event)
	}
	if strings.Contains(w.logs.String(), "canary") {
		t.Error("the log holds the client's words")
	}
}

// GW-66: one connection may call so often, and what it is refused takes nothing of the others'. A static key's calls are
// Trinity's to bound.
func TestCall_GW66_rate(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Limits.CallRate, o.Limits.CallBurst = 1, 3 })
	busy, other := w.connect("alice"), w.connect("bob")
	for range 3 {
		w.call(busy, toolCall("list_agents")).want(t, http.StatusOK)
	}
	got := w.call(busy, toolCall("list_agents")).want(t, http.StatusTooManyRequests)
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	w.call(other, toolCall("list_agents")).want(t, http.StatusOK)
	w.clock.Advance(time.Second)
	w.call(busy, toolCall("list_agents")).want(t, http.StatusOK)
	w.call(busy, toolCall("list_agents")).want(t, http.StatusTooManyRequests)
}
