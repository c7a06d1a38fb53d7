//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestTypeScriptSDK_simulated is a newcomer's first quarter of an hour: demo mode, a real browser, and the SDK that
// most clients are made from. At the end they take their grant back.
func TestTypeScriptSDK_simulated(t *testing.T) {
	b := startDemo(t)
	secrets := canaries{}
	client := startTypeScript(t, b, "call", "refresh", "revoke")
	signInWithChromium(t, b, client.authorizeURL, client.redirectURL, "approve", "demo", secrets)
	client.wantConnected(t, b, secrets)
	client.wantCall(t)
	client.wantCall(t)
	client.wantRefreshed(t, secrets)
	client.wantCall(t)
	client.wantRefused(t)
	client.wantOrderlyDiscovery(t, b)
	b.wantDiscreet(t, secrets, client.Program)
}

// TestTypeScriptSDK_fastMCP has a foreign server behind the bridge, which dies in the middle and comes back: tokens
// and open sessions must not notice. When the grant goes, its key goes from Trinity.
func TestTypeScriptSDK_fastMCP(t *testing.T) {
	b := startServe(t)
	secrets := canaries{}
	client := startTypeScript(t, b, "pause", "call", "refresh", "revoke")
	sent := signIn(t, b, client.authorizeURL, client.redirectURL, secrets)
	if sent.Get("state") == "" {
		t.Error("the client sent a state and got none back")
	}
	client.wantConnected(t, b, secrets)
	before := client.wantCall(t)
	client.awaitStep(t, "pause")
	b.crash(t)
	client.WriteLine(t, "go on")
	after := client.wantCall(t)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the same session answers differently after the crash:\n%s", diff)
	}
	client.wantRefreshed(t, secrets)
	client.wantCall(t)
	client.wantRefused(t)
	b.upstream.wantNothingLeft(t)
	b.wantDiscreet(t, secrets, client.Program)
}

// TestTypeScriptSDK_codeOverCrashes has the program die before a code's first use and before its second. The first
// works; the second is refused, and takes the grant with it, as the use of a stolen code must (RFC 9700 §4.4).
func TestTypeScriptSDK_codeOverCrashes(t *testing.T) {
	b := startServe(t)
	secrets := canaries{}
	client := startTypeScript(t, b, "pause", "call", "pause", "refused")
	web, onward := allow(t, b, client.authorizeURL, client.redirectURL, secrets)
	b.crash(t)
	arrive(t, b, web, onward, secrets)
	sent := client.wantConnected(t, b, secrets)
	client.wantCall(t)
	client.awaitStep(t, "pause")
	b.crash(t)
	client.WriteLine(t, "go on")
	client.wantCall(t)
	client.awaitStep(t, "pause")
	client.wantCodeRefused(t, b, sent.Code)
	bridgetest.Settle()
	client.WriteLine(t, "go on")
	client.wantRefused(t)
	b.upstream.wantNothingLeft(t)
	b.wantDiscreet(t, secrets, client.Program)
}

// TestTypeScriptSDK_denied is a person who says no: the client hears so, by the error redirect of RFC 6749 §4.1.2.1.
func TestTypeScriptSDK_denied(t *testing.T) {
	b := startDemo(t)
	secrets := canaries{}
	client := startTypeScript(t, b)
	signInWithChromium(t, b, client.authorizeURL, client.redirectURL, "deny", "", secrets)
	got := programtest.AwaitEvent[callback](t, client.Program, "callback")
	want := callback{Iss: b.Origin, Error: "access_denied", StateMatches: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("callback (-want +got):\n%s", diff)
	}
	b.wantDiscreet(t, secrets)
}

// A typeScript is the SDK's client, waiting for its browser to come back.
type typeScript struct {
	*programtest.Program
	authorizeURL, redirectURL string
}

// What the client tells about itself.
type (
	callback struct {
		Code, Iss, Error string
		StateMatches     bool
	}
	tokens struct {
		Tokens struct {
			AccessToken  string `json:"access_token"`
			RefreshToken string `json:"refresh_token"`
			TokenType    string `json:"token_type"`
			ExpiresIn    int    `json:"expires_in"`
			Scope        string `json:"scope"`
		}
	}
	initialized struct {
		Server          struct{ Name string }
		ProtocolVersion string
		Session         string
	}
)

func startTypeScript(t *testing.T, b *bridge, steps ...string) *typeScript {
	t.Helper()
	port := bridgetest.FreePort(t)
	c := &typeScript{redirectURL: fmt.Sprintf("http://127.0.0.1:%d/callback", port)}
	c.Program = startNode(t, "typescript-client.mjs", nil, map[string]any{
		"serverUrl": b.Connector, "callbackPort": port, "tool": "get_agent", "args": programtest.CallArguments,
		"steps": append([]string{}, steps...),
	})
	c.authorizeURL = programtest.AwaitEvent[struct{ URL string }](t, c.Program, "authorize").URL
	return c
}

func (c *typeScript) awaitStep(t *testing.T, want string) {
	t.Helper()
	if got := programtest.AwaitEvent[struct{ Step string }](t, c.Program, "step").Step; got != want {
		t.Fatalf("the client is at the step %q, want %q", got, want)
	}
}

