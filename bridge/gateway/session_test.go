package gateway_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// openSession initializes and returns the client's session id.
func (w *world) openSession(credential string) string {
	w.t.Helper()
	got := w.send("POST", "/mcp", initialize, bearer(credential)).want(w.t, http.StatusOK)
	id := got.header.Get("Mcp-Session-Id")
	if id == "" || strings.Contains(id, "upstream") || len(id) > 512 || strings.ContainsFunc(id, func(r rune) bool { return r < '!' || r > '~' }) {
		w.t.Fatalf("session id %q", id)
	}
	return id
}

func TestSession_opensForItsOwnGrant(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	id := w.openSession(c.token)
	for _, method := range []string{"POST", "GET", "DELETE"} {
		w.send(method, "/mcp", ping, bearer(c.token), session(id)).want(t, http.StatusOK)
		if got := w.upstream.last(t).header.Get("Mcp-Session-Id"); got != "upstream-session" {
			t.Errorf("%s: the upstream got session %q", method, got)
		}
	}
	fresh := connection{grant: c.grant, token: w.mint(c.grant, c.grant.Scopes, 2*time.Hour)} // RS-27
	w.call(fresh, ping, session(id)).want(t, http.StatusOK)
	for _, ids := range []string{"\t" + id + " "} { // blanks around a field belong to no value
		w.call(c, ping, session(ids)).want(t, http.StatusOK)
	}
}

// TestSession_RS25: an id is an unknown session to everybody else, whatever they do with it.
func TestSession_RS25_foreign(t *testing.T) {
	t.Parallel()
	w := start(t)
	alice, bob := w.connect("alice"), w.connect("bob")
	client := w.again(alice, "client", func(g *bridge.Grant) { g.ClientID = "client-2" })
	account := w.again(alice, "account", func(g *bridge.Grant) { g.Account.Username = "bob" })
	agent := w.again(alice, "agent", func(g *bridge.Grant) { g.ActingAs = bridge.ActingAs{Kind: bridge.ActAsAgent, Agent: "helper"} })
	key := staticKey("static")
	ofAlice, ofKey := w.openSession(alice.token), w.openSession(key)
	other := w.otherRing(t, alice.grant.ID)
	tests := []struct{ id, name, credential, session string }{
		{"RS-25", "another person's", bob.token, ofAlice},
		{"RS-25", "the person's, with another client", client.token, ofAlice},
		{"RS-25", "the person's, in another account", account.token, ofAlice},
		{"RS-25", "the person's, as an agent", agent.token, ofAlice},
		{"RS-26", "a static key's, with a token", alice.token, ofKey},
		{"RS-26", "a grant's, with a static key", key, ofAlice},
		{"RS-26", "another static key's", staticKey("other"), ofKey},
		{"RS-28", "guessed", alice.token, "3f1c1d1e-0000-4000-8000-000000000000"},
		{"RS-28", "the upstream's own", alice.token, "upstream-session"},
		{"RS-28", "empty", alice.token, ""},
		{"RS-28", "changed in its last character", alice.token, ofAlice[:len(ofAlice)-1] + string(ofAlice[len(ofAlice)-1]^1)},
		{"RS-28", "cut", alice.token, ofAlice[:len(ofAlice)-4]},
		{"RS-28", "lengthened", alice.token, ofAlice + "AAAA"},
		{"RS-28", "padded", alice.token, ofAlice + "="},
		{"RS-28", "twice in one", alice.token, ofAlice + "," + ofAlice},
		{"RS-28", "non-ASCII", alice.token, "sitzung-ü"},
		{"RS-28", "long", alice.token, strings.Repeat("A", 10<<10)},
		{"RS-28", "another deployment's", alice.token, other},
	}
	w.call(alice, ping, session(ofAlice)).want(t, http.StatusOK) // now both are remembered, for their owners
	w.send("POST", "/mcp", ping, bearer(key), session(ofKey)).want(t, http.StatusOK)
	before := len(w.upstream.requests())
	w.wantAudit(t)
	for _, tt := range tests {
		for _, method := range []string{"POST", "GET", "DELETE"} { // RS-54
			got := w.send(method, "/mcp", ping, bearer(tt.credential), session(tt.session)).want(t, http.StatusNotFound)
			if code, _ := got.rpcError(t); code != jsonrpc.CodeNoSession {
				t.Errorf("%s %s: code %d", tt.name, method, code)
			}
			w.wantAudit(t, "call_refused session_not_found")
		}
	}
	answered := `{"jsonrpc":"2.0","id":"ask","result":{"action":"accept"}}` // to what a server has asked another person, GW-23
	w.call(bob, answered, session(ofAlice)).want(t, http.StatusNotFound)
	w.wantAudit(t, "call_refused session_not_found")
	if got := len(w.upstream.requests()); got != before {
		t.Errorf("the upstream was asked %d times", got-before)
	}
	w.call(alice, answered, session(ofAlice)).want(t, http.StatusOK)
	w.send("POST", "/mcp", ping, bearer(alice.token), header{"Mcp-Session-Id": {ofAlice, ofAlice}}).want(t, http.StatusBadRequest)
	w.call(alice, ping, session(ofAlice)).want(t, http.StatusOK) // its owner's is unharmed
}

