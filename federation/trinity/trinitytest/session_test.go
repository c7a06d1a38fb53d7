package trinitytest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

func TestJWT(t *testing.T) {
	t.Parallel()
	t.Run("1.8/claims", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		got := claimsOf(t, y.signIn(alice))
		names := make([]string, 0, len(got))
		for name := range got {
			names = append(names, name)
		}
		slices.Sort(names)
		if want := []string{"exp", "jti", "mode", "sub"}; !slices.Equal(names, want) {
			t.Errorf("claims %q, want %q", names, want)
		}
		if got["sub"] != alice || got["mode"] != "email" || got["exp"] != float64(y.clock.Now().Add(7*24*time.Hour).Unix()) {
			t.Errorf("claims %v", got)
		}
	})
	t.Run("1.8/refusals", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		jwt := y.signIn(alice)
		none := y.api("GET", "/api/users/me", "", "")
		none.wantDetail(t, 401, "Not authenticated")
		none.wantHeader(t, "WWW-Authenticate", "Bearer")
		head, rest, _ := strings.Cut(jwt, ".")
		payload, _, _ := strings.Cut(rest, ".")
		for _, bad := range []string{"x", jwt + "x", head + "." + payload + ".", "eyJhbGciOiJub25lIn0." + payload + ".", "." + rest} {
			a := y.api("GET", "/api/users/me", bad, "")
			a.wantDetail(t, 401, "Could not validate credentials")
			a.wantHeader(t, "WWW-Authenticate", "Bearer")
		}
		y.send("GET", y.BackendURL()+"/api/users/me", header{"Authorization", "bearer " + jwt}, "").want(t, 200)
		y.clock.Advance(7 * 24 * time.Hour)
		y.api("GET", "/api/users/me", jwt, "").want(t, 401)
	})
	t.Run("1.8/logout", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		jwt := y.signIn(alice)
		other := y.signIn(alice)
		if got := y.LiveJWTs(); got != 2 {
			t.Errorf("live JWTs %d, want 2", got)
		}
		key := y.key(alice, "k", "user", "")
		for _, token := range []string{jwt, jwt, key} {
			y.api("POST", "/api/auth/logout", token, "").wantBody(t, 200, `{"status":"logged_out"}`)
		}
		y.api("GET", "/api/users/me", jwt, "").want(t, 401)
		y.api("GET", "/api/auth/validate", jwt, "").want(t, 401)
		y.api("GET", "/api/users/me", other, "").want(t, 200)
		y.api("GET", "/api/users/me", key, "").want(t, 200)
		y.api("POST", "/api/auth/logout", "", "").wantDetail(t, 401, "Not authenticated")
		if got := y.LiveJWTs(); got != 1 {
			t.Errorf("live JWTs %d, want 1", got)
		}
	})
	t.Run("1.8/no logout in the old version", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.LogoutAbsent = true }))
		jwt := y.signIn(alice)
		if _, there := claimsOf(t, jwt)["jti"]; there {
			t.Error("the old version has no jti")
		}
		y.api("POST", "/api/auth/logout", jwt, "").wantDetail(t, 404, "Not Found")
		if got := y.LiveJWTs(); got != 1 {
			t.Errorf("live JWTs %d, want 1", got)
		}
	})
	t.Run("1.8/auth validate is blind", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.SecondFactor = trinitytest.SecondFactorEnrolled }))
		y.requestCode(alice)
		challenge := y.verify(alice, y.LastCode(alice)).member(t, "challenge_token")
		if err := y.Suspend(alice, true); err != nil {
			t.Fatal(err)
		}
		const valid = `{"status":"valid","user":"alice@example.com"}`
		y.api("GET", "/api/auth/validate", challenge, "").wantBody(t, 200, valid)
		y.api("GET", "/api/auth/validate?token="+challenge, "", "").wantBody(t, 200, valid)
		y.send("GET", y.BackendURL()+"/api/auth/validate", header{"Cookie", "token=" + challenge}, "").wantBody(t, 200, valid)
		y.api("GET", "/api/auth/validate", y.key(alice, "k", "user", ""), "").want(t, 401)
		y.api("GET", "/api/auth/validate", "", "").want(t, 401)
	})
}

