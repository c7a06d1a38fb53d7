package protocol_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// What has broken real clients at other servers, by its number in docs/conformance.md, as far as no other test shows
// that it does not break them here.

// B05: all of a hosted client's people come from a few addresses, so none of these routes counts by address alone.
func TestBehaviour_B05_oneAddress(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	for range 200 {
		for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server", "/oauth/jwks"} {
			if answer := b.Get(t, path); answer.Status != http.StatusOK {
				t.Fatalf("%s: %d", path, answer.Status)
			}
		}
	}
	for range 100 {
		client := b.Register(t)
		if answer := b.Get(t, "/oauth/authorize?"+b.Query(client).Encode()); answer.Status != http.StatusSeeOther {
			t.Fatalf("authorize: %d", answer.Status)
		}
	}
	client := b.Register(t)
	tokens := b.Connect(t, client, b.Someone())
	for range 100 {
		tokens = b.Token(t, b.RefreshForm(client, tokens.Refresh))
	}
}

// B09, B11: metadata is for everybody, whatever credential comes along, and its addresses are absolute.
func TestBehaviour_B11_metadataNeedsNothing(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	challenge := b.Call(t, "", bridgetest.Initialize).Header.Get("WWW-Authenticate")
	if !strings.Contains(challenge, `resource_metadata="`+b.URL+`/.well-known/oauth-protected-resource/mcp"`) {
		t.Errorf("B09, B10: %s", challenge)
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server", "/oauth/jwks"} {
		plain := b.Get(t, path)
		for _, authorization := range []string{"Bearer nonsense", "Basic bm9ib2R5Og==", "Bearer trinity_mcp_" + strings.Repeat("a", 40)} {
			if answer := b.Get(t, path, "Authorization", authorization); answer.Status != http.StatusOK || answer.Body != plain.Body {
				t.Errorf("%s with %s: %d", path, authorization, answer.Status)
			}
		}
	}
}

// B17, B18, B19, B46: each way to become a client that the metadata offers works, and one that is off is not hinted at.
func TestBehaviour_B17_waysToRegister(t *testing.T) {
	t.Parallel()
	document := bridgetest.NewDocument("https://app.example.com/client.json", nil)
	for name, tt := range map[string]struct {
		flags                     config.Flags
		registers, takesDocuments bool
	}{
		"both":                {config.Flags{}, true, true},
		"documents alone":     {config.Flags{Registration: "off"}, false, true},
		"registrations alone": {config.Flags{DocumentPolicy: "off"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bridgetest.Start(t, bridgetest.WithPinned(t, document), bridgetest.With(func(f *config.Flags) {
				f.Registration = tt.flags.Registration
				if tt.flags.DocumentPolicy != "" {
					f.DocumentPolicy = tt.flags.DocumentPolicy
				}
			}))
			answer := b.Get(t, "/.well-known/oauth-authorization-server")
			var server map[string]any
			answer.JSON(t, &server)
			if _, says := server["registration_endpoint"]; says != tt.registers || answer.Contains("null") {
				t.Errorf("B18, B19: %s", answer.Body)
			}
			if says, _ := server["client_id_metadata_document_supported"].(bool); says != tt.takesDocuments || !answer.Contains(`"none"`) {
				t.Errorf("B17: %s", answer.Body)
			}
			if registered := b.PostJSON(t, "/oauth/register", `{"redirect_uris":["https://app.example.com/callback"]}`).Status == http.StatusCreated; registered != tt.registers {
				t.Errorf("registration works: %v", registered)
			}
			query := b.Query(bridgetest.Client{ID: "https://app.example.com/client.json", Redirect: []string{bridgetest.Redirect}})
			if taken := b.Get(t, "/oauth/authorize?"+query.Encode()).Status == http.StatusSeeOther; taken != tt.takesDocuments {
				t.Errorf("B46: the document is taken: %v", taken)
			}
		})
	}
}

