package bridgetest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The redirect URI and PKCE pair of a walk.
const (
	Redirect = "https://app.example.com/callback"
	Verifier = "a-code-verifier-of-at-least-43-characters-0123456789"
)

// Challenge is the S256 challenge of Verifier.
func Challenge() string {
	sum := sha256.Sum256([]byte(Verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Client is a registered client.
type Client struct {
	ID       string   `json:"client_id"`
	Secret   string   `json:"client_secret"`
	Redirect []string `json:"redirect_uris"`
}

// Register registers a public client with the redirect URIs, or Redirect.
func (b *Bridge) Register(t *testing.T, redirects ...string) Client {
	t.Helper()
	if len(redirects) == 0 {
		redirects = []string{Redirect}
	}
	return b.RegisterAs(t, map[string]any{
		"client_name": "Example App", "redirect_uris": redirects, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"},
	})
}

// RegisterAs registers a client with the metadata.
func (b *Bridge) RegisterAs(t *testing.T, metadata map[string]any) Client {
	t.Helper()
	body, err := json.Marshal(metadata)
	if err != nil {
		t.Fatal(err)
	}
	answer := b.PostJSON(t, "/oauth/register", string(body))
	if answer.Status != http.StatusCreated {
		t.Fatalf("registration: %d %s", answer.Status, answer.Body)
	}
	var client Client
	answer.JSON(t, &client)
	b.Secret(client.Secret)
	return client
}

// JSON decodes the body.
func (a Answer) JSON(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), into); err != nil {
		t.Fatalf("the body is not JSON: %v\n%s", err, a.Body)
	}
}

// ErrorCode is the "error" of a JSON body, or "".
func (a Answer) ErrorCode() string {
	var body struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal([]byte(a.Body), &body)
	return body.Error
}

// Query are the parameters of a good authorization request.
func (b *Bridge) Query(client Client) url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {client.ID}, "redirect_uri": {client.Redirect[0]}, "state": {"state-value"},
		"code_challenge": {Challenge()}, "code_challenge_method": {"S256"}, "resource": {b.MCP},
		"scope": {"trinity:read trinity:write"},
	}
}

// SignIn walks a browser from the authorization request to the consent page.
func (b *Bridge) SignIn(t *testing.T, w *Browser, query url.Values, email string) {
	t.Helper()
	b.SignInAt(t, w, "/oauth/authorize?"+query.Encode(), email)
}

// SignInAt is SignIn from the path and query that a client made.
func (b *Bridge) SignInAt(t *testing.T, w *Browser, target, email string) {
	t.Helper()
	w.Open(t, target)
	b.ProveMailbox(t, w, email)
	if w.URL.Path != "/consent" {
		t.Fatalf("after signing in the browser is at %s (%d):\n%s", w.URL, w.Page.Status, w.Page.Body)
	}
}

// Visit signs a browser in to its person's own connections.
func (b *Bridge) Visit(t *testing.T, w *Browser, email string) {
	t.Helper()
	w.Open(t, "/connections")
	w.Follow(t, "Sign in")
	b.ProveMailbox(t, w, email)
	if w.URL.Path != "/connections" || w.Page.Status != http.StatusOK {
		t.Fatalf("after signing in the browser is at %s (%d):\n%s", w.URL, w.Page.Status, w.Page.Body)
	}
}

// ProveMailbox types the address and the code that comes to it.
func (b *Bridge) ProveMailbox(t *testing.T, w *Browser, email string) {
	t.Helper()
	code := b.CodeOf(t, email, func() {
		w.Submit(t, "/signin", func(form url.Values) { form.Set("email", email) })
	})
	w.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", code) })
}

// CodeOf is the code that ask has Trinity send. The bridge answers before it has asked for the mail, so that nobody
// learns who may come in.
func (b *Bridge) CodeOf(t *testing.T, email string, ask func()) string {
	t.Helper()
	before := b.Trinity.LastCode(email)
	ask()
	code := b.Trinity.LastCode(email)
	for deadline := time.Now().Add(30 * time.Second); code == before && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		code = b.Trinity.LastCode(email)
	}
	b.Secret(code)
	return code
}

