package protocol_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// AS-007, AS-008, AS-014, AS-019, AS-020, AS-021: what the metadata promises is so.
func TestMatrix_AS08_metadataIsTrue(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	answer := b.Get(t, "/.well-known/oauth-authorization-server")
	var whole map[string]any
	answer.JSON(t, &whole)
	for name, value := range whole {
		text, ok := value.(string)
		if !ok || !strings.HasSuffix(name, "_endpoint") && !strings.HasSuffix(name, "_uri") && name != "issuer" {
			continue
		}
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Fragment != "" || !strings.HasPrefix(text, b.URL) {
			t.Errorf("AS-019 %s: %q", name, text)
		}
	}
	var server serverMetadata
	answer.JSON(t, &server)
	client := b.Register(t)
	for _, grantType := range []string{"implicit", "password", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"} {
		if slices.Contains(server.GrantTypes, grantType) {
			t.Errorf("AS-008: %s is listed", grantType)
		}
		wire{400, "unsupported_grant_type"}.check(t, b.PostForm(t, "/oauth/token", url.Values{"grant_type": {grantType}, "client_id": {client.ID}}))
	}
	if !slices.Equal(server.ChallengeTypes, []string{"S256"}) {
		t.Errorf("AS-007: %v", server.ChallengeTypes)
	}
	if b.Get(t, "/.well-known/oauth-protected-resource/mcp").Contains("offline_access") || !slices.Contains(server.Scopes, "offline_access") {
		t.Error("AS-014, RS-11: offline_access is in the wrong list")
	}
	// offline_access changes what is issued, as listing it says.
	plain := b.RegisterAs(t, map[string]any{"redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "none"})
	query := b.Query(plain)
	if tokens := b.Token(t, b.RedeemForm(plain, b.CodeFor(t, query, b.Someone()))); tokens.Refresh != "" {
		t.Error("AS-088: a refresh token for a client that asked for none")
	}
	query.Set("scope", "trinity:read offline_access")
	if tokens := b.Token(t, b.RedeemForm(plain, b.CodeFor(t, query, b.Someone()))); tokens.Refresh == "" {
		t.Error("AS-014, AS-088: offline_access gave no refresh token")
	}
	if !slices.Equal(server.Resources, []string{b.MCP, b.MCP + "/listed", b.MCP + "/read"}) {
		t.Errorf("AS-020: %v", server.Resources)
	}
	for _, version := range []string{"2025-03-26", "2026-07-28", "nonsense"} {
		if got := b.Get(t, "/.well-known/oauth-authorization-server", "MCP-Protocol-Version", version); got.Body != answer.Body {
			t.Errorf("AS-021: the document depends on %s", version)
		}
	}
}

// AS-004, RS-09: a client that starts at the 401 finds one chain of equal strings.
func TestMatrix_RS09_discoveryChain(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	challenge := b.Call(t, "", bridgetest.Initialize).Header.Values("WWW-Authenticate")
	if len(challenge) != 1 || strings.ContainsAny(challenge[0], "\r\n") || strings.Count(challenge[0], "resource_metadata=") != 1 {
		t.Fatalf("RS-05: %q", challenge)
	}
	metadata := regexp.MustCompile(`resource_metadata="([^"]+)"`).FindStringSubmatch(challenge[0])[1]
	var resource resourceMetadata
	b.Get(t, strings.TrimPrefix(metadata, b.URL)).JSON(t, &resource)
	if len(resource.Servers) != 1 || resource.Resource != b.MCP {
		t.Fatalf("RS-08, RS-09: %+v", resource)
	}
	var server serverMetadata
	b.Get(t, strings.TrimPrefix(resource.Servers[0], b.URL)+"/.well-known/oauth-authorization-server").JSON(t, &server)
	if server.Issuer != resource.Servers[0] {
		t.Errorf("AS-004: issuer %q, entry %q", server.Issuer, resource.Servers[0])
	}
}

// AS-013: once promised, iss is in every answer that goes to the client: success, denial, and errors of the request.
func TestMatrix_AS13_issEverywhere(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithFile(configured))
	client := houseClient()
	for _, decision := range []string{"approve", "deny"} {
		w := b.NewBrowser(t)
		b.SignIn(t, w, b.Query(client), b.Someone())
		if got := b.Decide(t, w, decision); len(got["iss"]) != 1 || got.Get("iss") != b.URL {
			t.Errorf("AS-045, AS-046 %s: %v", decision, got)
		}
	}
	query := b.Query(client)
	query.Set("response_type", "token")
	location, err := url.Parse(b.Get(t, "/oauth/authorize?"+query.Encode()).Header.Get("Location"))
	if err != nil || location.Query().Get("iss") != b.URL {
		t.Errorf("AS-046: %v", location)
	}
}

// AS-036…AS-040, AS-084: whatever spelling of the resource was asked, the token's audience is the one that is published.
func TestMatrix_AS84_audience(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	for id, edit := range map[string]func(url.Values){
		"AS-036/as published":      nil,
		"AS-039/upper-case scheme": func(q url.Values) { q.Set("resource", strings.Replace(b.MCP, "http:", "HTTP:", 1)) },
		"AS-040/absent":            del("resource"),
		"AS-041/twice the same":    add("resource", b.MCP),
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			query := b.Query(client)
			if edit != nil {
				edit(query)
			}
			tokens := b.Token(t, b.RedeemForm(client, b.CodeFor(t, query, b.Someone())))
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens.Access, ".")[1])
			if err != nil {
				t.Fatal(err)
			}
			var claims map[string]any
			if err := json.Unmarshal(payload, &claims); err != nil {
				t.Fatal(err)
			}
			if claims["aud"] != b.MCP {
				t.Errorf("audience %v, want %s", claims["aud"], b.MCP)
			}
		})
	}
}

