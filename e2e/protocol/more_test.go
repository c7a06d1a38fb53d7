package protocol_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// AZ-43: a blocked client gets a page at authorize and invalid_client at the token endpoint.
func TestClient_AZ43_blocked(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithFile(`
clients:
  - {id: blocked-client, name: Blocked, redirect_uris: ["https://app.example.com/callback"], blocked: true}
`))
	client := bridgetest.Client{ID: "blocked-client", Redirect: []string{bridgetest.Redirect}}
	wantPage(t, b.Get(t, "/oauth/authorize?"+b.Query(client).Encode()))
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, "tbr_x")))
}

// AS-129: a configured client completes a flow with its secret, also while the secret is exchanged,
// and its name is shown as vouched for.
func TestClient_AS129_configured(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithFile(`
registration: off
clients:
  - id: vendor
    name: Vendor's Client
    redirect_uris: ["https://app.example.com/callback"]
    scope: trinity:read trinity:write
    secret_sha256:
      - `+sha256Hex("the-next-secret")+`
      - `+sha256Hex("the-vendor's-secret")+`
`))
	client := bridgetest.Client{ID: "vendor", Redirect: []string{bridgetest.Redirect}}
	w := b.NewBrowser(t)
	query := b.Query(client)
	query.Set("scope", "trinity:read trinity:admin")
	b.SignIn(t, w, query, alice)
	if w.Page.Contains(`value="trinity:admin"`) || !w.Page.Contains("Vendor&#39;s Client") {
		t.Errorf("the page offers more than the client may have, or hides its name:\n%s", w.Page.Body)
	}
	answer := b.Decide(t, w, "approve")
	form := b.RedeemForm(client, answer.Get("code"))
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", form))
	form.Set("client_secret", "the-vendor's-secret")
	tokens := b.Token(t, form)
	if tokens.Scope != "trinity:read" || tokens.Refresh == "" {
		t.Errorf("tokens %+v", tokens)
	}
	for _, secret := range []string{"the-next-secret", "the-vendor's-secret"} { // both are live while they are exchanged
		form := b.RefreshForm(client, tokens.Refresh)
		form.Set("client_secret", secret+"x")
		wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", form))
		form.Set("client_secret", secret)
		tokens = b.Token(t, form)
	}
}

// CO-06: a client that calls itself the same is another client.
func TestConsent_CO06_sameName(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	b.Connect(t, b.Register(t), alice)
	w := b.NewBrowser(t)
	b.SignIn(t, w, b.Query(b.Register(t)), alice)
	if w.URL.Path != "/consent" || w.Page.Contains("You allowed this app on") {
		t.Errorf("the yes to one client counts for another:\n%s", w.Page.Body)
	}
}

// AZ-46, OT-16, AS-049: every form post of a flow is answered 303, never with a redirect that repeats the body.
func TestFlow_AZ46_seeOther(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	begun := b.Get(t, "/oauth/authorize?"+b.Query(client).Encode())
	if begun.Status != http.StatusSeeOther {
		t.Errorf("authorize: %d", begun.Status)
	}
	w := b.NewBrowser(t).Open(t, "/oauth/authorize?"+b.Query(client).Encode())
	form := w.Form(t, "/signin")
	form.Set("email", alice)
	if answer := post(t, b, w, "/signin", form); answer.Status != http.StatusSeeOther {
		t.Errorf("mailbox: %d", answer.Status)
	}
	w.Open(t, "/signin/code?flow="+form.Get("flow"))
	code := w.Form(t, "/signin/code")
	code.Set("code", b.Trinity.LastCode(alice))
	answer := post(t, b, w, "/signin/code", code)
	if answer.Status != http.StatusSeeOther {
		t.Errorf("code: %d", answer.Status)
	}
	w.Keep(answer)
	w.Open(t, "/consent?flow="+form.Get("flow"))
	decision := w.Form(t, "/consent")
	decision.Set("decision", "approve")
	if answer := post(t, b, w, "/consent", decision); answer.Status != http.StatusSeeOther || answer.Header.Get("Location") != "/consent/done?flow="+form.Get("flow") {
		t.Errorf("decision: %d %s", answer.Status, answer.Header.Get("Location"))
	}
}

// TK-32, AS-143: there is no introspection endpoint to be found or used.
func TestIntrospection_TK32_absent(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	for _, path := range []string{"/oauth/introspect", "/introspect"} {
		if answer := b.PostForm(t, path, url.Values{"token": {"x"}}); answer.Status != http.StatusNotFound {
			t.Errorf("%s: %d", path, answer.Status)
		}
	}
	if b.Get(t, "/.well-known/oauth-authorization-server").Contains("introspection") {
		t.Error("the metadata names it")
	}
}

