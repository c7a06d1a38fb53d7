package protocol_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// withDPoP starts a bridge with that policy.
func withDPoP(policy string) bridgetest.Option {
	return bridgetest.With(func(f *config.Flags) { f.DPoP = policy })
}

func withNonces(f *config.Flags) { f.DPoPNonces = "on" }

// switchDPoP starts the bridge again with another policy.
func switchDPoP(t *testing.T, b *bridgetest.Bridge, policy string) {
	t.Helper()
	b.Config.DPoP = policy
	b.Restart(t)
}

func TestProof_EX21_metadata(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	const server, resource = "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp"
	read := func(path string) (algorithms any, required any) {
		var document map[string]any
		b.Get(t, path).JSON(t, &document)
		return document["dpop_signing_alg_values_supported"], document["dpop_bound_access_tokens_required"]
	}
	announced, err := json.Marshal(bridge.AssertionAlgorithms())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		policy   string
		on       bool
		required any
	}{{"", false, nil}, {"on", true, nil}, {"required", true, true}, {"off", false, nil}} {
		switchDPoP(t, b, tt.policy)
		for _, path := range []string{server, resource} {
			algorithms, required := read(path)
			text, _ := json.Marshal(algorithms)
			if tt.on != (string(text) == string(announced)) || !tt.on && algorithms != nil {
				t.Errorf("%q %s: algorithms %s", tt.policy, path, text)
			}
			if path == resource && required != tt.required || path == server && required != nil {
				t.Errorf("%q %s: required %v", tt.policy, path, required)
			}
		}
		answer := b.Call(t, "", bridgetest.Initialize)
		challenges := answer.Header.Values("WWW-Authenticate")
		if answer.Status != http.StatusUnauthorized || !strings.HasPrefix(challenges[0], "Bearer resource_metadata=") || (len(challenges) == 2) != tt.on {
			t.Fatalf("EX-23 %q: %d %q", tt.policy, answer.Status, challenges)
		}
		if tt.on && (!strings.HasPrefix(challenges[1], "DPoP ") || !strings.Contains(challenges[1], `algs="`+strings.Join(bridge.AssertionAlgorithms(), " ")+`"`)) {
			t.Errorf("EX-23: %q", challenges[1])
		}
	}
	if slices.ContainsFunc(bridge.AssertionAlgorithms(), func(a string) bool { return a == "none" || strings.HasPrefix(a, "HS") }) {
		t.Error("an algorithm is not asymmetric")
	}
}

// EX-22: a client that shows a key gets tokens bound to it, for a whole life of them.
func TestProof_EX22_public(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, withDPoP("on"), bridgetest.WithFile(`
resource_servers:
  - {id: files, secret_sha256: [`+sha256Hex("the-files-secret")+`]}
`))
	client := b.Register(t)
	for _, algorithm := range bridge.AssertionAlgorithms() {
		key, other := b.NewProver(t, algorithm), b.NewProver(t, algorithm)
		tokens := key.Token(t, b.RedeemForm(client, b.Code(t, client, b.Someone())))
		bound, _ := tokenClaims(t, tokens.Access)["cnf"].(map[string]any)
		if tokens.Type != "DPoP" || len(bound) != 1 || bound["jkt"] != key.Thumbprint(t) || tokens.Refresh == "" {
			t.Fatalf("%s: type %s, cnf %v", algorithm, tokens.Type, bound)
		}
		var said map[string]any
		b.PostForm(t, "/oauth/introspect", url.Values{"token": {tokens.Access}, "client_id": {"files"}, "client_secret": {"the-files-secret"}}).JSON(t, &said)
		if cnf, _ := said["cnf"].(map[string]any); said["active"] != true || said["token_type"] != "DPoP" || cnf["jkt"] != key.Thumbprint(t) {
			t.Errorf("RFC 9449 §6.2: %v", said)
		}
		if answer := key.Call(t, tokens.Access, bridgetest.Initialize); answer.Status != http.StatusOK {
			t.Errorf("%s: %d %s", algorithm, answer.Status, answer.Body)
		}
		refresh := b.RefreshForm(client, tokens.Refresh)
		wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", refresh))
		wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", refresh, "DPoP", other.Proof(t, http.MethodPost, "/oauth/token", "", nil)))
		b.Restart(t)
		next := key.Token(t, refresh) // the others burnt nothing
		again := key.Token(t, refresh)
		if next.Type != "DPoP" || next.Refresh != again.Refresh || next.Refresh == tokens.Refresh {
			t.Errorf("TK-15: %+v, %+v", next, again)
		}
		wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", refresh)) // nor does the predecessor tell it to a stranger
		wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, next.Refresh)))
		next = key.Token(t, b.RefreshForm(client, next.Refresh))
		if answer := key.Call(t, next.Access, bridgetest.Initialize); answer.Status != http.StatusOK {
			t.Errorf("%s after refreshes: %d %s", algorithm, answer.Status, answer.Body)
		}
		wantRevoked(t, b.PostForm(t, "/oauth/revoke", url.Values{"client_id": {client.ID}, "token": {next.Access}}))
		if answer := key.Call(t, next.Access, bridgetest.Initialize); answer.Status != http.StatusUnauthorized {
			t.Errorf("%s after its end: %d", algorithm, answer.Status)
		}
	}
}

