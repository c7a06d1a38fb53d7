package foreign_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// go-sdk's client connects to the simulated Trinity with each way of authenticating that it knows. "" leaves the choice
// to registration, whose default is HTTP Basic (RFC 7591 §2).
func TestGoSDK_simulated(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"none", "client_secret_post", "client_secret_basic", ""} {
		t.Run("auth method "+method, func(t *testing.T) {
			t.Parallel()
			b := bridgetest.Start(t)
			c := connect(t, b, method)
			wantOrderlyDiscovery(t, c)
			walk(t, c, func() []arrived { return arrivedAtTrinity(b, trinitytest.SideMCP) })
		})
	}
}

// The upstream is go-sdk's server: once with sessions, in which the bridge carries the calls, once without them. The
// client knows of none.
func TestGoSDK_goServer(t *testing.T) {
	t.Parallel()
	for name, sessions := range map[string]bool{"sessions": true, "stateless": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, upstream := startBeforeGoServer(t, sessions)
			c := connect(t, b, "none")
			if got := c.InitializeResult(); got.ProtocolVersion != "2026-07-28" || got.ServerInfo.Name != "go-sdk server" {
				t.Errorf("connected to %q with %s", got.ServerInfo.Name, got.ProtocolVersion)
			}
			if c.ID() != "" {
				t.Errorf("session id %q", c.ID())
			}
			walk(t, c, upstream.arrived)
		})
	}
}

func startBeforeGoServer(t *testing.T, sessions bool) (*bridgetest.Bridge, *goServer) {
	t.Helper()
	upstream := &goServer{}
	return bridgetest.Start(t, bridgetest.WithUpstream(func(backend string) string {
		return upstream.start(t, backend, sessions)
	})), upstream
}

// walk is what a client does once it is in: lists tools, calls one, and goes on after its token died, without the
// person. Then the grant is revoked.
func walk(t *testing.T, c *client, upstream func() []arrived) {
	t.Helper()
	wantTools(t, c)
	before := wantRanAsAlice(t, c)

	first, err := c.source.Token()
	if err != nil {
		t.Fatal(err)
	}
	c.bridge.Clock.Advance(61 * time.Minute)
	c.source.age(t)
	after := wantRanAsAlice(t, c)
	second, err := c.source.Token()
	if err != nil {
		t.Fatal(err)
	}
	if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
		t.Error("the refresh gave an old token again")
	}
	if n := len(c.signIns()); n != 1 {
		t.Errorf("the person signed in %d times, want once", n)
	}
	name := wantPersonsKey(t, c, upstream())
	for _, r := range arrivedAtTrinity(c.bridge, trinitytest.SideBackend) {
		wantNoSecret(t, c, r)
	}
	if before.KeyName != name || after.KeyName != name {
		t.Errorf("the calls ran with the keys %q and %q, the upstream saw %q", before.KeyName, after.KeyName, name)
	}
	wantRevoked(t, c, upstream)
}

// wantOrderlyDiscovery checks the way from the first 401 to the tokens: nothing was guessed, nothing failed.
func wantOrderlyDiscovery(t *testing.T, c *client) {
	t.Helper()
	want := []string{
		"POST /mcp 401",
		"GET /.well-known/oauth-protected-resource/mcp 200",
		"GET /.well-known/oauth-authorization-server 200",
		"POST /oauth/register 201",
		"POST /oauth/token 200",
	}
	if diff := cmp.Diff(want, c.wire.until("/oauth/token")); diff != "" {
		t.Errorf("exchanges up to the first token (-want +got):\n%s", diff)
	}
	asked := c.signIns()[0]
	scopes := strings.Fields(asked.Get("scope"))
	slices.Sort(scopes) // the SDK has them in any order
	if asked.Get("resource") != c.bridge.MCP || !slices.Equal(scopes, []string{"offline_access", "trinity:read", "trinity:write"}) {
		t.Errorf("asked for resource %q and scopes %q", asked.Get("resource"), scopes)
	}
}

func wantTools(t *testing.T, c *client) {
	t.Helper()
	var names []string
	for tool, err := range c.Tools(t.Context(), nil) {
		if err != nil {
			t.Fatalf("tools/list: %v", err)
		}
		names = append(names, tool.Name)
	}
	for name := range tools {
		if name == "delete_agent" { // needs more than was given
			continue
		}
		if !slices.Contains(names, name) {
			t.Errorf("the tool %s is not offered, only %q", name, names)
		}
	}
}

func wantRanAsAlice(t *testing.T, c *client) called {
	t.Helper()
	got, err := c.call(t, "get_agent")
	if err != nil {
		t.Fatalf("calling get_agent: %v", err)
	}
	want := called{Tool: "get_agent", Arguments: map[string]any{"name": "research"}, Username: alice, KeyName: got.KeyName}
	if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(got.KeyName, "trinity-bridge:go-sdk-client:") {
		t.Errorf("the call with key %q (-want +got):\n%s", got.KeyName, diff)
	}
	return got
}

// wantRevoked ends the grant: the very next call does not reach the upstream, and the key is gone at Trinity.
func wantRevoked(t *testing.T, c *client, upstream func() []arrived) {
	t.Helper()
	grants, err := bridgetest.All(app.ListGrants(t.Context(), c.bridge.Data, "", ""))
	if err != nil || len(grants) != 1 {
		t.Fatalf("grants %+v, %v", grants, err)
	}
	c.bridge.Revoke(t, grants[0].ID)
	bridgetest.Settle()
	c.leave()
	before := callsIn(upstream())
	if _, err := c.call(t, "get_agent"); !errors.Is(err, errPersonAway) {
		t.Errorf("a call after the revocation: %v", err)
	}
	if after := callsIn(upstream()); after != before {
		t.Errorf("%d calls reached the upstream after the revocation", after-before)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		live := slices.ContainsFunc(c.bridge.Trinity.Keys(), func(k trinitytest.KeyInfo) bool { return k.Active })
		if !live {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("the key lives on at Trinity: %+v", c.bridge.Trinity.Keys())
			return
		}
	}
}

// callsIn counts the tool calls.
func callsIn(requests []arrived) int {
	n := 0
	for _, r := range requests {
		if strings.Contains(string(r.Body), `"tools/call"`) {
			n++
		}
	}
	return n
}

// RS-28: a tool that needs more than was given makes the client ask for it, the person allow it, and the call go
// through, all by itself.
func TestGoSDK_RS28_stepUp(t *testing.T) {
	t.Parallel()
	b, _ := startBeforeGoServer(t, false)
	c := connect(t, b, "none")
	got, err := c.call(t, "delete_agent")
	if err != nil || got.Username != alice {
		t.Fatalf("delete_agent: %+v, %v", got, err)
	}
	asked := c.signIns()
	if len(asked) != 2 || !slices.Contains(strings.Fields(asked[1].Get("scope")), "trinity:admin") {
		t.Errorf("the client asked for %v", asked)
	}
}