// AS-077: ids and secrets are URL-safe, so that clients that encode Basic credentials and clients that do not agree.
func TestMatrix_AS77_basicEncodings(t *testing.T) {
	t.Parallel()
	const secret = "se+cret%2F:with/every&thing=-_~"
	b := bridgetest.Start(t, bridgetest.WithFile(`
clients:
  - {id: "odd:client", name: Odd, redirect_uris: ["https://app.example.com/callback"], secret_sha256: [`+sha256Hex(secret)+`]}
  - {id: plain-client, name: Plain, redirect_uris: ["https://app.example.com/callback"], secret_sha256: [`+sha256Hex(secret)+`]}
`))
	for id, pair := range map[string]string{
		"odd:client":   url.QueryEscape("odd:client") + ":" + url.QueryEscape(secret),
		"plain-client": "plain-client:" + secret,
	} {
		client := bridgetest.Client{ID: id, Redirect: []string{bridgetest.Redirect}}
		form := b.RedeemForm(client, b.Code(t, client, b.Someone()))
		form.Del("client_id")
		b.Token(t, form, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
}

// AS-095, GW-63: a person whom Trinity no longer lets in cannot refresh, and the grant says why.
func TestMatrix_AS95_personGone(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	tokens := b.Connect(t, client, alice)
	suspend(t, b, true)
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
		t.Errorf("AS-090, TK-18: the access token: %d", got)
	}
}

// AS-130: another public URL is told in the log, and what the old one issued is worth nothing.
func TestMatrix_AS130_issuerMoves(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	tokens := b.Connect(t, b.Register(t), alice)
	b.Stop(t)
	moved := strings.Replace(b.URL, "127.0.0.1", "localhost", 1)
	b.Config.PublicURL = moved
	b.Restart(t)
	if !strings.Contains(b.Logs(), "the public URL has changed") {
		t.Error("the log does not tell")
	}
	if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
		t.Errorf("an old token: %d", got)
	}
}

// AS-131, AS-132, AS-134: each client is consented to by itself, on our page, in the browser that began, before any code.
func TestMatrix_AS131_consentByClient(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	first := b.Register(t)
	b.Connect(t, first, alice)
	for _, client := range []bridgetest.Client{first, b.Register(t)} {
		w := b.NewBrowser(t) // no cookie of ours: nothing is remembered for it
		b.SignIn(t, w, b.Query(client), b.Someone())
		if w.URL.Path != "/consent" || w.Left != "" {
			t.Errorf("client %s came to %s without consent", client.ID, w.URL)
		}
	}
}

// AS-128, AS-127, AS-122: what is not implemented is ignored and not pretended.
func TestMatrix_AS127_registrationExtras(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	for _, kind := range []string{"native", "web", "other", ""} {
		metadata := map[string]any{
			"redirect_uris": []string{"http://127.0.0.1/cb"}, "token_endpoint_auth_method": "none", "software_statement": "garbage",
		}
		if kind != "" {
			metadata["application_type"] = kind
		}
		body, err := json.Marshal(metadata)
		if err != nil {
			t.Fatal(err)
		}
		answer := b.PostJSON(t, "/oauth/register", string(body))
		if answer.Status != http.StatusCreated || answer.Contains("registration_access_token") || answer.Contains("registration_client_uri") || answer.Contains("software_statement") {
			t.Errorf("AS-122 %q: %d %s", kind, answer.Status, answer.Body)
		}
	}
}

