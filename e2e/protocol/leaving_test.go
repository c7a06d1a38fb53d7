package protocol_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/idp"
)

// staff is a company with one person of the group staff, and a connection of theirs.
func staff(t *testing.T, options ...bridgetest.Option) (*company, bridgetest.Client, bridgetest.Tokens) {
	t.Helper()
	c := startCompany(t, "", options...)
	c.idp.Now = c.Clock.Now
	c.idp.Add(person("u1", alice, "staff"))
	client := c.Register(t)
	return c, client, c.enter(t, client, "u1", alice)
}

func (c *company) works(t *testing.T, access string, want int) {
	t.Helper()
	if got := c.Works(t, access); got != want {
		t.Errorf("a call answers %d, want %d", got, want)
	}
}

func (c *company) ended(t *testing.T, reason string, want int) {
	t.Helper()
	if got := c.Audited("grant_ended", reason); got != want {
		t.Errorf("%d connections ended as %s, want %d", got, reason, want)
	}
}

// renewals counts how often the provider was shown a refresh token, and answers it in their place when say is set.
func (c *company) renewals(say http.HandlerFunc) *atomic.Int32 {
	n := &atomic.Int32{}
	hooks := idp.Hooks{}
	hooks.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/token" || r.PostForm.Get("refresh_token") == "" {
			return false
		}
		n.Add(1)
		if say == nil {
			return false
		}
		say(w, r)
		return true
	}
	c.idp.Hook(hooks)
	return n
}

func oauthError(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": code})
	}
}

// FB-30: what the company changes bites within five minutes of use, in the middle of a session.
func TestLeaving_FB30_withinFiveMinutes(t *testing.T) {
	t.Parallel()
	c, client, tokens := staff(t)
	c.works(t, tokens.Access, 200)
	c.idp.Add(person("u1", alice)) // no longer of any group
	for range 5 {
		c.Clock.Advance(time.Minute)
		c.Works(t, tokens.Access)
	}
	wait(t, func() bool { return c.Audited("grant_ended", "not_admitted") == 1 }, "the end of the connection")
	c.works(t, tokens.Access, 401)
	wire{400, "invalid_grant"}.check(t, c.PostForm(t, "/oauth/token", c.RefreshForm(client, tokens.Refresh)))
	wait(t, func() bool {
		for _, key := range c.Trinity.Keys() {
			if key.Active {
				return false
			}
		}
		return true
	}, "the end of the person's key at Trinity")
}

// FB-30: after a pause nobody gets one more call.
func TestLeaving_FB30_afterAPause(t *testing.T) {
	t.Parallel()
	c, _, tokens := staff(t)
	c.idp.Add(person("u1", alice))
	c.Clock.Advance(5 * time.Minute)
	c.works(t, tokens.Access, 401)
	c.ended(t, "not_admitted", 1)
}

// FB-30: a refresh asks, too.
func TestLeaving_FB30_atRefresh(t *testing.T) {
	t.Parallel()
	c, client, tokens := staff(t)
	c.Clock.Advance(50 * time.Minute)
	tokens = c.Token(t, c.RefreshForm(client, tokens.Refresh))
	c.idp.Add(person("u1", alice))
	c.Clock.Advance(50 * time.Minute)
	wire{400, "invalid_grant"}.check(t, c.PostForm(t, "/oauth/token", c.RefreshForm(client, tokens.Refresh)))
	c.ended(t, "not_admitted", 1)
}

// A lower ceiling narrows the connection and does not end it; what was lost does not come back by itself.
func TestLeaving_narrows(t *testing.T) {
	t.Parallel()
	c := startCompany(t, strings.Replace(admitStaff, "guests\n        addresses: [guest@example.com]", "readers\n        groups: [readers]", 1))
	c.idp.Add(person("u1", alice, "staff"))
	client := c.Register(t)
	tokens := c.enter(t, client, "u1", alice)
	session := c.Session(t, tokens.Access)
	write := func(want int) {
		t.Helper()
		if answer := c.Tool(t, tokens.Access, session, "create_agent"); answer.Status != want {
			t.Errorf("writing answers %d, want %d: %s", answer.Status, want, answer.Body)
		}
	}
	write(200)
	c.idp.Add(person("u1", alice, "readers"))
	c.Clock.Advance(5 * time.Minute)
	write(403)
	if answer := c.Tool(t, tokens.Access, session, "list_agents"); answer.Status != 200 {
		t.Errorf("reading answers %d", answer.Status)
	}
	c.idp.Add(person("u1", alice, "staff"))
	c.Clock.Advance(5 * time.Minute)
	write(403)
	c.ended(t, "", 0)
	if got := c.Token(t, c.RefreshForm(client, tokens.Refresh)); got.Scope != "trinity:read" {
		t.Errorf("refreshed to %q", got.Scope)
	}
}

