package protocol_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/idp"
)

// FB-01, FB-02, FB-05, CO-09, GW-55: an answer is taken in the browser that went for it, for the flow it
// belongs to, and once. Whatever else comes asks the provider nothing.
func TestSource_callback(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	c.idp.Add(person("00u1", "alice@example.com", "staff"))
	query := c.Query(c.Register(t))
	w := c.NewBrowser(t)
	back := c.idp.Approve(t, c.leave(t, w, query), "00u1")
	other := c.NewBrowser(t)
	c.leave(t, other, query)
	tests := []struct {
		id, name string
		browser  *bridgetest.Browser
		edit     func(url.Values)
		status   int
	}{
		{"FB-01", "no state", w, func(q url.Values) { q.Del("state") }, http.StatusGone},
		{"FB-01", "two states", w, func(q url.Values) { q.Add("state", q.Get("state")) }, http.StatusGone},
		{"FB-01", "an unknown state", w, func(q url.Values) { q.Set("state", "unknown.state") }, http.StatusGone},
		{"FB-01", "an endless state", w, func(q url.Values) { q.Set("state", strings.Repeat("x", 300)) }, http.StatusGone},
		{"FB-01", "another state of the flow", w, func(q url.Values) { q.Set("state", q.Get("state")+"x") }, http.StatusBadRequest},
		{"FB-02", "a browser without cookies", c.NewBrowser(t), func(url.Values) {}, http.StatusForbidden},
		{"FB-05", "a browser with another flow", other, func(url.Values) {}, http.StatusForbidden},
	}
	for _, tt := range tests {
		answer := back.Query()
		tt.edit(answer)
		tt.browser.Open(t, back.Path+"?"+answer.Encode())
		if tt.browser.Page.Status != tt.status || c.idp.Asked("/token") != 0 {
			t.Errorf("%s/%s: %d, and the token endpoint was asked %d times", tt.id, tt.name, tt.browser.Page.Status, c.idp.Asked("/token"))
		}
	}
	before := w.Cookies()
	w.Open(t, back.RequestURI())
	if w.URL.Path != "/signin/link" {
		t.Fatalf("the right browser is at %s (%d)", w.URL, w.Page.Status)
	}
	if after := w.Cookies(); len(after) != 1 || len(before) != 1 || after[0].Value == before[0].Value {
		t.Errorf("FB-03: the cookie is the same after the sign-in")
	}
	asked := c.idp.Asked("/token")
	w.Open(t, back.RequestURI())
	if w.Page.Status == http.StatusOK && w.URL.Path != "/signin/link" || c.idp.Asked("/token") != asked {
		t.Errorf("FB-01: a second use came to %s (%d)", w.URL, w.Page.Status)
	}
	// What the cookie of before opens now (FB-03).
	stale := c.Request(t, http.MethodGet, w.URL.RequestURI(), "")
	stale.AddCookie(before[0])
	if answer := c.Do(t, stale); answer.Status != http.StatusForbidden {
		t.Errorf("FB-03: the cookie of before the sign-in opens the flow: %d", answer.Status)
	}
	late := c.NewBrowser(t)
	over := c.idp.Approve(t, c.leave(t, late, query), "00u1")
	c.Clock.Advance(11 * time.Minute)
	if late.Open(t, over.RequestURI()); late.Page.Status != http.StatusGone || c.idp.Asked("/token") != asked {
		t.Errorf("FB-01: an expired flow: %d", late.Page.Status)
	}
}