// EX-22: a public client that shows a key later on is bound from then on.
func TestProof_EX22_boundLater(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, withDPoP("on"))
	client, key := b.Register(t), b.NewProver(t, "ES256")
	tokens := b.Connect(t, client, alice)
	if _, bound := tokenClaims(t, tokens.Access)["cnf"]; bound || tokens.Type != "Bearer" || b.Works(t, tokens.Access) != http.StatusOK {
		t.Fatalf("without a proof: %+v", tokens)
	}
	tokens = key.Token(t, b.RefreshForm(client, tokens.Refresh))
	if tokens.Type != "DPoP" {
		t.Errorf("type %s", tokens.Type)
	}
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	key.Token(t, b.RefreshForm(client, tokens.Refresh))
}

// EX-22: the refresh tokens of a client with a secret are its secret's, and it may take a new key (RFC 9449 §5).
func TestProof_EX22_confidential(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, withDPoP("on"))
	client := b.RegisterAs(t, map[string]any{
		"redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "client_secret_post",
		"grant_types": []string{"authorization_code", "refresh_token"},
	})
	withSecret := func(form url.Values) url.Values {
		form.Set("client_secret", client.Secret)
		return form
	}
	first, second := b.NewProver(t, "ES256"), b.NewProver(t, "EdDSA")
	tokens := first.Token(t, withSecret(b.RedeemForm(client, b.Code(t, client, alice))))
	next := second.Token(t, withSecret(b.RefreshForm(client, tokens.Refresh)))
	if cnf, _ := tokenClaims(t, next.Access)["cnf"].(map[string]any); cnf["jkt"] != second.Thumbprint(t) {
		t.Errorf("cnf %v", cnf)
	}
	if last := b.Token(t, withSecret(b.RefreshForm(client, next.Refresh))); last.Type != "Bearer" {
		t.Errorf("without a proof: %s", last.Type)
	}
	for key, status := range map[*bridgetest.Prover]int{first: http.StatusUnauthorized, second: http.StatusOK} {
		if answer := key.Call(t, next.Access, bridgetest.Initialize); answer.Status != status {
			t.Errorf("the new token with a key: %d, want %d", answer.Status, status)
		}
	}
}

