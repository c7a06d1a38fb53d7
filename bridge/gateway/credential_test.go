package gateway_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

const (
	challengeBare    = `Bearer resource_metadata="` + metadata + `", scope="trinity:read trinity:write"`
	challengeInvalid = `Bearer error="invalid_token", error_description="The access token is not valid here", resource_metadata="` +
		metadata + `", scope="trinity:read trinity:write"`
)

// TestNoCredential: without a credential there is one answer, whatever else the request says.
func TestNoCredential_RS01_anyRequest(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.ready.set(errors.New("not yet")) // not even that comes first
	discover, modernHeaders := modern("server/discover", "")
	tests := []struct {
		name, method, path, body string
		headers                  header
	}{
		{"initialize", "POST", "/mcp", initialize, nil},
		{"with a slash", "POST", "/mcp/", initialize, nil},
		{"tools/list", "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, nil},
		{"server/discover of 2026-07-28", "POST", "/mcp", discover, modernHeaders},
		{"garbage", "POST", "/mcp", "\x00{{", nil},
		{"nothing", "POST", "/mcp", "", nil},
		{"another content type", "POST", "/mcp", "a=b", header{"Content-Type": {"application/x-www-form-urlencoded"}}},
		{"unknown version", "POST", "/mcp", initialize, version("1900-01-01")},
		{"version twice", "POST", "/mcp", initialize, header{"Mcp-Protocol-Version": {"2025-11-25", "2026-07-28"}}},
		{"Accept: text/html", "POST", "/mcp", initialize, header{"Accept": {"text/html"}}},
		{"a session id", "POST", "/mcp", initialize, session("abc")},
		{"GET", "GET", "/mcp", "", nil},
		{"GET of a browser", "GET", "/mcp", "", header{"Accept": {"text/html,*/*"}}},
		{"GET with a slash", "GET", "/mcp/", "", nil},
		{"HEAD", "HEAD", "/mcp", "", nil},
		{"DELETE", "DELETE", "/mcp", "", nil},
		{"PUT", "PUT", "/mcp", "x", nil},
		{"PATCH", "PATCH", "/mcp", "x", nil},
		{"unknown method", "BREW", "/mcp", "", nil},
		{"token in the query", "POST", "/mcp?access_token=" + w.connect("q").token, initialize, nil},
		{"token in a form", "POST", "/mcp", "access_token=" + w.connect("f").token, header{"Content-Type": {"application/x-www-form-urlencoded"}}},
		{"cookie", "POST", "/mcp", initialize, header{"Cookie": {"session=1"}}},
		{"Basic", "POST", "/mcp", initialize, header{"Authorization": {"Basic YTpi"}}},
		{"empty Authorization", "POST", "/mcp", initialize, header{"Authorization": {""}}},
		{"scheme glued on", "POST", "/mcp", initialize, header{"Authorization": {"Bearer\tabc"}}},
		{"health checker", "GET", "/mcp", "", header{"User-Agent": {"GoogleHC/1.0"}}}, // RS-19 of the catalogue
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := w.send(tt.method, tt.path, tt.body, tt.headers).want(t, http.StatusUnauthorized)
			if lines := got.header["Www-Authenticate"]; len(lines) != 1 || lines[0] != challengeBare {
				t.Errorf("challenge %q, want %q", lines, challengeBare)
			}
			if tt.method != http.MethodHead {
				got.rpcError(t)
			}
			wantPrivate(t, got)
			w.upstream.wantUntouched(t)
		})
	}
	t.Cleanup(func() { w.wantAudit(t) }) // being asked for a credential is no event
}

func wantPrivate(t *testing.T, got answer) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Vary": "Authorization", "X-Request-Id": "ref-1", "X-Content-Type-Options": "nosniff",
	} {
		if value := got.header.Get(name); !strings.Contains(value, want) {
			t.Errorf("%s is %q, want %q in it", name, value, want)
		}
	}
	if len(got.body) > 300 {
		t.Errorf("the body has %d bytes, want few", len(got.body))
	}
}