// TK-30, OP-10, AS-082: what a bearer could use is on the disk in no file, as it is only in hashes or sealed.
func TestStore_TK30_OP10_noBearerAtRest(t *testing.T) {
	bridgetest.OneProcess(t, "there is no data folder to look through")
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.RegisterAs(t, map[string]any{
		"redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "client_secret_post",
		"grant_types": []string{"authorization_code", "refresh_token"},
	})
	code := b.Code(t, client, alice)
	form := b.RedeemForm(client, code)
	form.Set("client_secret", client.Secret)
	tokens := b.Token(t, form)
	refresh := b.RefreshForm(client, tokens.Refresh)
	refresh.Set("client_secret", client.Secret)
	next := b.Token(t, refresh)
	b.Works(t, next.Access)
	key := ""
	for _, request := range b.Trinity.Requests() {
		if bearer, ok := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer trinity_mcp_"); ok {
			key = bearer
		}
	}
	b.Secret(key)
	b.Stop(t)
	secrets := map[string]string{
		"code": code, "client secret": client.Secret, "access token": tokens.Access, "refresh token": tokens.Refresh,
		"successor": next.Refresh, "Trinity key": key,
	}
	err := filepath.WalkDir(filepath.Join(b.Data, "store"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for what, value := range secrets {
			if value == "" || strings.Contains(string(text), value) {
				t.Errorf("%s holds the %s", filepath.Base(path), what)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// OP-31: what strangers send comes into the log on one line, escaped.
func TestLog_OP31_injection(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	b.Get(t, "/oauth/authorize?client_id="+url.QueryEscape("x\n{\"level\":\"ERROR\",\"msg\":\"forged\"}"), "User-Agent", "a\tb {\"forged\":1}")
	b.PostForm(t, "/oauth/token", url.Values{"client_id": {"x\n{\"forged\":1}"}, "grant_type": {"refresh_token"}})
	for line := range strings.Lines(b.Logs()) {
		if !strings.HasPrefix(line, `{"time":`) || !strings.HasSuffix(line, "}\n") {
			t.Errorf("a line of the log is not ours: %q", line)
		}
	}
}

// RS-44, GW-03: requests for other host names are refused, whatever they ask.
func TestHost_RS44(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	own := strings.TrimPrefix(b.URL, "http://")
	_, port, _ := strings.Cut(own, ":")
	for host, want := range map[string]int{
		own: 401, "localhost:" + port: 401, "[::1]:" + port: 401, "evil.example": 421, "127.0.0.1": 421, own + ".evil.example": 421,
		"evil.example:" + port: 421,
	} {
		req := b.Request(t, http.MethodPost, "/mcp", "{}")
		req.Host = host
		if answer := b.Do(t, req); answer.Status != want {
			t.Errorf("Host %q: %d, want %d", host, answer.Status, want)
		}
	}
}

// DC-03: a registration from laxer times is held to today's rules at authorize.
func TestAuthorize_DC03_laxRegistration(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	b.Stop(t)
	lax := []string{"javascript:alert(1)", "http://app.example.com/cb", "https://app.example.com/cb?iss=x"}
	store := b.OpenStore(t)
	err := store.CreateClient(t.Context(), bridge.Client{
		ID: "client-lax", Kind: bridge.ClientRegistered, RedirectURIs: lax, GrantTypes: []string{bridge.GrantTypeCode},
		AuthMethod: bridge.AuthNone, CreatedAt: b.Clock.Now(), UnusedUntil: b.Clock.Now().Add(time.Hour),
	}, 10)
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	b.Restart(t)
	for _, redirect := range lax {
		wantPage(t, b.Get(t, "/oauth/authorize?"+b.Query(bridgetest.Client{ID: "client-lax", Redirect: []string{redirect}}).Encode()))
	}
}

// DC-08: nothing a registration names is ever fetched.
func TestRegister_DC08_nothingIsFetched(t *testing.T) {
	t.Parallel()
	touched := make(chan string, 10)
	inside := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { touched <- r.URL.Path }))
	t.Cleanup(inside.Close)
	b := bridgetest.Start(t)
	client := b.RegisterAs(t, map[string]any{
		"redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "none", "logo_uri": inside.URL + "/logo",
		"jwks_uri": inside.URL + "/jwks", "sector_identifier_uri": inside.URL + "/sector", "request_uris": []string{inside.URL + "/request"},
		"initiate_login_uri": inside.URL + "/login", "client_uri": inside.URL + "/", "policy_uri": inside.URL + "/policy",
	})
	w := b.NewBrowser(t)
	b.SignIn(t, w, b.Query(client), alice)
	if w.Page.Contains(inside.URL) {
		t.Errorf("AS-115, CO-18: the consent page refers to it:\n%s", w.Page.Body)
	}
	b.Decide(t, w, "approve")
	select {
	case path := <-touched:
		t.Errorf("%s was fetched", path)
	default:
	}
}

// AZ-43, R06: blocking a client that people have connected stops its very next call, and its refresh.
func TestClient_AZ43_blockedLater(t *testing.T) {
	t.Parallel()
	const declared = `
clients:
  - {id: vendor, name: Vendor, redirect_uris: ["https://app.example.com/callback"]%s}
`
	b := bridgetest.Start(t, bridgetest.WithFile(strings.Replace(declared, "%s", "", 1)))
	client := bridgetest.Client{ID: "vendor", Redirect: []string{bridgetest.Redirect}}
	tokens := b.Connect(t, client, alice)
	b.Stop(t)
	if err := os.WriteFile(b.Config.Config, []byte(strings.Replace(declared, "%s", ", blocked: true", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Restart(t)
	if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
		t.Errorf("the next call: %d", got)
	}
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
}