// EX-22: a client that said it takes bound tokens only gets no others, however it became known.
func TestProof_EX22_boundTokensOnly(t *testing.T) {
	t.Parallel()
	members := map[string]any{
		"client_name": "Careful", "redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"}, "dpop_bound_access_tokens": true,
	}
	b := bridgetest.Start(t, withDPoP("on"), bridgetest.WithPinned(t, bridgetest.NewDocument(documentID, members)), bridgetest.WithFile(`
clients:
  - {id: careful, name: Careful, redirect_uris: ["`+bridgetest.Redirect+`"], dpop_bound_access_tokens: true}
`))
	body, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	answer := b.PostJSON(t, "/oauth/register", string(body))
	var registered bridgetest.Client
	answer.JSON(t, &registered)
	if !answer.Contains(`"dpop_bound_access_tokens":true`) {
		t.Errorf("RFC 9449 §5.2: %s", answer.Body)
	}
	for _, client := range []bridgetest.Client{registered, describedClient(documentID), {ID: "careful", Redirect: []string{bridgetest.Redirect}}} {
		key := b.NewProver(t, "ES256")
		form := b.RedeemForm(client, b.Code(t, client, b.Someone()))
		wire{400, "invalid_dpop_proof"}.check(t, b.PostForm(t, "/oauth/token", form))
		tokens := key.Token(t, form)
		wire{400, "invalid_dpop_proof"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
		key.Token(t, b.RefreshForm(client, tokens.Refresh))
	}
	wire{400, "invalid_client_metadata"}.check(t, b.PostJSON(t, "/oauth/register", `{"redirect_uris":["`+bridgetest.Redirect+`"],"dpop_bound_access_tokens":"yes"}`))
}

// EX-22, EX-28: a bad proof at the token endpoint says so and burns nothing.
func TestProof_EX22_refuses(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, withDPoP("on"))
	client, key, other := b.Register(t), b.NewProver(t, "ES256"), b.NewProver(t, "ES256")
	code := b.Code(t, client, alice)
	form := b.RedeemForm(client, code)
	with := func(change map[string]any) []string {
		return []string{key.Proof(t, http.MethodPost, "/oauth/token", "", change)}
	}
	signWith := func(p *bridgetest.Prover, header map[string]any) []string {
		all := key.Header()
		for name, value := range header {
			all[name] = value
		}
		return []string{bridgetest.SignWith(t, "ES256", bridgetest.Private(p.Key), "", key.Claims(http.MethodPost, "/oauth/token", ""), all)}
	}
	at := func(d time.Duration) int64 { return b.Clock.Now().Add(d).Unix() }
	for name, proofs := range map[string][]string{
		"not a token":            {"proof"},
		"empty":                  {""},
		"two fields":             append(with(nil), with(nil)...),
		"type":                   signWith(key, map[string]any{"typ": "JWT"}),
		"private key":            signWith(key, map[string]any{"jwk": jose.JSONWebKey{Key: bridgetest.Private(key.Key)}}),
		"another's signature":    signWith(other, nil),
		"HS256":                  {bridgetest.SignWith(t, "HS256", []byte(strings.Repeat("k", 32)), "", key.Claims(http.MethodPost, "/oauth/token", ""), key.Header())},
		"no jti":                 with(map[string]any{"jti": nil}),
		"no htm":                 with(map[string]any{"htm": nil}),
		"GET":                    with(map[string]any{"htm": "GET"}),
		"no htu":                 with(map[string]any{"htu": nil}),
		"for the resource":       with(map[string]any{"htu": b.MCP}),
		"slash":                  with(map[string]any{"htu": b.URL + "/oauth/token/"}),
		"the alias":              with(map[string]any{"htu": b.URL + "/token"}),
		"upper-case path":        with(map[string]any{"htu": b.URL + "/oauth/TOKEN"}),
		"another port":           with(map[string]any{"htu": "http://127.0.0.1:1/oauth/token"}),
		"another host":           with(map[string]any{"htu": "https://evil.example/oauth/token"}),
		"no iat":                 with(map[string]any{"iat": nil}),
		"six minutes old":        with(map[string]any{"iat": at(-6 * time.Minute)}),
		"six minutes in advance": with(map[string]any{"iat": at(6 * time.Minute)}),
	} {
		header := []string{}
		for _, proof := range proofs {
			header = append(header, "DPoP", proof)
		}
		t.Run(name, func(t *testing.T) {
			wire{400, "invalid_dpop_proof"}.check(t, b.PostForm(t, "/oauth/token", form, header...))
		})
	}
	if b.Audited("token_refused", "invalid_dpop_proof") != 20 {
		t.Error("the audit trail has another story")
	}
	used := with(nil)[0]
	tokens := b.Token(t, form, "DPoP", used)
	wire{400, "invalid_dpop_proof"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh), "DPoP", used)) // EX-25
	key.Token(t, b.RefreshForm(client, tokens.Refresh))

	form = b.RedeemForm(client, b.Code(t, client, alice))
	alias := b.PostForm(t, "/token", form, "DPoP", key.Proof(t, http.MethodPost, "/token", "", map[string]any{"htu": b.URL + "/token?x=y"}))
	if alias.Status != http.StatusOK || !alias.Contains(`"token_type":"DPoP"`) {
		t.Errorf("at the alias: %d %s", alias.Status, alias.Body)
	}
}

