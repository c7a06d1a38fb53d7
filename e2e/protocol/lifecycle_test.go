package protocol_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

func downBackend(s *trinitytest.Switches)    { s.Backend = trinitytest.Down }
func healthyBackend(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy }

// I4, GW-48, GW-49: every call reaches Trinity with the person's own key and never a byte of the client's token.
func TestCall_ownKey(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	tokens := b.Connect(t, client, alice)
	session := b.Session(t, tokens.Access)
	answer := b.Tool(t, tokens.Access, session, "list_agents")
	if answer.Status != http.StatusOK || !answer.Contains(alice, "trinity-bridge:example-app:") {
		t.Fatalf("list_agents: %d %s", answer.Status, answer.Body)
	}
	keys := 0
	for _, request := range b.Trinity.Requests() {
		whole := request.Path + string(request.Body)
		for name, values := range request.Header {
			whole += name + strings.Join(values, " ")
		}
		for _, secret := range []string{tokens.Access, tokens.Refresh, session} {
			if strings.Contains(whole, secret) {
				t.Errorf("Trinity saw a secret of the client at %s", request.Path)
			}
		}
		if request.Path == "/mcp" && strings.HasPrefix(request.Header.Get("Authorization"), "Bearer trinity_mcp_") {
			b.Secret(strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer "))
			keys++
		}
	}
	if keys == 0 {
		t.Error("Trinity's MCP server saw no key")
	}
	if jwts := b.Trinity.LiveJWTs(); jwts != 0 {
		t.Errorf("decision 6: %d Trinity sessions are still alive", jwts)
	}
}

// OP-01 in small: sessions, tokens and the signing key outlive a restart; a used code stays used.
func TestRestart_nothingIsLost(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	form := b.RedeemForm(client, b.Code(t, client, alice))
	tokens := b.Token(t, form)
	session := b.Session(t, tokens.Access)
	keys := b.Get(t, "/oauth/jwks").Body
	b.Restart(t)
	if answer := b.Tool(t, tokens.Access, session, "list_agents"); answer.Status != http.StatusOK {
		t.Errorf("the open session: %d %s", answer.Status, answer.Body)
	}
	if got := b.Get(t, "/oauth/jwks").Body; got != keys {
		t.Error("the signing key changed")
	}
	next := b.Token(t, b.RefreshForm(client, tokens.Refresh))
	if answer := b.Tool(t, next.Access, session, "list_agents"); answer.Status != http.StatusOK {
		t.Errorf("RS-27: the session with the refreshed token: %d %s", answer.Status, answer.Body)
	}
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", form))
}

// AS-137: revoking by the operator stops the very next call, and the key is gone at Trinity.
func TestGrants_operatorRevokes(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	tokens := b.Connect(t, client, alice)
	grants, err := bridgetest.All(app.ListGrants(t.Context(), b.Data, "", ""))
	if err != nil || len(grants) != 1 || grants[0].Account != alice || grants[0].Status != "live" {
		t.Fatalf("grants %+v, %v", grants, err)
	}
	if ended := b.Revoke(t, grants[0].ID); len(ended) != 1 || ended[0].EndReason != "revoked_by_operator" {
		t.Fatalf("ended %+v", ended)
	}
	bridgetest.Settle()
	if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
		t.Errorf("the next call: %d", got)
	}
	wait(t, func() bool { return liveKeys(b) == 0 }, "the key is revoked at Trinity")
	b.Clock.Advance(time.Second) // grants of one instant are in the order of their ids
	tokens = b.Connect(t, client, alice)
	if grants, err = bridgetest.All(app.ListGrants(t.Context(), b.Data, "", "")); err != nil {
		t.Fatal(err)
	}
	var told []string
	err = app.RevokeGrants(t.Context(), b.Data, []string{"nothing", grants[0].ID}, func(g app.ListedGrant) { told = append(told, g.ID) })
	if err == nil || !strings.Contains(err.Error(), "nothing") || !slices.Equal(told, []string{grants[0].ID}) {
		t.Errorf("an unknown grant was revoked: %v", err)
	}
	bridgetest.Settle()
	if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
		t.Errorf("a call of the grant named beside it: %d", got)
	}
}

