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
)

// AS-043: a pushed request carries a whole flow, once, for its own client.
func TestPush_AS43(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, other := b.Register(t), b.Register(t)
	push := func(form url.Values) (bridgetest.Answer, string) {
		answer := b.PostForm(t, "/oauth/par", form)
		var body struct {
			URI     string `json:"request_uri"`
			Expires int    `json:"expires_in"`
		}
		if answer.Status == http.StatusCreated {
			answer.JSON(t, &body)
			if body.Expires != 60 || !strings.HasPrefix(body.URI, "urn:ietf:params:oauth:request_uri:") || answer.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("RFC 9126 §2.2: %s %v", answer.Body, answer.Header)
			}
			b.Secret(strings.TrimPrefix(body.URI, "urn:ietf:params:oauth:request_uri:"))
		}
		return answer, body.URI
	}
	refer := func(client bridgetest.Client, uri string) url.Values {
		return url.Values{"client_id": {client.ID}, "request_uri": {uri}}
	}

	_, uri := push(b.Query(client))
	if _, again := push(b.Query(client)); again == uri {
		t.Error("the same request pushed twice within a second is one reference, which is good once")
	}
	wantPage(t, b.Get(t, "/oauth/authorize?"+refer(other, uri).Encode()))
	query := refer(client, uri)
	query.Set("scope", "trinity:admin") // what stands beside the reference is ignored
	query.Set("redirect_uri", "https://evil.example/cb")
	w := b.NewBrowser(t)
	b.SignIn(t, w, query, alice)
	answer := b.Decide(t, w, "approve")
	if answer.Get("state") != "state-value" || !strings.HasPrefix(w.Left, bridgetest.Redirect+"?") {
		t.Errorf("answer %s", w.Left)
	}
	if tokens := b.Token(t, b.RedeemForm(client, answer.Get("code"))); tokens.Scope != "trinity:read trinity:write" {
		t.Errorf("scope %q", tokens.Scope)
	}
	wantPage(t, b.Get(t, "/oauth/authorize?"+refer(client, uri).Encode()))

	_, late := push(b.Query(client))
	b.Clock.Advance(61 * time.Second)
	wantPage(t, b.Get(t, "/oauth/authorize?"+refer(client, late).Encode()))
	wantPage(t, b.Get(t, "/oauth/authorize?"+refer(client, "urn:ietf:params:oauth:request_uri:nothing").Encode()))

	tests := []struct {
		id   string
		edit func(url.Values)
		want wire
	}{
		{"another redirect", set("redirect_uri", "https://evil.example/cb"), wire{400, "invalid_request"}},
		{"no challenge", del("code_challenge"), wire{400, "invalid_request"}},
		{"another resource", set("resource", "https://other.example/mcp"), wire{400, "invalid_target"}},
		{"a reference within", set("request_uri", uri), wire{400, "invalid_request"}},
		{"a request object", set("request", "e30."), wire{400, "request_not_supported"}},
		{"state twice", add("state", "x"), wire{400, "invalid_request"}},
		{"too large", set("state", strings.Repeat("x", 4000)+strings.Repeat("%", 500)), wire{400, "invalid_request"}},
		{"unknown client", set("client_id", "nope"), wire{401, "invalid_client"}},
		{"no client", del("client_id"), wire{400, "invalid_request"}},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			form := b.Query(client)
			tt.edit(form)
			got, _ := push(form)
			tt.want.check(t, got)
		})
	}
	t.Run("AS-076/authenticated", func(t *testing.T) {
		t.Parallel()
		holder := b.RegisterAs(t, map[string]any{"redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "client_secret_post"})
		form := b.Query(holder)
		got, _ := push(form)
		wire{401, "invalid_client"}.check(t, got)
		form.Set("client_secret", holder.Secret)
		if got, _ := push(form); got.Status != http.StatusCreated {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	})
	t.Run("AS-057", func(t *testing.T) {
		t.Parallel()
		wire{405, "invalid_request"}.check(t, b.Get(t, "/oauth/par"))
	})
}

// CM-24, AS-043: whoever pushes requests in the name of strange clients has them fetched for the share of their own
// network, as at the authorization endpoint, and keeps nobody else's new client out.
func TestPush_CM24_flood(t *testing.T) {
	bridgetest.OneProcess(t, "each process bounds its own fetches")
	t.Parallel()
	host := bridgetest.NewDocumentHost(t)
	b := bridgetest.Start(t, host.Settings, bridgetest.With(func(f *config.Flags) { f.TrustedProxies = "127.0.0.1" }))
	host.Serve(http.NotFound)
	statuses := map[int]int{}
	for i := range 60 {
		form := b.Query(describedClient(fmt.Sprintf("%s/flood-%d", host.URL, i)))
		answer := b.PostForm(t, "/oauth/par", form, "X-Forwarded-For", "203.0.113.9")
		statuses[answer.Status]++
		if answer.Status == http.StatusTooManyRequests && answer.Header.Get("Retry-After") == "" {
			t.Fatalf("429: %v", answer.Header)
		}
	}
	if statuses[http.StatusTooManyRequests] != 50 || statuses[http.StatusUnauthorized] != 10 || host.Hits() != 10 {
		t.Errorf("statuses %v, %d fetches", statuses, host.Hits())
	}
	id := host.URL + "/client.json"
	host.JSON(bridgetest.NewDocument(id, nil).Text(t))
	if answer := b.Get(t, "/oauth/authorize?"+b.Query(describedClient(id)).Encode(), "X-Forwarded-For", "198.51.100.9"); answer.Status != http.StatusSeeOther {
		t.Errorf("somebody else's new client: %d", answer.Status)
	}
}