// EX-25: of many uses of one proof at once, one is served.
func TestProof_EX25_atOnce(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, withDPoP("on"))
	client, key := b.Register(t), b.NewProver(t, "ES256")
	tokens := key.Token(t, b.RedeemForm(client, b.Code(t, client, alice)))
	proof := key.Proof(t, http.MethodPost, "/mcp", tokens.Access, nil)
	got := atOnce(16, func() int {
		return b.Call(t, "", bridgetest.Initialize, "Authorization", "DPoP "+tokens.Access, "DPoP", proof).Status
	})
	if got[http.StatusOK] != 1 || got[http.StatusUnauthorized] != 15 {
		t.Errorf("at the resource: %v", got)
	}
	proof = key.Proof(t, http.MethodPost, "/oauth/token", "", nil)
	got = atOnce(16, func() int {
		return b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh), "DPoP", proof).Status
	})
	if got[http.StatusOK] != 1 || got[http.StatusBadRequest] != 15 {
		t.Errorf("at the token endpoint: %v", got)
	}
	b.Restart(t)
	wire{400, "invalid_dpop_proof"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh), "DPoP", proof))
}

// EX-26: with nonces on, a proof without a fresh one is told which to use; nothing else is used up by that.
func TestProof_EX26_nonces(t *testing.T) {
	t.Parallel()
	signing := bridgetest.NewKey(t, "ES256")
	b := bridgetest.Start(t, withDPoP("on"), bridgetest.With(withNonces), bridgetest.WithPinned(t, keyDocument(documentID, nil, signing)))
	client, key := describedClient(documentID), b.NewProver(t, "ES256")
	s := &signer{b: b, id: documentID, key: signing}
	assertion := s.assertion(t, nil, nil)
	form := withAssertion(b.RedeemForm(client, b.Code(t, client, alice)), assertion)
	token := func(change map[string]any) bridgetest.Answer {
		return b.PostForm(t, "/oauth/token", form, "DPoP", key.Proof(t, http.MethodPost, "/oauth/token", "", change))
	}
	answer := token(nil)
	wire{400, "use_dpop_nonce"}.check(t, answer)
	nonce := answer.Header.Get("DPoP-Nonce")
	wire{400, "use_dpop_nonce"}.check(t, token(map[string]any{"nonce": "made-up"}))
	answer = token(map[string]any{"nonce": nonce}) // the same assertion: it was not used up
	if answer.Status != http.StatusOK || answer.Header.Get("DPoP-Nonce") != nonce {
		t.Fatalf("with the nonce: %d %s %v", answer.Status, answer.Body, answer.Header)
	}
	var tokens bridgetest.Tokens
	answer.JSON(t, &tokens)
	b.Secret(tokens.Access, tokens.Refresh)
	call := func(change map[string]any) bridgetest.Answer {
		return b.Call(t, "", bridgetest.Initialize, "Authorization", "DPoP "+tokens.Access, "DPoP", key.Proof(t, http.MethodPost, "/mcp", tokens.Access, change))
	}
	answer = call(nil)
	challenges := answer.Header.Values("WWW-Authenticate")
	if answer.Status != http.StatusUnauthorized || len(challenges) != 1 || !strings.HasPrefix(challenges[0], `DPoP error="use_dpop_nonce"`) || answer.Header.Get("DPoP-Nonce") != nonce {
		t.Errorf("%d %q %v", answer.Status, challenges, answer.Header)
	}
	if answer = call(map[string]any{"nonce": nonce}); answer.Status != http.StatusOK || answer.Header.Get("DPoP-Nonce") != nonce {
		t.Errorf("with the nonce: %d %s", answer.Status, answer.Body)
	}
	b.Restart(t) // the nonce is nobody's memory
	b.Clock.Advance(4 * time.Minute)
	if answer = call(map[string]any{"nonce": nonce}); answer.Status != http.StatusOK || answer.Header.Get("DPoP-Nonce") == nonce {
		t.Errorf("four minutes later: %d, nonce %s", answer.Status, answer.Header.Get("DPoP-Nonce"))
	}
	b.Clock.Advance(time.Minute)
	if answer = call(map[string]any{"nonce": nonce}); answer.Status != http.StatusUnauthorized {
		t.Errorf("five minutes later: %d", answer.Status)
	}
	plain := b.PostForm(t, "/oauth/token", withAssertion(b.RefreshForm(client, "tbr_x"), s.assertion(t, nil, nil)))
	if plain.Header.Get("DPoP-Nonce") != "" {
		t.Error("a nonce for a client that shows no proof")
	}
}

