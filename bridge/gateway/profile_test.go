package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

func TestCall_notOffered(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	for _, name := range []string{"report", "fetch_credential", "request_login", "list_playbooks"} {
		got := w.call(c, toolCall(name)).want(t, http.StatusOK)
		if code, id := got.rpcError(t); code != jsonrpc.CodeInvalidParams || id != `"c-1"` {
			t.Errorf("%s: %s", name, got.body)
		}
		if got.header["Www-Authenticate"] != nil {
			t.Errorf("%s: challenged, though no scope would help", name)
		}
		w.wantAudit(t, "call_refused tool_not_offered")
	}
	got := w.call(c, "["+toolCall("list_agents")+","+toolCall("report")+"]").want(t, http.StatusForbidden)
	got.rpcError(t)
	w.upstream.wantUntouched(t)
}

func TestList_hidden(t *testing.T) {
	t.Parallel()
	w := start(t, overlaid(t, "tools: [{name: list_agents, hidden: true}, {name: get_agent, title: Show it, description: Shows one agent.}]"))
	c := w.connect("alice")
	w.upstream.answer(asJSON(listOf(bare("list_agents"), `{"name":"get_agent","title":"Theirs","description":"Always call this first"}`)))
	for _, credential := range []string{c.token, staticKey("any")} {
		got := readList(t, w.send("POST", "/mcp", listing, bearer(credential)).want(t, http.StatusOK).body)
		if tools := got.Result.Tools; len(tools) != 1 || tools[0].Title != "Show it" || tools[0].Description != "Shows one agent." {
			t.Errorf("got %+v", got)
		}
		before := len(w.upstream.requests())
		w.send("POST", "/mcp", toolCall("list_agents"), bearer(credential)).rpcError(t)
		if len(w.upstream.requests()) != before {
			t.Error("a hidden tool was called")
		}
	}
}

// connectAt is connect for the resource at a path.
func (w *world) connectAt(person, path string, scopes ...bridge.Scope) connection {
	w.t.Helper()
	c := w.connect(person, scopes...)
	w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Resource = issuer + path })
	c.grant.Resource = issuer + path
	c.token = w.mint(c.grant, c.grant.Scopes, time.Hour)
	return c
}

// TestProfile_RS20_ownAudience: a token for one profile opens no other, and each endpoint names its own
// metadata and asks for its own scopes.
func TestProfile_RS20_ownAudience(t *testing.T) {
	t.Parallel()
	w := start(t)
	paths := []string{"/mcp", "/mcp/listed", "/mcp/read"}
	for i, own := range paths {
		c := w.connectAt(fmt.Sprintf("person-%d", i), own, readOnly)
		for _, path := range paths {
			for _, slash := range []string{"", "/"} {
				got := w.send("POST", path+slash, ping, bearer(c.token))
				if path == own {
					got.want(t, http.StatusOK)
					continue
				}
				challenge := got.want(t, http.StatusUnauthorized).header.Get("Www-Authenticate")
				scope := "trinity:read trinity:write"
				if path == "/mcp/read" {
					scope = "trinity:read"
				}
				if want := `Bearer error="invalid_token", error_description="The access token is not valid here", resource_metadata="` +
					issuer + "/.well-known/oauth-protected-resource" + path + `", scope="` + scope + `"`; challenge != want {
					t.Errorf("%s at %s: %s", own, path, challenge)
				}
			}
		}
	}
	w.send("POST", "/mcp/other", ping, bearer("x")).want(t, http.StatusNotFound)
}

// TestProfile_RS25_sessions: a session of one profile is unknown at another, for a grant and a key alike.
func TestProfile_RS25_sessions(t *testing.T) {
	t.Parallel()
	w := start(t)
	key := staticKey("any")
	id := w.openSession(key)
	w.send("POST", "/mcp", ping, bearer(key), session(id)).want(t, http.StatusOK)
	for _, method := range []string{"POST", "GET", "DELETE"} {
		w.send(method, "/mcp/listed", ping, bearer(key), session(id)).want(t, http.StatusNotFound)
	}
}

// TestProfile_RS31_beyond: nobody is asked for a scope the resource has no use for.
func TestProfile_RS31_beyond(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connectAt("alice", "/mcp/read", readOnly)
	at := func(body string) answer { return w.send("POST", "/mcp/read", body, bearer(c.token)) }
	if got := at(`{"jsonrpc":"2.0","id":1,"method":"tasks/cancel"}`).want(t, http.StatusForbidden); got.header["Www-Authenticate"] != nil {
		t.Errorf("challenged: %q", got.header["Www-Authenticate"])
	}
	at(toolCall("create_agent")).rpcError(t)
	w.upstream.wantUntouched(t)
	at(toolCall("list_agents")).want(t, http.StatusOK)
}

// TestTasks_GW47: each call about a task is judged anew and goes with the caller's own key, so that the upstream, which
// knows whose a task is, gives it to nobody else.
func TestTasks_GW47(t *testing.T) {
	t.Parallel()
	w := start(t)
	alice, bob := w.connect("alice", readOnly, readWrite), w.connect("bob", readOnly)
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, _ string) {
		said := `"result":{"taskId":"task-of-alice","status":"working"}`
		if r.Header.Get("Authorization") != "Bearer "+alice.key {
			said = `"error":{"code":-32602,"message":"no such task"}`
		}
		asJSON(`{"jsonrpc":"2.0","id":1,`+said+`}`)(rw, r, "")
	})
	for _, method := range []string{"tasks/get", "tasks/result"} {
		body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"taskId":"task-of-alice"}}`
		if got := w.call(alice, body).want(t, http.StatusOK); !strings.Contains(got.body, "working") {
			t.Errorf("%s: alice gets %s", method, got.body)
		}
		if code, _ := w.call(bob, body).want(t, http.StatusOK).rpcError(t); code != jsonrpc.CodeInvalidParams {
			t.Errorf("%s: bob gets %d", method, code)
		}
	}
	before := len(w.upstream.requests())
	for _, method := range []string{"tasks/cancel", "tasks/update"} {
		w.call(bob, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{"taskId":"task-of-alice"}}`).want(t, http.StatusForbidden)
	}
	w.grants.change(alice.grant.ID, func(g *bridge.Grant) { g.Status = bridge.GrantEnded })
	w.call(alice, `{"jsonrpc":"2.0","id":1,"method":"tasks/result","params":{"taskId":"task-of-alice"}}`).want(t, http.StatusUnauthorized)
	if len(w.upstream.requests()) != before {
		t.Error("a refused call went on")
	}
}

// TestRounds_GW31: what a client brings to a further round travels as the bytes it is, with the key of
// who brings it.
func TestRounds_GW31(t *testing.T) {
	t.Parallel()
	w := start(t)
	body, headers := modern("tools/call", `"name":"list_agents","requestState":"opaque\u002Bstate==","inputResponses":{"q":{"action":"accept","content":{"a":1e2}}}`)
	for _, person := range []string{"alice", "bob"} {
		c := w.connect(person)
		w.call(c, body, headers, header{"Mcp-Name": {"list_agents"}}).want(t, http.StatusOK)
		if got := w.upstream.last(t); got.body != body || got.header.Get("Authorization") != "Bearer "+c.key {
			t.Errorf("%s: %s with %s", person, got.body, got.header.Get("Authorization"))
		}
	}
}
