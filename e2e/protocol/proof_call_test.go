package protocol_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// EX-23: each defect of a proof at the resource is 401 and says invalid_dpop_proof.
func TestProof_EX23_refuses(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, withDPoP("on"))
	client, key, other := b.Register(t), b.NewProver(t, "ES256"), b.NewProver(t, "ES256")
	access := key.Token(t, b.RedeemForm(client, b.Code(t, client, alice))).Access
	second := key.Token(t, b.RedeemForm(client, b.Code(t, client, alice))).Access
	with := func(change map[string]any) string { return key.Proof(t, http.MethodPost, "/mcp", access, change) }
	at := func(d time.Duration) int64 { return b.Clock.Now().Add(d).Unix() }
	parts := strings.Split(with(nil), ".")
	tests := []struct {
		name   string
		header []string
	}{
		{"no proof", nil},
		{"two proofs", []string{"DPoP", with(nil), "DPoP", with(nil)}},
		{"two proofs in a line", []string{"DPoP", with(nil) + "," + with(nil)}},
		{"another key", []string{"DPoP", other.Proof(t, http.MethodPost, "/mcp", access, nil)}},
		{"another key's signature", []string{"DPoP", bridgetest.SignWith(t, "ES256", bridgetest.Private(other.Key), "", key.Claims(http.MethodPost, "/mcp", access), key.Header())}},
		{"the private key shown", []string{"DPoP", bridgetest.SignWith(t, "ES256", bridgetest.Private(key.Key), "", key.Claims(http.MethodPost, "/mcp", access), map[string]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: bridgetest.Private(key.Key)}})}},
		{"no key", []string{"DPoP", bridgetest.SignWith(t, "ES256", bridgetest.Private(key.Key), "", key.Claims(http.MethodPost, "/mcp", access), map[string]any{"typ": "dpop+jwt"})}},
		{"no type", []string{"DPoP", bridgetest.SignWith(t, "ES256", bridgetest.Private(key.Key), "", key.Claims(http.MethodPost, "/mcp", access), map[string]any{"jwk": key.Public()})}},
		{"HS256", []string{"DPoP", bridgetest.SignWith(t, "HS256", []byte(strings.Repeat("k", 32)), "", key.Claims(http.MethodPost, "/mcp", access), key.Header())}},
		{"alg none", []string{"DPoP", "eyJhbGciOiJub25lIiwidHlwIjoiZHBvcCtqd3QifQ." + parts[1] + "."}},
		{"the access token itself", []string{"DPoP", access}},
		{"no ath", []string{"DPoP", with(map[string]any{"ath": nil})}},
		{"for another token", []string{"DPoP", key.Proof(t, http.MethodPost, "/mcp", second, nil)}},
		{"no jti", []string{"DPoP", with(map[string]any{"jti": nil})}},
		{"no htm", []string{"DPoP", with(map[string]any{"htm": nil})}},
		{"another method", []string{"DPoP", with(map[string]any{"htm": "GET"})}},
		{"no htu", []string{"DPoP", with(map[string]any{"htu": nil})}},
		{"for the token endpoint", []string{"DPoP", with(map[string]any{"htu": b.URL + "/oauth/token"})}},
		{"slash", []string{"DPoP", with(map[string]any{"htu": b.MCP + "/"})}},
		{"upper-case path", []string{"DPoP", with(map[string]any{"htu": b.URL + "/MCP"})}},
		{"no port", []string{"DPoP", with(map[string]any{"htu": "http://127.0.0.1/mcp"})}},
		{"https", []string{"DPoP", with(map[string]any{"htu": strings.Replace(b.MCP, "http:", "https:", 1)})}},
		{"another spelling of this machine", []string{"DPoP", with(map[string]any{"htu": strings.Replace(b.MCP, "127.0.0.1", "localhost", 1)})}},
		{"no iat", []string{"DPoP", with(map[string]any{"iat": nil})}},
		{"six minutes old", []string{"DPoP", with(map[string]any{"iat": at(-6 * time.Minute)})}},
		{"six minutes in advance", []string{"DPoP", with(map[string]any{"iat": at(6 * time.Minute)})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := b.Call(t, "", bridgetest.Initialize, append([]string{"Authorization", "DPoP " + access}, tt.header...)...)
			challenges := answer.Header.Values("WWW-Authenticate")
			if answer.Status != http.StatusUnauthorized || len(challenges) != 1 || !strings.HasPrefix(challenges[0], `DPoP error="invalid_dpop_proof"`) ||
				!strings.Contains(challenges[0], "resource_metadata=") || answer.Header.Get("Cache-Control") != "no-store, private" {
				t.Errorf("%d %q %s", answer.Status, challenges, answer.Body)
			}
		})
	}
	for name, header := range map[string][]string{
		"good":                 {"DPoP", with(nil)},
		"query in the htu":     {"DPoP", with(map[string]any{"htu": b.MCP + "?a=b#c"})},
		"scheme in upper case": {"DPoP", with(map[string]any{"htu": strings.Replace(b.MCP, "http:", "HTTP:", 1)})},
		"iat with a fraction":  {"DPoP", with(map[string]any{"iat": float64(at(0)) + 0.5})},
	} {
		if answer := b.Call(t, "", bridgetest.Initialize, append([]string{"Authorization", "dpop " + access}, header...)...); answer.Status != http.StatusOK {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Body)
		}
	}
	slashed := b.PostJSON(t, "/mcp/", bridgetest.Initialize, "Accept", "application/json, text/event-stream", "Authorization", "DPoP "+access,
		"DPoP", with(map[string]any{"htu": b.MCP + "/"}))
	if slashed.Status != http.StatusOK {
		t.Errorf("at /mcp/ with its own htu: %d %s", slashed.Status, slashed.Body)
	}
}