// EX-27: a code is bound to the key that the authorization request named, by parameter or by proof.
func TestProof_EX27_code(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, withDPoP("on"))
	client, key, other := b.Register(t), b.NewProver(t, "ES256"), b.NewProver(t, "ES256")
	push := func(form url.Values, header ...string) bridgetest.Answer {
		return b.PostForm(t, "/oauth/par", form, header...)
	}
	pushed := func(form url.Values, header ...string) url.Values {
		answer := push(form, header...)
		var body struct {
			URI string `json:"request_uri"`
		}
		answer.JSON(t, &body)
		if answer.Status != http.StatusCreated {
			t.Fatalf("push: %d %s", answer.Status, answer.Body)
		}
		b.Secret(strings.TrimPrefix(body.URI, "urn:ietf:params:oauth:request_uri:"))
		return url.Values{"client_id": {client.ID}, "request_uri": {body.URI}}
	}
	named := func() url.Values {
		query := b.Query(client)
		query.Set("dpop_jkt", key.Thumbprint(t))
		return query
	}
	proof := func() string { return key.Proof(t, http.MethodPost, "/oauth/par", "", nil) }
	for name, query := range map[string]url.Values{
		"the parameter":           named(),
		"the parameter, pushed":   pushed(named()),
		"a proof beside the push": pushed(b.Query(client), "DPoP", proof()),
		"both, the same":          pushed(named(), "DPoP", proof()),
	} {
		form := b.RedeemForm(client, b.CodeFor(t, query, b.Someone()))
		t.Run(name, func(t *testing.T) {
			wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", form))
			wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", form, "DPoP", other.Proof(t, http.MethodPost, "/oauth/token", "", nil)))
			if tokens := key.Token(t, form); tokens.Type != "DPoP" {
				t.Errorf("type %s", tokens.Type)
			}
		})
	}
	foreign := named()
	foreign.Set("dpop_jkt", other.Thumbprint(t))
	wire{400, "invalid_request"}.check(t, push(foreign, "DPoP", proof()))
	wire{400, "invalid_dpop_proof"}.check(t, push(b.Query(client), "DPoP", key.Proof(t, http.MethodPost, "/oauth/token", "", nil)))
	wire{400, "invalid_dpop_proof"}.check(t, push(b.Query(client), "DPoP", proof(), "DPoP", proof()))
	used := proof()
	pushed(b.Query(client), "DPoP", used)
	wire{400, "invalid_dpop_proof"}.check(t, push(b.Query(client), "DPoP", used))
	for _, bad := range []string{"x", strings.Repeat("x", 44), strings.Repeat("+", 43), strings.Repeat("A", 43)} {
		query := b.Query(client)
		query.Set("dpop_jkt", bad)
		wire{400, "invalid_request"}.check(t, push(query))
		wantPage(t, b.Get(t, "/oauth/authorize?"+query.Encode()))
	}
	twice := named()
	twice.Add("dpop_jkt", other.Thumbprint(t))
	wire{400, "invalid_request"}.check(t, push(twice))
}

