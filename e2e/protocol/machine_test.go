package protocol_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

const machineSecret, nextMachineSecret = "the-nightly-secret", "the-next-nightly-secret"

// machines is a bridge with clients that act for themselves, and the file their key is in.
type machines struct {
	*bridgetest.Bridge
	key     *bridgetest.Key // of "signing"
	keyFile string
}

// startMachines starts a bridge whose clients "nightly", "signing" and alice's address may act for
// themselves, with a key of alice's of that scope. "house" may not.
func startMachines(t *testing.T, keyScope string, options ...bridgetest.Option) *machines {
	t.Helper()
	m := &machines{Bridge: bridgetest.Start(t, options...), key: bridgetest.NewKey(t, "ES256"), keyFile: filepath.Join(t.TempDir(), "trinity-key")}
	m.handKey(t, keyScope)
	set, err := json.Marshal(bridgetest.JWKS(m.key))
	if err != nil {
		t.Fatal(err)
	}
	m.Config.Config = filepath.Join(t.TempDir(), "bridge.yaml")
	writeText(t, m.Config.Config, `
clients:
  - {id: nightly, name: Nightly, grant_types: [client_credentials], secret_sha256: [`+sha256Hex(machineSecret)+`, `+sha256Hex(nextMachineSecret)+`],
     scope: "trinity:read trinity:write", trinity_key_file: `+m.keyFile+`}
  - {id: signing, name: Signing, grant_types: [client_credentials], jwks: `+string(set)+`, scope: "trinity:read", trinity_key_file: `+m.keyFile+`}
  - {id: `+alice+`, name: Alice, grant_types: [client_credentials], secret_sha256: [`+sha256Hex(machineSecret)+`], scope: "trinity:read", trinity_key_file: `+m.keyFile+`}
  - {id: house, name: House, redirect_uris: ["`+bridgetest.Redirect+`"], secret_sha256: [`+sha256Hex(machineSecret)+`]}
`)
	m.Restart(t)
	return m
}

// handKey puts a new key of alice's into the file.
func (m *machines) handKey(t *testing.T, scope string) {
	t.Helper()
	key, err := m.Trinity.MintKey(alice, "nightly work", scope, "worker")
	if err != nil {
		t.Fatal(err)
	}
	m.Secret(key)
	writeText(t, m.keyFile, key+"\n")
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func machineForm(edits ...func(url.Values)) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"nightly"}, "client_secret": {machineSecret}}
	for _, edit := range edits {
		edit(form)
	}
	return form
}

func (m *machines) ask(t *testing.T, edits ...func(url.Values)) bridgetest.Answer {
	t.Helper()
	return m.PostForm(t, "/oauth/token", machineForm(edits...))
}

// tokenClaims are those of a token, unchecked.
func tokenClaims(t *testing.T, access string) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(access, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestMachine_EX15_token(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user")
	if supported := m.Get(t, "/.well-known/oauth-authorization-server"); !supported.Contains(`"client_credentials"`, `"private_key_jwt"`, `"client_secret_basic"`, "signing_alg_values_supported") {
		t.Errorf("AS-008, EX-16: %s", supported.Body)
	}
	answer := m.ask(t, set("resource", m.MCP), set("scope", "trinity:read"))
	if answer.Status != http.StatusOK || answer.Contains("refresh_token") || answer.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("EX-17: %d %s", answer.Status, answer.Body)
	}
	var tokens bridgetest.Tokens
	answer.JSON(t, &tokens)
	m.Secret(tokens.Access)
	got := tokenClaims(t, tokens.Access)
	if got["aud"] != m.MCP || got["client_id"] != "nightly" || got["scope"] != "trinity:read" || tokens.Scope != "trinity:read" || tokens.Type != "Bearer" {
		t.Errorf("EX-15: %v %+v", got, tokens)
	}
	if all := m.Token(t, machineForm()); all.Scope != "trinity:read trinity:write" {
		t.Errorf("the scope left out: %q", all.Scope)
	}
	if all := m.Token(t, machineForm(set("scope", "offline_access"))); all.Scope != "trinity:read trinity:write" || all.Refresh != "" {
		t.Errorf("EX-17/offline_access: %+v", all)
	}
	session := m.Session(t, tokens.Access)
	if answer := m.Tool(t, tokens.Access, session, "list_agents"); answer.Status != http.StatusOK || !answer.Contains(alice, "nightly work") {
		t.Errorf("list_agents: %d %s", answer.Status, answer.Body)
	}
	grants, err := bridgetest.All(app.ListGrants(t.Context(), m.Data, "", ""))
	if err != nil || len(grants) != 1 || grants[0].Account != alice || grants[0].Status != "live" {
		t.Errorf("grants %+v, %v", grants, err)
	}
	if m.Audited("grant_started", "user") != 1 || m.Audited("token_issued", "") != 3 {
		t.Error("the audit trail has another story")
	}
	m.Restart(t)
	if m.Works(t, tokens.Access) != http.StatusOK {
		t.Error("the token did not outlive a restart")
	}
	m.Clock.Advance(61 * time.Minute)
	if m.Works(t, tokens.Access) != http.StatusUnauthorized {
		t.Error("the token never expires")
	}
	m.Clock.Advance(900 * 24 * time.Hour) // nothing lapses, however long the client was away
	if m.Works(t, m.Token(t, machineForm()).Access) != http.StatusOK {
		t.Error("no new token")
	}
}