// The provider takes the session's refresh token no more: signed out there, signed out here.
func TestLeaving_sessionOver(t *testing.T) {
	t.Parallel()
	c, client, tokens := staff(t)
	c.renewals(oauthError(400, "invalid_grant"))
	c.Clock.Advance(5 * time.Minute)
	c.works(t, tokens.Access, 401)
	c.ended(t, "signed_out", 1)
	c.renewals(nil)
	again := c.enter(t, client, "u1", alice) // the link stands: signing in is all it takes
	c.works(t, again.Access, 200)
}

// FB-30: a provider whose refreshed sessions come without an ID token is asked by its userinfo; where that says nothing
// either, the session stands as long as the provider takes its refresh token, and no longer.
func TestLeaving_FB30_withoutIDToken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		more     string
		userinfo map[string]any
		want     int
		why      string
	}{
		"userinfo says that it goes on":      {"", map[string]any{"groups": []string{"staff"}}, http.StatusOK, ""},
		"userinfo says that the group ended": {"", map[string]any{"groups": []string{"others"}}, http.StatusUnauthorized, "not_admitted"},
		"nothing is said":                    {"userinfo: false", nil, http.StatusOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCompany(t, tt.more+admitStaff)
			someone := person("u1", alice, "staff")
			someone.Userinfo = tt.userinfo
			c.idp.Add(someone)
			client := c.Register(t)
			tokens := c.enter(t, client, "u1", alice)
			c.idp.Hook(idp.Hooks{Token: func(answer map[string]any) { delete(answer, "id_token") }})
			for range 3 {
				c.Clock.Advance(5 * time.Minute)
				c.works(t, tokens.Access, tt.want)
			}
			c.ended(t, tt.why, map[string]int{"not_admitted": 1}[tt.why])
			c.idp.Forget()
			c.Clock.Advance(5 * time.Minute)
			c.works(t, tokens.Access, http.StatusUnauthorized)
		})
	}
}

// A source that is taken out of the configuration lets nobody in any more, those of before included.
func TestLeaving_sourceGone(t *testing.T) {
	t.Parallel()
	c, _, tokens := staff(t)
	writeText(t, c.Config.Config, "clients: []\n")
	c.Restart(t)
	c.works(t, tokens.Access, 401)
	c.ended(t, "not_admitted", 1)
}

// Whom Trinity suspends is out, all their connections at once, and the key is revoked when it can be.
func TestLeaving_suspendedAtTrinity(t *testing.T) {
	t.Parallel()
	c, client, first := staff(t)
	second := c.enter(t, client, "u1", alice)
	suspend(t, c.Bridge, true)
	c.Clock.Advance(2 * time.Minute)
	c.works(t, first.Access, 401)
	c.works(t, second.Access, 401)
	c.ended(t, "unlinked", 2)
	if c.Audited("link_ended", "owner_suspended") != 1 {
		t.Error("the audit does not say why")
	}
	suspend(t, c.Bridge, false)
	c.works(t, second.Access, 401)
	wait(t, func() bool {
		c.Clock.Advance(time.Minute) // a try that is under way puts the next one off
		return c.Audited("key_revoked", "") >= 1
	}, "the end of the key")
}

// Acting as an agent goes with the group that allows it.
func TestLeaving_actingLost(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	folder := t.TempDir()
	key, err := c.Trinity.MintKey(admin, "operator's", "agent", "researcher")
	if err != nil {
		t.Fatal(err)
	}
	c.Secret(key)
	writeText(t, folder+"/key", key)
	writeText(t, c.Config.Config, "identity_sources:\n"+sourceYAML(t, "company", c.idp, admitStaff)+
		"\nprincipals:\n  - {act_as: agent, agent: researcher, trinity_key_file: "+folder+"/key, who: [{source: company, groups: [research]}]}\n")
	c.Restart(t)
	c.idp.Add(person("u1", alice, "staff", "research"))
	client := c.Register(t)
	own := c.enter(t, client, "u1", alice)
	w := c.NewBrowser(t)
	c.arrive(t, w, c.Query(client), "u1")
	w.Submit(t, "/consent", func(form url.Values) { form.Set("acting_as", "agent:researcher"); form.Set("decision", "approve") })
	left, err := url.Parse(w.Left)
	if err != nil {
		t.Fatal(err)
	}
	lent := c.Token(t, c.RedeemForm(client, left.Query().Get("code")))
	if answer := c.Tool(t, lent.Access, c.Session(t, lent.Access), "list_agents"); !answer.Contains(`\"username\":\"` + admin) {
		t.Errorf("ran as %s", answer.Body)
	}
	c.idp.Add(person("u1", alice, "staff"))
	c.Clock.Advance(5 * time.Minute)
	c.works(t, lent.Access, 401)
	c.works(t, own.Access, 200)
	c.ended(t, "not_admitted", 1)
}