// wantConnected follows the client from the callback, which it returns, to its list of tools.
func (c *typeScript) wantConnected(t *testing.T, b *bridge, secrets canaries) callback {
	t.Helper()
	verifiers := programtest.EventsSoFar[struct{ Verifier string }](t, c.Program, "verifier")
	for _, v := range verifiers {
		secrets.add(t, "code verifier", v.Verifier)
	}
	got := programtest.AwaitEvent[callback](t, c.Program, "callback")
	secrets.add(t, "authorization code", got.Code)
	if !got.StateMatches || got.Iss != b.Origin {
		t.Errorf("callback: state matches %v, iss %q, want %q", got.StateMatches, got.Iss, b.Origin)
	}
	c.wantTokens(t, secrets)
	hello := programtest.AwaitEvent[initialized](t, c.Program, "initialized")
	if hello.Server.Name == "" || hello.ProtocolVersion == "" || hello.Session == "" {
		t.Errorf("initialize answered %+v", hello)
	}
	programtest.AwaitEvent[programtest.ToolList](t, c.Program, "tools").WantTrinitys(t)
	return got
}

// wantTokens checks a token response (RFC 6749 §5.1).
func (c *typeScript) wantTokens(t *testing.T, secrets canaries) tokens {
	t.Helper()
	got := programtest.AwaitEvent[tokens](t, c.Program, "tokens")
	secrets.add(t, "access token", got.Tokens.AccessToken)
	secrets.add(t, "refresh token", got.Tokens.RefreshToken)
	if !strings.EqualFold(got.Tokens.TokenType, "Bearer") || got.Tokens.ExpiresIn <= 0 {
		t.Errorf("token response: type %q, lifetime %d s", got.Tokens.TokenType, got.Tokens.ExpiresIn)
	}
	if parts := strings.Count(got.Tokens.AccessToken, ".") + 1; parts != 3 {
		t.Errorf("the access token has %d parts, want the 3 of a JWT (RFC 9068)", parts)
	}
	return got
}

// wantRefreshed wants a second pair of tokens, both new.
func (c *typeScript) wantRefreshed(t *testing.T, secrets canaries) {
	t.Helper()
	first := programtest.EventsSoFar[tokens](t, c.Program, "tokens")[0].Tokens
	second := c.wantTokens(t, secrets).Tokens
	if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
		t.Error("the refresh gave an old token again")
	}
}

// wantCall waits for the answer of the next tool call.
func (c *typeScript) wantCall(t *testing.T) programtest.Called {
	t.Helper()
	result := programtest.AwaitEvent[struct {
		IsError bool
		Text    string
	}](t, c.Program, "called")
	if result.IsError {
		t.Fatalf("the tool failed: %s", result.Text)
	}
	return programtest.WantRanAsAlice(t, "get_agent", result.Text)
}

// wantCodeRefused uses the code again with all that belongs to it, from another connection.
func (c *typeScript) wantCodeRefused(t *testing.T, b *bridge, code string) {
	t.Helper()
	verifiers := programtest.EventsSoFar[struct{ Verifier string }](t, c.Program, "verifier")
	registered := programtest.TheEvent[struct {
		ClientID string `json:"client_id"`
	}](t, c.Program, "registered")
	response, err := programtest.HTTPClient.PostForm(b.Origin+"/oauth/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "client_id": {registered.ClientID},
		"redirect_uri": {c.redirectURL}, "code_verifier": {verifiers[0].Verifier}, "resource": {b.Connector},
	})
	if err != nil {
		t.Fatalf("using the code again: %v", err)
	}
	defer response.Body.Close()
	var answer struct{ Error string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatalf("using the code again: %v", err)
	}
	if response.StatusCode != http.StatusBadRequest || answer.Error != "invalid_grant" {
		t.Errorf("using the code again: %d %q, want 400 invalid_grant", response.StatusCode, answer.Error)
	}
}

// wantRefused wants the first call after the grant's end to have failed, with no token left that works.
func (c *typeScript) wantRefused(t *testing.T) {
	t.Helper()
	programtest.AwaitEvent[struct{ Error string }](t, c.Program, "refused")
	programtest.AwaitEvent[struct{}](t, c.Program, "done")
	if code := c.ExitCode(t); code != 0 {
		t.Errorf("the client ended with %d", code)
	}
}

// wantOrderlyDiscovery checks the way from the first 401 to the tokens: nothing was guessed, nothing failed.
func (c *typeScript) wantOrderlyDiscovery(t *testing.T, b *bridge) {
	t.Helper()
	type exchange struct {
		Method, Path string
		Status       int
		Challenge    string
	}
	all := programtest.EventsSoFar[exchange](t, c.Program, "http")
	metadata := fmt.Sprintf(`resource_metadata="%s/.well-known/oauth-protected-resource/mcp"`, b.Origin)
	if !strings.Contains(all[0].Challenge, metadata) || !strings.Contains(all[0].Challenge, `scope="`) {
		t.Errorf("first challenge: %s", all[0].Challenge)
	}
	var got []string
	for _, e := range all {
		got = append(got, fmt.Sprintf("%s %s %d", e.Method, e.Path, e.Status))
		if strings.HasSuffix(e.Path, "/token") {
			break
		}
	}
	want := []string{
		"POST /mcp 401",
		"GET /.well-known/oauth-protected-resource/mcp 200",
		"GET /.well-known/oauth-authorization-server 200",
		"POST /oauth/register 201",
		"POST /oauth/token 200",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exchanges up to the first token (-want +got):\n%s", diff)
	}
}
