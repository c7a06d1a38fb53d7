package protocol_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

func TestRegister_refuses(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	long := "https://app.example.com/" + strings.Repeat("x", 10_000)
	many := `"https://app.example.com/1"`
	for i := range 10 {
		many += `,"https://app.example.com/` + strings.Repeat("x", i+1) + `"`
	}
	tests := []struct {
		id, body string
		want     wire
	}{
		{"DC-01/javascript", `{"redirect_uris":["javascript:alert(1)"]}`, wire{400, "invalid_redirect_uri"}},
		{"DC-01/mixed case beside a good one", `{"redirect_uris":["https://app.example.com/cb","JavaScript:alert(1)"]}`, wire{400, "invalid_redirect_uri"}},
		{"DC-01/data", `{"redirect_uris":["data:text/html,x"]}`, wire{400, "invalid_redirect_uri"}},
		{"DC-01/file", `{"redirect_uris":["file:///etc/passwd"]}`, wire{400, "invalid_redirect_uri"}},
		{"DC-01/only a foreign scheme", `{"redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback"]}`, wire{400, "invalid_redirect_uri"}},
		{"AS-120/http elsewhere", `{"redirect_uris":["http://evil.example/cb"]}`, wire{400, "invalid_redirect_uri"}},
		{"AS-120/fragment", `{"redirect_uris":["https://app.example.com/cb#x"]}`, wire{400, "invalid_redirect_uri"}},
		{"DC-04/none", `{}`, wire{400, "invalid_redirect_uri"}},
		{"DC-04/empty", `{"redirect_uris":[]}`, wire{400, "invalid_redirect_uri"}},
		{"DC-04/eleven", `{"redirect_uris":[` + many + `]}`, wire{400, "invalid_redirect_uri"}},
		{"DC-04/10 KB", `{"redirect_uris":["` + long + `"]}`, wire{400, "invalid_redirect_uri"}},
		{"DC-04/twice", `{"redirect_uris":["https://app.example.com/cb","https://app.example.com/cb"]}`, wire{400, "invalid_redirect_uri"}},
		{"AZ-37/iss in the query", `{"redirect_uris":["https://app.example.com/cb?iss=x"]}`, wire{400, "invalid_redirect_uri"}},
		{"DC-10/grant types", `{"redirect_uris":["https://app.example.com/cb"],"grant_types":["implicit"]}`, wire{400, "invalid_client_metadata"}},
		{"DC-10/response types", `{"redirect_uris":["https://app.example.com/cb"],"response_types":["token"]}`, wire{400, "invalid_client_metadata"}},
		{"DC-10/method", `{"redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_method":"tls_client_auth"}`, wire{400, "invalid_client_metadata"}},
		{"AS-121/jwks and jwks_uri", `{"redirect_uris":["https://app.example.com/cb"],"jwks":{"keys":[]},"jwks_uri":"https://app.example.com/k"}`, wire{400, "invalid_client_metadata"}},
		{"AS-121/not an object", `[]`, wire{400, "invalid_client_metadata"}},
		{"AS-121/cut", `{"redirect_uris":`, wire{400, "invalid_client_metadata"}},
		{"AS-121/member twice", `{"redirect_uris":["https://a.example.com/cb"],"redirect_uris":["https://b.example.com/cb"]}`, wire{400, "invalid_client_metadata"}},
		{"AS-121/wrong type", `{"redirect_uris":"https://app.example.com/cb"}`, wire{400, "invalid_client_metadata"}},
		{"AS-123/huge", `{"redirect_uris":["https://app.example.com/cb"],"x":"` + strings.Repeat("x", 40_000) + `"}`, wire{413, "invalid_request"}},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			tt.want.check(t, b.PostJSON(t, "/oauth/register", tt.body))
		})
	}
	t.Run("AS-058/a form", func(t *testing.T) {
		t.Parallel()
		wire{415, "invalid_client_metadata"}.check(t, b.PostForm(t, "/oauth/register", nil))
	})
	t.Run("AS-057/GET", func(t *testing.T) {
		t.Parallel()
		wire{405, "invalid_request"}.check(t, b.Get(t, "/oauth/register"))
	})
}

