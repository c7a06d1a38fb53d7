package protocol_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

type serverMetadata struct {
	Issuer         string   `json:"issuer"`
	Authorize      string   `json:"authorization_endpoint"`
	Token          string   `json:"token_endpoint"`
	Register       string   `json:"registration_endpoint"`
	Revoke         string   `json:"revocation_endpoint"`
	Keys           string   `json:"jwks_uri"`
	ResponseTypes  []string `json:"response_types_supported"`
	GrantTypes     []string `json:"grant_types_supported"`
	AuthMethods    []string `json:"token_endpoint_auth_methods_supported"`
	SigningAlgs    []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	Documents      bool     `json:"client_id_metadata_document_supported"`
	ChallengeTypes []string `json:"code_challenge_methods_supported"`
	Scopes         []string `json:"scopes_supported"`
	Iss            bool     `json:"authorization_response_iss_parameter_supported"`
	Resources      []string `json:"protected_resources"`
}

type resourceMetadata struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
	Methods  []string `json:"bearer_methods_supported"`
}

func TestDiscovery_documents(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)

	root := b.Get(t, "/.well-known/oauth-protected-resource")
	path := b.Get(t, "/.well-known/oauth-protected-resource/mcp")
	if root.Body != path.Body || root.Status != http.StatusOK {
		t.Errorf("RS-06, RS-07: root %d %s, path %d %s", root.Status, root.Body, path.Status, path.Body)
	}
	var resource resourceMetadata
	path.JSON(t, &resource)
	want := resourceMetadata{
		Resource: b.MCP, Servers: []string{b.URL}, Scopes: []string{"trinity:read", "trinity:write"}, Methods: []string{"header"},
	}
	if diff := cmp.Diff(want, resource); diff != "" {
		t.Errorf("RS-08…RS-12 (-want +got):\n%s", diff)
	}

	answer := b.Get(t, "/.well-known/oauth-authorization-server", "MCP-Protocol-Version", "2024-11-05")
	var server serverMetadata
	answer.JSON(t, &server)
	wantServer := serverMetadata{
		Issuer: b.URL, Authorize: b.URL + "/oauth/authorize", Token: b.URL + "/oauth/token", Register: b.URL + "/oauth/register",
		Revoke: b.URL + "/oauth/revoke", Keys: b.URL + "/oauth/jwks", ResponseTypes: []string{"code"},
		GrantTypes:  []string{"authorization_code", "refresh_token"},
		AuthMethods: []string{"none", "client_secret_post", "client_secret_basic", "private_key_jwt"},
		SigningAlgs: []string{"ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"}, Documents: true, ChallengeTypes: []string{"S256"},
		Scopes: []string{"trinity:read", "trinity:write", "offline_access"}, Iss: true, Resources: []string{b.MCP, b.MCP + "/listed", b.MCP + "/read"},
	}
	if diff := cmp.Diff(wantServer, server); diff != "" {
		t.Errorf("AS-001, AS-006…AS-015 (-want +got):\n%s", diff)
	}
	for _, document := range []bridgetest.Answer{root, answer} {
		if strings.Contains(document.Body, "null") || strings.Contains(document.Body, "[]") {
			t.Errorf("AS-018: %s", document.Body)
		}
		if got := document.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("AS-001: content type %q", got)
		}
		if got := document.Header.Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("AS-065, RS-13: CORS %q", got)
		}
	}
	keys := b.Get(t, "/oauth/jwks")
	if keys.Status != http.StatusOK || !keys.Contains(`"kid"`, `"ES256"`) || keys.Contains(`"d"`) {
		t.Errorf("AS-017: %d %s", keys.Status, keys.Body)
	}
}

func TestDiscovery_everyOtherPathIsAJSON404(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	for _, path := range []string{
		"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/mcp", "/.well-known/openid-configuration/mcp",
		"/.well-known/oauth-protected-resource/other", "/.well-known/oauth-protected-resource/mcp/x", "/.well-known/", "/.well-known/x",
		"/oauth/nothing",
	} {
		answer := b.Get(t, path, "Accept", "text/html,*/*")
		if answer.Status != http.StatusNotFound || answer.ErrorCode() != "not_found" {
			t.Errorf("AS-003, RS-14, B14, B15 %s: %d %s", path, answer.Status, answer.Body)
		}
	}
}