func TestMachine_refuses(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user", bridgetest.WithPinned(t, bridgetest.NewDocument(documentID, nil)))
	public := m.Register(t)
	confidential := m.RegisterAs(t, map[string]any{
		"client_name": "Job", "redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "client_secret_post",
		"grant_types": []string{"authorization_code", "client_credentials"},
	})
	m.CodeFor(t, m.Query(describedClient(documentID)), alice) // it is known from now on
	s := &signer{b: m.Bridge, id: "signing", key: m.key}
	as := func(id, secret string) func(url.Values) {
		return func(form url.Values) {
			form.Set("client_id", id)
			form.Set("client_secret", secret)
			if secret == "" {
				form.Del("client_secret")
			}
		}
	}
	tests := []struct {
		id   string
		edit func(url.Values)
		want wire
	}{
		{"EX-15/unknown resource", set("resource", "https://other.example/mcp"), wire{400, "invalid_target"}},
		{"EX-15/an extra resource", func(f url.Values) { f["resource"] = []string{m.MCP, "https://other.example/mcp"} }, wire{400, "invalid_target"}},
		{"EX-15/registered public client", as(public.ID, ""), wire{400, "unauthorized_client"}},
		{"EX-15/registered confidential client", as(confidential.ID, confidential.Secret), wire{400, "unauthorized_client"}},
		{"EX-15/client by document", as(documentID, ""), wire{400, "unauthorized_client"}},
		{"EX-15, AS-064/configured without the grant", as("house", machineSecret), wire{400, "unauthorized_client"}},
		{"EX-16, AS-081/no authentication", as("nightly", ""), wire{401, "invalid_client"}},
		{"EX-16/wrong secret", as("nightly", "x"), wire{401, "invalid_client"}},
		{"EX-16/unknown client", as("nobody", machineSecret), wire{401, "invalid_client"}},
		{"EX-16, AS-081/key client without an assertion", as("signing", ""), wire{401, "invalid_client"}},
		{"EX-16, AS-081/key client with a secret", as("signing", machineSecret), wire{401, "invalid_client"}},
		{"AS-080/secret and assertion", func(f url.Values) { withAssertion(f, s.assertion(t, nil, nil)) }, wire{400, "invalid_request"}},
		{"EX-19/beyond its scope", set("scope", "trinity:read trinity:admin"), wire{400, "invalid_scope"}},
		{"EX-19/unknown scope", set("scope", "trinity:read everything"), wire{400, "invalid_scope"}},
		{"AS-064/code grant", func(f url.Values) { f.Set("grant_type", "authorization_code"); f.Set("code", "tbc_x") }, wire{400, "unauthorized_client"}},
		{"AS-064/refresh grant", func(f url.Values) { f.Set("grant_type", "refresh_token"); f.Set("refresh_token", "tbr_x") }, wire{400, "unauthorized_client"}},
		{"AS-059/scope twice", add("scope", "trinity:read"), wire{400, "invalid_request"}},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			edits := []func(url.Values){set("scope", "trinity:read"), tt.edit}
			tt.want.check(t, m.ask(t, edits...))
		})
	}
	grants, err := bridgetest.All(app.ListGrants(t.Context(), m.Data, "", ""))
	if err != nil || slices.ContainsFunc(grants, func(g app.ListedGrant) bool { return g.Status == "live" }) {
		t.Errorf("a refusal left a live grant: %+v, %v", grants, err)
	}
	query := m.Query(bridgetest.Client{ID: "nightly", Redirect: []string{bridgetest.Redirect}})
	wantPage(t, m.Get(t, "/oauth/authorize?"+query.Encode()))
}

// AS-008: what is not configured is not served.
func TestMachine_AS008_notConfigured(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithFile(configured))
	if b.Get(t, "/.well-known/oauth-authorization-server").Contains("client_credentials") {
		t.Error("the metadata offer it")
	}
	client := b.Register(t)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client.ID}}
	wire{400, "unsupported_grant_type"}.check(t, b.PostForm(t, "/oauth/token", form))
}