// EX-24: a bound token is no bearer token, with or without a proof, and a bearer token is none for the DPoP scheme.
func TestProof_EX24_schemes(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, withDPoP("on"))
	client, key := b.Register(t), b.NewProver(t, "ES256")
	bound := key.Token(t, b.RedeemForm(client, b.Code(t, client, alice))).Access
	unbound := b.Connect(t, client, b.Someone()).Access
	for name, header := range map[string][]string{
		"bound as bearer":              {"Authorization", "Bearer " + bound},
		"bound as bearer with a proof": {"Authorization", "Bearer " + bound, "DPoP", key.Proof(t, http.MethodPost, "/mcp", bound, nil)},
		"unbound with a proof":         {"Authorization", "DPoP " + unbound, "DPoP", key.Proof(t, http.MethodPost, "/mcp", unbound, nil)},
		"unbound by the scheme alone":  {"Authorization", "DPoP " + unbound},
	} {
		answer := b.Call(t, "", bridgetest.Initialize, header...)
		challenges := answer.Header.Values("WWW-Authenticate")
		if answer.Status != http.StatusUnauthorized || len(challenges) != 2 || !strings.HasPrefix(challenges[0], `Bearer error="invalid_token"`) ||
			!strings.HasPrefix(challenges[1], `DPoP error="invalid_token"`) {
			t.Errorf("%s: %d %q", name, answer.Status, challenges)
		}
	}
	both := b.Call(t, unbound, bridgetest.Initialize, "Authorization", "DPoP "+bound, "DPoP", key.Proof(t, http.MethodPost, "/mcp", bound, nil))
	if both.Status != http.StatusBadRequest {
		t.Errorf("two Authorization fields: %d", both.Status)
	}
	if b.Works(t, unbound) != http.StatusOK || key.Call(t, bound, bridgetest.Initialize).Status != http.StatusOK {
		t.Error("each in its own way is served")
	}
	if b.Audited("call_refused", "invalid_token") != 4 {
		t.Error("the audit trail has another story")
	}
}

// EX-23: a session of a bound token, its stream and its end each need a proof; a step-up is asked for by both schemes.
func TestProof_EX23_session(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, withDPoP("on"))
	client, key := b.Register(t), b.NewProver(t, "ES256")
	query := b.Query(client)
	query.Set("scope", "trinity:read")
	w := b.NewBrowser(t)
	b.SignIn(t, w, query, alice)
	code := b.Decide(t, w, "approve").Get("code")
	access := key.Token(t, b.RedeemForm(client, code)).Access
	session := key.Call(t, access, bridgetest.Initialize).Header.Get("Mcp-Session-Id")
	tool := func(name string) bridgetest.Answer {
		body := `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"` + name + `","arguments":{}}}`
		return key.Call(t, access, body, "Mcp-Session-Id", session, "MCP-Protocol-Version", "2025-11-25")
	}
	if answer := tool("list_agents"); answer.Status != http.StatusOK || !answer.Contains(alice) {
		t.Errorf("list_agents: %d %s", answer.Status, answer.Body)
	}
	answer := tool("delete_agent")
	challenges := answer.Header.Values("WWW-Authenticate")
	if answer.Status != http.StatusForbidden || len(challenges) != 2 || !strings.HasPrefix(challenges[0], `Bearer error="insufficient_scope"`) ||
		!strings.HasPrefix(challenges[1], `DPoP error="insufficient_scope"`) || !strings.Contains(challenges[1], "trinity:admin") {
		t.Errorf("step-up: %d %q", answer.Status, challenges)
	}
	end := func(proof string) int {
		return b.Do(t, b.Request(t, http.MethodDelete, "/mcp", "", "Authorization", "DPoP "+access, "DPoP", proof, "Mcp-Session-Id", session)).Status
	}
	if got := end(key.Proof(t, http.MethodPost, "/mcp", access, nil)); got != http.StatusUnauthorized {
		t.Errorf("DELETE with the proof of a POST: %d", got)
	}
	if got := end(key.Proof(t, http.MethodDelete, "/mcp", access, nil)); got/100 != 2 {
		t.Errorf("DELETE: %d", got)
	}
}

