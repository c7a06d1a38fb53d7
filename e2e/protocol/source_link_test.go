package protocol_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

const linkByAll = `
    link: [code, key]` + admitStaff

// arrived is a browser at the link page.
func (c *company) arrived(t *testing.T, subject string) *bridgetest.Browser {
	t.Helper()
	w := c.NewBrowser(t)
	c.arrive(t, w, c.Query(c.Register(t)), subject)
	if w.URL.Path != "/signin/link" {
		t.Fatalf("the browser is at %s (%d):\n%s", w.URL, w.Page.Status, w.Page.Body)
	}
	return w
}

// The address of a link is the provider's word: no form changes it, and a code that was sent to
// another one proves nothing (GW-58, OT-08).
func TestLink_mailbox(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	c.idp.Add(person("00u1", "alice@example.com", "staff"))
	w := c.arrived(t, "00u1")
	w.Submit(t, "/signin/link", func(form url.Values) {
		form.Set("way", "code")
		form.Set("email", "bob@example.com")
		form.Set("mailbox", "bob@example.com")
	})
	if w.URL.Path != "/signin/code" || !w.Page.Contains("alice@example.com") || c.Trinity.LastCode("bob@example.com") != "" {
		t.Fatalf("the browser is at %s:\n%s", w.URL, w.Page.Body)
	}
	if strings.Contains(w.Page.Body, "Use another address") {
		t.Error("another address is offered")
	}
	// The sign-in by code is another sign-in: it drops what the provider said, so the two never mix.
	other := c.NewBrowser(t)
	other.Open(t, "/oauth/authorize?"+c.Query(c.Register(t)).Encode())
	other.Follow(t, "Use a code by e-mail")
	other.Submit(t, "/signin", func(form url.Values) { form.Set("email", "bob@example.com") })
	w.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", c.Trinity.LastCode("bob@example.com")) })
	if w.URL.Path != "/signin/code" || w.Page.Status != http.StatusBadRequest {
		t.Errorf("another's code: %s (%d)", w.URL, w.Page.Status)
	}
	w.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", c.Trinity.LastCode("alice@example.com")) })
	if w.URL.Path != "/consent" || !w.Page.Contains("alice@example.com", "The company login") {
		t.Errorf("the right code: %s (%d)", w.URL, w.Page.Status)
	}
	if links := c.links(t); len(links) != 1 || links[0].Account != "alice@example.com" || links[0].Subject != "00u1" || links[0].Made != "code" {
		t.Errorf("links: %+v", links)
	}
	wait(t, func() bool { return c.Trinity.LiveJWTs() == 0 }, "no Trinity session is left")
}

func (c *company) links(t *testing.T) []app.ListedLink {
	t.Helper()
	links, err := bridgetest.All(app.ListLinks(t.Context(), c.Data))
	if err != nil {
		t.Fatal(err)
	}
	return links
}

// A key that is pasted has to be a person's, and is not offered where the operator did not say so.
func TestLink_key(t *testing.T) {
	t.Parallel()
	c := startCompany(t, linkByAll)
	c.idp.Add(person("00u1", "alice@example.com", "staff"))
	mint := func(scope, agent string) string {
		key, err := c.Trinity.MintKey("bob@example.com", "pasted "+scope, scope, agent)
		if err != nil {
			t.Fatal(err)
		}
		c.Secret(key)
		return key
	}
	w := c.arrived(t, "00u1")
	for name, tt := range map[string]struct{ key, words string }{
		"no key":        {"hello", "This is not a key Trinity takes"},
		"unknown":       {"trinity_mcp_" + strings.Repeat("x", 43), "This is not a key Trinity takes"},
		"of an agent":   {mint("agent", "research"), "This key is not one of a person"},
		"of the system": {mint("system", ""), "This key is not one of a person"},
	} {
		w.Submit(t, "/signin/link", func(form url.Values) { form.Set("way", "key"); form.Set("key", tt.key) })
		if w.Page.Status != http.StatusBadRequest || !w.Page.Contains(tt.words) || strings.Contains(w.Page.Body, tt.key) {
			t.Errorf("%s: %d\n%s", name, w.Page.Status, w.Page.Body)
		}
	}
	w.Submit(t, "/signin/link", func(form url.Values) { form.Set("way", "key"); form.Set("key", mint("user", "")) })
	if w.URL.Path != "/consent" || !w.Page.Contains("bob@example.com") {
		t.Fatalf("a person's key: %s (%d)", w.URL, w.Page.Status)
	}

	plain := startCompany(t, "")
	plain.idp.Add(person("00u1", "alice@example.com", "staff"))
	v := plain.arrived(t, "00u1")
	v.Submit(t, "/signin/link", func(form url.Values) { form.Set("way", "key"); form.Set("key", "trinity_mcp_"+strings.Repeat("x", 43)) })
	if v.URL.Path != "/signin/link" || v.Page.Status != http.StatusBadRequest || len(plain.links(t)) != 0 {
		t.Errorf("a key where none is offered: %s (%d)", v.URL, v.Page.Status)
	}
}