func TestMachine_EX16_methods(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user")
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
	}
	bare := url.Values{"grant_type": {"client_credentials"}, "resource": {m.MCP}}
	m.Token(t, bare, "Authorization", basic("nightly", machineSecret))
	m.Token(t, bare, "Authorization", basic(alice, machineSecret))
	m.Token(t, machineForm(set("client_secret", nextMachineSecret))) // EX-20: two during rotation
	s := &signer{b: m.Bridge, id: "signing", key: m.key}
	assertion := s.assertion(t, nil, nil)
	form := withAssertion(cloneValues(bare), assertion) // the client is taken from sub
	if tokens := m.Token(t, form); tokens.Scope != "trinity:read" || tokens.Refresh != "" {
		t.Errorf("EX-16: %+v", tokens)
	}
	refusals := map[string]string{
		"AS-078/used twice":                 assertion,
		"AS-078/foreign key":                bridgetest.NewKey(t, "ES256").Sign(t, s.claims(nil), nil),
		"AS-078/expired":                    s.assertion(t, claims{"exp": m.Clock.Now().Add(-time.Minute).Unix()}, nil),
		"AS-079/token endpoint as audience": s.assertion(t, claims{"aud": m.URL + "/oauth/token"}, nil),
		"AS-079/two audiences":              s.assertion(t, claims{"aud": []string{m.URL, "https://other.example.com"}}, nil),
		"AS-079/another type of token":      s.assertion(t, nil, map[string]any{"typ": "oauth-id-jag+jwt"}),
	}
	for id, refused := range refusals {
		t.Run(id, func(t *testing.T) {
			wire{401, "invalid_client"}.check(t, m.PostForm(t, "/oauth/token", withAssertion(cloneValues(bare), refused)))
		})
	}
}

// EX-18, AS-087: the subject of a machine is nobody's, whatever it is called.
func TestMachine_AS087_subject(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user")
	person := tokenClaims(t, m.Connect(t, m.Register(t), alice).Access)["sub"]
	subjects := map[any]bool{person: true}
	for _, id := range []string{alice, "nightly"} {
		sub, _ := tokenClaims(t, m.Token(t, machineForm(set("client_id", id))).Access)["sub"].(string)
		if !strings.HasPrefix(sub, "machine-") || strings.Contains(sub, id) || subjects[sub] {
			t.Errorf("%s: sub %q beside %v", id, sub, subjects)
		}
		subjects[sub] = true
	}
	if again := tokenClaims(t, m.Token(t, machineForm()).Access)["sub"]; !subjects[again] {
		t.Errorf("sub is not stable: %v", again)
	}
	human := bridge.Person{Source: bridge.SourceTrinity, Subject: "nightly"}
	if subjects[human.ID()] || !strings.HasPrefix(human.ID(), "person-") {
		t.Errorf("a person of that name has the subject %q", human.ID())
	}
}

// EX-19: a step-up leads to the scope, if it is the client's.
func TestMachine_EX19_stepUp(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user")
	call := func(form url.Values) bridgetest.Answer {
		tokens := m.Token(t, form)
		return m.Tool(t, tokens.Access, m.Session(t, tokens.Access), "chat_with_agent")
	}
	answer := call(machineForm(set("scope", "trinity:read")))
	if challenge := answer.Header.Get("WWW-Authenticate"); answer.Status != http.StatusForbidden || !strings.Contains(challenge, "trinity:write") {
		t.Fatalf("with read alone: %d %s %s", answer.Status, challenge, answer.Body)
	}
	if answer := call(machineForm(set("scope", "trinity:read trinity:write"))); answer.Status != http.StatusOK {
		t.Errorf("with the scope: %d %s", answer.Status, answer.Body)
	}
}

// The operator's word ends the access until the client has another key.
func TestMachine_operatorRevokes(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user")
	tokens := m.Token(t, machineForm())
	grants, err := bridgetest.All(app.ListGrants(t.Context(), m.Data, "", ""))
	if err != nil || len(grants) != 1 {
		t.Fatalf("grants %+v, %v", grants, err)
	}
	m.Revoke(t, grants[0].ID)
	if got := m.Works(t, tokens.Access); got != http.StatusUnauthorized {
		t.Errorf("the next call: %d", got)
	}
	wire{400, "unauthorized_client"}.check(t, m.ask(t))
	m.Restart(t)
	m.Clock.Advance(2 * 366 * 24 * time.Hour)
	wire{400, "unauthorized_client"}.check(t, m.ask(t))
	if liveKeys(m.Bridge) != 1 || m.Audited("key_revoked", "") != 0 {
		t.Error("the operator's key was revoked at Trinity")
	}
	m.Token(t, machineForm(set("client_id", alice))) // another client of the same key
	m.handKey(t, "user")
	m.Restart(t)
	if got := m.Works(t, m.Token(t, machineForm()).Access); got != http.StatusOK {
		t.Errorf("with another key: %d", got)
	}
}

