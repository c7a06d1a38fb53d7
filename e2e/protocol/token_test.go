package protocol_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

type wire struct {
	status int
	code   string
}

func (w wire) check(t *testing.T, answer bridgetest.Answer) {
	t.Helper()
	if answer.Status != w.status || answer.ErrorCode() != w.code {
		t.Errorf("%d %s, want %d %s", answer.Status, answer.Body, w.status, w.code)
	}
	if answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Content-Type") != "application/json" ||
		len(answer.Header.Values("Set-Cookie")) > 0 || answer.Header.Get("ETag") != "" {
		t.Errorf("TK-33, AS-060: headers %v", answer.Header)
	}
}

// A refused redemption says what the RFC says and burns nothing.
func TestToken_code(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	other := b.Register(t)
	tests := []struct {
		id   string
		edit func(url.Values)
		want wire
	}{
		{"TK-03, AS-055/another client", set("client_id", other.ID), wire{400, "invalid_grant"}},
		{"TK-04/no verifier", del("code_verifier"), wire{400, "invalid_grant"}},
		{"TK-04, AS-072/wrong verifier", set("code_verifier", strings.Repeat("w", 43)), wire{400, "invalid_grant"}},
		{"TK-04, AS-072/42 characters", set("code_verifier", strings.Repeat("w", 42)), wire{400, "invalid_grant"}},
		{"TK-04/129 characters", set("code_verifier", strings.Repeat("w", 129)), wire{400, "invalid_grant"}},
		{"TK-04/wrong characters", set("code_verifier", strings.Repeat("w", 42)+"="), wire{400, "invalid_grant"}},
		{"TK-04/the challenge itself", set("code_verifier", bridgetest.Challenge()), wire{400, "invalid_grant"}},
		{"TK-05, AS-055/another redirect", set("redirect_uri", "https://app.example.com/other"), wire{400, "invalid_grant"}},
		{"TK-08/another resource", set("resource", "https://other.example/mcp"), wire{400, "invalid_target"}},
		{"TK-08/an extra resource", add("resource", "https://other.example/mcp"), wire{400, "invalid_target"}},
		{"AS-059/code twice", add("code", "x"), wire{400, "invalid_request"}},
		{"AS-059/no code", del("code"), wire{400, "invalid_request"}},
		{"AS-063/unknown code", set("code", "tbc_unknown"), wire{400, "invalid_grant"}},
		{"AS-064/password", set("grant_type", "password"), wire{400, "unsupported_grant_type"}},
		{"AS-064/no grant type", del("grant_type"), wire{400, "invalid_request"}},
		{"AS-075/no client", del("client_id"), wire{400, "invalid_request"}},
		{"B43/unknown client", set("client_id", "client-gone"), wire{401, "invalid_client"}},
		{"TK-10/a public client with a secret", set("client_secret", "x"), wire{401, "invalid_client"}},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			code := b.Code(t, client, b.Someone())
			form := b.RedeemForm(client, code)
			tt.edit(form)
			tt.want.check(t, b.PostForm(t, "/oauth/token", form))
			tokens := b.Token(t, b.RedeemForm(client, code)) // not burnt
			if tokens.Type != "Bearer" || tokens.ExpiresIn != 3600 || tokens.Scope != "trinity:read trinity:write" || tokens.Refresh == "" {
				t.Errorf("AS-061: %+v", tokens)
			}
		})
	}
}

