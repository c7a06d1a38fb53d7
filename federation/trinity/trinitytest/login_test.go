package trinitytest_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

const (
	uniform   = `{"success":true,"message":"If your email is registered, you'll receive a code shortly"}`
	wrongCode = "Invalid or expired verification code"
	wrong     = "xxxxxx" // never a code, which is six digits
)

func TestAuthMode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*trinitytest.Switches)
		want   string
	}{
		{"1.1/newest", func(*trinitytest.Switches) {}, `{"email_auth_enabled":true,"setup_completed":true}`},
		{"1.1/off and not set up", func(s *trinitytest.Switches) { s.EmailAuthDisabled, s.SetupRequired = true, true }, `{"email_auth_enabled":false,"setup_completed":false}`},
		{"1.1/old", func(s *trinitytest.Switches) { s.OldAuthMode = true }, `{"allowed_domain":null,"auth0_configured":false,"dev_mode_enabled":false,"email_auth_enabled":true,"setup_completed":true}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start(t, with(tt.change)).api("GET", "/api/auth/mode", "", "").wantBody(t, 200, tt.want)
		})
	}
}

func TestRequestCode(t *testing.T) {
	t.Parallel()
	t.Run("1.2/everybody gets the same bytes", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		for range 4 { // the fourth is over the limit
			y.requestCode(alice).wantBody(t, 200, uniform)
		}
		y.requestCode("mallory@example.com").wantBody(t, 200, uniform)
		if y.LastCode("mallory@example.com") != "" {
			t.Error("a code went to an address that is not whitelisted")
		}
	})
	t.Run("1.2/three codes in ten minutes", func(t *testing.T) {
		t.Parallel()
		var sent []string
		y := start(t, func(o *trinitytest.Options) {
			o.Codes = func(email, code string) { sent = append(sent, email+" "+code) }
		})
		for range 5 {
			y.requestCode("Alice@Example.COM")
		}
		y.clock.Advance(10 * time.Minute)
		y.requestCode(alice)
		if len(sent) != 4 || sent[3] != alice+" "+y.LastCode(alice) {
			t.Errorf("codes sent: %q, want three, then one after the window", sent)
		}
	})
	t.Run("1.2/old answers", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.OldEmailAnswers = true }))
		for range 3 {
			y.requestCode(alice).wantBody(t, 200, `{"success":true,"message":"Verification code sent to your email","expires_in_seconds":600}`)
		}
		over := y.requestCode(alice)
		over.want(t, 429)
		over.wantHeader(t, "Retry-After", "")
		y.requestCode("mallory@example.com").wantBody(t, 200, uniform)
	})
	t.Run("1.2/closed", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.EmailAuthDisabled = true }))
		y.requestCode(alice).wantDetail(t, 403, "Email authentication is disabled")
		y.verify(alice, wrong).wantDetail(t, 403, "Email authentication is disabled")
		y.Set(func(s *trinitytest.Switches) { s.SetupRequired = true })
		y.requestCode(alice).wantDetail(t, 403, "setup_required")
		y.verify(alice, wrong).wantDetail(t, 403, "setup_required")
	})
	for _, body := range []string{"", "{", `[]`, `{}`, `{"email":5}`, `{"email":"nobody"}`, `{"email":null}`} {
		t.Run("1.2/malformed "+body, func(t *testing.T) {
			t.Parallel()
			a := start(t).api("POST", "/api/auth/email/request", "", body)
			a.wantBody(t, 500, "Internal Server Error")
			a.wantHeader(t, "Content-Type", "text/plain; charset=utf-8")
		})
	}
}

func TestVerifyCode(t *testing.T) {
	t.Parallel()
	t.Run("1.3/good code", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		y.requestCode(alice)
		a := y.verify("ALICE@example.com", y.LastCode(alice))
		a.want(t, 200)
		got := a.decode(t)
		delete(got, "access_token")
		want := map[string]any{"token_type": "bearer", "user": map[string]any{
			"username": alice, "email": alice, "name": "Alice", "picture": nil, "role": "user",
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("1.3/wrong, used, expired and unlisted look alike", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		y.verify(alice, "000000").wantDetail(t, 401, wrongCode)
		y.signIn(alice)
		y.verify(alice, y.LastCode(alice)).wantDetail(t, 401, wrongCode)
		y.requestCode(alice)
		y.clock.Advance(10 * time.Minute)
		y.verify(alice, y.LastCode(alice)).wantDetail(t, 401, wrongCode)
		y.requestCode(bob)
		if err := y.RemoveFromWhitelist(bob); err != nil {
			t.Fatal(err)
		}
		y.verify(bob, y.LastCode(bob)).wantDetail(t, 401, wrongCode)
	})
	t.Run("1.3/an older live code stays good", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		y.requestCode(alice)
		first := y.LastCode(alice)
		y.requestCode(alice)
		y.verify(alice, first).want(t, 200)
		y.verify(alice, first).want(t, 401)
	})
	t.Run("1.3/first sign-in makes the account", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		if err := y.AddToWhitelist("Carol@example.com"); err != nil {
			t.Fatal(err)
		}
		jwt := y.signIn("carol@example.com")
		y.api("GET", "/api/users/me", jwt, "").wantBody(t, 200,
			`{"username":"carol@example.com","email":"carol@example.com","name":"carol","picture":null,"role":"user"}`)
	})
	t.Run("1.3/2xx without a token", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.VerifyWithoutToken = true }))
		y.requestCode(alice)
		y.verify(alice, y.LastCode(alice)).wantBody(t, 200, `{"success":true}`)
	})
	for _, body := range []string{"", `{"email":"alice@example.com"}`, `{"code":"123456"}`, `{"email":"alice@example.com","code":123456}`} {
		t.Run("1.3/malformed "+body, func(t *testing.T) {
			t.Parallel()
			start(t).api("POST", "/api/auth/email/verify", "", body).wantBody(t, 500, "Internal Server Error")
		})
	}
}

func TestLockouts(t *testing.T) {
	t.Parallel()
	fail := func(y *trinity, email string, times int) {
		for range times {
			y.verify(email, wrong).wantDetail(t, 401, wrongCode)
		}
	}
	t.Run("1.3/account", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		fail(y, alice, 5)
		y.clock.Advance(time.Minute)
		y.requestCode(alice)
		a := y.verify(alice, y.LastCode(alice))
		a.wantDetail(t, 429, "Too many failed attempts for this account. Try again in 840 seconds.")
		a.wantHeader(t, "Retry-After", "")
		y.verify(bob, wrong).want(t, 401)
		y.clock.Advance(14 * time.Minute)
		y.requestCode(alice)
		y.verify(alice, y.LastCode(alice)).want(t, 200)
	})
	t.Run("1.3/network", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		for i := range 30 {
			fail(y, fmt.Sprintf("stranger%d@example.com", i), 1)
		}
		y.requestCode(alice)
		a := y.verify(alice, y.LastCode(alice))
		a.wantDetail(t, 429, "Too many login attempts from this network. Try again in 300 seconds.")
		a.wantHeader(t, "Retry-After", "")
		y.clock.Advance(5 * time.Minute)
		y.verify(alice, y.LastCode(alice)).want(t, 200)
	})
	t.Run("1.3/code, which success does not clear", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		fail(y, alice, 4)
		y.signIn(alice)
		fail(y, alice, 1)
		a := y.verify(alice, wrong)
		a.wantDetail(t, 429, "Too many verification attempts. Request a new code or try again in 600 seconds.")
		a.wantHeader(t, "Retry-After", "")
	})
	t.Run("1.3/success clears network and account", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.NoCodeLockout = true }))
		for range 10 {
			fail(y, alice, 4)
			y.clock.Advance(10 * time.Minute)
			y.signIn(alice)
		}
	})
	t.Run("1.3/without Redis", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) {
			s.NoAccountLockout, s.NoNetworkLockout, s.NoCodeLockout = true, true, true
		}))
		fail(y, alice, 40)
	})
	t.Run("1.4/everybody behind one peer shares its bucket", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		from := func(client, email string) answer {
			return y.send("POST", y.BackendURL()+"/api/auth/email/verify", header{"X-Forwarded-For", client},
				fmt.Sprintf(`{"email":%q,"code":%q}`, email, wrong))
		}
		for i := range 30 {
			from("203.0.113.1", fmt.Sprintf("stranger%d@example.com", i)).want(t, 401)
		}
		from("203.0.113.2", alice).want(t, 429)
		y.Set(func(s *trinitytest.Switches) { s.TrustForwardedFor = true })
		from("203.0.113.2", alice).want(t, 401)
	})
}

func TestPasswordLogin(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery staple"
	people := func(o *trinitytest.Options) {
		o.People = []trinitytest.Person{{Username: "admin", Email: admin, Role: "admin", Password: password}, {Email: alice}}
	}
	login := func(y *trinity, path, user, password string) answer {
		return y.send("POST", y.BackendURL()+path, header{"Content-Type", "application/x-www-form-urlencoded"},
			"username="+user+"&password="+strings.ReplaceAll(password, " ", "+"))
	}
	t.Run("1.5/outcomes", func(t *testing.T) {
		t.Parallel()
		y := start(t, people)
		for _, path := range []string{"/token", "/api/token"} {
			for _, user := range []string{"admin", admin} {
				a := login(y, path, user, password)
				a.want(t, 200)
				if jwt := claimsOf(t, a.member(t, "access_token")); jwt["mode"] != "admin" || jwt["sub"] != "admin" {
					t.Errorf("claims %v", jwt)
				}
			}
		}
		a := login(y, "/token", "admin", "nope")
		a.wantDetail(t, 401, "Incorrect username or password")
		a.wantHeader(t, "WWW-Authenticate", "Bearer")
		login(y, "/token", alice, "").want(t, 422)
		login(y, "/token", alice, "anything").want(t, 401)
		y.Set(func(s *trinitytest.Switches) { s.SetupRequired = true })
		login(y, "/token", "admin", password).wantDetail(t, 403, "setup_required")
	})
	t.Run("1.5/lockout", func(t *testing.T) {
		t.Parallel()
		y := start(t, people)
		for range 5 {
			login(y, "/token", "admin", "nope").want(t, 401)
		}
		login(y, "/token", "admin", password).wantDetail(t, 429, "Too many failed attempts for this account. Try again in 900 seconds.")
	})
	t.Run("1.5/second factor is a 403, once a 200", func(t *testing.T) {
		t.Parallel()
		y := start(t, people, with(func(s *trinitytest.Switches) { s.SecondFactor = trinitytest.SecondFactorEnrolled }))
		got := login(y, "/token", "admin", password)
		got.want(t, 403)
		if got.member(t, "detail") != "mfa_required" || got.member(t, "challenge_token") == "" {
			t.Errorf("body %s", got.body)
		}
		y.Set(func(s *trinitytest.Switches) { s.OldPasswordChallenge = true })
		login(y, "/token", "admin", password).want(t, 200)
	})
}

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	challenge := func(t *testing.T, y *trinity, email string) answer {
		t.Helper()
		y.requestCode(email)
		a := y.verify(email, y.LastCode(email))
		a.want(t, 200)
		if _, there := a.decode(t)["access_token"]; there {
			t.Fatal("a token before the second factor")
		}
		return a
	}
	answerTo := func(y *trinity, path, token, code string) answer {
		return y.api("POST", "/api/enterprise/2fa/login/"+path, "", fmt.Sprintf(`{"challenge_token":%q,"code":%q}`, token, code))
	}
	t.Run("1.6/enrolled", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) {
			s.SecondFactor, s.SecondFactorRoutes = trinitytest.SecondFactorEnrolled, true
		}))
		a := challenge(t, y, alice)
		token := a.member(t, "challenge_token")
		a.wantBody(t, 200, `{"mfa_required":true,"mfa_enrolled":true,"enrollment_required":false,"challenge_token":"`+token+`"}`)
		y.api("GET", "/api/users/me", token, "").wantDetail(t, 401, "Could not validate credentials")
		answerTo(y, "verify", token, "000000").want(t, 401)
		jwt := answerTo(y, "verify", token, trinitytest.SecondFactorCode).member(t, "access_token")
		y.api("GET", "/api/users/me", jwt, "").want(t, 200)
		answerTo(y, "verify", jwt, trinitytest.SecondFactorCode).want(t, 401)
		y.clock.Advance(5 * time.Minute)
		answerTo(y, "verify", token, trinitytest.SecondFactorCode).want(t, 401)
	})
	t.Run("1.6/enrolling", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) {
			s.SecondFactor, s.SecondFactorRoutes = trinitytest.SecondFactorRequired, true
		}))
		a := challenge(t, y, alice)
		if got := a.decode(t); got["mfa_enrolled"] != false || got["enrollment_required"] != true {
			t.Errorf("body %s", a.body)
		}
		token := a.member(t, "challenge_token")
		begun := answerTo(y, "enroll/start", token, "")
		if begun.member(t, "secret") == "" || !strings.HasPrefix(begun.member(t, "otpauth_uri"), "otpauth://totp/") {
			t.Errorf("body %s", begun.body)
		}
		answerTo(y, "enroll/confirm", token, "000000").want(t, 401)
		done := answerTo(y, "enroll/confirm", token, trinitytest.SecondFactorCode)
		y.api("GET", "/api/users/me", done.member(t, "access_token"), "").want(t, 200)
		recovery, _ := done.decode(t)["recovery_codes"].([]any)
		if len(recovery) == 0 {
			t.Fatalf("no recovery codes in %s", done.body)
		}
		again := challenge(t, y, alice)
		if again.decode(t)["mfa_enrolled"] != true {
			t.Errorf("body %s", again.body)
		}
		code, _ := recovery[0].(string)
		answerTo(y, "verify", again.member(t, "challenge_token"), code).want(t, 200)
		answerTo(y, "verify", again.member(t, "challenge_token"), code).want(t, 401)
	})
	t.Run("1.6/a build without the routes", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.SecondFactor = trinitytest.SecondFactorEnrolled }))
		token := challenge(t, y, alice).member(t, "challenge_token")
		for _, path := range []string{"verify", "enroll/start", "enroll/confirm"} {
			answerTo(y, path, token, trinitytest.SecondFactorCode).wantDetail(t, 404, "Not Found")
		}
	})
}

// claimsOf reads a JWT without checking it, as anybody may.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", token)
	}
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || string(head) != `{"alg":"HS256","typ":"JWT"}` {
		t.Fatalf("JWT header %q, %v", head, err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, string(payload))
}
