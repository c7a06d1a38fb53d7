package protocol_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

const (
	jagGrant  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	firstIDP  = "https://login.example.com"
	secondIDP = "https://id.example.org/pool"
)

// provider is an identity provider that a bridge trusts.
type provider struct {
	b      *bridgetest.Bridge
	issuer string
	key    *bridgetest.Key
	jtis   *int
}

// assert signs an identity assertion about alice for the client "desk", with claims and header
// changed; a nil value takes one out.
func (p provider) assert(t *testing.T, change claims, header map[string]any) string {
	t.Helper()
	all := map[string]any{"typ": "oauth-id-jag+jwt"}
	maps.Copy(all, header)
	return p.key.Sign(t, p.claims(change), all)
}

func (p provider) claims(change claims) claims {
	*p.jtis++
	all := claims{
		"iss": p.issuer, "sub": "u-alice", "aud": p.b.URL, "client_id": "desk", "resource": p.b.MCP, "scope": "trinity:read trinity:write",
		"jti": "jag-" + strconv.Itoa(*p.jtis), "iat": p.b.Clock.Now().Unix(), "exp": p.b.Clock.Now().Add(5 * time.Minute).Unix(),
	}
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

func (p provider) ask(t *testing.T, assertion string, edits ...func(url.Values)) bridgetest.Answer {
	t.Helper()
	return p.b.PostForm(t, "/oauth/token", jagForm(assertion, edits...))
}

func jagForm(assertion string, edits ...func(url.Values)) url.Values {
	form := url.Values{"grant_type": {jagGrant}, "assertion": {assertion}, "client_id": {"desk"}, "client_secret": {machineSecret}}
	for _, edit := range edits {
		edit(form)
	}
	return form
}

// startTrusting starts a bridge that trusts two providers, the second for one of its tenants.
func startTrusting(t *testing.T) (first, second provider) {
	t.Helper()
	b := bridgetest.Start(t)
	jtis := 0
	first = provider{b: b, issuer: firstIDP, key: bridgetest.NewKey(t, "ES256"), jtis: &jtis}
	second = provider{b: b, issuer: secondIDP, key: bridgetest.NewKey(t, "EdDSA"), jtis: &jtis}
	folder := t.TempDir()
	for _, email := range []string{alice, "bob@example.com"} {
		key, err := b.Trinity.MintKey(email, "linked", "user", "")
		if err != nil {
			t.Fatal(err)
		}
		b.Secret(key)
		writeText(t, filepath.Join(folder, email), key)
	}
	set := func(keys ...*bridgetest.Key) string {
		text, err := json.Marshal(bridgetest.JWKS(keys...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	secret := "secret_sha256: [" + sha256Hex(machineSecret) + "]"
	redirect := `redirect_uris: ["` + bridgetest.Redirect + `"]`
	b.Config.Config = filepath.Join(folder, "bridge.yaml")
	writeText(t, b.Config.Config, `
clients:
  - {id: desk, name: Desk, `+redirect+`, `+secret+`}
  - {id: other, name: Other, `+redirect+`, `+secret+`}
  - {id: reader, name: Reader, `+redirect+`, `+secret+`, scope: "trinity:read"}
  - {id: open, name: Open, `+redirect+`}
  - {id: stranger, name: Stranger, `+redirect+`, `+secret+`}
trusted_idps:
  - issuer: `+firstIDP+`
    jwks: `+set(first.key, second.key)+`
    algorithms: [ES256]
    clients: [desk, reader, open]
    scope: trinity:read trinity:write
    people: [{subject: u-alice, trinity_key_file: `+folder+"/"+alice+`}]
  - issuer: `+secondIDP+`
    jwks: `+set(second.key)+`
    tenant_claim: tid
    tenant: t-1
    clients: [desk, other]
    scope: trinity:read
    people: [{subject: u-alice, trinity_key_file: `+folder+`/bob@example.com}]
`)
	b.Restart(t)
	return first, second
}

func TestIdentity_EX02_token(t *testing.T) {
	t.Parallel()
	p, second := startTrusting(t)
	b := p.b
	metadata := b.Get(t, "/.well-known/oauth-authorization-server")
	if !metadata.Contains(`"`+jagGrant+`"`, `"authorization_grant_profiles_supported":["urn:ietf:params:oauth:grant-profile:id-jag"]`) ||
		metadata.Contains("login.example.com") || metadata.Contains("example.org") {
		t.Errorf("EX-01: %s", metadata.Body)
	}
	answer := p.ask(t, p.assert(t, nil, nil))
	if answer.Status != http.StatusOK || answer.Contains("refresh_token") || answer.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("EX-02, EX-12: %d %s", answer.Status, answer.Body)
	}
	var tokens bridgetest.Tokens
	answer.JSON(t, &tokens)
	b.Secret(tokens.Access)
	got := tokenClaims(t, tokens.Access)
	if got["aud"] != b.MCP || got["client_id"] != "desk" || tokens.Scope != "trinity:read trinity:write" {
		t.Errorf("EX-07: %v", got)
	}
	if answer := b.Tool(t, tokens.Access, b.Session(t, tokens.Access), "list_agents"); answer.Status != http.StatusOK || !answer.Contains(alice, "linked") {
		t.Errorf("list_agents: %d %s", answer.Status, answer.Body)
	}
	again := tokenClaims(t, b.Token(t, jagForm(p.assert(t, claims{"aud": []string{b.URL}, "resource": []string{b.MCP}}, nil))).Access)
	theirs := tokenClaims(t, b.Token(t, jagForm(second.assert(t, claims{"tid": "t-1"}, nil))).Access)
	person := tokenClaims(t, b.Connect(t, b.Register(t), alice).Access)
	if again["sub"] != got["sub"] || theirs["sub"] == got["sub"] || person["sub"] == got["sub"] {
		t.Errorf("EX-11: %v, again %v, of another issuer %v, by e-mail %v", got["sub"], again["sub"], theirs["sub"], person["sub"])
	}
	if b.Audited("grant_started", "user") != 2 {
		t.Error("not in the audit trail")
	}
}

func TestIdentity_refuses(t *testing.T) {
	t.Parallel()
	p, second := startTrusting(t)
	b := p.b
	at := func(d time.Duration) int64 { return b.Clock.Now().Add(d).Unix() }
	typ := func(value string) map[string]any { return map[string]any{"typ": value} }
	tenant := claims{"tid": "t-1"}
	foreign := provider{b: b, issuer: firstIDP, key: bridgetest.NewKey(t, "ES256"), jtis: p.jtis}
	tests := []struct{ id, assertion string }{
		{"EX-03/typ JWT", p.assert(t, nil, typ("JWT"))},
		{"EX-03/typ of an access token", p.assert(t, nil, typ("at+jwt"))},
		{"EX-03/no typ", p.key.Sign(t, p.claims(nil), nil)},
		{"EX-03/foreign key", foreign.assert(t, nil, nil)},
		{"EX-03/foreign key under the right kid", bridgetest.SignWith(t, "ES256", bridgetest.Private(foreign.key), p.key.ID, p.claims(nil), typ("oauth-id-jag+jwt"))},
		{"EX-03/HS256", bridgetest.SignWith(t, "HS256", []byte(strings.Repeat("k", 64)), p.key.ID, p.claims(nil), typ("oauth-id-jag+jwt"))},
		{"EX-03/alg none", "eyJhbGciOiJub25lIiwidHlwIjoib2F1dGgtaWQtamFnK2p3dCJ9." + strings.Split(p.assert(t, nil, nil), ".")[1] + "."},
		{"EX-03/a key of its own with another algorithm", second.assert(t, claims{"iss": firstIDP}, nil)},
		{"EX-03/garbage", "a.b.c"},
		{"EX-03/too long", strings.Repeat("a", 9<<10)},
		{"EX-04/unknown issuer", p.assert(t, claims{"iss": "https://elsewhere.example.com"}, nil)},
		{"EX-04/no issuer", p.assert(t, claims{"iss": nil}, nil)},
		{"EX-04/the other's key", p.assert(t, claims{"iss": secondIDP, "tid": "t-1"}, nil)},
		{"EX-04/wrong tenant", second.assert(t, claims{"tid": "t-2"}, nil)},
		{"EX-04/no tenant", second.assert(t, nil, nil)},
		{"EX-04/tenant is a list", second.assert(t, claims{"tid": []string{"t-1"}}, nil)},
		{"EX-05/two audiences", p.assert(t, claims{"aud": []string{b.URL, "https://other.example.com"}}, nil)},
		{"EX-05/the issuer twice", p.assert(t, claims{"aud": []string{b.URL, b.URL}}, nil)},
		{"EX-05/token endpoint", p.assert(t, claims{"aud": b.URL + "/oauth/token"}, nil)},
		{"EX-05/resource", p.assert(t, claims{"aud": b.MCP}, nil)},
		{"EX-05/no audience", p.assert(t, claims{"aud": nil}, nil)},
		{"EX-06/another client's", p.assert(t, claims{"client_id": "reader"}, nil)},
		{"EX-06/no client", p.assert(t, claims{"client_id": nil}, nil)},
		{"EX-07/foreign resource", p.assert(t, claims{"resource": "https://other.example.com/mcp"}, nil)},
		{"EX-07/ours and a foreign one", p.assert(t, claims{"resource": []string{b.MCP, "https://other.example.com/mcp"}}, nil)},
		{"EX-07/no resource", p.assert(t, claims{"resource": nil}, nil)},
		{"EX-07/empty list", p.assert(t, claims{"resource": []string{}}, nil)},
		{"EX-08/expired", p.assert(t, claims{"exp": at(-time.Second)}, nil)},
		{"EX-08/no expiry", p.assert(t, claims{"exp": nil}, nil)},
		{"EX-08/an hour", p.assert(t, claims{"exp": at(time.Hour)}, nil)},
		{"EX-08/issued in the future", p.assert(t, claims{"iat": at(2 * time.Minute)}, nil)},
		{"EX-08/issued long ago", p.assert(t, claims{"iat": at(-time.Hour)}, nil)},
		{"EX-08/no issue time", p.assert(t, claims{"iat": nil}, nil)},
		{"EX-08/not yet", p.assert(t, claims{"nbf": at(2 * time.Minute)}, nil)},
		{"EX-09/no jti", p.assert(t, claims{"jti": nil}, nil)},
		{"EX-09/empty jti", p.assert(t, claims{"jti": ""}, nil)},
		{"EX-11/nobody linked", p.assert(t, claims{"sub": "u-bob"}, nil)},
		{"EX-11/linked by address only", p.assert(t, claims{"sub": "u-bob", "email": alice, "aud_sub": "u-alice"}, nil)},
		{"EX-11/no subject", p.assert(t, claims{"sub": nil}, nil)},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			wire{400, "invalid_grant"}.check(t, p.ask(t, tt.assertion))
		})
	}
	good := p.assert(t, nil, nil)
	as := func(id string) func(url.Values) { return set("client_id", id) }
	for _, tt := range []struct {
		id, assertion string
		edit          func(url.Values)
		want          wire
	}{
		{"EX-02/no assertion", good, del("assertion"), wire{400, "invalid_request"}},
		{"EX-04/client of another provider", p.assert(t, claims{"client_id": "other"}, nil), as("other"), wire{400, "invalid_grant"}},
		{"EX-06, EX-13/no authentication", good, del("client_secret"), wire{401, "invalid_client"}},
		{"EX-13/wrong secret", good, set("client_secret", "x"), wire{401, "invalid_client"}},
		{"EX-06/public client", p.assert(t, claims{"client_id": "open"}, nil), func(f url.Values) { f.Set("client_id", "open"); f.Del("client_secret") }, wire{401, "invalid_client"}},
		{"EX-13/client not enabled", p.assert(t, claims{"client_id": "stranger"}, nil), as("stranger"), wire{400, "unauthorized_client"}},
		{"EX-07/unknown resource asked for", good, set("resource", "https://other.example/mcp"), wire{400, "invalid_target"}},
		{"EX-10/nothing left", good, set("scope", "trinity:admin"), wire{400, "invalid_scope"}},
		{"EX-10/unknown scope", good, set("scope", "everything"), wire{400, "invalid_scope"}},
		{"EX-10/no scope in the assertion", p.assert(t, claims{"scope": nil}, nil), set("scope", "trinity:read"), wire{400, "invalid_scope"}},
		{"EX-10/beyond the provider's", second.assert(t, claims{"tid": "t-1", "scope": "trinity:write"}, nil), set("scope", "trinity:write"), wire{400, "invalid_scope"}},
		{"EX-02/as an authorization code", good, set("grant_type", "authorization_code"), wire{400, "invalid_request"}},
	} {
		t.Run(tt.id, func(t *testing.T) { tt.want.check(t, p.ask(t, tt.assertion, tt.edit)) })
	}
	if grants, err := bridgetest.All(app.ListGrants(t.Context(), b.Data, "", "")); err != nil || len(grants) != 0 {
		t.Errorf("a refusal left a grant: %+v, %v", grants, err)
	}
	wire{200, ""}.check(t, p.ask(t, good))                                     // no refusal used it up
	wire{400, "invalid_grant"}.check(t, p.ask(t, good))                        // EX-09
	wire{200, ""}.check(t, second.ask(t, second.assert(t, tenant, nil)))       // so that the tenant's refusals mean something
	sameID := second.claims(claims{"tid": "t-1", "jti": p.claims(nil)["jti"]}) // EX-09: by issuer
	wire{200, ""}.check(t, second.ask(t, second.assert(t, claims{"tid": "t-1", "jti": sameID["jti"]}, nil)))
	wire{200, ""}.check(t, p.ask(t, p.assert(t, claims{"jti": sameID["jti"]}, nil)))
}

// EX-10: what was asked for, the assertion says and the operator lets.
func TestIdentity_EX10_scopes(t *testing.T) {
	t.Parallel()
	p, second := startTrusting(t)
	for _, tt := range []struct {
		id, asked, want string
		assertion       string
	}{
		{"assertion has less", "trinity:read trinity:write", "trinity:read", p.assert(t, claims{"scope": "trinity:read"}, nil)},
		{"asked for less", "trinity:read", "trinity:read", p.assert(t, nil, nil)},
		{"asked for nothing", "", "trinity:read trinity:write", p.assert(t, nil, nil)},
		{"assertion has more than the provider may", "", "trinity:read trinity:write", p.assert(t, claims{"scope": "trinity:read trinity:write trinity:admin"}, nil)},
		{"the other provider may less", "", "trinity:read", second.assert(t, claims{"tid": "t-1"}, nil)},
	} {
		t.Run(tt.id, func(t *testing.T) {
			if tokens := p.b.Token(t, jagForm(tt.assertion, set("scope", tt.asked))); tokens.Scope != tt.want {
				t.Errorf("scope %q", tokens.Scope)
			}
		})
	}
	tokens := p.b.Token(t, jagForm(p.assert(t, claims{"client_id": "reader"}, nil), set("client_id", "reader")))
	if tokens.Scope != "trinity:read" {
		t.Errorf("the client's own ceiling: %q", tokens.Scope)
	}
}

// EX-07: the resource the assertion names is the token's, whichever of ours it is, and no other.
func TestIdentity_EX07_profile(t *testing.T) {
	t.Parallel()
	p, _ := startTrusting(t)
	forReading := claims{"resource": p.b.MCP + "/read"}
	wire{400, "invalid_target"}.check(t, p.ask(t, p.assert(t, forReading, nil), set("resource", p.b.MCP)))
	wire{400, "invalid_grant"}.check(t, p.ask(t, p.assert(t, claims{"resource": []string{p.b.MCP, p.b.MCP + "/read"}}, nil)))
	tokens := p.b.Token(t, jagForm(p.assert(t, forReading, nil)))
	if got := tokenClaims(t, tokens.Access)["aud"]; got != p.b.MCP+"/read" || tokens.Scope != "trinity:read" {
		t.Errorf("audience %v, scope %q", got, tokens.Scope)
	}
	if status := postTo(t, p.b, "/mcp/read", tokens.Access, bridgetest.Initialize).Status; status != http.StatusOK {
		t.Errorf("at its resource: %d", status)
	}
	if status := p.b.Works(t, tokens.Access); status != http.StatusUnauthorized {
		t.Errorf("at another: %d", status)
	}
	first := tokenClaims(t, p.b.Token(t, jagForm(p.assert(t, nil, nil))).Access)
	if first["gid"] == tokenClaims(t, tokens.Access)["gid"] {
		t.Error("two resources share a grant")
	}
}

// EX-09: used once, in all, and across a restart; a Trinity that is down uses nothing up.
func TestIdentity_EX09_once(t *testing.T) {
	t.Parallel()
	p, _ := startTrusting(t)
	assertion := p.assert(t, nil, nil)
	p.b.Trinity.Set(downBackend)
	wire{503, "temporarily_unavailable"}.check(t, p.ask(t, assertion))
	p.b.Trinity.Set(healthyBackend)
	answers := atOnce(16, func() int { return p.ask(t, assertion).Status })
	if answers[http.StatusOK] != 1 || answers[http.StatusBadRequest] != 15 {
		t.Errorf("sixteen at once: %v", answers)
	}
	p.b.Restart(t)
	wire{400, "invalid_grant"}.check(t, p.ask(t, assertion))
}

// The operator's word and Trinity's end the access of a person through a client.
func TestIdentity_EX13_ended(t *testing.T) {
	t.Parallel()
	p, _ := startTrusting(t)
	tokens := p.b.Token(t, jagForm(p.assert(t, nil, nil)))
	grants, err := bridgetest.All(app.ListGrants(t.Context(), p.b.Data, "", ""))
	if err != nil || len(grants) != 1 || grants[0].Account != alice {
		t.Fatalf("grants %+v, %v", grants, err)
	}
	p.b.Revoke(t, grants[0].ID)
	if got := p.b.Works(t, tokens.Access); got != http.StatusUnauthorized {
		t.Errorf("the next call: %d", got)
	}
	wire{400, "invalid_grant"}.check(t, p.ask(t, p.assert(t, nil, nil)))
	reader := jagForm(p.assert(t, claims{"client_id": "reader"}, nil), set("client_id", "reader"))
	p.b.Token(t, reader) // through another client it goes on
	suspend(t, p.b, true)
	wire{400, "invalid_grant"}.check(t, p.ask(t, p.assert(t, claims{"client_id": "reader"}, nil), set("client_id", "reader")))
	if p.b.Audited("grant_ended", "credential_dead") != 1 {
		t.Error("not in the audit trail")
	}
}

// AS-008: without a trusted provider there is no such grant.
func TestIdentity_AS008_notConfigured(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithFile(configured))
	if metadata := b.Get(t, "/.well-known/oauth-authorization-server"); metadata.Contains("jwt-bearer") || metadata.Contains("grant_profiles") {
		t.Errorf("EX-01: %s", metadata.Body)
	}
	client := b.Register(t)
	form := url.Values{"grant_type": {jagGrant}, "assertion": {"a.b.c"}, "client_id": {client.ID}}
	wire{400, "unsupported_grant_type"}.check(t, b.PostForm(t, "/oauth/token", form))
}