func TestToken_codeShapes(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	for id, edit := range map[string]func(url.Values){
		"AS-074/no redirect_uri": del("redirect_uri"),
		"AS-083/no resource":     del("resource"),
		"AS-059/empty scope":     set("scope", ""),
		"AS-059/unknown":         set("foo", "bar"),
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			form := b.RedeemForm(client, b.Code(t, client, b.Someone()))
			edit(form)
			b.Token(t, form)
		})
	}
	t.Run("AS-005/alias", func(t *testing.T) {
		t.Parallel()
		answer := b.PostForm(t, "/token", b.RedeemForm(client, b.Code(t, client, b.Someone())))
		if answer.Status != http.StatusOK {
			t.Errorf("%d %s", answer.Status, answer.Body)
		}
	})
	t.Run("AS-058", func(t *testing.T) {
		t.Parallel()
		form := b.RedeemForm(client, b.Code(t, client, b.Someone()))
		wire{400, "invalid_request"}.check(t, b.PostForm(t, "/oauth/token?client_secret=x", form))
		wire{415, "invalid_request"}.check(t, b.PostJSON(t, "/oauth/token", `{"grant_type":"authorization_code"}`))
		wire{415, "invalid_request"}.check(t, b.Do(t, b.Request(t, http.MethodPost, "/oauth/token", form.Encode())))
		wire{413, "invalid_request"}.check(t, b.PostForm(t, "/oauth/token", url.Values{"x": {strings.Repeat("y", 40_000)}}))
		b.Token(t, form)
	})
	t.Run("AS-057, TK-28", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			wire{405, "invalid_request"}.check(t, b.Do(t, b.Request(t, method, "/oauth/token", "")))
		}
	})
	t.Run("TK-29/one text for all", func(t *testing.T) {
		t.Parallel()
		form := b.RedeemForm(client, b.Code(t, client, b.Someone()))
		form.Set("code_verifier", strings.Repeat("w", 43))
		wrong := b.PostForm(t, "/oauth/token", form)
		form.Set("code", "tbc_unknown")
		if unknown := b.PostForm(t, "/oauth/token", form); wrong.Body != unknown.Body {
			t.Errorf("%s and %s differ", wrong.Body, unknown.Body)
		}
	})
}

// TK-04: the fifth wrong verifier kills the code, and the pending grant's key with it.
func TestToken_TK04_fifthGuess(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	code := b.Code(t, client, b.Someone())
	form := b.RedeemForm(client, code)
	form.Set("code_verifier", strings.Repeat("w", 43))
	for range 5 {
		wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", form))
	}
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RedeemForm(client, code)))
	wait(t, func() bool { return liveKeys(b) == 0 }, "the key of the pending grant is revoked")
}

func liveKeys(b *bridgetest.Bridge) int {
	n := 0
	for _, key := range b.Trinity.Keys() {
		if key.Active {
			n++
		}
	}
	return n
}

// TK-01, AS-069: a replay ends everything the first redemption gave.
func TestToken_TK01_replay(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, other := b.Register(t), b.Register(t)
	code := b.Code(t, client, b.Someone())
	form := b.RedeemForm(client, code)
	tokens := b.Token(t, form)

	wrong := cloneValues(form)
	wrong.Set("code_verifier", strings.Repeat("w", 43))
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", wrong))
	stranger := cloneValues(form)
	stranger.Set("client_id", other.ID)
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", stranger))
	if got := b.Works(t, tokens.Access); got != http.StatusOK {
		t.Fatalf("AS-070: a wrong replay ended the grant: %d", got)
	}

	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", form))
	if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
		t.Errorf("the access token still works: %d", got)
	}
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	if b.Audited("grant_ended", "code_replayed") != 1 {
		t.Error("the audit does not say that the code was replayed")
	}
	wait(t, func() bool { return liveKeys(b) == 0 }, "the key is revoked at Trinity")
}

// TK-02, AS-071: sixty-four redemptions at once, one 200.
func TestToken_TK02_race(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	form := b.RedeemForm(client, b.Code(t, client, b.Someone()))
	statuses := atOnce(64, func() int { return b.PostForm(t, "/oauth/token", form).Status })
	if statuses[200] != 1 || statuses[400] != 63 {
		t.Errorf("statuses %v", statuses)
	}
}

func atOnce(n int, do func() int) map[int]int {
	var gate, done sync.WaitGroup
	var mu sync.Mutex
	counts := map[int]int{}
	gate.Add(1)
	for range n {
		done.Go(func() {
			gate.Wait()
			got := do()
			mu.Lock()
			counts[got]++
			mu.Unlock()
		})
	}
	gate.Done()
	done.Wait()
	return counts
}

// TK-06, TK-07: a code lives for sixty seconds by the program's clock, restart or not.
func TestToken_TK06_TK07_codeLife(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	inTime, late := b.Code(t, client, b.Someone()), b.Code(t, client, b.Someone())
	b.Clock.Advance(55 * time.Second)
	b.Restart(t)
	b.Token(t, b.RedeemForm(client, inTime))
	b.Clock.Advance(6 * time.Second)
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RedeemForm(client, late)))
	wait(t, func() bool { return liveKeys(b) == 1 }, "the key of the unredeemed code is revoked")
}