// again is another grant of c's person to its client, changed by edit.
func (w *world) again(c connection, id string, edit func(*bridge.Grant)) connection {
	w.t.Helper()
	g := c.grant
	g.ID += "-" + id
	edit(&g)
	w.grants.put(g)
	key := staticKey(id)
	w.trinity.set(g.ID, key)
	return connection{grant: g, key: key, token: w.mint(g, g.Scopes, time.Hour)}
}

// TestSession_RS27: after step-up a client goes on in its session with the wider grant, whose own key
// goes upstream. When the grant that opened the session has ended, the session has too.
func TestSession_RS27_goesOnAfterStepUp(t *testing.T) {
	t.Parallel()
	w := start(t)
	narrow := w.connect("alice", readOnly)
	id := w.openSession(narrow.token)
	w.call(narrow, toolCall("delete_agent"), session(id)).want(t, http.StatusForbidden)
	wide := w.again(narrow, "wide", func(g *bridge.Grant) { g.Scopes = bridge.AllScopes() })
	w.call(wide, toolCall("delete_agent"), session(id)).want(t, http.StatusOK)
	if seen := w.upstream.last(t).header; seen.Get("Mcp-Session-Id") != "upstream-session" || seen.Get("Authorization") != "Bearer "+wide.key {
		t.Errorf("the upstream got %v", seen)
	}
	w.call(narrow, toolCall("delete_agent"), session(id)).want(t, http.StatusForbidden) // the session lends no scope
	before := len(w.upstream.requests())
	w.grants.fail(errors.New("disk on fire"))
	w.call(wide, ping, session(id)).want(t, http.StatusServiceUnavailable)
	w.grants.fail(nil)
	w.grants.change(narrow.grant.ID, func(g *bridge.Grant) { g.Status = bridge.GrantEnded })
	for _, method := range []string{"POST", "GET", "DELETE"} {
		got := w.send(method, "/mcp", ping, bearer(wide.token), session(id)).want(t, http.StatusNotFound)
		if code, _ := got.rpcError(t); code != jsonrpc.CodeNoSession {
			t.Errorf("%s: code %d", method, code)
		}
	}
	w.grants.drop(narrow.grant.ID)
	w.call(wide, ping, session(id)).want(t, http.StatusNotFound)
	if got := len(w.upstream.requests()); got != before {
		t.Errorf("the upstream was asked %d times", got-before)
	}
	w.call(wide, ping, session(w.openSession(wide.token))).want(t, http.StatusOK)
}

// otherRing seals a session for the same grant under another master secret.
func (w *world) otherRing(t *testing.T, grantID string) string {
	t.Helper()
	ring, err := secret.NewKeyring(bytes.Repeat([]byte("o"), secret.MinMasterBytes))
	if err != nil {
		t.Fatal(err)
	}
	other := start(t, func(o *gateway.Options) { o.Ring = ring })
	c := other.connect(strings.TrimPrefix(grantID, "grant-"))
	return other.openSession(c.token)
}