func TestBadCredential(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	key := staticKey("nobody")
	tests := []struct {
		id, name string
		value    string
		invalid  bool // invalid_token, else bare
	}{
		{"RS-01", "rubbish", "Bearer rubbish", true},
		{"RS-01", "three parts of rubbish", "Bearer aaaa.bbbb.cccc", true},
		{"RS-01", "signature changed", "Bearer " + c.token[:len(c.token)-4] + "AAAA", true},
		{"RS-11", "double space", "Bearer  " + c.token, true},
		{"RS-11", "two words", "Bearer " + c.token + " x", true},
		{"RS-11", "non-ASCII", "Bearer tök", true},
		{"RS-11", "padding alone", "Bearer ==", true},
		{"RS-18", "nothing after the scheme", "Bearer", true},
		{"ST-01", "42 characters", "Bearer " + key[:len(key)-1], true},
		{"ST-01", "44 characters", "Bearer " + key + "x", true},
		{"ST-01", "a JWT for the rest", "Bearer trinity_mcp_" + c.token, true},
		{"ST-01", "a dot in it", "Bearer " + key[:len(key)-1] + ".", true},
		{"ST-01", "upper-case prefix", "Bearer TRINITY_MCP_" + key[12:], true},
		{"ST-01", "padded", "Bearer " + key + "=", true},
		{"RS-02", "Trinity's own session token", "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSJ9.c2ln", true},
		{"RS-01", "longer than any token", "Bearer " + strings.Repeat("a", 9000), true},
	}
	for _, tt := range tests {
		t.Run(tt.id+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{"POST", "GET", "DELETE", "PUT"} {
				got := w.send(method, "/mcp", initialize, header{"Authorization": {tt.value}}).want(t, http.StatusUnauthorized)
				if lines := got.header["Www-Authenticate"]; len(lines) != 1 || lines[0] != challengeInvalid {
					t.Errorf("%s: challenge %q, want %q", method, lines, challengeInvalid)
				}
				got.rpcError(t)
				wantPrivate(t, got)
			}
			w.upstream.wantUntouched(t)
		})
	}
}

func TestManyCredentials_RS10(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	for name, h := range map[string]header{
		"two fields":          {"Authorization": {"Bearer " + c.token, "Bearer " + c.token}},
		"a list":              {"Authorization": {"Bearer " + c.token + ", Bearer x"}},
		"proxy authorization": {"Authorization": {"Bearer " + c.token}, "Proxy-Authorization": {"Bearer x"}},
		"proxy alone":         {"Proxy-Authorization": {"Bearer " + c.token}},
	} {
		got := w.send("POST", "/mcp", initialize, h).want(t, http.StatusBadRequest)
		if challenge := got.header.Get("Www-Authenticate"); !strings.Contains(challenge, `error="invalid_request"`) {
			t.Errorf("%s: challenge %q", name, challenge)
		}
		got.rpcError(t)
		w.wantAudit(t, "call_refused invalid_request")
	}
	w.upstream.wantUntouched(t)
}

func TestToken_schemeInAnyCase_RS11(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	for _, scheme := range []string{"Bearer", "bearer", "BEARER", "bEaReR"} {
		w.send("POST", "/mcp", initialize, header{"Authorization": {scheme + " " + c.token}}).want(t, http.StatusOK)
	}
	w.send("POST", "/mcp/", initialize, bearer(c.token)).want(t, http.StatusOK) // B72
}

