package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// TestTrinity_foreignClient: the Go SDK's own client, which tries 2026-07-28 first, works with every generation
// of the upstream, by token and by static key.
func TestTrinity_foreignClient(t *testing.T) {
	t.Parallel()
	eachGeneration(t, func(t *testing.T, d *deployment) {
		c := d.allow(t, "alice@example.com")
		static := d.pastedKey(t, "bob@example.com")
		for _, tt := range []struct{ credential, username, keyName string }{
			{c.token, "alice@example.com", c.grant.Credential.KeyName}, {static, "bob@example.com", "pasted"},
		} {
			session, err := d.client(t, tt.credential)
			if err != nil {
				t.Fatal(err)
			}
			listed, err := session.ListTools(t.Context(), nil)
			if err != nil || len(listed.Tools) < 100 {
				t.Fatalf("%d tools (%v)", len(listed.Tools), err)
			}
			result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_agents", Arguments: map[string]any{"n": 1}})
			if err != nil {
				t.Fatal(err)
			}
			text, ok := result.Content[0].(*mcp.TextContent)
			if !ok {
				t.Fatalf("content %T", result.Content[0])
			}
			var ran struct {
				Tool     string `json:"tool"`
				Username string `json:"username"`
				KeyName  string `json:"key_name"`
			}
			if err := json.Unmarshal([]byte(text.Text), &ran); err != nil || ran.Tool != "list_agents" || ran.Username != tt.username || ran.KeyName != tt.keyName {
				t.Errorf("ran as %+v (%v)", ran, err)
			}
			if err := session.Close(); err != nil {
				t.Error(err)
			}
		}
		d.wantNoToken(t, c.token)
		d.wantAudit(t)
	})
}

// TestTrinity_RS27_stepUp: with every generation of the upstream a session goes on under the next grant of the same
// person and client, and gives a clean 404 once the grant that opened it has ended, whose key Trinity takes no more.
func TestTrinity_RS27_stepUp(t *testing.T) {
	t.Parallel()
	eachGeneration(t, func(t *testing.T, d *deployment) {
		first := d.allow(t, "alice@example.com")
		id := d.openSession(first.token)
		second := d.allowAs(t, "grant-wider", "alice@example.com", bridge.RoleUser)
		got := d.call(second, toolCall("delete_agent"), session(id)).want(t, http.StatusOK)
		if !strings.Contains(got.body, `alice@example.com`) || strings.Contains(got.body, `"error"`) {
			t.Errorf("the call in the older session answered %s", got.body)
		}
		if _, _, err := d.store.EndGrant(t.Context(), first.grant.ID, bridge.EndRevokedByClient, d.clock.Now()); err != nil {
			t.Fatal(err)
		}
		gone := d.call(second, toolCall("delete_agent"), session(id)).want(t, http.StatusNotFound)
		if code, _ := gone.rpcError(t); code != jsonrpc.CodeNoSession {
			t.Errorf("code %d", code)
		}
		d.call(second, toolCall("delete_agent"), session(d.openSession(second.token))).want(t, http.StatusOK)
	})
}

// TestTrinity_keyRevoked: contract 4.4; a key that was revoked at Trinity ends its grant at the next session.
func TestTrinity_keyRevoked(t *testing.T) {
	t.Parallel()
	eachGeneration(t, func(t *testing.T, d *deployment) {
		c := d.allow(t, "alice@example.com")
		d.call(c, initialize).want(t, http.StatusOK)
		backend, err := url.Parse(d.trinity.BackendURL())
		if err != nil {
			t.Fatal(err)
		}
		path := "/api/mcp/keys/" + c.grant.Credential.KeyID + "/revoke"
		res, err := outbound.Fixed(backend, patience).Do(t.Context(), "POST", path, http.Header{"Authorization": {"Bearer " + c.key}}, nil)
		if err != nil || res.Status != http.StatusOK {
			t.Fatal(res, err)
		}
		got := d.call(c, initialize).want(t, http.StatusUnauthorized)
		if got.header.Get("Www-Authenticate") != challengeInvalid {
			t.Errorf("challenge %q", got.header.Get("Www-Authenticate"))
		}
		grant, err := d.store.Grant(t.Context(), c.grant.ID)
		if err != nil || grant.Status != bridge.GrantEnded || grant.EndReason != bridge.EndCredentialDead {
			t.Errorf("grant %s %s (%v)", grant.Status, grant.EndReason, err)
		}
		d.wantAudit(t, audit.GrantEnded+" credential_dead", audit.CallRefused+" credential_dead")
		d.call(c, initialize).want(t, http.StatusUnauthorized)
		d.wantAudit(t, audit.CallRefused+" invalid_token")
	})
}

// TestTrinity_backendDown: the MCP server then takes every key for a bad one; nobody is thrown out for it.
func TestTrinity_backendDown(t *testing.T) {
	t.Parallel()
	eachGeneration(t, func(t *testing.T, d *deployment) {
		c := d.allow(t, "alice@example.com")
		static := d.pastedKey(t, "bob@example.com")
		for _, condition := range []trinitytest.Condition{trinitytest.Down, trinitytest.ServingHTML, trinitytest.Failing, trinitytest.Redirecting} {
			d.trinity.Set(func(s *trinitytest.Switches) { s.Backend = condition })
			for _, credential := range []string{c.token, static} {
				got := d.send("POST", "/mcp", initialize, bearer(credential)).want(t, http.StatusServiceUnavailable)
				if got.header.Get("Www-Authenticate") != "" || got.header.Get("Retry-After") == "" {
					t.Errorf("headers %v", got.header)
				}
			}
		}
		d.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy })
		for _, credential := range []string{c.token, static} {
			d.send("POST", "/mcp", initialize, bearer(credential)).want(t, http.StatusOK)
		}
		d.wantAudit(t)
	})
}