// TestSession_surviveRestart: there is no table to lose.
func TestSession_surviveRestart(t *testing.T) {
	t.Parallel()
	before, after := start(t), start(t)
	id := before.openSession(before.connect("alice").token)
	after.call(after.connect("alice"), ping, session(id)).want(t, http.StatusOK)
	after.call(after.connect("bob"), ping, session(id)).want(t, http.StatusNotFound)
}

func TestSession_theIDStaysTheSame(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	id := w.openSession(c.token)
	w.upstream.answer(status(http.StatusOK, "application/json", `{"jsonrpc":"2.0","id":1,"result":{}}`, "Mcp-Session-Id", "upstream-session"))
	if got := w.call(c, ping, session(id)).want(t, http.StatusOK).header.Get("Mcp-Session-Id"); got != id {
		t.Errorf("session %q became %q", id, got)
	}
	if again := w.openSession(c.token); again == id {
		t.Error("two sessions got one id")
	}
}

func TestSession_initializeBeginsAnew(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	// Some clients keep sending a lost session's id with the initialize that should replace it.
	w.call(c, initialize, session("stale")).want(t, http.StatusOK)
	if got := w.upstream.last(t).header["Mcp-Session-Id"]; got != nil {
		t.Errorf("the upstream got session %q", got)
	}
}

func TestSession_upstreamIDsThatCannotBeSealed(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	for _, id := range []string{strings.Repeat("s", 400), "with blank", "with-ü"} {
		w.upstream.answer(status(http.StatusOK, "application/json", `{}`, "Mcp-Session-Id", id))
		w.call(c, initialize).want(t, http.StatusBadGateway)
	}
}

func TestSession_RS53_eventIDsNeedASession(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	id := w.openSession(c.token)
	last := header{"Last-Event-Id": {"e-7"}}
	w.send("GET", "/mcp", "", bearer(c.token), session(id), last).want(t, http.StatusOK)
	if got := w.upstream.last(t).header.Get("Last-Event-Id"); got != "e-7" {
		t.Errorf("the upstream got event id %q", got)
	}
	w.send("GET", "/mcp", "", bearer(c.token), last).want(t, http.StatusOK)
	if got := w.upstream.last(t).header["Last-Event-Id"]; got != nil {
		t.Errorf("the upstream got event id %q outside a session", got)
	}
}

// TestSession_unknownUpstream: a session that the upstream has lost is a 404 a client can act on.
func TestSession_lostUpstream(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	id := w.openSession(c.token)
	for _, serve := range []func(http.ResponseWriter, *http.Request, string){
		status(404, "application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}`),
		status(404, "text/html", "<html>canary</html>"),
	} {
		w.upstream.answer(serve)
		for _, method := range []string{"POST", "GET", "DELETE"} {
			got := w.send(method, "/mcp", ping, bearer(c.token), session(id)).want(t, http.StatusNotFound)
			if code, _ := got.rpcError(t); code != jsonrpc.CodeNoSession {
				t.Errorf("code %d", code)
			}
		}
	}
}

// TestSession_missing: contract 4.4; each generation says it its own way, the client always reads 400.
func TestSession_missing(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	discover, headers := modern("server/discover", "")
	for name, serve := range map[string]func(http.ResponseWriter, *http.Request, string){
		"401 with a challenge": status(401, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Unauthorized: No valid session ID provided"}}`,
			"WWW-Authenticate", `Bearer error="invalid_token"`),
		"400":       status(400, "application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}`),
		"400, text": status(400, "text/plain", "no session"),
	} {
		w.upstream.answer(serve)
		for _, got := range []answer{w.call(c, ping), w.send("GET", "/mcp", "", bearer(c.token)), w.call(c, discover, headers)} {
			if got.want(t, http.StatusBadRequest); got.header["Www-Authenticate"] != nil {
				t.Errorf("%s: the upstream's challenge reached the client", name)
			}
			if code, _ := got.rpcError(t); code != jsonrpc.CodeServer {
				t.Errorf("%s: code %d", name, code)
			}
		}
	}
	if g := w.grants.get(c.grant.ID); g.Status != bridge.GrantLive {
		t.Errorf("the grant is %s", g.Status)
	}
}