// FB-06, FB-19, GW-58: two providers. The answer of one is nothing at the other's path, and the same
// address at both is two people with two links and two keys.
func TestSource_two(t *testing.T) {
	t.Parallel()
	first, second := idp.Start(t, "/", time.Now), idp.Start(t, "", time.Now)
	rules := "admit:\n      - {rule: all, anyone: true, scope: trinity:write}"
	b := bridgetest.Start(t, bridgetest.WithFile("identity_sources:\n"+sourceYAML(t, "company", first, rules)+sourceYAML(t, "partner", second, rules)))
	for _, server := range []*idp.Server{first, second} {
		server.Now = b.Clock.Now
		server.Add(person("u1", "alice@example.com"))
	}
	one, two := &company{b, first}, &company{b, second}
	client := b.Register(t)

	w := b.NewBrowser(t)
	back := first.Approve(t, one.leave(t, w, b.Query(client)), "u1")
	w.Open(t, strings.Replace(back.RequestURI(), "/signin/company/", "/signin/partner/", 1))
	if w.Page.Status != http.StatusBadRequest || second.Asked("/token")+first.Asked("/token") != 0 {
		t.Errorf("FB-06: the other's path took it: %d", w.Page.Status)
	}
	if w.Open(t, strings.Replace(back.RequestURI(), "/signin/company/", "/signin/nobody/", 1)); w.Page.Status != http.StatusNotFound {
		t.Errorf("FB-06: no source's path took it: %d", w.Page.Status)
	}

	a := one.enter(t, client, "u1", "alice@example.com")
	w = b.NewBrowser(t)
	w.Open(t, "/oauth/authorize?"+b.Query(client).Encode())
	w.Follow(t, "The partner login")
	w.Open(t, second.Approve(t, w.Left, "u1").RequestURI())
	if w.URL.Path != "/signin/link" {
		t.Fatalf("FB-19: somebody of another source has the first one's link: at %s", w.URL)
	}
	two.link(t, w, "alice@example.com")
	z := b.Token(t, b.RedeemForm(client, b.Decide(t, w, "approve").Get("code")))
	if subject(t, a.Access) == subject(t, z.Access) {
		t.Error("FB-19: two people have one subject")
	}
	// FB-20: who changes their address at the provider stays who they are.
	first.Add(person("u1", "new-name@example.com"))
	again := one.enter(t, client, "u1", "")
	if subject(t, again.Access) != subject(t, a.Access) || b.Works(t, a.Access) != http.StatusOK {
		t.Error("FB-20: a changed address made another person")
	}
	// An address that was given to somebody else at the provider is a new person, and links anew.
	first.Add(person("u2", "alice@example.com"))
	w = b.NewBrowser(t)
	one.arrive(t, w, b.Query(client), "u2")
	if w.URL.Path != "/signin/link" {
		t.Errorf("FB-19: a new subject with an old address is at %s", w.URL)
	}
}

func subject(t *testing.T, access string) string {
	t.Helper()
	sub, _ := tokenClaims(t, access)["sub"].(string)
	if sub == "" {
		t.Fatal("the token has no subject")
	}
	return sub
}

// FB-17, FB-22: claims that let nobody in. The page says so and whom to ask.
func TestSource_admission(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	many := make([]any, 50_000)
	for i := range many {
		many[i] = fmt.Sprintf("g%d", i)
	}
	guest := func(verified any) idp.Person {
		claims := map[string]any{"email": "guest@example.com"}
		if verified != nil {
			claims["email_verified"] = verified
		}
		return idp.Person{Subject: "guest", Claims: claims}
	}
	for name, tt := range map[string]struct {
		person idp.Person
		status int
		words  string
	}{
		"in no group":                {person("u", "bob@example.com", "others"), http.StatusForbidden, "You are not let in here"},
		"without claims":             {idp.Person{Subject: "u"}, http.StatusForbidden, "You are not let in here"},
		"FB-17/not verified":         {guest(false), http.StatusForbidden, "You are not let in here"},
		"FB-17/absent":               {guest(nil), http.StatusForbidden, "You are not let in here"},
		"FB-17/true as text":         {guest("true"), http.StatusForbidden, "You are not let in here"},
		"FB-17/1":                    {guest(1), http.StatusForbidden, "You are not let in here"},
		"FB-22/an overage pointer":   {idp.Person{Subject: "u", Claims: map[string]any{"_claim_names": map[string]string{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]string{"endpoint": c.idp.Issuer + "overage"}}}}, http.StatusForbidden, "You are not let in here"},
		"FB-22/50,000 groups":        {idp.Person{Subject: "u", Userinfo: map[string]any{"groups": many}}, http.StatusServiceUnavailable, "does not work right now"},
		"FB-22/257 groups, one ours": {idp.Person{Subject: "u", Userinfo: map[string]any{"groups": append(many[:256:256], "staff")}}, http.StatusForbidden, "You are not let in here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.person.Subject = name
			c.idp.Add(tt.person)
			w := c.NewBrowser(t)
			c.arrive(t, w, c.Query(c.Register(t)), name)
			wantSourcePage(t, w, tt.status, tt.words)
			if !w.Page.Contains("ops@example.com") {
				t.Error("the page does not say whom to ask")
			}
		})
	}
	t.Run("FB-17/guest", func(t *testing.T) {
		t.Parallel()
		admitted := guest(true)
		admitted.Subject = "admitted"
		c.idp.Add(admitted)
		w := c.NewBrowser(t)
		c.arrive(t, w, c.Query(c.Register(t)), "admitted")
		if w.URL.Path != "/signin/link" || !w.Page.Contains("guest@example.com") {
			t.Errorf("somebody the rules let in is at %s", w.URL)
		}
	})
}