// A backend that is down while a grant ends is asked again until it confirms.
func TestRevocation_retriesUntilConfirmed(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	tokens := b.Connect(t, client, alice)
	b.Trinity.Set(downBackend)
	wantRevoked(t, b.PostForm(t, "/oauth/revoke", url.Values{"client_id": {client.ID}, "token": {tokens.Refresh}}))
	wait(t, func() bool { return b.Audited("key_revoke_failed", "") > 0 }, "a first attempt fails")
	if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
		t.Errorf("the grant is ended all the same: %d", got)
	}
	b.Restart(t)
	b.Trinity.Set(healthyBackend)
	b.Clock.Advance(2 * time.Hour)
	wait(t, func() bool { return liveKeys(b) == 0 }, "the key is revoked after all")
}

// RS-56, RS-57, GW-30: answers of the MCP endpoint are not compressed, and no outer cache may keep them.
func TestCall_RS56_RS57_headers(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	tokens := b.Connect(t, b.Register(t), alice)
	session := b.Session(t, tokens.Access)
	answers := map[string]bridgetest.Answer{
		"a call": b.Call(t, tokens.Access, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`, "Mcp-Session-Id", session,
			"MCP-Protocol-Version", "2025-11-25", "Accept-Encoding", "gzip"),
		"a refusal": b.Call(t, "", bridgetest.Initialize, "Accept-Encoding", "gzip"),
	}
	for what, answer := range answers {
		cache := answer.Header.Get("Cache-Control")
		if answer.Header.Get("Content-Encoding") != "" || !strings.Contains(cache, "no-store") || !strings.Contains(cache, "private") ||
			!strings.Contains(strings.Join(answer.Header.Values("Vary"), ","), "Authorization") {
			t.Errorf("%s (%d): headers %v", what, answer.Status, answer.Header)
		}
	}
}

// OP-35: SIGTERM while a stream is open ends it cleanly and the program in time.
func TestStop_OP35_openStream(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	tokens := b.Connect(t, b.Register(t), alice)
	session := b.Session(t, tokens.Access)
	req := b.Request(t, http.MethodGet, "/mcp", "", "Authorization", "Bearer "+tokens.Access, "Mcp-Session-Id", session, "Accept", "text/event-stream")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET: %d", res.StatusCode)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, res.Body)
		ended <- err
	}()
	began := time.Now()
	b.Stop(t)
	if err := <-ended; err != nil {
		t.Errorf("the stream was cut: %v", err)
	}
	if took := time.Since(began); took > 15*time.Second { // after which a container is killed
		t.Errorf("stopping took %s", took)
	}
}

// OP-35: a call that is under way when SIGTERM comes is answered, and no new one is taken.
func TestStop_OP35_call(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	tokens := b.Connect(t, b.Register(t), alice)
	call := open(t, b, http.MethodPost, slowly(5), tokens.Access, b.Session(t, tokens.Access))
	call.next(t)
	b.Stop(t)
	for n := 2; n <= 5; n++ {
		if got := call.next(t); !strings.Contains(got, `"progress"`) {
			t.Fatalf("step %d: %q", n, got)
		}
	}
	if got := call.next(t); !strings.Contains(got, `"result"`) {
		t.Errorf("answered %q", got)
	}
	if bridgetest.Replicas() > 0 {
		return // the proxy before them is still there
	}
	if res, err := alone.RoundTrip(b.Request(t, http.MethodGet, "/mcp", "")); err == nil {
		_ = res.Body.Close()
		t.Errorf("after the end there is an answer: %s", res.Status)
	}
}

// RS-27…RS-31: a call that needs more says what, with what is held; a client that may not have it is not sent to ask.
func TestCall_RS27_RS31_stepUp(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithFile(`
clients:
  - {id: reader, name: Reader, redirect_uris: ["https://app.example.com/callback"], scope: "trinity:read trinity:write"}
`))
	open := b.Register(t)
	tokens := b.Connect(t, open, b.Someone())
	answer := b.Tool(t, tokens.Access, b.Session(t, tokens.Access), "delete_agent")
	challenge := answer.Header.Get("WWW-Authenticate")
	if answer.Status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) ||
		!strings.Contains(challenge, `scope="trinity:read trinity:write trinity:admin"`) || !strings.Contains(challenge, "resource_metadata=") {
		t.Errorf("RS-27, RS-28, RS-29: %d %q", answer.Status, challenge)
	}
	bound := bridgetest.Client{ID: "reader", Redirect: []string{bridgetest.Redirect}}
	tokens = b.Connect(t, bound, b.Someone())
	answer = b.Tool(t, tokens.Access, b.Session(t, tokens.Access), "delete_agent")
	if answer.Status != http.StatusForbidden || answer.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("RS-31: %d %q", answer.Status, answer.Header.Get("WWW-Authenticate"))
	}
}
