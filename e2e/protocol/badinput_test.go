package protocol_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// Whatever is wrong with Trinity's backend, each step says so, keeps the flow, and goes on where
// it was once Trinity is back.
func TestBackendTrouble(t *testing.T) {
	t.Parallel()
	for name, condition := range map[string]trinitytest.Condition{
		"down": trinitytest.Down, "HTML": trinitytest.ServingHTML, "failing": trinitytest.Failing,
		"redirecting": trinitytest.Redirecting, "echoing": trinitytest.EchoingCredentials,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bridgetest.Start(t)
			sick := func() { b.Trinity.Set(func(s *trinitytest.Switches) { s.Backend = condition }) }
			client, email := b.Register(t), b.Someone()
			w := b.NewBrowser(t).Open(t, "/oauth/authorize?"+b.Query(client).Encode())

			sick()
			w.Submit(t, "/signin", func(form url.Values) { form.Set("email", email) })
			if w.URL.Path != "/signin/code" || !w.Page.Contains("could not be sent") {
				t.Errorf("asking for a code: %d at %s:\n%s", w.Page.Status, w.URL, w.Page.Body)
			}
			b.Trinity.Set(healthyBackend)
			w.Submit(t, "/signin", nil) // send a new code
			code := b.Trinity.LastCode(email)
			b.Secret(code)

			sick()
			w.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", code) })
			if w.Page.Status != http.StatusServiceUnavailable || !w.Page.Contains("could not be checked") {
				t.Errorf("checking the code: %d:\n%s", w.Page.Status, w.Page.Body)
			}
			b.Trinity.Set(healthyBackend)
			w.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", code) })
			if w.URL.Path != "/consent" {
				t.Fatalf("the code is lost: %d at %s:\n%s", w.Page.Status, w.URL, w.Page.Body)
			}

			sick()
			w.Submit(t, "/consent", func(form url.Values) { form.Set("decision", "approve") })
			if w.Page.Status != http.StatusServiceUnavailable || !w.Page.Contains("nothing is allowed yet") || w.Left != "" {
				t.Errorf("approving: %d, sent to %q:\n%s", w.Page.Status, w.Left, w.Page.Body)
			}
			b.Trinity.Set(healthyBackend)
			answer := b.Decide(t, w, "approve")
			tokens := b.Token(t, b.RedeemForm(client, answer.Get("code")))
			if got := b.Works(t, tokens.Access); got != http.StatusOK {
				t.Errorf("the call: %d", got)
			}
			if live := liveKeys(b); live != 1 {
				t.Errorf("%d live keys", live)
			}
		})
	}
}

// Metadata, registration and refresh do not need Trinity (GW-67).
func TestTrinityDown_GW67(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	tokens := b.Connect(t, client, b.Someone())
	b.Trinity.Set(func(s *trinitytest.Switches) { s.Backend, s.MCP = trinitytest.Down, trinitytest.Down })
	for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server", "/oauth/jwks", "/privacy", "/help/connect"} {
		if answer := b.Get(t, path); answer.Status != http.StatusOK {
			t.Errorf("%s: %d", path, answer.Status)
		}
	}
	b.Register(t)
	next := b.Token(t, b.RefreshForm(client, tokens.Refresh))
	if got := b.Works(t, next.Access); got != http.StatusBadGateway && got != http.StatusServiceUnavailable {
		t.Errorf("GW-68: a call with the upstream down: %d", got)
	}
	b.Trinity.Set(func(s *trinitytest.Switches) { s.Backend, s.MCP = trinitytest.Healthy, trinitytest.Healthy })
	if got := b.Works(t, next.Access); got != http.StatusOK {
		t.Errorf("afterwards: %d", got)
	}
}

// Expired, unknown and foreign flows are pages in plain words at every step.
func TestFlow_pagesOfDeadFlows(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	w := b.NewBrowser(t).Open(t, "/oauth/authorize?"+b.Query(client).Encode())
	flow := w.URL.Query().Get("flow")
	for _, path := range []string{"/signin", "/signin/code", "/signin/second-factor", "/consent", "/consent/done"} {
		for id, want := range map[string]int{"": http.StatusGone, "nothing": http.StatusGone} {
			if w.Open(t, path+"?flow="+id); w.Page.Status != want || w.Page.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("%s of flow %q: %d", path, id, w.Page.Status)
			}
		}
		if other := b.NewBrowser(t).Open(t, path+"?flow="+flow); other.Page.Status != http.StatusForbidden {
			t.Errorf("%s in another browser: %d", path, other.Page.Status)
		}
		if answer := b.PostForm(t, "/consent", url.Values{"flow": {flow}, "decision": {"approve"}}); answer.Status != http.StatusForbidden {
			t.Errorf("posting without a cookie: %d", answer.Status)
		}
	}
	b.Clock.Advance(11 * time.Minute)
	if w.Open(t, "/signin?flow="+flow); w.Page.Status != http.StatusGone {
		t.Errorf("AS-054: after eleven minutes: %d", w.Page.Status)
	}
}

// Unknown paths and methods get JSON where programs ask and a page where people do; no path is
// redirected to another one.
func TestPaths(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	for path, want := range map[string]int{
		"/nothing": 404, "/mcpevil": 404, "/mcp/x": 404, "//mcp": 404, "/mcp/../consent": 404, "/mcp/%2e%2e/consent": 404,
		"/oauth//token": 404, "/oauth/token/": 404, "/consent%2fdone": 404, "/oauth;x/token": 404, "/debug/pprof/": 404, "/healthz": 404,
		"/metrics": 404, "/grants": 404, "/proof": 404,
	} {
		answer := b.Get(t, path)
		if answer.Status != want || answer.Header.Get("Location") != "" || answer.ErrorCode() != "not_found" {
			t.Errorf("OP-28 %s: %d %s %s", path, answer.Status, answer.Header.Get("Location"), answer.Body)
		}
	}
	if page := b.Get(t, "/nothing", "Accept", "text/html"); page.Status != 404 || !page.Contains("<h1>") {
		t.Errorf("a person's 404: %d %s", page.Status, page.Body)
	}
	if answer := b.PostForm(t, "/privacy", nil); answer.Status != http.StatusMethodNotAllowed {
		t.Errorf("POST /privacy: %d", answer.Status)
	}
	if answer := b.Do(t, b.Request(t, http.MethodHead, "/privacy", "")); answer.Status != http.StatusOK {
		t.Errorf("HEAD /privacy: %d", answer.Status)
	}
}