// FB-23, GW-62: the provider's own no is a page of ours, leads back with OAuth's words, and its text
// stays in the log.
func TestSource_denied_FB23(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	for code, tt := range map[string]struct {
		status int
		mapped string
	}{
		"access_denied":           {http.StatusForbidden, "access_denied"},
		"temporarily_unavailable": {http.StatusServiceUnavailable, "temporarily_unavailable"},
		"<script>alert(1)":        {http.StatusForbidden, "access_denied"},
	} {
		w := c.NewBrowser(t)
		address, err := url.Parse(c.leave(t, w, c.Query(c.Register(t))))
		if err != nil {
			t.Fatal(err)
		}
		answer := url.Values{
			"error": {code}, "error_description": {"<script>evil()</script>\nhttps://evil.example.com/" + strings.Repeat("x", 500)},
			"state": {address.Query().Get("state")}, "iss": {c.idp.Issuer},
		}
		w.Open(t, "/signin/company/callback?"+answer.Encode())
		wantSourcePage(t, w, tt.status, "error="+tt.mapped)
		if !w.Page.Contains("iss=", "state=state-value") || strings.Contains(w.Page.Body, "evil") {
			t.Errorf("%s: the page says\n%s", code, w.Page.Body)
		}
		// The flow is kept: the link begins again.
		if w.Follow(t, "Try again"); !w.Page.Contains("The company login") {
			t.Errorf("%s: trying again leads to %s", code, w.URL)
		}
	}
	if logs := c.Logs(); strings.Contains(logs, strings.Repeat("x", 250)) || !strings.Contains(logs, "evil") {
		t.Error("the provider's words are not in the log, or not cut")
	}
}

// FB-24: no parameter says where to go.
func TestSource_noReturnTo_FB24(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	c.idp.Add(person("00u1", "alice@example.com", "staff"))
	query := c.Query(c.Register(t))
	evil := url.Values{}
	for _, name := range []string{"return_to", "next", "rd", "redirect", "url", "target"} {
		evil.Set(name, "https://evil.example.com/")
		query.Set(name, "https://evil.example.com/")
	}
	w := c.NewBrowser(t)
	back := c.idp.Approve(t, c.leave(t, w, query), "00u1")
	w.Open(t, back.RequestURI()+"&"+evil.Encode())
	for _, path := range []string{"/signin/choose", "/signin/leave", "/signin/link", "/signin"} {
		v := c.NewBrowser(t)
		v.Open(t, path+"?"+evil.Encode())
		if strings.Contains(v.Page.Body+v.Left, "evil") {
			t.Errorf("%s knows where it was told to go", path)
		}
	}
	if w.URL.Path != "/signin/link" || strings.Contains(w.Page.Body+w.Left, "evil") {
		t.Errorf("the browser is at %s", w.URL)
	}
}