// logoutClaims are those of a good logout token for u1's session.
func (c *company) logoutClaims() map[string]any {
	return map[string]any{
		"iss": c.idp.Issuer, "aud": "bridge-at-provider", "iat": c.Clock.Now().Unix(), "exp": c.Clock.Now().Add(2 * time.Minute).Unix(),
		"jti": "logout-1", "sid": "sid-u1", "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
}

func (c *company) logout(t *testing.T, claims, header map[string]any) bridgetest.Answer {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := c.idp.Compact(payload, header)
	if err != nil {
		t.Fatal(err)
	}
	return c.PostForm(t, "/signin/company/logout", url.Values{"logout_token": {compact}})
}

// Back-channel logout: of one session or of all of a person's, at once and with nobody's browser.
func TestLeaving_backChannel(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(map[string]any){
		"by session":             func(map[string]any) {},
		"by subject":             func(m map[string]any) { delete(m, "sid"); m["sub"] = "u1" },
		"by both":                func(m map[string]any) { m["sub"] = "u1" },
		"audience in a list":     func(m map[string]any) { m["aud"] = []string{"bridge-at-provider"} },
		"without an expiry":      func(m map[string]any) { delete(m, "exp") },
		"event with more inside": func(m map[string]any) { m["events"].(map[string]any)["https://example.com/other"] = map[string]any{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, client, tokens := staff(t)
			c.idp.Add(person("u2", bob, "staff"))
			other := c.enter(t, client, "u2", bob)
			claims := c.logoutClaims()
			edit(claims)
			answer := c.logout(t, claims, map[string]any{"typ": "logout+jwt"})
			if answer.Status != http.StatusOK || answer.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %v %s", answer.Status, answer.Header, answer.Body)
			}
			c.works(t, tokens.Access, 401)
			c.works(t, other.Access, 200)
			c.ended(t, "signed_out", 1)
		})
	}
}

// A logout token is used once: whoever shows it again ends nothing that began since.
func TestLeaving_backChannelReplay(t *testing.T) {
	t.Parallel()
	c, client, _ := staff(t)
	claims := c.logoutClaims()
	if answer := c.logout(t, claims, nil); answer.Status != http.StatusOK {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	c.Clock.Advance(2 * time.Minute)
	again := c.enter(t, client, "u1", alice)
	delete(claims, "exp")
	if answer := c.logout(t, claims, nil); answer.Status != http.StatusBadRequest || answer.ErrorCode() != "invalid_request" {
		t.Errorf("the second time: %d %s", answer.Status, answer.Body)
	}
	c.works(t, again.Access, 200)
}

// Everything else is no logout token: each check has its test, absence included.
func TestLeaving_backChannelRefused(t *testing.T) {
	t.Parallel()
	c, _, tokens := staff(t)
	now := c.Clock.Now()
	const event = "http://schemas.openid.net/event/backchannel-logout"
	tests := []struct {
		name   string
		edit   func(map[string]any)
		header map[string]any
	}{
		{"iss absent", func(m map[string]any) { delete(m, "iss") }, nil},
		{"iss of another", func(m map[string]any) { m["iss"] = "https://other.example.com/" }, nil},
		{"iss without its slash", func(m map[string]any) { m["iss"] = strings.TrimSuffix(c.idp.Issuer, "/") }, nil},
		{"aud absent", func(m map[string]any) { delete(m, "aud") }, nil},
		{"aud of another", func(m map[string]any) { m["aud"] = "another" }, nil},
		{"aud with another", func(m map[string]any) { m["aud"] = []string{"bridge-at-provider", "another"} }, nil},
		{"iat absent", func(m map[string]any) { delete(m, "iat") }, nil},
		{"iat long ago", func(m map[string]any) { m["iat"] = now.Add(-time.Hour).Unix(); delete(m, "exp") }, nil},
		{"iat to come", func(m map[string]any) { m["iat"] = now.Add(time.Hour).Unix() }, nil},
		{"iat as text", func(m map[string]any) { m["iat"] = "now" }, nil},
		{"expired", func(m map[string]any) { m["exp"] = now.Add(-2 * time.Minute).Unix() }, nil},
		{"jti absent", func(m map[string]any) { delete(m, "jti") }, nil},
		{"jti too long", func(m map[string]any) { m["jti"] = strings.Repeat("x", 300) }, nil},
		{"events absent", func(m map[string]any) { delete(m, "events") }, nil},
		{"events of another kind", func(m map[string]any) { m["events"] = map[string]any{"https://example.com/other": map[string]any{}} }, nil},
		{"events as text", func(m map[string]any) { m["events"] = event }, nil},
		{"event as text", func(m map[string]any) { m["events"] = map[string]any{event: "yes"} }, nil},
		{"sub and sid absent", func(m map[string]any) { delete(m, "sid") }, nil},
		{"nonce", func(m map[string]any) { m["nonce"] = "n" }, nil},
		{"nonce null", func(m map[string]any) { m["nonce"] = nil }, nil},
		{"an access token", func(map[string]any) {}, map[string]any{"typ": "at+jwt"}},
		{"another type", func(map[string]any) {}, map[string]any{"typ": "secevent+jwt"}},
	}
	for _, tt := range tests {
		claims := c.logoutClaims()
		tt.edit(claims)
		if answer := c.logout(t, claims, tt.header); answer.Status != http.StatusBadRequest || answer.ErrorCode() != "invalid_request" || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", tt.name, answer.Status, answer.Body)
		}
	}
	good, err := json.Marshal(c.logoutClaims())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := c.idp.Compact(good, nil)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(signed, ".")
	for name, form := range map[string]url.Values{
		"no token":        {},
		"two tokens":      {"logout_token": {signed, signed}},
		"no signature":    {"logout_token": {parts[0] + "." + parts[1] + "."}},
		"alg none":        {"logout_token": {"eyJhbGciOiJub25lIn0." + parts[1] + "."}},
		"another's":       {"logout_token": {parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2]))}},
		"no token at all": {"logout_token": {"x"}},
		"too long":        {"logout_token": {strings.Repeat("x", 40<<10)}},
	} {
		if answer := c.PostForm(t, "/signin/company/logout", form); answer.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Body)
		}
	}
	if answer := c.PostJSON(t, "/signin/company/logout", `{"logout_token":"`+signed+`"}`); answer.Status != http.StatusBadRequest {
		t.Errorf("JSON: %d", answer.Status)
	}
	c.works(t, tokens.Access, 200)
	c.ended(t, "", 0)
}