// EX-21, EX-22: while DPoP is off nothing of it is looked at, and what was bound before opens nothing.
func TestProof_EX21_off(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, key := b.Register(t), b.NewProver(t, "ES256")
	query := b.Query(client)
	query.Set("dpop_jkt", "whatever")
	form := b.RedeemForm(client, b.CodeFor(t, query, alice))
	tokens := b.Token(t, form, "DPoP", "whatever")
	if _, bound := tokenClaims(t, tokens.Access)["cnf"]; bound || tokens.Type != "Bearer" {
		t.Errorf("%+v", tokens)
	}
	if answer := key.Call(t, tokens.Access, bridgetest.Initialize); answer.Status != http.StatusUnauthorized || strings.Contains(answer.Header.Get("WWW-Authenticate"), "error") {
		t.Errorf("by an unknown scheme: %d %v", answer.Status, answer.Header)
	}
	if answer := b.Call(t, tokens.Access, bridgetest.Initialize, "DPoP", "whatever"); answer.Status != http.StatusOK {
		t.Errorf("as a bearer token: %d", answer.Status)
	}
	if answer := b.PostJSON(t, "/oauth/register", `{"redirect_uris":["`+bridgetest.Redirect+`"],"token_endpoint_auth_method":"none","dpop_bound_access_tokens":true}`); answer.Contains("dpop") {
		t.Errorf("registration: %s", answer.Body)
	}

	switchDPoP(t, b, "on")
	bound := key.Token(t, b.RefreshForm(client, tokens.Refresh))
	switchDPoP(t, b, "off")
	if b.Works(t, bound.Access) != http.StatusUnauthorized || key.Call(t, bound.Access, bridgetest.Initialize).Status != http.StatusUnauthorized {
		t.Error("EX-24: a bound token is served without its proof")
	}
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, bound.Refresh), "DPoP", key.Proof(t, http.MethodPost, "/oauth/token", "", nil)))
	switchDPoP(t, b, "on")
	key.Token(t, b.RefreshForm(client, bound.Refresh))
}

// EX-22, EX-24: where DPoP is required, nothing else is given or taken. Trinity's own keys are another matter.
func TestProof_EX22_required(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user")
	client, key := m.Register(t), m.NewProver(t, "ES256")
	before := m.Connect(t, client, alice)
	switchDPoP(t, m.Bridge, "required")
	if answer := m.Call(t, before.Access, bridgetest.Initialize); answer.Status != http.StatusUnauthorized || len(answer.Header.Values("WWW-Authenticate")) != 2 {
		t.Errorf("a token of before: %d %v", answer.Status, answer.Header)
	}
	wire{400, "invalid_dpop_proof"}.check(t, m.PostForm(t, "/oauth/token", m.RefreshForm(client, before.Refresh)))
	wire{400, "invalid_dpop_proof"}.check(t, m.ask(t))
	wire{401, "invalid_client"}.check(t, m.ask(t, set("client_secret", "guess"))) // who asks comes first
	for _, tokens := range []bridgetest.Tokens{key.Token(t, m.RefreshForm(client, before.Refresh)), key.Token(t, machineForm())} {
		if answer := key.Call(t, tokens.Access, bridgetest.Initialize); tokens.Type != "DPoP" || answer.Status != http.StatusOK {
			t.Errorf("%s: %d %s", tokens.Type, answer.Status, answer.Body)
		}
	}
	static, err := m.Trinity.MintKey(alice, "by hand", "user", "")
	if err != nil {
		t.Fatal(err)
	}
	m.Secret(static)
	if m.Works(t, static) != http.StatusOK {
		t.Error("a static key is refused")
	}
	if answer := key.Call(t, static, bridgetest.Initialize); answer.Status != http.StatusUnauthorized {
		t.Errorf("a static key with a proof: %d", answer.Status)
	}
}