// FB-29: whose domain is bound to a source is never sent a code to sign in with: not by typing the
// address, on the code page, nor by a client's hint.
func TestSource_domain_FB29(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "domains: [example.com]"+admitStaff)
	c.idp.Add(person("00u1", "alice@example.com", "staff"))
	client := c.Register(t)
	open := func(hint string) *bridgetest.Browser {
		query := c.Query(client)
		if hint != "" {
			query.Set("login_hint", hint)
		}
		return c.NewBrowser(t).Open(t, "/oauth/authorize?"+query.Encode())
	}
	for _, address := range []string{"alice@example.com", "ALICE@EXAMPLE.COM", " alice@Example.com "} {
		w := open("")
		w.Follow(t, "Use a code by e-mail")
		w.Submit(t, "/signin", func(form url.Values) { form.Set("email", address) })
		if w.Page.Status != http.StatusForbidden || !w.Page.Contains("You sign in with", "The company login") || c.Trinity.LastCode("alice@example.com") != "" {
			t.Errorf("%q: %d\n%s", address, w.Page.Status, w.Page.Body)
		}
		if w.Follow(t, "The company login"); !strings.HasPrefix(w.Left, c.idp.Issuer) {
			t.Errorf("the page leads to %q", w.Left)
		}
	}
	// Another domain gets its code, and the same form cannot be used for a bound one then.
	w := open("")
	w.Follow(t, "Use a code by e-mail")
	w.Submit(t, "/signin", func(form url.Values) { form.Set("email", "carol@partner.example.com") })
	if w.URL.Path != "/signin/code" {
		t.Fatalf("another domain is at %s", w.URL)
	}
	w.Submit(t, "/signin", func(form url.Values) { form.Set("email", "alice@example.com") })
	if w.Page.Status != http.StatusForbidden || c.Trinity.LastCode("alice@example.com") != "" {
		t.Errorf("from the code page: %d", w.Page.Status)
	}
	// Nor to see their own connections.
	w = c.NewBrowser(t).Open(t, "/connections")
	w.Follow(t, "Sign in")
	w.Follow(t, "Use a code by e-mail")
	w.Submit(t, "/signin", func(form url.Values) { form.Set("email", "alice@example.com") })
	if w.Page.Status != http.StatusForbidden || c.Trinity.LastCode("alice@example.com") != "" {
		t.Errorf("for a visit: %d", w.Page.Status)
	}
	if hinted := open("alice@example.com"); !strings.HasPrefix(hinted.Left, c.idp.Issuer) || !strings.Contains(hinted.Left, "login_hint=alice%40example.com") {
		t.Errorf("with a hint the browser is at %s, sent to %q", hinted.URL, hinted.Left)
	}
	if unbound := open("carol@partner.example.com"); unbound.Left != "" {
		t.Errorf("with another's hint the browser was sent to %q", unbound.Left)
	}
}

// Without Trinity's code there is one way in, and it is gone to at once.
func TestSource_alone(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "", bridgetest.With(func(f *config.Flags) { f.EmailCode = "off" }))
	w := c.NewBrowser(t)
	w.Open(t, "/oauth/authorize?"+c.Query(c.Register(t)).Encode())
	if !strings.HasPrefix(w.Left, c.idp.Issuer) {
		t.Fatalf("the browser is at %s, sent to %q", w.URL, w.Left)
	}
	address, err := url.Parse(w.Left)
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(address.Query().Get("state"), ".")
	if w.Open(t, "/signin?flow="+id); !strings.HasPrefix(w.Left, c.idp.Issuer) {
		t.Errorf("the mailbox page is at %s", w.URL)
	}
	// A form for a code that somebody made up gets none.
	form := url.Values{"flow": {id}, "email": {"alice@example.com"}, "ticket": {"x"}}
	req := c.Request(t, http.MethodPost, "/signin", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	for _, cookie := range w.Cookies() {
		req.AddCookie(cookie)
	}
	if answer := c.Do(t, req); answer.Status != http.StatusForbidden || c.Trinity.LastCode("alice@example.com") != "" {
		t.Errorf("a form for a code: %d", answer.Status)
	}
}