// RS-17, GW-08, GW-41: a token in the URL or the body, a cookie and a session id are no credentials.
func TestMatrix_RS17_onlyTheHeader(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	tokens := b.Connect(t, b.Register(t), alice)
	session := b.Session(t, tokens.Access)
	before := len(b.Trinity.Requests())
	for id, req := range map[string]*http.Request{
		"query":   b.Request(t, http.MethodPost, "/mcp?access_token="+tokens.Access, bridgetest.Initialize, "Content-Type", "application/json"),
		"body":    b.Request(t, http.MethodPost, "/mcp", "access_token="+tokens.Access, "Content-Type", "application/x-www-form-urlencoded"),
		"cookie":  b.Request(t, http.MethodPost, "/mcp", bridgetest.Initialize, "Content-Type", "application/json", "Cookie", "access_token="+tokens.Access),
		"session": b.Request(t, http.MethodPost, "/mcp", bridgetest.Initialize, "Content-Type", "application/json", "Mcp-Session-Id", session),
	} {
		if answer := b.Do(t, req); answer.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d", id, answer.Status)
		}
	}
	if got := len(b.Trinity.Requests()); got != before {
		t.Errorf("RS-22: Trinity saw %d requests of these", got-before)
	}
}

// RS-34, GW-42, GW-44: malformed is 400, missing or invalid 401, insufficient 403, another's session 404; nothing else.
func TestMatrix_RS34_statuses(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	one, two := b.Connect(t, client, b.Someone()), b.Connect(t, client, b.Someone())
	session := b.Session(t, one.Access)
	tests := []struct {
		id   string
		req  *http.Request
		want int
	}{
		{"two fields", b.Request(t, http.MethodPost, "/mcp", "{}", "Authorization", "Bearer a", "Authorization", "Bearer b"), 400},
		{"none", b.Request(t, http.MethodPost, "/mcp", "{}"), 401},
		{"Basic", b.Request(t, http.MethodPost, "/mcp", "{}", "Authorization", "Basic YTpi"), 401},
		{"invalid", b.Request(t, http.MethodPost, "/mcp", "{}", "Authorization", "Bearer x"), 401},
		{"another's session", b.Request(t, http.MethodDelete, "/mcp", "", "Authorization", "Bearer "+two.Access, "Mcp-Session-Id", session), 404},
		{"another's stream", b.Request(t, http.MethodGet, "/mcp", "", "Authorization", "Bearer "+two.Access, "Mcp-Session-Id", session, "Accept", "text/event-stream"), 404},
	}
	for _, tt := range tests {
		if answer := b.Do(t, tt.req); answer.Status != tt.want {
			t.Errorf("%s: %d, want %d", tt.id, answer.Status, tt.want)
		}
	}
	if answer := b.Tool(t, one.Access, session, "list_agents"); answer.Status != http.StatusOK {
		t.Errorf("the session is hurt: %d", answer.Status)
	}
}

// AS-067, GW-04, GW-65: a public URL that is not https is refused outright, and the demo listens on loopback.
func TestMatrix_AS67_httpsOnly(t *testing.T) {
	t.Parallel()
	_, err := config.Load(config.Flags{PublicURL: "http://connect.example.com", TrinityURL: "http://backend:8000", MCPURL: "http://mcp:8080/mcp"},
		func(string) (string, bool) { return "", false })
	if err == nil || !strings.Contains(err.Error(), "has to be https") {
		t.Errorf("mistakes: %v", err)
	}
}

// AS-091: with the grace the predecessor's successor is given again; AS-092: to its own client only.
func TestMatrix_AS91_AS92_overlap(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, other := b.Register(t), b.Register(t)
	tokens := b.Connect(t, client, alice)
	next := b.Token(t, b.RefreshForm(client, tokens.Refresh))
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(other, tokens.Refresh)))
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(other, next.Refresh)))
	b.Clock.Advance(30 * time.Second)
	if again := b.Token(t, b.RefreshForm(client, tokens.Refresh)); again.Refresh != next.Refresh {
		t.Error("another successor")
	}
}

// AS-015: revocation lists its methods, public clients included.
func TestMatrix_AS15_revocationMethods(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	var server struct {
		Endpoint string   `json:"revocation_endpoint"`
		Methods  []string `json:"revocation_endpoint_auth_methods_supported"`
	}
	b.Get(t, "/.well-known/oauth-authorization-server").JSON(t, &server)
	if server.Endpoint != b.URL+"/oauth/revoke" || !slices.Contains(server.Methods, "none") || !slices.Contains(server.Methods, "client_secret_post") {
		t.Errorf("%+v", server)
	}
}

