package trinity_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// wantNoSession checks that no Trinity session was left behind.
func (b *bench) wantNoSession() {
	b.t.Helper()
	b.signIn.Wait()
	if n := b.trinity.LiveJWTs(); n != 0 {
		b.t.Errorf("%d Trinity sessions were left behind", n)
	}
}

func TestSignIn_OT09_sessionOfAnotherAccount(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, me string }{
		{"another person", `{"username":"mallory","email":"mallory@example.org","role":"admin"}`},
		{"address inside a username", `{"username":"alice@example.com.example.org","email":null}`},
		{"e-mail absent", `{"username":"mallory"}`},
		{"letters that fold to the same", `{"username":"alıce@example.com","email":"ALİCE@example.com"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{})
			b.between.on(pathMe, answer(http.StatusOK, tt.me))
			w := b.begin()
			w.name(alice)
			w.code(b.trinity.LastCode(alice)).wantProblem(http.StatusForbidden, "account-mismatch")
			b.wantNoSession()
			got := b.wantStep(w.flow, bridge.StepSignIn).SignIn
			if !got.Person.IsZero() || got.Session != nil || !got.CodeSentAt.IsZero() {
				t.Errorf("something of the sign-in stayed: %+v", got)
			}
			if !strings.Contains(b.log.String(), `"level":"ERROR"`) {
				t.Error("nobody is told")
			}
			b.wantEvents("sign_in_code_requested:ok", "sign_in_failed:account_mismatch")
		})
	}
}

func TestSignIn_contract1_3_goodCodeWithoutToken(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{VerifyWithoutToken: true})
	w := b.begin()
	w.name(alice)
	w.code(b.trinity.LastCode(alice)).wantPage(http.StatusServiceUnavailable, "code.trinity_down")
	b.wantStep(w.flow, bridge.StepCode)
	b.wantEvents("sign_in_code_requested:ok", "sign_in_failed:trinity_unavailable")
}

func TestSignIn_contract2_suspendedAccount(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	b.must(b.trinity.Suspend(alice, true))
	w := b.begin()
	w.name(alice)
	w.code(b.trinity.LastCode(alice)).wantPage(http.StatusBadRequest, "code.wrong")
	b.signIn.Wait()
	b.wantSent(pathLogout, 1)
	b.wantStep(w.flow, bridge.StepCode)
	b.wantEvents("sign_in_code_requested:ok", "sign_in_failed:account_refused")
}

func TestSignIn_trinityFailsAfterTheCode(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	b.between.on(pathMe, answer(http.StatusBadGateway, `{}`))
	w := b.begin()
	w.name(alice)
	w.code(b.trinity.LastCode(alice)).wantPage(http.StatusServiceUnavailable, "code.trinity_down")
	b.wantNoSession()
	b.between.on(pathMe, nil)
	w.name(alice)
	w.code(b.trinity.LastCode(alice)).wantOnward(flow.PathConsent, w.flow)
}

func TestSignIn_flowExpiresDuringTheCheck(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	b.between.on(pathMe, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		b.clock.Advance(flow.Life)
		forward.ServeHTTP(w, r)
	})
	w := b.begin()
	w.name(alice)
	w.code(b.trinity.LastCode(alice)).wantProblem(http.StatusGone, "flow-gone")
	b.wantNoSession()
}

func TestSignIn_mailboxChangesDuringTheCheck(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	w.name(alice)
	b.between.on(pathMe, func(rw http.ResponseWriter, r *http.Request, forward http.Handler) {
		b.between.on(pathMe, nil)
		w.name(bob).wantOnward(flow.PathCode, w.flow)
		forward.ServeHTTP(rw, r)
	})
	w.code(b.trinity.LastCode(alice)) // answered with the code page for bob
	b.wantNoSession()
	if got := b.wantStep(w.flow, bridge.StepCode).SignIn; got.Mailbox != bob || !got.Person.IsZero() {
		t.Errorf("sign-in %+v", got)
	}
}

// A code is good once: when the browser goes away in the middle, the flow moves on all the same.
func TestSignIn_browserGoesAwayDuringTheCheck(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	w.name(alice)
	form := w.form(flow.PathCode, "code", b.trinity.LastCode(alice))
	ctx, leave := context.WithCancel(t.Context())
	held, left := make(chan struct{}), make(chan struct{})
	b.between.on(pathMe, func(rw http.ResponseWriter, r *http.Request, forward http.Handler) {
		close(held)
		<-left
		forward.ServeHTTP(rw, r)
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+flow.PathCode, strings.NewReader(form.Encode()))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Test-Remote-Addr", browserHome)
		res, err := w.client.Do(req)
		if err == nil {
			_ = res.Body.Close()
			t.Error("the browser did not go away")
		}
	}()
	<-held
	leave()
	<-done
	close(left)
	for b.flow(w.flow).Step == bridge.StepCode {
		time.Sleep(time.Millisecond)
	}
	w.post(flow.PathCode, form).wantOnward(flow.PathConsent, w.flow) // as loading the page again does
	w.get(flow.PathCode).wantOnward(flow.PathConsent, w.flow)
}

func TestSignIn_secondFactor_contract1_6(t *testing.T) {
	t.Parallel()
	on := trinitytest.Switches{SecondFactor: trinitytest.SecondFactorEnrolled, SecondFactorRoutes: true}
	challenged := func(t *testing.T, switches trinitytest.Switches) (*bench, *browser) {
		t.Helper()
		b := start(t, switches)
		w := b.begin()
		w.name(alice)
		w.code(b.trinity.LastCode(alice)).wantOnward(flow.PathSecondFactor, w.flow)
		return b, w
	}
	t.Run("answered", func(t *testing.T) {
		t.Parallel()
		b, w := challenged(t, on)
		w.get(flow.PathSecondFactor).wantPage(http.StatusOK, "")
		if got := b.wantStep(w.flow, bridge.StepSecondFactor).SignIn; got.Session != nil || !got.Person.IsZero() || got.Tries != 0 {
			t.Errorf("a challenge counts as a sign-in: %+v", got)
		}
		w.get(flow.PathSignIn).wantOnward(flow.PathSecondFactor, w.flow)
		w.factor("wrong!").wantPage(http.StatusBadRequest, "factor.wrong")
		b.wantSent(pathFactor, 0)
		w.factor("111111").wantPage(http.StatusBadRequest, "factor.wrong")
		w.factor(" 246 810 ").wantOnward(flow.PathConsent, w.flow)
		got := b.wantStep(w.flow, bridge.StepConsent).SignIn
		if got.Challenge != nil || got.Session == nil || got.Person.Subject != alice {
			t.Errorf("sign-in %+v", got)
		}
		b.wantEvents("sign_in_code_requested:ok", "sign_in_failed:wrong_code", "signed_in:ok")
	})
	t.Run("five wrong answers", func(t *testing.T) {
		t.Parallel()
		b, w := challenged(t, on)
		for range 4 {
			w.factor("111111").wantPage(http.StatusBadRequest, "factor.wrong")
		}
		page := w.factor("111111")
		page.wantPage(http.StatusTooManyRequests, "factor.spent")
		if !strings.Contains(page.body, `name="email"`) {
			t.Error("the person is not back at the mailbox")
		}
		b.wantSent(pathFactor, 5)
		if got := b.wantStep(w.flow, bridge.StepSignIn).SignIn; got.Challenge != nil || got.Mailbox != alice {
			t.Errorf("sign-in %+v", got)
		}
		w.name(alice).wantOnward(flow.PathCode, w.flow)
	})
	t.Run("recovery code", func(t *testing.T) {
		t.Parallel()
		b, w := challenged(t, on)
		w.factor(" Abcd_ef-12 ").wantPage(http.StatusBadRequest, "factor.wrong")
		if body := string(b.sent(pathFactor)[0].Body); !strings.Contains(body, `"Abcd_ef-12"`) {
			t.Error("a recovery code was not sent as it is")
		}
	})
	t.Run("Trinity down", func(t *testing.T) {
		t.Parallel()
		b, w := challenged(t, on)
		b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
		w.factor("246810").wantPage(http.StatusServiceUnavailable, "factor.trinity_down")
		b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy })
		w.factor("246810").wantOnward(flow.PathConsent, w.flow)
	})
	t.Run("answer without token", func(t *testing.T) {
		t.Parallel()
		b, w := challenged(t, on)
		b.trinity.Set(func(s *trinitytest.Switches) { s.VerifyWithoutToken = true })
		w.factor("246810").wantPage(http.StatusServiceUnavailable, "factor.trinity_down")
		b.wantStep(w.flow, bridge.StepSecondFactor)
	})
	t.Run("another account answers", func(t *testing.T) {
		t.Parallel()
		b, w := challenged(t, on)
		b.between.on(pathMe, answer(http.StatusOK, `{"username":"mallory"}`))
		w.factor("246810").wantProblem(http.StatusForbidden, "account-mismatch")
		b.wantNoSession()
		b.wantStep(w.flow, bridge.StepSignIn)
	})
	t.Run("build without the routes", func(t *testing.T) {
		t.Parallel()
		b, w := challenged(t, trinitytest.Switches{SecondFactor: trinitytest.SecondFactorEnrolled})
		w.factor("246810").wantProblem(http.StatusForbidden, "second-factor-missing")
		b.wantStep(w.flow, bridge.StepSignIn)
	})
	t.Run("challenge of another flow", func(t *testing.T) {
		t.Parallel()
		b, w := challenged(t, on)
		other := b.begin()
		other.name(bob)
		other.code(b.trinity.LastCode(bob)).wantOnward(flow.PathSecondFactor, other.flow)
		stolen := b.flow(other.flow).SignIn.Challenge
		_, err := b.store.UpdateFlow(t.Context(), w.flow, b.clock.Now(), func(f *bridge.Flow) error {
			f.SignIn.Challenge = stolen
			return nil
		})
		b.must(err)
		w.factor("246810").wantProblem(http.StatusServiceUnavailable, "internal")
		b.wantSent(pathFactor, 0)
	})
}