// TestGrant: a good token opens its own live grant and nothing else.
func TestGrant(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id, name string
		edit     func(w *world, c *connection)
	}{
		{"RS-24", "ended", func(w *world, c *connection) {
			w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Status = bridge.GrantEnded })
		}},
		{"RS-24", "pending", func(w *world, c *connection) {
			w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Status = bridge.GrantPending })
		}},
		{"RS-24", "status unknown", func(w *world, c *connection) { w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Status = "" }) }},
		{"RS-24", "gone", func(w *world, c *connection) { w.grants.drop(c.grant.ID) }},
		{"RS-24", "lapsed", func(w *world, c *connection) {
			w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Lapses = w.clock.Now() })
		}},
		{"RS-24", "token revoked", func(w *world, c *connection) {
			minted, access, err := w.signer.Mint(c.grant, c.grant.Scopes, bridge.Hash{}, time.Hour)
			if err != nil {
				w.t.Fatal(err)
			}
			c.token = minted.Reveal()
			w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.RevokedTokens = map[string]time.Time{access.ID: access.ExpiresAt} })
		}},
		{"RS-24", "another client's", func(w *world, c *connection) {
			w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.ClientID = "client-2" })
		}},
		{"RS-24", "another person's", func(w *world, c *connection) {
			w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Person.Subject = "mallory" })
		}},
		{"RS-20", "another resource's", func(w *world, c *connection) {
			w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Resource = issuer + "/mcp/read" })
		}},
		{"RS-03", "token for another resource", func(w *world, c *connection) {
			g := c.grant
			g.Resource = issuer + "/mcp/"
			c.token = w.mint(g, g.Scopes, time.Hour)
		}},
		{"RS-07", "expired", func(w *world, c *connection) {
			w.call(*c, ping).want(w.t, http.StatusOK) // cached now
			w.clock.Advance(time.Hour)
		}},
		{"RS-21", "a refresh token", func(_ *world, c *connection) { c.token = "trinity_refresh_" + strings.Repeat("r", 43) }},
	}
	for _, tt := range tests {
		t.Run(tt.id+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			c := w.connect("alice")
			tt.edit(w, &c)
			before := len(w.upstream.requests())
			got := w.call(c, ping).want(t, http.StatusUnauthorized)
			if challenge := got.header.Get("Www-Authenticate"); challenge != challengeInvalid {
				t.Errorf("challenge %q, want %q", challenge, challengeInvalid)
			}
			if len(w.upstream.requests()) != before {
				t.Error("the upstream was asked")
			}
			w.wantAudit(t, "call_refused invalid_token")
		})
	}
}

func TestGrant_RS24_endsAtOnceThoughTheTokenIsCached(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	for range 3 {
		w.call(c, ping).want(t, http.StatusOK)
	}
	if opened, _ := w.trinity.counts(); opened != 1 {
		t.Errorf("the key was opened %d times, want once", opened)
	}
	w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Status = bridge.GrantEnded })
	w.call(c, ping).want(t, http.StatusUnauthorized)
}

// countingTokens counts the tokens that are really checked, and can turn against them.
type countingTokens struct {
	gateway.Tokens
	checked atomic.Int32
	dropped atomic.Bool
}

func (c *countingTokens) Read(presented secret.Token) (token.Access, error) {
	c.checked.Add(1)
	if c.dropped.Load() {
		return token.Access{}, bridge.Refuse("invalid_token", "the key is gone")
	}
	return c.Tokens.Read(presented)
}

// TestToken_RS23: a verified token is remembered for a minute, so a dropped signing key is worth nothing after that.
func TestToken_RS23_checkedOnceAMinute(t *testing.T) {
	t.Parallel()
	counting := &countingTokens{}
	w := start(t, func(o *gateway.Options) { counting.Tokens, o.Tokens = o.Tokens, counting })
	c := w.connect("alice")
	for range 5 {
		w.call(c, ping).want(t, http.StatusOK)
	}
	if n := counting.checked.Load(); n != 1 {
		t.Errorf("the token was checked %d times, want once", n)
	}
	counting.dropped.Store(true)
	w.call(c, ping).want(t, http.StatusOK)
	w.clock.Advance(time.Minute)
	for range 3 { // so is a refused one: who sends it over and over costs no signature each time
		w.call(c, ping).want(t, http.StatusUnauthorized)
	}
	if n := counting.checked.Load(); n != 2 {
		t.Errorf("the token was checked %d times, want twice", n)
	}
	counting.dropped.Store(false)
	w.call(c, ping).want(t, http.StatusUnauthorized)
	w.clock.Advance(time.Minute)
	w.call(c, ping).want(t, http.StatusOK)
}

// TestToken_RS20: who shows a token at profiles it is not for costs no signature, and does not make its own calls cost one.
func TestToken_RS20_wrongProfileCostsNothing(t *testing.T) {
	t.Parallel()
	counting := &countingTokens{}
	w := start(t, func(o *gateway.Options) { counting.Tokens, o.Tokens = o.Tokens, counting })
	c := w.connect("alice")
	for range 3 {
		for _, path := range []string{"/mcp/listed", "/mcp/read"} {
			w.send(http.MethodPost, path, ping, bearer(c.token)).want(t, http.StatusUnauthorized)
			w.wantAudit(t, "call_refused invalid_token")
		}
		w.call(c, ping).want(t, http.StatusOK)
	}
	if n := counting.checked.Load(); n != 1 {
		t.Errorf("the token was checked %d times, want once", n)
	}
}

