package trinity_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

const (
	pathEnrolStart   = "/api/enterprise/2fa/login/enroll/start"
	pathEnrolConfirm = "/api/enterprise/2fa/login/enroll/confirm"
)

// unenrolled is a browser whose person must set up a second factor first.
func unenrolled(t *testing.T) (*bench, *browser) {
	t.Helper()
	b := start(t, trinitytest.Switches{SecondFactor: trinitytest.SecondFactorRequired, SecondFactorRoutes: true})
	w := b.begin()
	w.name(alice)
	w.code(b.trinity.LastCode(alice)).wantOnward(flow.PathEnrol, w.flow)
	return b, w
}

func (w *browser) enrol(code string) reply {
	w.b.t.Helper()
	return w.post(flow.PathEnrol, w.form(flow.PathEnrol, "code", code))
}

var shownCode = regexp.MustCompile(`<li><code>([^<]+)</code></li>`)

// The whole way: secret and picture, a first code, recovery codes until they are kept, consent; and
// the codes are good the next time.
func TestSignIn_contract1_6_enrolment(t *testing.T) {
	t.Parallel()
	b, w := unenrolled(t)
	if got := b.wantStep(w.flow, bridge.StepEnrol).SignIn; got.Session != nil || !got.Person.IsZero() {
		t.Errorf("a challenge counts as a sign-in: %+v", got)
	}
	page := w.get(flow.PathEnrol)
	page.wantPage(http.StatusOK, "")
	for _, part := range []string{
		"JBSW Y3DP EHPK 3PXP", "<svg", `role="img"`, "aria-label=", `href="otpauth://totp/Trinity:alice@example.com?secret=JBSWY3DPEHPK3PXP&amp;issuer=Trinity"`,
	} {
		if !strings.Contains(page.body, part) {
			t.Errorf("the page lacks %s\n%s", part, page.body)
		}
	}
	if again := w.get(flow.PathEnrol); again.body != page.body {
		t.Error("loading the page again shows another secret")
	}
	b.wantSent(pathEnrolStart, 1)
	w.enrol("12345").wantPage(http.StatusBadRequest, "code.malformed")
	b.wantSent(pathEnrolConfirm, 0)
	w.enrol("111111").wantPage(http.StatusBadRequest, "enrol.wrong")
	w.enrol(" 246 810 ").wantOnward(flow.PathRecovery, w.flow)
	w.get(flow.PathConsent) // wherever the person goes, the codes are shown first
	var codes []string
	for range 2 {
		shown := w.get(flow.PathRecovery)
		shown.wantPage(http.StatusOK, "")
		codes = nil
		for _, found := range shownCode.FindAllStringSubmatch(shown.body, -1) {
			codes = append(codes, html.UnescapeString(found[1]))
		}
		if len(codes) != 3 {
			t.Fatalf("%d codes\n%s", len(codes), shown.body)
		}
	}
	b.wantStep(w.flow, bridge.StepRecovery)
	w.post(flow.PathRecovery, w.form(flow.PathRecovery)).wantOnward(flow.PathConsent, w.flow)
	got := b.wantStep(w.flow, bridge.StepConsent).SignIn
	if got.Recovery != nil || got.Enrolment != nil || got.Challenge != nil || got.Session == nil || got.Person.Subject != alice {
		t.Errorf("sign-in %+v", got)
	}
	w.get(flow.PathRecovery).wantOnward(flow.PathConsent, w.flow) // they are shown no more
	b.wantEvents("sign_in_code_requested:ok", "sign_in_failed:wrong_code", "signed_in:ok")
	for _, code := range codes {
		if strings.Contains(b.log.String(), code) {
			t.Error("a recovery code is in the log")
		}
	}

	next := b.begin()
	next.name(alice)
	next.code(b.trinity.LastCode(alice)).wantOnward(flow.PathSecondFactor, next.flow)
	next.factor(codes[0]).wantOnward(flow.PathConsent, next.flow)
}