func TestToken_confidential(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	basic := func(id, secret string) []string {
		return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
	}
	for _, method := range []string{"client_secret_post", "client_secret_basic", ""} {
		metadata := map[string]any{"redirect_uris": []string{bridgetest.Redirect}, "client_name": "Example"}
		if method != "" {
			metadata["token_endpoint_auth_method"] = method
		}
		client := b.RegisterAs(t, metadata)
		if client.Secret == "" {
			t.Fatalf("AS-119 %q: no secret", method)
		}
		code := b.Code(t, client, b.Someone())
		form := b.RedeemForm(client, code)
		wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", form)) // AS-081: nothing shown
		form.Set("client_secret", client.Secret+"x")
		wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", form))
		both := cloneValues(form)
		wire{400, "invalid_request"}.check(t, b.PostForm(t, "/oauth/token", both, basic(client.ID, client.Secret)...)) // AS-080
		form.Del("client_secret")
		bad := b.PostForm(t, "/oauth/token", form, basic(client.ID, "wrong")...)
		wire{401, "invalid_client"}.check(t, bad)
		if bad.Header.Get("WWW-Authenticate") == "" {
			t.Error("AS-062: no Basic challenge")
		}
		two := cloneValues(form)
		two.Set("client_id", "client-other")
		wire{400, "invalid_request"}.check(t, b.PostForm(t, "/oauth/token", two, basic(client.ID, client.Secret)...)) // TK-10
		tokens := b.Token(t, form, basic(client.ID, client.Secret)...)
		if tokens.Refresh != "" {
			t.Errorf("AS-088: a refresh token without the refresh grant")
		}
	}
	t.Run("AS-066", func(t *testing.T) {
		t.Parallel()
		client := b.RegisterAs(t, map[string]any{"redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "client_secret_post"})
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {client.ID}, "client_secret": {"wrong"}}
		last := 0
		for range bridgetest.Times(40) {
			last = b.PostForm(t, "/oauth/token", form).Status
		}
		if last != http.StatusTooManyRequests {
			t.Errorf("after 40 wrong secrets: %d", last)
		}
	})
}

// The go-sdk tries Basic with an empty secret first: a failed client authentication burns nothing.
func TestToken_TK10_failedAuthenticationBurnsNothing(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	form := b.RedeemForm(client, b.Code(t, client, b.Someone()))
	header := "Basic " + base64.StdEncoding.EncodeToString([]byte(client.ID+":"))
	bad := b.PostForm(t, "/oauth/token", form, "Authorization", header)
	wire{401, "invalid_client"}.check(t, bad)
	if bad.Header.Get("WWW-Authenticate") == "" {
		t.Error("AS-062: no Basic challenge")
	}
	b.Token(t, form)
}

func TestToken_refresh(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, other := b.Register(t), b.Register(t)
	tests := []struct {
		id   string
		edit func(url.Values)
		want wire
	}{
		{"TK-13/another client", set("client_id", other.ID), wire{400, "invalid_grant"}},
		{"TK-19/wider scope", set("scope", "trinity:read trinity:admin"), wire{400, "invalid_scope"}},
		{"TK-19/unknown scope", set("scope", "trinity:read bogus"), wire{400, "invalid_scope"}},
		{"AS-094/another resource", set("resource", "https://other.example/mcp"), wire{400, "invalid_target"}},
		{"AS-063/unknown token", set("refresh_token", "tbr_unknown"), wire{400, "invalid_grant"}},
		{"I12/no token", del("refresh_token"), wire{400, "invalid_request"}},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			tokens := b.Connect(t, client, b.Someone())
			form := b.RefreshForm(client, tokens.Refresh)
			tt.edit(form)
			tt.want.check(t, b.PostForm(t, "/oauth/token", form))
			next := b.Token(t, b.RefreshForm(client, tokens.Refresh)) // B64: nothing was burnt
			if next.Refresh == tokens.Refresh || next.Scope != "trinity:read trinity:write" {
				t.Errorf("AS-089: %+v", next)
			}
		})
	}
	t.Run("AS-093/narrower, then whole again", func(t *testing.T) {
		t.Parallel()
		tokens := b.Connect(t, client, b.Someone())
		form := b.RefreshForm(client, tokens.Refresh)
		form.Set("scope", "trinity:read offline_access")
		form.Set("resource", b.MCP)
		narrow := b.Token(t, form)
		whole := b.Token(t, b.RefreshForm(client, narrow.Refresh))
		if narrow.Scope != "trinity:read" || whole.Scope != "trinity:read trinity:write" {
			t.Errorf("narrow %q, then %q", narrow.Scope, whole.Scope)
		}
	})
	t.Run("AS-093/repeats what the person unticked", func(t *testing.T) {
		t.Parallel()
		w := b.NewBrowser(t)
		b.SignIn(t, w, b.Query(client), b.Someone())
		w.Submit(t, "/consent", func(form url.Values) { form["scope"] = []string{"trinity:read"}; form.Set("decision", "approve") })
		left, _ := url.Parse(w.Left)
		tokens := b.Token(t, b.RedeemForm(client, left.Query().Get("code")))
		form := b.RefreshForm(client, tokens.Refresh)
		form.Set("scope", "trinity:read trinity:write")
		if next := b.Token(t, form); next.Scope != "trinity:read" {
			t.Errorf("scope %q", next.Scope)
		}
	})
}