// EX-14, GW-53: the extensions that are configured are announced, and clients still find their way by the 401.
func TestIdentity_EX14_announced(t *testing.T) {
	t.Parallel()
	const managed, machine = "io.modelcontextprotocol/enterprise-managed-authorization", "io.modelcontextprotocol/oauth-client-credentials"
	announced := func(b *bridgetest.Bridge) []string {
		session := b.Call(t, b.Connect(t, b.Register(t), b.Someone()).Access, bridgetest.Initialize)
		text := session.Body
		if at := strings.Index(text, "data: {"); at >= 0 {
			text = text[at+len("data: "):]
		}
		var answer struct {
			Result struct {
				Capabilities struct {
					Extensions map[string]map[string]any
				}
			}
		}
		if err := json.NewDecoder(strings.NewReader(text)).Decode(&answer); err != nil {
			t.Fatalf("%v: %s", err, session.Body)
		}
		return slices.Sorted(maps.Keys(answer.Result.Capabilities.Extensions))
	}
	trusting, _ := startTrusting(t)
	for name, tt := range map[string]struct {
		b    *bridgetest.Bridge
		want []string
	}{
		"nothing configured": {bridgetest.Start(t), nil},
		"providers":          {trusting.b, []string{managed}},
		"machines":           {startMachines(t, "user").Bridge, []string{machine}},
	} {
		if got := announced(tt.b); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		if answer := tt.b.Call(t, "", bridgetest.Initialize); answer.Status != http.StatusUnauthorized || !strings.Contains(answer.Header.Get("WWW-Authenticate"), "resource_metadata=") {
			t.Errorf("%s: %d %v", name, answer.Status, answer.Header)
		}
	}
}