func TestSignIn_enrolmentFails(t *testing.T) {
	t.Parallel()
	t.Run("five wrong codes", func(t *testing.T) {
		t.Parallel()
		b, w := unenrolled(t)
		for range 4 {
			w.enrol("111111").wantPage(http.StatusBadRequest, "enrol.wrong")
		}
		w.enrol("111111").wantPage(http.StatusTooManyRequests, "factor.spent")
		if got := b.wantStep(w.flow, bridge.StepSignIn).SignIn; got.Challenge != nil || got.Enrolment != nil || got.Mailbox != alice {
			t.Errorf("sign-in %+v", got)
		}
		w.name(alice).wantOnward(flow.PathCode, w.flow)
	})
	start := func(status int, body string, check func(*bench, *browser)) func(*testing.T) {
		return func(t *testing.T) {
			t.Parallel()
			b, w := unenrolled(t)
			b.between.on(pathEnrolStart, answer(status, body))
			check(b, w)
			b.between.on(pathEnrolStart, nil)
		}
	}
	retried := func(b *bench, w *browser) {
		w.get(flow.PathEnrol).wantProblem(http.StatusServiceUnavailable, "trinity-down")
		if got := b.wantStep(w.flow, bridge.StepEnrol).SignIn; got.Enrolment != nil {
			b.t.Error("something was kept")
		}
		b.between.on(pathEnrolStart, nil)
		w.get(flow.PathEnrol).wantPage(http.StatusOK, "") // the flow was not lost
	}
	const uri = `"otpauth_uri":"otpauth://totp/T:a?secret=JBSWY3DPEHPK3PXP"`
	t.Run("Trinity fails", start(http.StatusBadGateway, `{}`, retried))
	t.Run("secret absent", start(http.StatusOK, `{`+uri+`}`, retried))
	t.Run("secret of another alphabet", start(http.StatusOK, `{"secret":"<script>alert(1)</script>",`+uri+`}`, retried))
	t.Run("address absent", start(http.StatusOK, `{"secret":"JBSWY3DPEHPK3PXP"}`, retried))
	t.Run("address of another kind", start(http.StatusOK, `{"secret":"JBSWY3DPEHPK3PXP","otpauth_uri":"javascript:alert(1)"}`, retried))
	t.Run("address too long for a picture", start(http.StatusOK,
		`{"secret":"JBSWY3DPEHPK3PXP","otpauth_uri":"otpauth://totp/`+strings.Repeat("a", 600)+`"}`, retried))
	t.Run("build without the routes", start(http.StatusNotFound, `{"detail":"Not Found"}`, func(b *bench, w *browser) {
		w.get(flow.PathEnrol).wantProblem(http.StatusForbidden, "second-factor-missing")
		b.wantStep(w.flow, bridge.StepSignIn)
	}))
	t.Run("challenge over", start(http.StatusUnauthorized, `{"detail":"Invalid or expired challenge"}`, func(b *bench, w *browser) {
		w.get(flow.PathEnrol).wantPage(http.StatusTooManyRequests, "factor.spent")
		b.wantStep(w.flow, bridge.StepSignIn)
	}))
	t.Run("no recovery codes", func(t *testing.T) {
		t.Parallel()
		b, w := unenrolled(t)
		b.between.on(pathEnrolConfirm, func(rw http.ResponseWriter, r *http.Request, forward http.Handler) {
			whole := httptest.NewRecorder()
			forward.ServeHTTP(whole, r)
			answer(whole.Code, strings.Replace(whole.Body.String(), "recovery_codes", "other_codes", 1))(rw, r, nil)
		})
		w.enrol("246810").wantOnward(flow.PathConsent, w.flow)
	})
	t.Run("good code without a session", func(t *testing.T) {
		t.Parallel()
		b, w := unenrolled(t)
		b.trinity.Set(func(s *trinitytest.Switches) { s.VerifyWithoutToken = true })
		w.enrol("246810").wantPage(http.StatusServiceUnavailable, "factor.trinity_down")
		b.wantStep(w.flow, bridge.StepEnrol)
	})
	t.Run("another account answers", func(t *testing.T) {
		t.Parallel()
		b, w := unenrolled(t)
		b.between.on(pathMe, answer(http.StatusOK, `{"username":"mallory"}`))
		w.enrol("246810").wantProblem(http.StatusForbidden, "account-mismatch")
		b.wantNoSession()
		if got := b.wantStep(w.flow, bridge.StepSignIn).SignIn; got.Recovery != nil {
			t.Error("somebody else's recovery codes stayed")
		}
	})
}

// Two tabs loading the page at once have one secret.
func TestSignIn_enrolmentOnce(t *testing.T) {
	t.Parallel()
	b, w := unenrolled(t)
	var tabs sync.WaitGroup
	for range 8 {
		tabs.Go(func() {
			if got := w.get(flow.PathEnrol); got.status != http.StatusOK {
				t.Errorf("status %d", got.status)
			}
		})
	}
	tabs.Wait()
	b.wantStep(w.flow, bridge.StepEnrol)
}

// Nobody gets past the factor by asking for a later page.
func TestSignIn_enrolmentNotSkipped(t *testing.T) {
	t.Parallel()
	b, w := unenrolled(t)
	for _, path := range []string{flow.PathSignIn, flow.PathCode, flow.PathSecondFactor, flow.PathRecovery} {
		w.get(path).wantOnward(flow.PathEnrol, w.flow)
	}
	form := w.form(flow.PathEnrol, "code", "246810")
	w.post(flow.PathSecondFactor, form).wantOnward(flow.PathEnrol, w.flow)
	w.post(flow.PathRecovery, form).wantOnward(flow.PathEnrol, w.flow)
	b.wantSent(pathFactor, 0)
	stranger := b.begin()
	stranger.flow = w.flow
	stranger.get(flow.PathEnrol).wantProblem(http.StatusForbidden, "other-browser")
}
