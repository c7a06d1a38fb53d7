package protocol_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

func TestIntrospect(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithFile(`
resource_servers:
  - {id: files, secret_sha256: [`+sha256Hex("the-files-secret")+`]}
  - {id: elsewhere, secret_sha256: [`+sha256Hex("another-secret")+`], resource: "https://files.example.com/mcp"}
`))
	client := b.Register(t)
	tokens := b.Connect(t, client, alice)
	basic := func(id, secret string) []string {
		return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
	}
	ask := func(token string, header ...string) bridgetest.Answer {
		return b.PostForm(t, "/oauth/introspect", url.Values{"token": {token}}, header...)
	}

	var got map[string]any
	ask(tokens.Access, basic("files", "the-files-secret")...).JSON(t, &got)
	for member, want := range map[string]any{
		"active": true, "scope": "trinity:read trinity:write", "client_id": client.ID, "aud": b.MCP, "iss": b.URL, "token_type": "Bearer",
	} {
		if got[member] != want {
			t.Errorf("AS-145 %s: %v, want %v", member, got[member], want)
		}
	}
	if sub, _ := got["sub"].(string); sub == "" || strings.Contains(sub, "alice") || got["exp"] == nil || got["iat"] == nil {
		t.Errorf("AS-145: %v", got)
	}

	refusals := map[string]bridgetest.Answer{
		"AS-143/no credentials":   ask(tokens.Access),
		"AS-143/wrong secret":     ask(tokens.Access, basic("files", "x")...),
		"AS-143/no secret":        ask(tokens.Access, basic("files", "")...),
		"AS-143/a client":         b.PostForm(t, "/oauth/introspect", url.Values{"token": {tokens.Access}, "client_id": {client.ID}}),
		"AS-143/unknown":          ask(tokens.Access, basic("nobody", "the-files-secret")...),
		"AS-143/another's secret": ask(tokens.Access, basic("files", "another-secret")...),
	}
	for id, answer := range refusals {
		if answer.Status != http.StatusUnauthorized && answer.Status != http.StatusBadRequest || answer.Contains("active") {
			t.Errorf("%s: %d %s", id, answer.Status, answer.Body)
		}
	}

	inactive := map[string]func() bridgetest.Answer{
		"AS-144/garbage":       func() bridgetest.Answer { return ask("garbage", basic("files", "the-files-secret")...) },
		"AS-144/refresh token": func() bridgetest.Answer { return ask(tokens.Refresh, basic("files", "the-files-secret")...) },
		"AS-144/other audience": func() bridgetest.Answer {
			return ask(tokens.Access, basic("elsewhere", "another-secret")...)
		},
		"AS-144/expired": func() bridgetest.Answer {
			b.Clock.Advance(61 * time.Minute)
			return ask(tokens.Access, basic("files", "the-files-secret")...)
		},
		"AS-144/grant ended": func() bridgetest.Answer {
			next := b.Token(t, b.RefreshForm(client, tokens.Refresh))
			wantRevoked(t, b.PostForm(t, "/oauth/revoke", url.Values{"client_id": {client.ID}, "token": {next.Refresh}}))
			return ask(next.Access, basic("files", "the-files-secret")...)
		},
	}
	for _, id := range []string{"AS-144/garbage", "AS-144/refresh token", "AS-144/other audience", "AS-144/expired", "AS-144/grant ended"} {
		if answer := inactive[id](); answer.Status != http.StatusOK || strings.TrimSpace(answer.Body) != `{"active":false}` {
			t.Errorf("%s: %d %s", id, answer.Status, answer.Body)
		}
	}
	if !b.Get(t, "/.well-known/oauth-authorization-server").Contains("/oauth/introspect", "introspection_endpoint_auth_methods_supported") {
		t.Error("AS-016: the metadata does not name it")
	}
	if got := b.PostForm(t, "/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {"files"}, "client_secret": {"the-files-secret"}}); got.Status != http.StatusUnauthorized {
		t.Errorf("a resource server's credentials at the token endpoint: %d", got.Status)
	}
}

// GW-66: a resource server may ask so often, whoever fails to be one less often, and neither at the cost of the other.
func TestIntrospect_GW66_rate(t *testing.T) {
	bridgetest.OneProcess(t, "each process counts for itself")
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithFile("resource_servers:\n  - {id: files, secret_sha256: ["+sha256Hex("the-files-secret")+"]}\n"))
	ask := func(secret string) bridgetest.Answer {
		header := "Basic " + base64.StdEncoding.EncodeToString([]byte("files:"+secret))
		return b.PostForm(t, "/oauth/introspect", url.Values{"token": {"garbage"}}, "Authorization", header)
	}
	for _, tt := range []struct {
		secret string
		status int // of those who may ask
		most   int
	}{{"wrong", http.StatusUnauthorized, 60}, {"the-files-secret", http.StatusOK, 2000}} {
		statuses := map[int]int{}
		for range tt.most + 20 {
			answer := ask(tt.secret)
			statuses[answer.Status]++
			if answer.Status == http.StatusTooManyRequests && answer.Header.Get("Retry-After") == "" {
				t.Fatalf("429: %v", answer.Header)
			}
		}
		if statuses[tt.status] != tt.most || statuses[http.StatusTooManyRequests] != 20 {
			t.Errorf("with the secret %q: %v", tt.secret, statuses)
		}
	}
	b.Clock.Advance(time.Second)
	if answer := ask("the-files-secret"); answer.Status != http.StatusOK {
		t.Errorf("a second later: %d", answer.Status)
	}
}