// A client may revoke one of its tokens; the others and its access stay (RFC 7009).
func TestMachine_revokesToken(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user")
	first, second := m.Token(t, machineForm()), m.Token(t, machineForm())
	wantRevoked(t, m.PostForm(t, "/oauth/revoke", url.Values{"client_id": {"nightly"}, "client_secret": {machineSecret}, "token": {first.Access}}))
	if a, b := m.Works(t, first.Access), m.Works(t, second.Access); a != http.StatusUnauthorized || b != http.StatusOK {
		t.Errorf("revoked %d, the other %d", a, b)
	}
}

func TestMachine_trinity(t *testing.T) {
	t.Parallel()
	t.Run("down", func(t *testing.T) {
		t.Parallel()
		m := startMachines(t, "user")
		m.Trinity.Set(downBackend)
		answer := m.ask(t)
		wire{503, "temporarily_unavailable"}.check(t, answer)
		if answer.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		m.Trinity.Set(healthyBackend)
		tokens := m.Token(t, machineForm())
		m.Trinity.Set(downBackend)
		wire{503, "temporarily_unavailable"}.check(t, m.ask(t))
		m.Trinity.Set(healthyBackend)
		if got := m.Works(t, tokens.Access); got != http.StatusOK {
			t.Errorf("afterwards: %d", got)
		}
	})
	t.Run("owner suspended", func(t *testing.T) {
		t.Parallel()
		m := startMachines(t, "user")
		tokens := m.Token(t, machineForm())
		suspend(t, m.Bridge, true)
		wire{400, "unauthorized_client"}.check(t, m.ask(t))
		if got := m.Works(t, tokens.Access); got != http.StatusUnauthorized {
			t.Errorf("the token: %d", got)
		}
		if m.Audited("grant_ended", "credential_dead") != 1 {
			t.Error("not in the audit trail")
		}
	})
	for _, scope := range []string{"connector", "portal_delegate", "ops", "anonymous", "root"} {
		t.Run("key of scope "+scope, func(t *testing.T) {
			t.Parallel()
			m := startMachines(t, scope)
			wire{400, "unauthorized_client"}.check(t, m.ask(t))
			if grants, err := bridgetest.All(app.ListGrants(t.Context(), m.Data, "", "")); err != nil || len(grants) != 0 {
				t.Errorf("grants %+v, %v", grants, err)
			}
		})
	}
	for _, scope := range []string{"agent", "system"} {
		t.Run("key of scope "+scope, func(t *testing.T) {
			t.Parallel()
			m := startMachines(t, scope)
			if got := m.Works(t, m.Token(t, machineForm()).Access); got != http.StatusOK {
				t.Errorf("the call: %d", got)
			}
			if m.Audited("grant_started", scope) != 1 {
				t.Error("not in the audit trail")
			}
		})
	}
}

// What the operator changes in the file holds for the grant there is.
func TestMachine_scopeChanges(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user")
	before := m.Token(t, machineForm())
	text, err := os.ReadFile(m.Config.Config)
	if err != nil {
		t.Fatal(err)
	}
	narrow := strings.ReplaceAll(string(text), `scope: "trinity:read trinity:write"`, `scope: "trinity:read"`)
	writeText(t, m.Config.Config, narrow)
	m.Restart(t)
	wire{400, "invalid_scope"}.check(t, m.ask(t, set("scope", "trinity:write")))
	if after := m.Token(t, machineForm()); after.Scope != "trinity:read" {
		t.Errorf("scope %q", after.Scope)
	}
	if answer := m.Tool(t, before.Access, m.Session(t, before.Access), "chat_with_agent"); answer.Status != http.StatusForbidden {
		t.Errorf("the older token: %d", answer.Status)
	}
	grants, err := bridgetest.All(app.ListGrants(t.Context(), m.Data, "", ""))
	if err != nil || len(grants) != 1 {
		t.Errorf("grants %+v, %v", grants, err)
	}
}

// EX-20: one client cannot keep the others from their tokens.
func TestMachine_EX20_rate(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user")
	m.Trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
	refused := false
	for range 100 {
		if answer := m.ask(t); answer.Status == http.StatusTooManyRequests {
			refused = answer.Header.Get("Retry-After") != ""
			break
		}
	}
	if !refused {
		t.Error("a hundred requests at once are all let in, or it is not said when to try again")
	}
	m.Trinity.Set(healthyBackend)
	m.Token(t, machineForm(set("client_id", alice)))
	m.Clock.Advance(time.Minute)
	m.Token(t, machineForm())
}