// The bodies real clients send (client behaviours §1), each answered 201 with what was stored.
func TestRegister_realClients(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	tests := []struct {
		id, body    string
		method      string
		redirects   int
		secret      bool
		refreshable bool
	}{
		{"Claude", `{"client_name":"Claude","redirect_uris":["https://claude.ai/api/mcp/auth_callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_post","scope":"claudeai"}`, "client_secret_post", 1, true, true},
		{"Claude Code", `{"client_name":"Claude Code","redirect_uris":["http://localhost:3118/callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}`, "none", 1, false, true},
		{"Codex", `{"client_name":"Codex","redirect_uris":["http://127.0.0.1:51111/callback/abc"],"grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none","response_types":["code"],"application_type":"native"}`, "none", 1, false, true},
		{"VS Code", `{"client_name":"Visual Studio Code","client_uri":"https://code.visualstudio.com","grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],"response_types":["code"],"redirect_uris":["https://insiders.vscode.dev/redirect","https://vscode.dev/redirect","http://127.0.0.1/","http://127.0.0.1:33418/"],"token_endpoint_auth_method":"none","application_type":"native","scope":"trinity:read trinity:write"}`, "none", 4, false, true},
		{"Cursor", `{"client_name":"Cursor","redirect_uris":["http://localhost:8787/callback","https://www.cursor.com/agents/mcp/oauth/callback","cursor://anysphere.cursor-mcp/oauth/callback"],"application_type":"web","token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"response_types":["code"]}`, "none", 2, false, true},
		{"Gemini CLI", `{"client_name":"Gemini CLI MCP Client","redirect_uris":["http://localhost:7777/oauth/callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none","scope":""}`, "none", 1, false, true},
		{"MCP Inspector", `{"client_name":"MCP Inspector","redirect_uris":["http://localhost:6274/oauth/callback"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"response_types":["code"],"application_type":"native","scope":""}`, "none", 1, false, true},
		{"mcp-remote", `{"client_name":"MCP CLI Proxy","redirect_uris":["http://localhost:9911/oauth/callback"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"response_types":["code"],"software_id":"2e6dc280-f3c3-4e01-99a7-8181dbd1d23d","software_version":"0.15.1"}`, "none", 1, false, true},
		{"n8n", `{"client_name":"n8n","redirect_uris":["https://n8n.example.com/rest/oauth2-credential/callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_basic"}`, "client_secret_basic", 1, true, true},
		{"the least", `{"redirect_uris":["https://app.example.com/cb"],"foo":1,"client_id":"mine","logo_uri":"http://169.254.169.254/"}`, "client_secret_basic", 1, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			answer := b.PostJSON(t, "/register", tt.body)
			if answer.Status != http.StatusCreated || answer.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("AS-117: %d %s", answer.Status, answer.Body)
			}
			var got struct {
				ID        string   `json:"client_id"`
				Secret    *string  `json:"client_secret"`
				IssuedAt  int64    `json:"client_id_issued_at"`
				Expires   *int64   `json:"client_secret_expires_at"`
				Redirects []string `json:"redirect_uris"`
				Method    string   `json:"token_endpoint_auth_method"`
				Grants    []string `json:"grant_types"`
			}
			answer.JSON(t, &got)
			if got.Secret != nil {
				b.Secret(*got.Secret)
			}
			if strings.HasPrefix(got.ID, "https:") || strings.HasPrefix(got.ID, "trinity_mcp_") || got.ID == "mine" || got.IssuedAt == 0 {
				t.Errorf("DC-09, DC-11: id %q issued at %d", got.ID, got.IssuedAt)
			}
			if got.Method != tt.method || len(got.Redirects) != tt.redirects || (got.Secret != nil) != tt.secret || (got.Expires != nil) != tt.secret {
				t.Errorf("AS-117, AS-119, B34, B38: %s", answer.Body)
			}
			if refreshable := strings.Contains(strings.Join(got.Grants, " "), "refresh_token"); refreshable != tt.refreshable {
				t.Errorf("AS-117: grants %v", got.Grants)
			}
			if answer.Contains("null") || answer.Contains(`""`) || answer.Contains("[]") {
				t.Errorf("AS-118, B35: %s", answer.Body)
			}
		})
	}
}