func TestUsersMe(t *testing.T) {
	t.Parallel()
	t.Run("2/the same for a JWT and a key", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		const me = `{"username":"alice@example.com","email":"alice@example.com","name":"Alice","picture":null,"role":"operator"}`
		if err := y.SetRole(alice, "operator"); err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{y.signIn(alice), y.key(alice, "k", "user", ""), y.key(alice, "k", "agent", "worker"), y.key(alice, "k", "system", "")} {
			y.api("GET", "/api/users/me", token, "").wantBody(t, 200, me)
		}
		if y.SetRole(alice, "owner") == nil || y.SetRole("nobody", "user") == nil {
			t.Error("SetRole took an unknown role or user")
		}
	})
	t.Run("2/suspended at the next request", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		tokens := []string{y.signIn(alice), y.key(alice, "k", "user", "")}
		for _, on := range []bool{true, false} {
			if err := y.Suspend(alice, on); err != nil {
				t.Fatal(err)
			}
			for _, token := range tokens {
				a := y.api("GET", "/api/users/me", token, "")
				if on {
					a.wantDetail(t, 401, "Could not validate credentials")
				} else {
					a.want(t, 200)
				}
			}
		}
		if y.Suspend("nobody", true) == nil {
			t.Error("suspended an unknown user")
		}
	})
	for _, scope := range []string{"connector", "portal_delegate", "ops", "something new", ""} {
		t.Run("3.4/fenced "+scope, func(t *testing.T) {
			t.Parallel()
			y := start(t)
			key := y.key(alice, "k", scope, "worker")
			for _, path := range []string{"/api/users/me", "/api/mcp/keys"} {
				y.api("GET", path, key, "").want(t, 403)
			}
			reach := 403
			if scope == "connector" {
				reach = 200
			}
			y.api("POST", "/api/agents/worker/chat", key, "{}").want(t, reach)
			y.api("GET", "/api/agents/worker/connector/playbooks", key, "").want(t, reach)
			y.api("POST", "/api/agents/other/chat", key, "{}").want(t, 403)
		})
	}
}

func TestBackendManners(t *testing.T) {
	t.Parallel()
	t.Run("2/X-Request-ID is adopted and echoed", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		y.send("GET", y.BackendURL()+"/api/users/me", header{"X-Request-ID", "bridge-42"}, "").wantHeader(t, "X-Request-ID", "bridge-42")
		if y.api("GET", "/api/auth/mode", "", "").header.Get("X-Request-ID") == "" {
			t.Error("no X-Request-ID of its own")
		}
	})
	t.Run("2/CORS for localhost alone", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		for origin, want := range map[string]string{
			"http://localhost:5173": "http://localhost:5173", "https://evil.example": "", "http://localhost.evil.example": "", "null": "",
		} {
			y.send("GET", y.BackendURL()+"/api/auth/mode", header{"Origin", origin}, "").wantHeader(t, "Access-Control-Allow-Origin", want)
		}
	})
	t.Run("1.7/routes that are not there", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		for _, path := range []string{"/", "/api/enterprise/sso/public-providers", "/api/mcp/keys/", "/.well-known/openid-configuration"} {
			y.api("GET", path, "", "").wantDetail(t, 404, "Not Found")
		}
		a := y.api("GET", "/api/auth/email/request", "", "")
		a.wantDetail(t, 405, "Method Not Allowed")
		a.wantHeader(t, "Allow", "POST")
	})
	t.Run("8/health", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		y.api("GET", "/health", "", "").want(t, 200)
	})
	t.Run("3.5/internal routes", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		y.send("POST", y.BackendURL()+"/api/internal/audit", header{"X-Internal-Secret", "guess"}, "{}").
			wantDetail(t, 403, "Invalid or missing internal API secret")
	})
	t.Run("1.9/who may sign in", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		y.api("POST", "/api/access/request", "", `{"email":"carol@example.com"}`).want(t, 403)
		y.api("POST", "/api/setup/admin-password", "", `{}`).want(t, 403)
		y.api("GET", "/api/setup/status", "", "").wantBody(t, 200, `{"setup_completed":true,"setup_available":false}`)
		const path, carol = "/api/settings/email-whitelist", `{"email":"carol@example.com"}`
		y.api("POST", path, "", carol).want(t, 401)
		y.api("POST", path, y.signIn(alice), carol).want(t, 403)
		jwt := y.signIn(admin)
		y.api("POST", path, jwt, `{}`).want(t, 422)
		y.api("POST", path, jwt, carol).want(t, 200)
		y.signIn("carol@example.com")
	})
}
