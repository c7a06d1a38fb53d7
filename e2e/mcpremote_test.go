//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestMCPRemote has mcp-remote sign in, be stopped, and come back after its access token died and the bridge
// crashed: it must go on with its refresh token, without asking the person again. When the operator ends the grant,
// it must ask.
func TestMCPRemote(t *testing.T) {
	for name, startBridge := range map[string]func(*testing.T) *bridge{
		"simulated": startDemo,
		"fastMCP":   startServe,
	} {
		t.Run(name, func(t *testing.T) {
			b := startBridge(t)
			secrets := canaries{}
			home := mcpRemoteHome{machine.NewHome(t), bridgetest.FreePort(t)}

			first := home.start(t, b)
			authorize, redirect := first.awaitAuthorizeURL(t, b)
			home.addVerifier(t, secrets)
			signIn(t, b, authorize, redirect, secrets)
			first.wantWorking(t)
			first.Stop()

			before := home.addTokens(t, secrets)
			home.expire(t, before)
			b.crash(t)
			second := home.start(t, b)
			second.wantWorking(t)
			if out := second.Output(); authorizeLine.MatchString(out) || !strings.Contains(out, "Refreshed the access token") {
				t.Error("mcp-remote did not simply refresh its token")
			}
			after := home.addTokens(t, secrets)
			if after["refresh_token"] == before["refresh_token"] || after["access_token"] == before["access_token"] {
				t.Error("the refresh gave an old token again")
			}
			b.revokeOnlyGrant(t)
			second.wantSignedOut(t, b)
			second.Stop()
			if b.upstream != nil {
				b.upstream.wantNothingLeft(t)
			}
			b.wantDiscreet(t, secrets, first.Program, second.Program)
		})
	}
}

// An mcpRemoteHome is one person's installation of mcp-remote: where it keeps its tokens, and its callback port.
type mcpRemoteHome struct {
	programtest.Home
	port int
}

// An mcpRemote speaks JSON-RPC on its standard input and output for a server that it reaches over HTTP.
type mcpRemote struct {
	*programtest.Program
	redirectURL string
	id          int
}

func (h mcpRemoteHome) start(t *testing.T, b *bridge) *mcpRemote {
	t.Helper()
	env := []string{"MCP_REMOTE_CONFIG_DIR=" + h.Dir}
	script := programtest.MustInstalled(t, "node/node_modules/mcp-remote/dist/proxy.js")
	return &mcpRemote{
		Program:     h.Start(t, "mcp-remote", env, machine.Node, script, b.Connector, fmt.Sprint(h.port), "--auth-timeout", "120"),
		redirectURL: fmt.Sprintf("http://localhost:%d/oauth/callback", h.port),
	}
}

var authorizeLine = regexp.MustCompile(`(?m)^https?://\S+[?&]response_type=code\S*$`)

// awaitAuthorizeURL waits for what a person would open, and checks whom and what it asks for.
func (m *mcpRemote) awaitAuthorizeURL(t *testing.T, b *bridge) (authorize, redirect string) {
	t.Helper()
	l := m.Await(t, "an authorization URL", func(l programtest.Line) bool { return authorizeLine.MatchString(l.Text) })
	at, err := url.Parse(l.Text)
	if err != nil {
		t.Fatalf("authorization URL: %v", err)
	}
	q := at.Query()
	want := []string{b.Origin, b.Connector, "S256", m.redirectURL}
	got := []string{at.Scheme + "://" + at.Host, q.Get("resource"), q.Get("code_challenge_method"), q.Get("redirect_uri")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("issuer, resource, challenge method and redirect of the request (-want +got):\n%s", diff)
	}
	return l.Text, m.redirectURL
}

// wantWorking opens a session and calls a tool.
func (m *mcpRemote) wantWorking(t *testing.T) {
	t.Helper()
	hello := request[struct {
		ProtocolVersion string
		ServerInfo      struct{ Name string }
	}](t, m, "initialize", map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": map[string]any{},
		"clientInfo": map[string]any{"name": "desktop-program", "version": "1.0.0"},
	})
	if hello.ProtocolVersion == "" || hello.ServerInfo.Name == "" {
		t.Errorf("initialize answered %+v", hello)
	}
	m.WriteLine(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	request[programtest.ToolList](t, m, "tools/list", map[string]any{}).WantTrinitys(t)
	result := request[struct {
		IsError bool
		Content []struct{ Text string }
	}](t, m, "tools/call", map[string]any{"name": "get_agent", "arguments": programtest.CallArguments})
	if result.IsError || len(result.Content) != 1 {
		t.Fatalf("the tool answered %+v", result)
	}
	programtest.WantRanAsAlice(t, "get_agent", result.Content[0].Text)
}

// wantSignedOut wants the very next call to have mcp-remote ask for a new sign-in.
func (m *mcpRemote) wantSignedOut(t *testing.T, b *bridge) {
	t.Helper()
	m.WriteLine(t, `{"jsonrpc":"2.0","id":99,"method":"tools/call","params":{"name":"get_agent","arguments":{}}}`)
	m.awaitAuthorizeURL(t, b)
	if strings.Contains(m.Output(), `"id":99,"result"`) {
		t.Error("a call went through after the grant was revoked")
	}
}

// request sends a JSON-RPC request and waits for its response.
func request[T any](t *testing.T, m *mcpRemote, method string, params any) T {
	t.Helper()
	m.id++
	text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": m.id, "method": method, "params": params})
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	m.WriteLine(t, string(text))

	var response struct {
		ID     int
		Result *T
		Error  json.RawMessage
	}
	l := m.Await(t, "the response to "+method, func(l programtest.Line) bool {
		response.ID, response.Result, response.Error = 0, nil, nil
		return !l.Stderr && json.Unmarshal([]byte(l.Text), &response) == nil && response.ID == m.id
	})
	if response.Result == nil {
		t.Fatalf("%s answered %s", method, l.Text)
	}
	return *response.Result
}

// addVerifier remembers the PKCE verifier of the sign-in under way.
func (h mcpRemoteHome) addVerifier(t *testing.T, secrets canaries) {
	t.Helper()
	verifier, err := os.ReadFile(h.file(t, "code_verifier"))
	if err != nil {
		t.Fatal(err)
	}
	secrets.add(t, "code verifier", strings.TrimSpace(string(verifier)))
}

// addTokens remembers and gives back what mcp-remote has stored.
func (h mcpRemoteHome) addTokens(t *testing.T, secrets canaries) map[string]any {
	t.Helper()
	text, err := os.ReadFile(h.file(t, "tokens.json"))
	if err != nil {
		t.Fatal(err)
	}
	var stored map[string]any
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatalf("tokens.json: %v", err)
	}
	for _, kind := range []string{"access_token", "refresh_token"} {
		value, _ := stored[kind].(string)
		secrets.add(t, strings.ReplaceAll(kind, "_", " "), value)
	}
	return stored
}

// expire makes the stored access token one of yesterday.
func (h mcpRemoteHome) expire(t *testing.T, stored map[string]any) {
	t.Helper()
	expired := map[string]any{}
	for name, value := range stored {
		expired[name] = value
	}
	expired["expires_at"] = 1
	expired["access_token"] = "spoiled-access-token"
	text, err := json.Marshal(expired)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.file(t, "tokens.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// file finds the one stored file whose name holds part.
func (h mcpRemoteHome) file(t *testing.T, part string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(h.Dir, "*", "*"+part+"*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("mcp-remote stores %d files %s (%v), want one", len(found), part, err)
	}
	return found[0]
}