// DC-06: a flood is refused with 429 and a time, and a legitimate burst is not (client behaviours §5.18).
func TestRegister_DC06_flood(t *testing.T) {
	bridgetest.OneProcess(t, "each process limits its own registrations")
	t.Parallel()
	b := bridgetest.Start(t)
	body := `{"redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_method":"none"}`
	statuses := map[int]int{}
	for range 400 {
		answer := b.PostJSON(t, "/oauth/register", body)
		statuses[answer.Status]++
		if answer.Status == http.StatusTooManyRequests && answer.Header.Get("Retry-After") == "" {
			t.Fatal("429 without Retry-After")
		}
	}
	// The clock stands still, so nothing refills; a machine's own loopback is no network with a share beside.
	if want := map[int]int{http.StatusCreated: 200, http.StatusTooManyRequests: 200}; !maps.Equal(statuses, want) {
		t.Errorf("statuses %v, want %v", statuses, want)
	}
}

// DC-06: a flood from one network leaves room for somebody else's new client.
func TestRegister_DC06_otherNetworks(t *testing.T) {
	bridgetest.OneProcess(t, "each process limits its own registrations")
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.TrustedProxies = "127.0.0.1" }))
	body := `{"redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_method":"none"}`
	refused := 0
	for range 300 {
		if b.PostJSON(t, "/oauth/register", body, "X-Forwarded-For", "203.0.113.9").Status == http.StatusTooManyRequests {
			refused++
		}
	}
	if answer := b.PostJSON(t, "/oauth/register", body, "X-Forwarded-For", "198.51.100.9"); refused == 0 || answer.Status != http.StatusCreated {
		t.Errorf("%d refused, and somebody else is answered %d", refused, answer.Status)
	}
}

// AS-123, AS-124, B42: a registration nobody used is gone after a day; one with a grant stays with it.
func TestRegister_AS123_sweeping(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	unused, used := b.Register(t), b.Register(t)
	tokens := b.Connect(t, used, alice)
	b.Clock.Advance(25 * time.Hour)
	wantPage(t, b.Get(t, "/oauth/authorize?"+b.Query(unused).Encode()))
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(unused, "tbr_x")))
	b.Token(t, b.RefreshForm(used, tokens.Refresh))
}

// RFC 7591 §3: with an initial access token only those register who show it, and strangers use up no share of theirs.
func TestRegister_initialToken(t *testing.T) {
	t.Parallel()
	const initial = "an-initial-access-token-0123456789"
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.RegistrationToken = initial }))
	b.Secret(initial)
	const body = `{"redirect_uris":["` + bridgetest.Redirect + `"],"token_endpoint_auth_method":"none"}`
	for name, tt := range map[string]struct {
		header    []string
		challenge string
	}{
		"none":                {nil, `Bearer realm="registration"`},
		"another":             {[]string{"Authorization", "Bearer another-access-token-0123456789ab"}, `Bearer realm="registration", error="invalid_token"`},
		"empty":               {[]string{"Authorization", "Bearer "}, `Bearer realm="registration", error="invalid_token"`},
		"by another scheme":   {[]string{"Authorization", "Basic " + initial}, `Bearer realm="registration", error="invalid_token"`},
		"twice":               {[]string{"Authorization", "Bearer " + initial, "Authorization", "Bearer " + initial}, `Bearer realm="registration", error="invalid_token"`},
		"a person's token":    {[]string{"Authorization", "Bearer tbr_x"}, `Bearer realm="registration", error="invalid_token"`},
		"with something else": {[]string{"Authorization", "Bearer " + initial + " x"}, `Bearer realm="registration", error="invalid_token"`},
	} {
		answer := b.PostJSON(t, "/oauth/register", body, tt.header...)
		if got := answer.Header.Values("WWW-Authenticate"); len(got) != 1 || got[0] != tt.challenge {
			t.Errorf("%s: %q", name, got)
		}
		wire{401, "invalid_token"}.check(t, answer)
	}
	for range 400 {
		b.PostJSON(t, "/oauth/register", body)
	}
	for _, path := range []string{"/oauth/register", "/register"} {
		if answer := b.PostJSON(t, path, body, "Authorization", "bearer "+initial); answer.Status != http.StatusCreated {
			t.Errorf("%s: %d %s", path, answer.Status, answer.Body)
		}
	}
}
