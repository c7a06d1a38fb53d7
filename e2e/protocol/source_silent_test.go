package protocol_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/idp"
)

// CO-11, CO-08: a provider that knows the person answers without a word, and the link is there: all that is left is our
// own page, every time, also for what was allowed a minute ago. Nothing leaves for the app before its button is pressed.
func TestSource_CO11_ourPageStands(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "", bridgetest.With(func(f *config.Flags) { f.EmailCode = "off" }))
	for _, path := range []string{"/", "/help/connect"} { // which tell of no way that is not offered
		if page := c.Get(t, path); !page.Contains("The company login") || page.Contains("by e-mail") || page.Contains("six digits") {
			t.Errorf("%s:\n%s", path, page.Body)
		}
	}
	c.idp.Add(person("00u1", alice, "staff"))
	client := c.Register(t)
	c.enter(t, client, "00u1", alice)
	for _, hint := range []string{"", alice} {
		query := c.Query(client)
		query.Set("login_hint", hint)
		w := c.NewBrowser(t)
		c.arrive(t, w, query, "00u1")
		if w.URL.Path != "/consent" || w.Left != "" || !w.Page.Contains(`value="approve"`) {
			t.Errorf("the browser is at %s, sent to %q", w.URL, w.Left)
		}
	}
	if granted := c.Audited("consent_given", ""); granted != 1 {
		t.Errorf("%d connections were allowed", granted)
	}
}

// FB-17: an address that the provider does not vouch for gets no code, so it links nobody to its Trinity account, also
// where the person is let in for another reason. The page says under which id the operator can link them.
func TestSource_FB17_noCodeToUnverified(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	for name, verified := range map[string]any{"false": false, "absent": nil, "text": "true", "number": 1} {
		victim := person("attacker-"+name, alice, "staff")
		if victim.Claims["email_verified"] = verified; verified == nil {
			delete(victim.Claims, "email_verified")
		}
		c.idp.Add(victim)
		w := c.NewBrowser(t)
		c.arrive(t, w, c.Query(c.Register(t)), victim.Subject)
		wantSourcePage(t, w, http.StatusForbidden, victim.Subject)
		if c.Trinity.LastCode(alice) != "" || c.Audited("sign_in_failed", "not_linked") == 0 {
			t.Errorf("%s: a code went to somebody's address", name)
		}
	}
}

// FB-22: groups that the provider keeps elsewhere are asked for nowhere, also when that is the provider itself.
func TestSource_FB22_pointersLeadNowhere(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	c.idp.Add(idp.Person{Subject: "u", Claims: map[string]any{
		"_claim_names":   map[string]string{"groups": "src1"},
		"_claim_sources": map[string]any{"src1": map[string]string{"endpoint": c.idp.Issuer + "userinfo", "access_token": "a token"}},
	}})
	w := c.NewBrowser(t)
	c.arrive(t, w, c.Query(c.Register(t)), "u")
	wantSourcePage(t, w, http.StatusForbidden, "You are not let in here")
	if n := c.idp.Asked("/userinfo"); n != 1 {
		t.Errorf("the userinfo endpoint was asked %d times", n)
	}
}

var pageTitle = regexp.MustCompile(`(?s)<title>(.*?)</title>`)

// OT-15: neither the code nor the address is in a URL, a title or the log; the code's field says what it is for.
func TestSignIn_OT15_nothingLeaks(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, mailbox := b.Register(t), b.Someone()
	w := b.NewBrowser(t)
	var code string
	seen := func(where string) {
		t.Helper()
		title := pageTitle.FindStringSubmatch(w.Page.Body)
		if title == nil {
			t.Fatalf("%s has no title", where)
		}
		for _, secret := range []string{mailbox, url.QueryEscape(mailbox), code} {
			if secret != "" && strings.Contains(w.URL.String()+title[1]+w.Left, secret) {
				t.Errorf("%s tells %q: %s, %q, sent to %q", where, secret, w.URL, title[1], w.Left)
			}
		}
		if w.Page.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s tells others where the browser was", where)
		}
	}
	w.Open(t, "/oauth/authorize?"+b.Query(client).Encode())
	seen("the address page")
	code = b.CodeOf(t, mailbox, func() {
		w.Submit(t, "/signin", func(form url.Values) { form.Set("email", mailbox) })
	})
	seen("the code page")
	if !w.Page.Contains(`autocomplete="one-time-code"`) {
		t.Error("the field for the code does not say so")
	}
	w.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", "000000") })
	seen("the page after a wrong code")
	w.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", code) })
	seen("the consent page")
	b.Works(t, b.Token(t, b.RedeemForm(client, b.Decide(t, w, "approve").Get("code"))).Access)
	for _, path := range []string{"/signin", "/signin/code"} {
		if answer := b.Get(t, path+"?"+url.Values{"email": {mailbox}, "code": {code}}.Encode()); answer.Status != http.StatusGone {
			t.Errorf("a GET with them in its address: %d", answer.Status)
		}
	}
	if strings.Contains(b.Logs(), mailbox) {
		t.Error("the address is in the log")
	}
}