// B20: clients that found no metadata go to /authorize, /token and /register, and get through with these alone.
func TestBehaviour_B20_defaultPaths(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	answer := b.PostJSON(t, "/register", `{"redirect_uris":["`+bridgetest.Redirect+`"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}`)
	var registered struct {
		ID string `json:"client_id"`
	}
	answer.JSON(t, &registered)
	client := bridgetest.Client{ID: registered.ID, Redirect: []string{bridgetest.Redirect}}
	w := b.NewBrowser(t)
	b.SignInAt(t, w, "/authorize?"+b.Query(client).Encode(), b.Someone())
	code := b.Decide(t, w, "approve").Get("code")
	for form := b.RedeemForm(client, code); ; {
		answer := b.PostForm(t, "/token", form)
		if answer.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", form.Get("grant_type"), answer.Status, answer.Body)
		}
		var tokens bridgetest.Tokens
		answer.JSON(t, &tokens)
		b.Secret(tokens.Access, tokens.Refresh)
		if form.Get("grant_type") == "refresh_token" {
			break
		}
		form = b.RefreshForm(client, tokens.Refresh)
	}
}

// B32, B33, B36, B48: whatever method a client asks for it gets, with a secret exactly when that method needs one; a
// client that asks for none in particular gets a secret, as those want that take no public client for real.
func TestBehaviour_B48_methods(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	for method, want := range map[string]string{
		"none": "none", "client_secret_post": "client_secret_post", "client_secret_basic": "client_secret_basic", "": "client_secret_basic",
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			metadata := map[string]any{"redirect_uris": []string{bridgetest.Redirect}, "grant_types": []string{"authorization_code", "refresh_token"}}
			if method != "" {
				metadata["token_endpoint_auth_method"] = method
			}
			client := b.RegisterAs(t, metadata)
			if (client.Secret != "") != (want != "none") {
				t.Fatalf("secret given: %v", client.Secret != "")
			}
			form := b.RedeemForm(client, b.Code(t, client, b.Someone()))
			var header []string
			switch want {
			case "client_secret_post":
				form.Set("client_secret", client.Secret)
			case "client_secret_basic":
				request := b.Request(t, http.MethodPost, "/", "")
				request.SetBasicAuth(client.ID, client.Secret)
				header = []string{"Authorization", request.Header.Get("Authorization")}
				form.Del("client_id")
				form.Del("client_secret")
			}
			b.Token(t, form, header...)
		})
	}
}

// B55: what clients add for other servers' sake changes nothing.
func TestBehaviour_B55_unknownParameters(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	query := b.Query(client)
	for name, value := range map[string]string{
		"prompt": "consent", "access_type": "offline", "include_granted_scopes": "true", "audience": b.MCP, "nonce": "n", "display": "popup",
	} {
		query.Set(name, value)
	}
	query.Add("resource", b.MCP)
	form := b.RedeemForm(client, b.CodeFor(t, query, b.Someone()))
	form.Set("audience", b.MCP)
	form.Set("scope", "trinity:read trinity:write")
	b.Token(t, form)
}

// B61, B62, B65: whoever has the refresh grant gets a refresh token without asking for offline_access, and what that
// renews is as wide, and for the same resource, as what it came from.
func TestBehaviour_B61_refresh(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	query := b.Query(client)
	query.Set("scope", "trinity:read")
	tokens := b.Token(t, b.RedeemForm(client, b.CodeFor(t, query, b.Someone())))
	for range 3 {
		form := b.RefreshForm(client, tokens.Refresh)
		form.Del("resource")
		form.Del("scope")
		next := b.Token(t, form)
		if next.Refresh == "" || next.Scope != tokens.Scope || b.Works(t, next.Access) != http.StatusOK {
			t.Fatalf("%+v", next)
		}
		tokens = next
	}
}

// B66: a refresh token that is worth nothing any more is invalid_grant, whatever it died of.
func TestBehaviour_B66_deadRefreshTokens(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	revoked := b.Connect(t, client, b.Someone())
	b.PostForm(t, "/oauth/revoke", url.Values{"token": {revoked.Refresh}, "client_id": {client.ID}})
	idle := b.Connect(t, client, b.Someone())
	b.Clock.Advance(31 * 24 * time.Hour)
	for what, token := range map[string]string{"revoked": revoked.Refresh, "idle": idle.Refresh, "never issued": "tbr_nothing", "an access token": idle.Access} {
		answer := b.PostForm(t, "/oauth/token", b.RefreshForm(client, token))
		wire{http.StatusBadRequest, "invalid_grant"}.check(t, answer)
		if t.Failed() {
			t.Fatal(what)
		}
	}
}

