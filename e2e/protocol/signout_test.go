package protocol_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest/idp"
)

// OIDC RP-Initiated Logout §2: who signs out here signs out at the provider, and comes back to a page that says so.
// Nothing of the connection made there is lost by it.
func TestSignOut_there(t *testing.T) {
	t.Parallel()
	server := idp.Start(t, "/", time.Now)
	server.Hook(idp.Hooks{Discovery: func(document map[string]any) {
		document["end_session_endpoint"] = server.Issuer + "logout?ui=short"
	}})
	c := startCompanyAt(t, server, "")
	c.idp.Add(person("u1", alice, "staff"))
	tokens := c.enter(t, c.Register(t), "u1", alice)
	w := c.visit(t, "u1")
	c.Secret(c.idp.LastIDToken())
	if !w.Page.Contains("That signs you out at", "The company login", "too") {
		t.Errorf("the page does not say what signing out does:\n%s", w.Page.Body)
	}
	w.Submit(t, "/connections/sign-out", nil)
	at, err := url.Parse(w.Left)
	if err != nil || !strings.HasPrefix(w.Left, server.Issuer+"logout?") {
		t.Fatalf("sent to %q from %s (%d)", w.Left, w.URL, w.Page.Status)
	}
	query := at.Query()
	for name, want := range map[string]string{
		"ui": "short", "client_id": idp.ClientID, "id_token_hint": c.idp.LastIDToken(), "post_logout_redirect_uri": c.URL + "/connections/signed-out",
	} {
		if len(query[name]) != 1 || query.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, query[name], want)
		}
	}
	if w.Page.Header.Get("Cache-Control") != "no-store" || w.Page.Header.Get("Referrer-Policy") != "no-referrer" || len(w.Cookies()) != 0 {
		t.Errorf("the page on the way: %v, cookies %v", w.Page.Header, w.Cookies())
	}
	back := "/connections/signed-out?state=" + url.QueryEscape(query.Get("state"))
	if w.Open(t, back); !w.Page.Contains("You are signed out", "The company login", "has sent you back") {
		t.Errorf("back from there:\n%s", w.Page.Body)
	}
	for _, other := range []string{"", "?state=", "?state=company.AAAA", "?state=nobody" + strings.TrimPrefix(query.Get("state"), "company"), "?state=" + strings.Repeat("a", 300)} {
		if w.Open(t, "/connections/signed-out"+other); w.Page.Status != http.StatusOK || w.Page.Contains("The company login") {
			t.Errorf("back with %q: %d", other, w.Page.Status)
		}
	}
	c.Clock.Advance(time.Hour)
	if w.Open(t, back); w.Page.Contains("has sent you back") {
		t.Error("a state is good for ever")
	}
	c.Clock.Advance(-time.Hour)
	c.works(t, tokens.Access, 200)
}

// What signing out does where the provider has no page for it, is not to be bothered, leads elsewhere or is down.
func TestSignOut_here(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id, more, address string
		down              bool
		want              string
	}{
		{id: "no page", want: "You can close this window."},
		{id: "not to be bothered", more: "\n    sign_out: here" + admitStaff, address: "logout", want: "You can close this window."},
		{id: "FB-26, another host", address: "https://evil.example/logout", want: "does not answer"},
		{id: "by http", address: "http://evil.example/logout", want: "does not answer"},
		{id: "script", address: "javascript:alert(1)", want: "does not answer"},
		{id: "down", address: "logout", down: true, want: "does not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			server := idp.Start(t, "/", time.Now)
			address := tt.address
			if address == "logout" {
				address = server.Issuer + "logout"
			}
			hooks := idp.Hooks{Discovery: func(document map[string]any) {
				if address != "" {
					document["end_session_endpoint"] = address
				}
			}}
			server.Hook(hooks)
			c := startCompanyAt(t, server, tt.more)
			c.idp.Add(person("u1", alice, "staff"))
			w := c.visit(t, "u1")
			if tt.down { // and what it said before is forgotten with a restart
				hooks.Intercept = func(w http.ResponseWriter, _ *http.Request) bool {
					w.WriteHeader(http.StatusInternalServerError)
					return true
				}
				server.Hook(hooks)
				c.Restart(t)
			}
			if w.Open(t, "/connections"); w.Page.Contains("That signs you out at") {
				t.Error("the page promises to sign out there")
			}
			w.Submit(t, "/connections/sign-out", nil)
			if w.Left != "" || !w.Page.Contains("You are signed out", tt.want) || len(w.Cookies()) != 0 {
				t.Errorf("sent to %q, at %s:\n%s", w.Left, w.URL, w.Page.Body)
			}
		})
	}
}