// TK-14, TK-15: whoever refreshes again, at once or a little later, gets the same successor.
func TestToken_TK14_TK15_grace(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	for _, n := range []int{5, 10} {
		tokens := b.Connect(t, client, b.Someone())
		form := b.RefreshForm(client, tokens.Refresh)
		var mu sync.Mutex
		successors := map[string]bool{}
		statuses := atOnce(n, func() int {
			answer := b.PostForm(t, "/oauth/token", form)
			var got bridgetest.Tokens
			answer.JSON(t, &got)
			b.Secret(got.Refresh)
			mu.Lock()
			successors[got.Refresh] = true
			mu.Unlock()
			return answer.Status
		})
		if statuses[200] != n || len(successors) != 1 {
			t.Errorf("%d at once: statuses %v, %d successors", n, statuses, len(successors))
		}
	}
	tokens := b.Connect(t, client, b.Someone())
	first := b.Token(t, b.RefreshForm(client, tokens.Refresh))
	for _, after := range []time.Duration{time.Second, 29 * time.Second, 29 * time.Second} {
		b.Clock.Advance(after)
		if again := b.Token(t, b.RefreshForm(client, tokens.Refresh)); again.Refresh != first.Refresh {
			t.Errorf("after %s another successor", after)
		}
	}
	b.Restart(t)
	if again := b.Token(t, b.RefreshForm(client, tokens.Refresh)); again.Refresh != first.Refresh {
		t.Error("after a restart another successor")
	}
	if got := b.Works(t, first.Access); got != http.StatusOK {
		t.Errorf("nobody should be thrown out: %d", got)
	}
}

// TK-16, TK-17: reuse outside the grace ends the family and the grant.
func TestToken_TK16_TK17_reuse(t *testing.T) {
	t.Parallel()
	for id, reuse := range map[string]func(*testing.T, *bridgetest.Bridge, bridgetest.Client, bridgetest.Tokens){
		"TK-16/after the grace": func(t *testing.T, b *bridgetest.Bridge, client bridgetest.Client, first bridgetest.Tokens) {
			t.Helper()
			b.Token(t, b.RefreshForm(client, first.Refresh))
			b.Clock.Advance(61 * time.Second)
		},
		"TK-17/predecessor's predecessor": func(t *testing.T, b *bridgetest.Bridge, client bridgetest.Client, first bridgetest.Tokens) {
			t.Helper()
			second := b.Token(t, b.RefreshForm(client, first.Refresh))
			b.Token(t, b.RefreshForm(client, second.Refresh))
		},
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			b := bridgetest.Start(t)
			client := b.Register(t)
			first := b.Connect(t, client, b.Someone())
			reuse(t, b, client, first)
			wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, first.Refresh)))
			if got := b.Works(t, first.Access); got != http.StatusUnauthorized {
				t.Errorf("TK-18: the access token still works: %d", got)
			}
			if b.Audited("grant_ended", "refresh_token_reused") != 1 {
				t.Error("the audit does not tell")
			}
			wait(t, func() bool { return liveKeys(b) == 0 }, "the key is revoked at Trinity")
		})
	}
}

