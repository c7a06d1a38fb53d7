package protocol_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/idp"
)

// company is a bridge with one identity source, and the provider behind it.
type company struct {
	*bridgetest.Bridge
	idp *idp.Server
}

// admitStaff lets in members of the group staff, and more to admins.
const admitStaff = `
    admit:
      - rule: admins
        groups: [admins]
        scope: trinity:admin
      - rule: staff
        groups: [staff]
        scope: trinity:write
      - rule: guests
        addresses: [guest@example.com]
        scope: trinity:read`

// sourceYAML declares a provider as an identity source.
func sourceYAML(t *testing.T, name string, server *idp.Server, more string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(idp.ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("  - name: %s\n    label: The %s login\n    issuer: %s\n    client_id: %s\n    client_secret_file: %s\n    %s\n",
		name, name, server.Issuer, idp.ClientID, path, strings.TrimSpace(more))
}

// person is somebody of the company, whose address the provider vouches for.
func person(subject, email string, groups ...string) idp.Person {
	all := []any{}
	for _, group := range groups {
		all = append(all, group)
	}
	return idp.Person{Subject: subject, Claims: map[string]any{"email": email, "email_verified": true, "groups": all}}
}

// startCompany starts both, with the rules of more (admitStaff when empty).
func startCompany(t *testing.T, more string, options ...bridgetest.Option) *company {
	t.Helper()
	return startCompanyAt(t, idp.Start(t, "/", time.Now), more, options...)
}

// startCompanyAt is startCompany for a provider that runs.
func startCompanyAt(t *testing.T, server *idp.Server, more string, options ...bridgetest.Option) *company {
	t.Helper()
	if more == "" {
		more = admitStaff
	}
	options = append(options, bridgetest.WithFile("identity_sources:\n"+sourceYAML(t, "company", server, more)))
	c := &company{Bridge: bridgetest.Start(t, options...), idp: server}
	server.Now = c.Clock.Now
	c.Secret(idp.ClientSecret)
	return c
}

// leave opens the request, chooses the source where there is a choice, and returns the provider's address.
func (c *company) leave(t *testing.T, w *bridgetest.Browser, query url.Values) string {
	t.Helper()
	w.Open(t, "/oauth/authorize?"+query.Encode())
	if w.Left == "" {
		w.Follow(t, "The company login")
	}
	if !strings.HasPrefix(w.Left, c.idp.Issuer[:len(c.idp.Issuer)-1]) {
		t.Fatalf("the browser is at %s (%d), sent to %q", w.URL, w.Page.Status, w.Left)
	}
	return w.Left
}

// arrive goes away and comes back as somebody.
func (c *company) arrive(t *testing.T, w *bridgetest.Browser, query url.Values, subject string) {
	t.Helper()
	back := c.idp.Approve(t, c.leave(t, w, query), subject)
	c.Secret(back.Query().Get("code"))
	w.Open(t, back.RequestURI())
}

// link proves the Trinity account of a person who has arrived.
func (c *company) link(t *testing.T, w *bridgetest.Browser, email string) {
	t.Helper()
	code := c.CodeOf(t, email, func() {
		w.Submit(t, "/signin/link", func(form url.Values) { form.Set("way", "code") })
	})
	w.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", code) })
	if w.URL.Path != "/consent" {
		t.Fatalf("after linking the browser is at %s (%d):\n%s", w.URL, w.Page.Status, w.Page.Body)
	}
}

// enter is a whole connection of somebody who is linked already, or links on the way.
func (c *company) enter(t *testing.T, client bridgetest.Client, subject, email string) bridgetest.Tokens {
	t.Helper()
	w := c.NewBrowser(t)
	c.arrive(t, w, c.Query(client), subject)
	if w.URL.Path == "/signin/link" {
		c.link(t, w, email)
	}
	return c.Token(t, c.RedeemForm(client, c.Decide(t, w, "approve").Get("code")))
}

// wantSourcePage wants the page of a refusal that keeps the flow: a way to try again, and one back to the client.
func wantSourcePage(t *testing.T, w *bridgetest.Browser, status int, words string) {
	t.Helper()
	if w.Page.Status != status || !w.Page.Contains(words, "Try again", "app.example.com", "error=") {
		t.Fatalf("%s answered %d:\n%s", w.URL, w.Page.Status, w.Page.Body)
	}
	if strings.Contains(w.Page.Body, "<script") || w.Left != "" {
		t.Errorf("the page runs or leads away: %s", w.Left)
	}
}

// GW-57, GW-58: the whole way, and what of the provider's is worth nothing here.
func TestSource_walk(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	c.idp.Add(person("00u1", "alice@example.com", "staff"))
	client := c.Register(t)
	w := c.NewBrowser(t)
	c.arrive(t, w, c.Query(client), "00u1")
	c.link(t, w, "alice@example.com")
	if strings.Contains(w.Page.Body, "trinity:admin") || !strings.Contains(w.Page.Body, "The company login") {
		t.Errorf("the consent page offers more than the rule, or does not name the source:\n%s", w.Page.Body)
	}
	tokens := c.Token(t, c.RedeemForm(client, c.Decide(t, w, "approve").Get("code")))
	if status := c.Works(t, tokens.Access); status != http.StatusOK {
		t.Errorf("a call: %d", status)
	}
	if tokens.Scope != "trinity:read trinity:write" {
		t.Errorf("scope %q", tokens.Scope)
	}
	for _, foreign := range []string{c.idp.Last("/userinfo").Header.Get("Authorization"), "Bearer " + c.idp.LastIDToken()} {
		if answer := c.Call(t, "", bridgetest.Initialize, "Authorization", foreign); answer.Status != http.StatusUnauthorized {
			t.Errorf("GW-57: a token of the provider is worth %d at /mcp", answer.Status)
		}
	}
	// RS-31: a client is not sent for what the rule does not give.
	refused := c.Tool(t, tokens.Access, c.Session(t, tokens.Access), "delete_agent")
	if challenge := refused.Header.Get("WWW-Authenticate"); refused.Status != http.StatusForbidden || strings.Contains(challenge, "trinity:admin") {
		t.Errorf("beyond the rule's scope: %d %q %s", refused.Status, challenge, refused.Body)
	}
	// The second time there is nothing to prove, and no other key.
	again := c.NewBrowser(t)
	c.arrive(t, again, c.Query(client), "00u1")
	if again.URL.Path != "/consent" {
		t.Fatalf("the second time the browser is at %s", again.URL)
	}
	second := c.Token(t, c.RedeemForm(client, c.Decide(t, again, "approve").Get("code")))
	if status := c.Works(t, second.Access); status != http.StatusOK {
		t.Errorf("a call of the second grant: %d", status)
	}
}