func TestGrant_newKeyReplacesTheOpenedOne(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	w.call(c, ping).want(t, http.StatusOK)
	w.trinity.set(c.grant.ID, staticKey("second"))
	w.grants.change(c.grant.ID, func(g *bridge.Grant) { g.Credential.Sealed = []byte("another") })
	w.call(c, ping).want(t, http.StatusOK)
	if got := w.upstream.last(t).header.Get("Authorization"); got != "Bearer "+staticKey("second") {
		t.Errorf("the upstream got %q, want the new key", got)
	}
}

// TestUnavailable: what the bridge cannot know is a 503, never a yes and never a reason to sign in again.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(w *world, c connection)
	}{
		{"store", func(w *world, _ connection) { w.grants.fail(errors.New("disk")) }},
		{"key", func(w *world, c connection) { w.trinity.keys = nil }},
		{"OP-34/upstream not probed", func(w *world, _ connection) { w.ready.set(errors.New("open")) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			c := w.connect("alice")
			tt.edit(w, c)
			for _, method := range []string{"POST", "GET", "DELETE"} {
				got := w.send(method, "/mcp", ping, bearer(c.token)).want(t, http.StatusServiceUnavailable)
				got.rpcError(t)
				if got.header.Get("Retry-After") == "" || got.header.Get("Www-Authenticate") != "" {
					t.Errorf("headers %v, want Retry-After and no challenge", got.header)
				}
			}
			w.upstream.wantUntouched(t)
		})
	}
}

func TestMethod_405AfterTheCredential(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	for _, method := range []string{"PUT", "PATCH", "HEAD", "BREW", "TRACE"} {
		got := w.send(method, "/mcp", "", bearer(c.token)).want(t, http.StatusMethodNotAllowed)
		if allow := got.header.Get("Allow"); allow != "POST, GET, DELETE, OPTIONS" {
			t.Errorf("%s: Allow %q", method, allow)
		}
	}
	w.upstream.wantUntouched(t)
}

// A stream is on its way before its use is noted: who opens it calls at once, and is asked on it.
func TestTouch_streamsDoNotWait(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.grants.touching = make(chan struct{})
	noted := sync.OnceFunc(func() { close(w.grants.touching) })
	t.Cleanup(noted)
	c := w.connect("alice")
	f := newFeed(w)
	r := w.stream(t, "GET", "", bearer(c.token))
	f.events <- "data: 1\n\n"
	r.wantEvent("data: 1\n")
	noted()
	eventually(t, "the use is noted while the stream goes on", func() bool {
		w.grants.mu.Lock()
		defer w.grants.mu.Unlock()
		return len(w.grants.touched) == 1
	})
	r.stop()
}

func TestTouch_atMostOnceAMinute(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	for range 5 {
		w.call(c, ping).want(t, http.StatusOK)
	}
	w.clock.Advance(time.Minute)
	w.call(c, ping).want(t, http.StatusOK)
	w.send("POST", "/mcp", ping, bearer("rubbish")).want(t, http.StatusUnauthorized)
	eventually(t, "two notes of use", func() bool {
		w.grants.mu.Lock()
		defer w.grants.mu.Unlock()
		return len(w.grants.touched) == 2
	})
}

func TestNew_missingOption(t *testing.T) {
	t.Parallel()
	if _, err := gateway.New(gateway.Options{}); err == nil {
		t.Error("a gateway of nothing was made")
	}
}

// TestCredential_RS18_characters: of all bytes exactly those of token68 may stand in a token (RFC 9110 §11.2).
func TestCredential_RS18_characters(t *testing.T) {
	t.Parallel()
	w := start(t)
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
	for c := range 256 {
		if c < ' ' && c != '\t' || c == 0x7f || c == ',' { // net/http refuses the first, and a comma means two
			continue
		}
		got := w.send("POST", "/mcp", ping, header{"Authorization": {"Bearer a" + string([]byte{byte(c)}) + "a"}}).want(t, http.StatusUnauthorized)
		w.trail.Flush(t.Context())
		w.audit.mu.Lock()
		event := w.audit.events[len(w.audit.events)-1]
		w.audit.mu.Unlock()
		if formed := event.Detail != "not the form of a token"; formed != strings.Contains(allowed, string(rune(c))) {
			t.Errorf("byte %#x: %q, %s", c, event.Detail, got.body)
		}
	}
}