// TK-23: idle and absolute ends, by the program's clock.
func TestToken_TK23_ends(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.RefreshIdle, f.RefreshMax = "24h", "60h" }))
	client := b.Register(t)
	tokens := b.Connect(t, client, b.Someone())
	b.Clock.Advance(25 * time.Hour)
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	tokens = b.Connect(t, client, b.Someone())
	for range 2 {
		b.Clock.Advance(23 * time.Hour)
		tokens = b.Token(t, b.RefreshForm(client, tokens.Refresh))
	}
	b.Clock.Advance(15 * time.Hour)
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
}

// TK-21, TK-24: a refresh asks Trinity first; a Trinity that is down throws nobody out.
func TestToken_TK21_recheck(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	tokens := b.Connect(t, client, alice)
	b.Trinity.Set(downBackend)
	tokens = b.Token(t, b.RefreshForm(client, tokens.Refresh))
	b.Trinity.Set(healthyBackend)
	suspend(t, b, true)
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	suspend(t, b, false)
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	if b.Audited("grant_ended", "owner_suspended") != 1 {
		t.Error("the audit does not tell")
	}
}

func suspend(t *testing.T, b *bridgetest.Bridge, on bool) {
	t.Helper()
	if err := b.Trinity.Suspend(alice, on); err != nil {
		t.Fatal(err)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, other := b.Register(t), b.Register(t)
	form := func(client bridgetest.Client, token string) url.Values {
		return url.Values{"client_id": {client.ID}, "token": {token}}
	}
	t.Run("TK-31/garbage and twice", func(t *testing.T) {
		t.Parallel()
		tokens := b.Connect(t, client, b.Someone())
		for _, token := range []string{"garbage", "trinity_mcp_" + strings.Repeat("a", 43), tokens.Refresh, tokens.Refresh} {
			if answer := b.PostForm(t, "/oauth/revoke", form(client, token)); answer.Status != http.StatusOK {
				t.Errorf("AS-139, ST-04: %d %s", answer.Status, answer.Body)
			}
		}
	})
	t.Run("AS-140/another client's", func(t *testing.T) {
		t.Parallel()
		tokens := b.Connect(t, client, b.Someone())
		for _, token := range []string{tokens.Refresh, tokens.Access} {
			wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/revoke", form(other, token)))
		}
		if got := b.Works(t, tokens.Access); got != http.StatusOK {
			t.Errorf("the token was touched: %d", got)
		}
		b.Token(t, b.RefreshForm(client, tokens.Refresh))
	})
	t.Run("AS-141, AS-142/refresh ends all", func(t *testing.T) {
		t.Parallel()
		tokens := b.Connect(t, client, "bob@example.com")
		wantRevoked(t, b.PostForm(t, "/oauth/revoke", form(client, tokens.Refresh)))
		if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
			t.Errorf("the next call: %d", got)
		}
		wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	})
	t.Run("TK-31/access ends alone", func(t *testing.T) {
		t.Parallel()
		tokens := b.Connect(t, client, b.Someone())
		wantRevoked(t, b.PostForm(t, "/oauth/revoke", form(client, tokens.Access)))
		if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
			t.Errorf("the revoked token: %d", got)
		}
		next := b.Token(t, b.RefreshForm(client, tokens.Refresh))
		if got := b.Works(t, next.Access); got != http.StatusOK {
			t.Errorf("its grant: %d", got)
		}
	})
	t.Run("I12", func(t *testing.T) {
		t.Parallel()
		wire{400, "invalid_request"}.check(t, b.PostForm(t, "/oauth/revoke", url.Values{"client_id": {client.ID}}))
		wire{400, "invalid_request"}.check(t, b.PostForm(t, "/oauth/revoke", url.Values{"token": {"x"}}))
		wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/revoke", url.Values{"token": {"x"}, "client_id": {"nope"}}))
	})
}

// wantRevoked also waits until every replica knows.
func wantRevoked(t *testing.T, answer bridgetest.Answer) {
	t.Helper()
	if answer.Status != http.StatusOK {
		t.Errorf("revocation: %d %s", answer.Status, answer.Body)
	}
	bridgetest.Settle()
}