// B68, B69: the life of an access token is the bridge's own and the operator's to choose; it bites at once when the
// grant goes, however long it is.
func TestBehaviour_B69_lives(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": time.Hour, "24h": 24 * time.Hour, "1m": time.Minute} {
		b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.AccessLifetime = text }))
		client := b.Register(t)
		tokens := b.Connect(t, client, b.Someone())
		if tokens.ExpiresIn != int(want.Seconds()) {
			t.Errorf("%q: expires_in %d, want %v", text, tokens.ExpiresIn, want)
		}
		b.Clock.Advance(want - time.Minute/2)
		if got := b.Works(t, tokens.Access); got != http.StatusOK {
			t.Errorf("%q: before its end %d", text, got)
		}
		wantRevoked(t, b.PostForm(t, "/oauth/revoke", url.Values{"token": {tokens.Access}, "client_id": {client.ID}}))
		if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
			t.Errorf("%q: revoked %d", text, got)
		}
	}
}

// B71, B73: a token is good the moment it is issued, from wherever and however the client asks with it.
func TestBehaviour_B71_freshToken(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.TrustedProxies = "127.0.0.1" }))
	client := b.Register(t)
	form := b.RedeemForm(client, b.Code(t, client, b.Someone()))
	tokens := b.Token(t, form, "User-Agent", "python-httpx/0.28.1", "X-Forwarded-For", "160.79.106.35")
	for _, accept := range []string{"*/*", "application/json", "text/event-stream", "application/json, text/event-stream", "application/json;q=0.9, */*;q=0.1", ""} {
		header := []string{"Content-Type", "application/json", "User-Agent", "Claude-User", "X-Forwarded-For", "203.0.113.9", "Authorization", "Bearer " + tokens.Access}
		if accept != "" {
			header = append(header, "Accept", accept)
		}
		answer := b.Do(t, b.Request(t, http.MethodPost, "/mcp", bridgetest.Initialize, header...))
		if answer.Status != http.StatusOK {
			t.Errorf("Accept %q: %d %s", accept, answer.Status, answer.Body)
		}
	}
}

// B78, B79: some people tell two connectors apart by a query; the endpoint does not mind it, and it is no credential.
func TestBehaviour_B78_query(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	tokens := b.Connect(t, b.Register(t), b.Someone())
	for _, path := range []string{"/mcp?account=2", "/mcp/?account=2"} {
		plain := b.Call(t, "", bridgetest.Initialize)
		answer := b.PostJSON(t, path, bridgetest.Initialize)
		if answer.Status != http.StatusUnauthorized || answer.Header.Get("WWW-Authenticate") != plain.Header.Get("WWW-Authenticate") {
			t.Errorf("%s: %d %v", path, answer.Status, answer.Header)
		}
		if answer := b.PostJSON(t, path, bridgetest.Initialize, "Authorization", "Bearer "+tokens.Access); answer.Status != http.StatusOK {
			t.Errorf("%s with a token: %d %s", path, answer.Status, answer.Body)
		}
	}
}

// B76: a client that asks before it initializes is told at once, without a credential that it has to sign in, with one
// what there is, also where the upstream does not know the question; and initialize works all the same.
func TestBehaviour_B76_discover(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	tokens := b.Connect(t, b.Register(t), b.Someone())
	const discover = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	modern := []string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "server/discover"}
	if answer := b.Call(t, "", discover, modern...); answer.Status != http.StatusUnauthorized || answer.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("without a token: %d %s", answer.Status, answer.Body)
	}
	unknown := b.Call(t, tokens.Access, strings.Replace(discover, "server/discover", "server/unheard", 1),
		"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "server/unheard")
	if unknown.Status != http.StatusNotFound || !unknown.Contains(`-32601`) {
		t.Errorf("an unknown method: %d %s", unknown.Status, unknown.Body)
	}
	answer := b.Call(t, tokens.Access, discover, modern...)
	if answer.Status != http.StatusOK || !answer.Contains(`"supportedVersions":["2026-07-28",`) || !answer.Contains(`"capabilities":{"tools":`) {
		t.Errorf("%d %s", answer.Status, answer.Body)
	}
	if session := b.Session(t, tokens.Access); session == "" {
		t.Error("initialize opened no session")
	}
}