// Guesses at keys are limited as those at codes are.
func TestLink_keyGuesses(t *testing.T) {
	t.Parallel()
	c := startCompany(t, linkByAll)
	c.idp.Add(person("00u1", "alice@example.com", "staff"))
	w := c.arrived(t, "00u1")
	for n := range 12 {
		w.Submit(t, "/signin/link", func(form url.Values) {
			form.Set("way", "key")
			form.Set("key", "trinity_mcp_"+strings.Repeat("x", 30+n))
		})
	}
	if w.Page.Status != http.StatusTooManyRequests || !w.Page.Contains("too many tries") {
		t.Errorf("the twelfth guess: %d", w.Page.Status)
	}
}

// I10: ending a link ends its connections at once and revokes the one key.
func TestLink_end(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	c.idp.Add(person("00u1", "alice@example.com", "staff"))
	client := c.Register(t)
	first := c.enter(t, client, "00u1", "alice@example.com")
	second := c.enter(t, client, "00u1", "")
	waiting := c.NewBrowser(t)
	c.arrive(t, waiting, c.Query(client), "00u1") // at its consent page
	links := c.links(t)
	if len(links) != 1 {
		t.Fatalf("links: %+v", links)
	}
	ended, err := app.EndLink(t.Context(), c.Data, links[0].ID)
	if err != nil || ended.Ended != 2 || ended.EndedAt == nil {
		t.Fatalf("ended %+v, %v", ended, err)
	}
	for _, tokens := range []bridgetest.Tokens{first, second} {
		if status := c.Works(t, tokens.Access); status != http.StatusUnauthorized {
			t.Errorf("a call after the end: %d", status)
		}
		if answer := c.PostForm(t, "/oauth/token", c.RefreshForm(client, tokens.Refresh)); answer.ErrorCode() != "invalid_grant" {
			t.Errorf("a refresh after the end: %d %s", answer.Status, answer.Body)
		}
	}
	waiting.Submit(t, "/consent", func(form url.Values) { form.Set("decision", "approve") })
	if waiting.Page.Status != http.StatusBadRequest || !waiting.Page.Contains("has ended meanwhile") {
		t.Errorf("a consent after the end: %d\n%s", waiting.Page.Status, waiting.Page.Body)
	}
	wait(t, func() bool { return c.Audited("key_revoked", "by_key") == 1 }, "the link's key is revoked")
	if n := c.Audited("grant_ended", "unlinked"); n != 2 {
		t.Errorf("%d grants are said to have ended by it", n)
	}
	c.arrived(t, "00u1") // and link anew
}

// A key that dies at Trinity ends the link at the next sign-in; a suspended owner is told so.
func TestLink_standing(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	c.idp.Add(person("00u1", "alice@example.com", "staff"), person("00u2", "bob@example.com", "staff"))
	client := c.Register(t)
	c.enter(t, client, "00u1", "alice@example.com")
	c.enter(t, client, "00u2", "bob@example.com")
	if err := c.Trinity.Suspend("bob@example.com", true); err != nil {
		t.Fatal(err)
	}
	w := c.NewBrowser(t)
	c.arrive(t, w, c.Query(client), "00u2")
	wantSourcePage(t, w, http.StatusForbidden, "Your Trinity account is suspended")
	if err := c.Trinity.RevokeKeys("alice@example.com"); err != nil {
		t.Fatal(err)
	}
	c.arrived(t, "00u1")
	if n := c.Audited("link_ended", "credential_dead"); n != 1 {
		t.Errorf("%d links are said to have ended", n)
	}
}