// Front-channel logout takes nothing but the issuer and the session's own id.
func TestLeaving_frontChannel(t *testing.T) {
	t.Parallel()
	c, _, tokens := staff(t)
	get := func(query url.Values) bridgetest.Answer {
		return c.Get(t, "/signin/company/logout?"+query.Encode())
	}
	for name, query := range map[string]url.Values{
		"nothing":          {},
		"no session":       {"iss": {c.idp.Issuer}},
		"empty session":    {"iss": {c.idp.Issuer}, "sid": {""}},
		"another issuer":   {"iss": {"https://other.example.com/"}, "sid": {"sid-u1"}},
		"no issuer":        {"sid": {"sid-u1"}},
		"two sessions":     {"iss": {c.idp.Issuer}, "sid": {"sid-u1", "sid-u2"}},
		"only the subject": {"iss": {c.idp.Issuer}, "sub": {"u1"}},
	} {
		if answer := get(query); answer.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, answer.Status)
		}
	}
	if answer := get(url.Values{"iss": {c.idp.Issuer}, "sid": {"sid-of-nobody"}}); answer.Status != http.StatusOK {
		t.Errorf("a session of nobody: %d", answer.Status)
	}
	c.works(t, tokens.Access, 200)
	if answer := get(url.Values{"iss": {c.idp.Issuer}, "sid": {"sid-u1"}}); answer.Status != http.StatusOK || answer.Header.Get("X-Frame-Options") != "" {
		t.Errorf("%d %v", answer.Status, answer.Header)
	}
	c.works(t, tokens.Access, 401)
	c.ended(t, "signed_out", 1)
}

// A sign-in that is weaker than the operator demands leads to a page that says so, and to no connection.
func TestSource_strength(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "amr: [mfa]\n    max_age: 1h"+admitStaff)
	c.idp.Now = c.Clock.Now
	client := c.Register(t)
	weak := person("u1", alice, "staff")
	c.idp.Add(weak)
	w := c.NewBrowser(t)
	c.arrive(t, w, c.Query(client), "u1")
	if w.Page.Status != http.StatusForbidden || !w.Page.Contains("sign in again, more strongly") || c.Audited("sign_in_failed", "source_weak") != 1 {
		t.Fatalf("%d %s", w.Page.Status, w.Page.Body)
	}
	weak.Claims["amr"], weak.Claims["auth_time"] = []string{"mfa"}, c.Clock.Now().Unix()
	c.idp.Add(weak)
	c.works(t, c.enter(t, client, "u1", alice).Access, 200)
}