// EX-28: behind a proxy the bridge is reached by another name and without TLS; proofs are for the public URL.
func TestProof_EX28_publicURL(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user", withDPoP("required"))
	inner := strings.TrimPrefix(m.URL, "http://")
	m.Config.PublicURL, m.Config.AllowedHosts = "https://connect.example.com", inner
	m.Restart(t)
	key := m.NewProver(t, "ES256")
	public := func(path string) map[string]any { return map[string]any{"htu": "https://connect.example.com" + path} }
	token := func(change map[string]any) bridgetest.Answer {
		return m.PostForm(t, "/oauth/token", machineForm(), "DPoP", key.Proof(t, http.MethodPost, "/oauth/token", "", change))
	}
	wire{400, "invalid_dpop_proof"}.check(t, token(nil)) // for the inner address
	answer := token(public("/oauth/token"))
	if answer.Status != http.StatusOK {
		t.Fatalf("for the public address: %d %s", answer.Status, answer.Body)
	}
	var tokens bridgetest.Tokens
	answer.JSON(t, &tokens)
	m.Secret(tokens.Access)
	call := func(change map[string]any) int {
		return m.Call(t, "", bridgetest.Initialize, "Authorization", "DPoP "+tokens.Access,
			"DPoP", key.Proof(t, http.MethodPost, "/mcp", tokens.Access, change), "X-Forwarded-Host", inner, "X-Forwarded-Proto", "http").Status
	}
	if got := call(nil); got != http.StatusUnauthorized {
		t.Errorf("for the inner address: %d", got)
	}
	if got := call(public("/mcp")); got != http.StatusOK {
		t.Errorf("for the public address: %d", got)
	}
}

// EX-26, GW-05, AS-065: pages of other origins may send proofs and read nonces, where that is of use.
func TestProof_EX26_crossOrigin(t *testing.T) {
	t.Parallel()
	const origin = "https://inspector.example.com"
	allow := bridgetest.With(func(f *config.Flags) { f.AllowedOrigins = origin })
	for policy, on := range map[string]bool{"off": false, "on": true} {
		b := bridgetest.Start(t, withDPoP(policy), allow)
		preflight := func(path string) http.Header {
			return b.Do(t, b.Request(t, http.MethodOptions, path, "", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "dpop, authorization")).Header
		}
		if got := preflight("/mcp"); strings.Contains(got.Get("Access-Control-Allow-Headers"), "DPoP") != on || strings.Contains(got.Get("Access-Control-Expose-Headers"), "DPoP-Nonce") != on {
			t.Errorf("%s /mcp: %v", policy, got)
		}
		for _, path := range []string{"/oauth/token", "/oauth/par"} {
			if got := preflight(path); !strings.Contains(got.Get("Access-Control-Allow-Headers"), "DPoP") || strings.Contains(got.Get("Access-Control-Expose-Headers"), "DPoP-Nonce") != on {
				t.Errorf("%s %s: %v", policy, path, got)
			}
		}
		if got := preflight("/oauth/authorize"); got.Get("Access-Control-Allow-Headers") != "" {
			t.Errorf("%s: pages may script the authorization endpoint: %v", policy, got)
		}
	}
}

// EX-21, EX-23: each resource announces DPoP, and a proof is for the one it names.
func TestProof_EX23_resources(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, withDPoP("on"))
	client, key := b.Register(t), b.NewProver(t, "ES256")
	if !b.Get(t, "/.well-known/oauth-protected-resource/mcp/listed").Contains(`"dpop_signing_alg_values_supported"`) {
		t.Error("EX-21: the metadata of /mcp/listed do not announce it")
	}
	query := b.Query(client)
	query.Set("resource", b.MCP+"/listed")
	form := b.RedeemForm(client, b.CodeFor(t, query, alice))
	form.Set("resource", b.MCP+"/listed")
	access := key.Token(t, form).Access
	call := func(path, proofFor string) int {
		return b.PostJSON(t, path, bridgetest.Initialize, "Accept", "application/json, text/event-stream", "Authorization", "DPoP "+access,
			"DPoP", key.Proof(t, http.MethodPost, proofFor, access, nil)).Status
	}
	for _, tt := range []struct {
		path, proofFor string
		want           int
	}{
		{"/mcp/listed", "/mcp/listed", http.StatusOK},
		{"/mcp/listed", "/mcp", http.StatusUnauthorized},
		{"/mcp", "/mcp", http.StatusUnauthorized}, // another audience
		{"/mcp", "/mcp/listed", http.StatusUnauthorized},
	} {
		if got := call(tt.path, tt.proofFor); got != tt.want {
			t.Errorf("%s with a proof for %s: %d, want %d", tt.path, tt.proofFor, got, tt.want)
		}
	}
}