// Decide presses one of the consent page's buttons.
func (b *Bridge) Decide(t *testing.T, w *Browser, decision string) url.Values {
	t.Helper()
	w.Submit(t, "/consent", func(form url.Values) { form.Set("decision", decision) })
	left, err := url.Parse(w.Left)
	if err != nil || w.Left == "" {
		t.Fatalf("after %s the browser is at %s (%d), sent to %q:\n%s", decision, w.URL, w.Page.Status, w.Left, w.Page.Body)
	}
	b.Secret(left.Query().Get("code"))
	return left.Query()
}

// Code walks a whole flow and returns the code.
func (b *Bridge) Code(t *testing.T, client Client, email string) string {
	t.Helper()
	return b.CodeFor(t, b.Query(client), email)
}

// CodeFor is Code for the parameters of an authorization request.
func (b *Bridge) CodeFor(t *testing.T, query url.Values, email string) string {
	t.Helper()
	w := b.NewBrowser(t)
	b.SignIn(t, w, query, email)
	answer := b.Decide(t, w, "approve")
	if answer.Get("code") == "" {
		t.Fatalf("no code in %s", w.Left)
	}
	return answer.Get("code")
}

// RedeemForm is a good token request for a code.
func (b *Bridge) RedeemForm(client Client, code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "client_id": {client.ID}, "redirect_uri": {client.Redirect[0]},
		"code_verifier": {Verifier}, "resource": {b.MCP},
	}
}

// RefreshForm is a good token request for a refresh token.
func (b *Bridge) RefreshForm(client Client, refresh string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {client.ID}}
}

// Tokens is a token answer.
type Tokens struct {
	Access    string `json:"access_token"`
	Type      string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"`
	Scope     string `json:"scope"`
	Refresh   string `json:"refresh_token"`
}

// Token posts to the token endpoint and wants tokens.
func (b *Bridge) Token(t *testing.T, form url.Values, header ...string) Tokens {
	t.Helper()
	answer := b.PostForm(t, "/oauth/token", form, header...)
	if answer.Status != http.StatusOK {
		t.Fatalf("token: %d %s", answer.Status, answer.Body)
	}
	var tokens Tokens
	answer.JSON(t, &tokens)
	b.Secret(tokens.Access, tokens.Refresh)
	return tokens
}

// Connect walks a whole flow to its tokens.
func (b *Bridge) Connect(t *testing.T, client Client, email string) Tokens {
	t.Helper()
	return b.Token(t, b.RedeemForm(client, b.Code(t, client, email)))
}

// ConnectTo is Connect of somebody new to the resource at path, or to what is meant where none is named.
func (b *Bridge) ConnectTo(t *testing.T, client Client, path, scope string) Tokens {
	t.Helper()
	query, form := b.Query(client), b.RedeemForm(client, "")
	query.Set("scope", scope)
	for _, values := range []url.Values{query, form} {
		if values.Set("resource", b.URL+path); path == "" {
			values.Del("resource")
		}
	}
	form.Set("code", b.CodeFor(t, query, b.Someone()))
	return b.Token(t, form)
}

// Call posts a JSON-RPC body to the MCP endpoint.
func (b *Bridge) Call(t *testing.T, bearer, body string, header ...string) Answer {
	t.Helper()
	header = append([]string{"Accept", "application/json, text/event-stream"}, header...)
	if bearer != "" {
		header = append(header, "Authorization", "Bearer "+bearer)
	}
	return b.PostJSON(t, "/mcp", body, header...)
}

// Initialize is the first message of a session.
const Initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`

// Session opens an MCP session and returns its id.
func (b *Bridge) Session(t *testing.T, bearer string) string {
	t.Helper()
	answer := b.Call(t, bearer, Initialize)
	id := answer.Header.Get("Mcp-Session-Id")
	if answer.Status != http.StatusOK || id == "" {
		t.Fatalf("initialize: %d %s", answer.Status, answer.Body)
	}
	return id
}

// Works reports the status of a harmless call.
func (b *Bridge) Works(t *testing.T, bearer string) int {
	t.Helper()
	return b.Call(t, bearer, Initialize).Status
}

// Tool calls a tool in a session and returns the answer.
func (b *Bridge) Tool(t *testing.T, bearer, session, name string) Answer {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"` + name + `","arguments":{}}}`
	return b.Call(t, bearer, body, "Mcp-Session-Id", session, "MCP-Protocol-Version", "2025-11-25")
}

// Contains reports whether the body has all parts.
func (a Answer) Contains(parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(a.Body, part) {
			return false
		}
	}
	return true
}