// TestTrinity_mcpConditions: an MCP server in any state gives a client an error it understands.
func TestTrinity_mcpConditions(t *testing.T) {
	t.Parallel()
	d := deploy(t, trinitytest.Switches{MCPLeaksHeaders: true})
	c := d.allow(t, "alice@example.com")
	for condition, want := range map[trinitytest.Condition]int{
		trinitytest.Down: 503, trinitytest.ServingHTML: 502, trinitytest.Redirecting: 502, trinitytest.Failing: 502, trinitytest.EchoingCredentials: 502,
	} {
		d.trinity.Set(func(s *trinitytest.Switches) { s.MCP = condition })
		got := onNewConnection(func() answer { return d.call(c, initialize) })
		got.want(t, want).rpcError(t)
		if strings.Contains(got.body, "trinity_mcp_") || got.header["Set-Cookie"] != nil || got.header["X-Api-Key"] != nil {
			t.Errorf("condition %v leaked: %v", condition, got)
		}
	}
	d.trinity.Set(func(s *trinitytest.Switches) { s.MCP = trinitytest.Slow })
	got := d.call(c, initialize).want(t, http.StatusOK)
	if got.header["Set-Cookie"] != nil || got.header["X-Api-Key"] != nil {
		t.Errorf("leaked: %v", got.header)
	}
}

// TestTrinity_OP34_open: an upstream that asks nobody for a key is not proxied to.
func TestTrinity_OP34_open(t *testing.T) {
	t.Parallel()
	d := deploy(t, trinitytest.Switches{AnonymousAllowed: true})
	c := d.allow(t, "alice@example.com")
	d.call(c, initialize).want(t, http.StatusServiceUnavailable)
	d.send("POST", "/mcp", initialize).want(t, http.StatusUnauthorized)
	if err := d.probe.Ready(); err == nil || d.probe.State() != gateway.ProbeOpen {
		t.Errorf("state %s (%v)", d.probe.State(), err)
	}
	d.wantAudit(t, audit.UpstreamOpen+" not_proxied")
	d.trinity.Set(func(s *trinitytest.Switches) { s.AnonymousAllowed = false })
	d.probe.Check(t.Context())
	d.call(c, initialize).want(t, http.StatusOK)
}

func TestTrinity_probe(t *testing.T) {
	t.Parallel()
	for _, generation := range generations() {
		d := deploy(t, trinitytest.Switches{Generation: generation})
		if d.probe.State() != gateway.ProbeGuarded {
			t.Errorf("%s is %s", generation, d.probe.State())
		}
	}
}

// TestTrinity_sessionsAreNotShared: Trinity binds a session to nobody (contract 4.5); the bridge does.
func TestTrinity_RS25_sessionsAreNotShared(t *testing.T) {
	t.Parallel()
	eachGeneration(t, func(t *testing.T, d *deployment) {
		alice, bob := d.allow(t, "alice@example.com"), d.allow(t, "bob@example.com")
		id := d.call(alice, initialize).want(t, http.StatusOK).header.Get("Mcp-Session-Id")
		d.trinity.ResetRequests()
		for _, method := range []string{"POST", "GET", "DELETE"} {
			d.send(method, "/mcp", ping, bearer(bob.token), session(id), version("2025-11-25")).want(t, http.StatusNotFound)
		}
		if n := len(d.mcpRequests()); n != 0 {
			t.Errorf("Trinity saw %d requests", n)
		}
		d.call(alice, ping, session(id), version("2025-11-25")).want(t, http.StatusOK)
		d.send("DELETE", "/mcp", "", bearer(alice.token), session(id), version("2025-11-25")).want(t, http.StatusOK)
		got := d.call(alice, ping, session(id), version("2025-11-25"))
		if got.status != http.StatusNotFound && got.status != http.StatusBadRequest {
			t.Errorf("an ended session answers %d", got.status)
		}
	})
}

// TestTrinity_missingSession: contract 4.4; the client reads the same 400 in every generation.
func TestTrinity_missingSession(t *testing.T) {
	t.Parallel()
	eachGeneration(t, func(t *testing.T, d *deployment) {
		c := d.allow(t, "alice@example.com")
		got := d.call(c, ping).want(t, http.StatusBadRequest)
		if code, _ := got.rpcError(t); code != -32000 || got.header["Www-Authenticate"] != nil {
			t.Errorf("code %d, headers %v", code, got.header)
		}
		d.send("GET", "/mcp", "", bearer(c.token)).want(t, http.StatusBadRequest)
		grant, err := d.store.Grant(t.Context(), c.grant.ID)
		if err != nil || !grant.Live() {
			t.Errorf("grant %s (%v)", grant.Status, err)
		}
	})
}

// TestTrinity_storeCloses: a store that is gone is a 503, not a 401.
func TestTrinity_storeCloses(t *testing.T) {
	t.Parallel()
	d := deploy(t, trinitytest.Switches{})
	c := d.allow(t, "alice@example.com")
	d.call(c, initialize).want(t, http.StatusOK)
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
	d.call(c, initialize).want(t, http.StatusServiceUnavailable)
}