// AS-004, GW-52: nothing in a request moves the issuer.
func TestDiscovery_AS04_forgedHost(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	req := b.Request(t, http.MethodGet, "/.well-known/oauth-authorization-server", "")
	req.Host = "evil.example"
	if got := b.Do(t, req); got.Status != http.StatusMisdirectedRequest {
		t.Errorf("forged Host: %d %s", got.Status, got.Body)
	}
	straight := b.Get(t, "/.well-known/oauth-authorization-server")
	forged := b.Get(t, "/.well-known/oauth-authorization-server",
		"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "Forwarded", "host=evil.example")
	if straight.Body != forged.Body {
		t.Errorf("forwarded headers changed the document: %s", forged.Body)
	}
}

func TestDiscovery_challenge(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	want := `Bearer resource_metadata="` + b.URL + `/.well-known/oauth-protected-resource/mcp", scope="trinity:read trinity:write"`
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodPut, http.MethodPatch} {
		for _, path := range []string{"/mcp", "/mcp/", "/mcp?access_token=x"} {
			for _, header := range [][]string{nil, {"Accept", "text/html"}, {"MCP-Protocol-Version", "1900-01-01"}, {"Cookie", "a=b"}} {
				answer := b.Do(t, b.Request(t, method, path, "not json", header...))
				if answer.Status != http.StatusUnauthorized || answer.Header.Get("WWW-Authenticate") != want {
					t.Errorf("RS-01…RS-04, B31 %s %s %v: %d %q", method, path, header, answer.Status, answer.Header.Get("WWW-Authenticate"))
				}
			}
		}
	}
	if got := len(b.Trinity.Requests()); got > bridgetest.Times(10) {
		t.Errorf("RS-22: Trinity saw %d requests, more than the probe's", got)
	}
	bad := b.Call(t, "not-a-token", bridgetest.Initialize)
	if got := bad.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) || bad.Status != http.StatusUnauthorized {
		t.Errorf("RS-04, B30: %d %q", bad.Status, got)
	}
}

// AS-012, AS-126, DC-13: registration is off and nowhere to be seen.
func TestDiscovery_DC13_registrationOff(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.Registration = "off" }))
	if answer := b.Get(t, "/.well-known/oauth-authorization-server"); answer.Contains("registration_endpoint") {
		t.Errorf("metadata: %s", answer.Body)
	}
	if answer := b.PostJSON(t, "/oauth/register", `{"redirect_uris":["https://app.example.com/cb"]}`); answer.Status != http.StatusNotFound {
		t.Errorf("register: %d %s", answer.Status, answer.Body)
	}
}

// AS-065: browsers' preflights are answered on the direct endpoints, and on no page (AS-044).
func TestDiscovery_AS65_CORS(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	for _, path := range []string{
		"/oauth/token", "/oauth/register", "/oauth/revoke", "/oauth/par", "/oauth/jwks", "/token", "/register",
		"/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp",
	} {
		answer := b.Do(t, b.Request(t, http.MethodOptions, path, "", "Origin", "https://inspector.example.com",
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "mcp-protocol-version, authorization"))
		allowed := strings.ToLower(answer.Header.Get("Access-Control-Allow-Headers"))
		if answer.Status != http.StatusNoContent || !strings.Contains(allowed, "mcp-protocol-version") || !strings.Contains(allowed, "authorization") {
			t.Errorf("%s: %d %q", path, answer.Status, allowed)
		}
		if answer.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("GW-08 %s: credentials allowed", path)
		}
	}
	for _, path := range []string{
		"/oauth/authorize", "/authorize", "/oauth/introspect", "/consent", "/signin", "/connections", "/connections/end", "/help/connect", "/",
	} {
		if got := b.Get(t, path, "Origin", "https://x.example.com").Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("AS-044 %s: %q", path, got)
		}
	}
}