// Links come by import: tried at Trinity, owners compared, one bad line harms no other.
func TestLink_import(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "link: [none]"+admitStaff)
	c.idp.Add(person("00u1", "alice@example.com", "staff"), person("00u9", "nobody@example.com", "staff"))
	key := func(owner, scope string) string {
		made, err := c.Trinity.MintKey(owner, "imported", scope, "")
		if err != nil {
			t.Fatal(err)
		}
		c.Secret(made)
		return made
	}
	w := c.NewBrowser(t)
	c.arrive(t, w, c.Query(c.Register(t)), "00u9")
	wantSourcePage(t, w, http.StatusForbidden, "Your Trinity account is not known here")
	if !w.Page.Contains("00u9") {
		t.Error("the page does not say what the operator has to know")
	}
	rows := []app.LinkRow{
		{Line: 2, Source: "company", Subject: "00u1", Username: "alice@example.com", Key: key("alice@example.com", "user")},
		{Line: 3, Source: "company", Subject: "00u2", Username: "alice@example.com", Key: key("bob@example.com", "user")},
		{Line: 4, Source: "nobody", Subject: "00u3", Username: "alice@example.com", Key: key("alice@example.com", "user")},
		{Line: 5, Source: "company", Subject: "00u4", Username: "alice@example.com", Key: "trinity_mcp_" + strings.Repeat("x", 43)},
		{Line: 6, Source: "company", Subject: "00u5", Username: "admin@example.com", Key: key("admin@example.com", "system")},
		{Line: 7, Source: "company", Subject: "00u6", Username: "", Key: key("alice@example.com", "user")},
		{Line: 8, Source: "company", Subject: "00u7", Username: "alice@example.com", Key: "hello"},
	}
	wants := []string{app.ImportGood, app.ImportOwner, app.ImportNoSource, app.ImportRefused, app.ImportKind, app.ImportEmpty, app.ImportNoKey}
	for _, dry := range []bool{true, false, false} {
		results, err := app.ImportLinks(t.Context(), c.Data, rows, dry)
		if err != nil {
			t.Fatal(err)
		}
		for i, result := range results {
			if result.Outcome != wants[i] || result.Line != rows[i].Line {
				t.Errorf("dry %v, line %d: %q, want %q", dry, result.Line, result.Outcome, wants[i])
			}
		}
		if links := len(c.links(t)); dry && links != 0 || !dry && links != 1 {
			t.Errorf("dry %v: %d links", dry, links)
		}
		if wants[0] = app.ImportStored; !dry {
			wants[0] = app.ImportLinked
		}
	}
	client := c.Register(t)
	tokens := c.enter(t, client, "00u1", "")
	if status := c.Works(t, tokens.Access); status != http.StatusOK {
		t.Errorf("a call through an imported link: %d", status)
	}
}

// The rule's ceiling holds in the form, not only on the page.
func TestLink_ceiling(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	c.idp.Add(person("00u1", "alice@example.com", "staff"), person("00u2", "admin@example.com", "admins"))
	w := c.arrived(t, "00u1")
	c.link(t, w, "alice@example.com")
	w.Submit(t, "/consent", func(form url.Values) { form.Add("scope", "trinity:admin"); form.Set("decision", "approve") })
	if w.Page.Status != http.StatusBadRequest || w.Left != "" {
		t.Errorf("more than the rule gives: %d, %q", w.Page.Status, w.Left)
	}
	v := c.arrived(t, "00u2")
	c.link(t, v, "admin@example.com")
	if !v.Page.Contains("trinity:admin") {
		t.Error("what the rule gives is not offered")
	}
}