// AS-065: browsers can read refusals, too.
func TestMatrix_AS65_errorsWithCORS(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	for path, answer := range map[string]bridgetest.Answer{
		"token":    b.PostForm(t, "/oauth/token", url.Values{"client_id": {"nope"}}, "Origin", "https://inspector.example.com"),
		"register": b.PostJSON(t, "/oauth/register", "{}", "Origin", "https://inspector.example.com"),
		"method":   b.Get(t, "/oauth/token", "Origin", "https://inspector.example.com"),
	} {
		if answer.Status < 400 || answer.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", path, answer.Status, answer.Header)
		}
	}
}

// AS-066: wrong secrets are throttled for their own network, and nobody else's right one is.
func TestMatrix_AS66_throttled(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.TrustedProxies = "127.0.0.1" }))
	client := b.RegisterAs(t, map[string]any{
		"redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "client_secret_post",
		"grant_types": []string{"authorization_code", "refresh_token"},
	})
	form := b.RedeemForm(client, b.Code(t, client, alice))
	form.Set("client_secret", "wrong")
	var last bridgetest.Answer
	for range bridgetest.Times(40) {
		last = b.PostForm(t, "/oauth/token", form, "X-Forwarded-For", "203.0.113.7")
	}
	if last.Status != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("after 40 wrong secrets: %d %v", last.Status, last.Header)
	}
	form.Set("client_secret", client.Secret)
	b.Token(t, form, "X-Forwarded-For", "198.51.100.9")
}

// AS-035: without a scope the page offers the baseline, and that is what is granted.
func TestMatrix_AS35_baseline(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	query := b.Query(client)
	query.Del("scope")
	w := b.NewBrowser(t)
	b.SignIn(t, w, query, alice)
	if got := w.Form(t, "/consent")["scope"]; !slices.Equal(got, []string{"trinity:read", "trinity:write"}) {
		t.Errorf("ticked %v", got)
	}
	answer := b.Decide(t, w, "approve")
	if tokens := b.Token(t, b.RedeemForm(client, answer.Get("code"))); tokens.Scope != "trinity:read trinity:write" {
		t.Errorf("scope %q", tokens.Scope)
	}
}

// AS-056: state, verifier, code and tokens are in no log, whatever is answered.
func TestMatrix_AS56_state(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	b.Secret("a-state-that-nobody-may-see", bridgetest.Verifier)
	client := b.Register(t)
	query := b.Query(client)
	query.Set("state", "a-state-that-nobody-may-see")
	b.Token(t, b.RedeemForm(client, b.CodeFor(t, query, alice)))
	query.Set("scope", "bogus")
	b.Get(t, "/oauth/authorize?"+query.Encode())
	query.Set("redirect_uri", "https://evil.example/cb")
	b.Get(t, "/oauth/authorize?"+query.Encode())
	b.PostForm(t, "/oauth/token", url.Values{"client_id": {"nope"}, "code_verifier": {bridgetest.Verifier}, "state": {"a-state-that-nobody-may-see"}})
}

// RS-32: a scope in a token is no right of the person: whom Trinity has shut out gets nothing with the same scope that
// serves another.
func TestMatrix_RS32_rightsStayTrinitys(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	mine, other := b.Connect(t, client, alice), b.Connect(t, client, b.Someone())
	if mine.Scope != other.Scope {
		t.Fatalf("scopes %q and %q", mine.Scope, other.Scope)
	}
	session, others := b.Session(t, mine.Access), b.Session(t, other.Access)
	if answer := b.Tool(t, mine.Access, session, "list_agents"); answer.Status != http.StatusOK {
		t.Fatalf("before: %d %s", answer.Status, answer.Body)
	}
	suspend(t, b, true)
	answer := b.Tool(t, mine.Access, session, "list_agents")
	// A replica that serves the connection for the first time asks Trinity first.
	asked := bridgetest.Replicas() > 0 && answer.Status == http.StatusUnauthorized
	if !asked && !answer.Contains(`"isError":true`) {
		t.Errorf("shut out: %d %s", answer.Status, answer.Body)
	}
	if answer := b.Tool(t, other.Access, others, "list_agents"); answer.Status != http.StatusOK || answer.Contains(`"isError":true`) {
		t.Errorf("the other: %d %s", answer.Status, answer.Body)
	}
}
