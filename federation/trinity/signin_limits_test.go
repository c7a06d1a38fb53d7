package trinity_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

func TestSignIn_OT03_fiveTriesPerCode(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{NoAccountLockout: true, NoCodeLockout: true, NoNetworkLockout: true})
	w := b.begin()
	w.name(alice)
	for range 4 {
		w.code(b.wrongCode(alice)).wantPage(http.StatusBadRequest, "code.wrong")
	}
	w.code(b.wrongCode(alice)).wantPage(http.StatusTooManyRequests, "code.spent")
	b.wantSent(pathVerify, 5)
	w.code(b.trinity.LastCode(alice)).wantPage(http.StatusTooManyRequests, "code.spent")
	b.wantSent(pathVerify, 5)

	w.name(alice).wantOnward(flow.PathCode, w.flow) // a new code is good again
	w.code(b.trinity.LastCode(alice)).wantOnward(flow.PathConsent, w.flow)
}

func TestSignIn_OT03_codesPerMailbox(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	for range 5 {
		w := b.begin()
		w.name(alice).wantOnward(flow.PathCode, w.flow)
		w.get(flow.PathCode).wantPage(http.StatusOK, "")
	}
	b.wantSent(pathRequest, 3)
	for range 6 { // ten in a day
		b.clock.Advance(11 * time.Minute)
		for range 3 {
			w := b.begin()
			w.name(alice).wantOnward(flow.PathCode, w.flow)
		}
	}
	b.wantSent(pathRequest, 10)
	b.clock.Advance(24 * time.Hour)
	b.begin().name(alice)
	b.wantSent(pathRequest, 11)
}

func TestSignIn_OT05_newBrowserNoNewGuesses(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{NoAccountLockout: true, NoCodeLockout: true, NoNetworkLockout: true})
	for i := range 10 {
		w := b.begin()
		w.remote = fmt.Sprintf("192.0.%d.7:4000", i)
		w.name(alice)
		for range 6 {
			w.code(b.wrongCode(alice))
		}
	}
	b.wantSent(pathRequest, 3)
	b.wantSent(pathVerify, 15) // five for each code that was sent; the other seven flows asked for none
}

func TestSignIn_OT11_mailboxCapHoldsOverNetworksAndTags(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	for i := range 8 {
		w := b.begin()
		w.remote = fmt.Sprintf("[2001:db8:%d::1]:4000", i)
		w.name(fmt.Sprintf("alice+%d@example.com", i)).wantOnward(flow.PathCode, w.flow)
		w.get(flow.PathCode).wantPage(http.StatusOK, "")
	}
	b.wantSent(pathRequest, 3)
}

func TestSignIn_OT11_networkCapLeavesTheMailboxAlone(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	w.remote = "192.0.2.7:4000"
	for i := range 60 {
		w.remote = fmt.Sprintf("192.0.2.%d:4000", i)
		w.name(fmt.Sprintf("somebody%d@example.com", i))
	}
	b.wantSent(pathRequest, 60)
	w.name(alice).wantOnward(flow.PathCode, w.flow)
	w.get(flow.PathCode).wantPage(http.StatusOK, "code.send_failed")
	b.wantSent(pathRequest, 60)
	elsewhere := b.begin()
	for range 3 {
		elsewhere.name(alice)
	}
	b.wantSent(pathRequest, 63)
}

func TestSignIn_OT04_clientCannotNameItsAddress(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	w.remote = "192.0.2.7:4000"
	spoof := []string{
		"X-Forwarded-For", "203.0.113.9", "X-Real-IP", "203.0.113.9", "Forwarded", "for=203.0.113.9",
		"True-Client-IP", "203.0.113.9", "CF-Connecting-IP", "203.0.113.9", "X-Request-ID", "spoofed",
	}
	w.post(flow.PathSignIn, w.form(flow.PathSignIn, "email", alice), spoof...)
	b.signIn.Wait()
	w.post(flow.PathCode, w.form(flow.PathCode, "code", b.wrongCode(alice)), spoof...)
	for _, path := range []string{pathRequest, pathVerify} {
		got := b.sent(path)[0].Header
		if diff := cmp.Diff([]string{"192.0.2.7"}, got["X-Forwarded-For"]); diff != "" {
			t.Errorf("%s: X-Forwarded-For (-want +got):\n%s", path, diff)
		}
		if got.Get("X-Request-Id") != "reference-1" {
			t.Errorf("%s: X-Request-ID %q, want our reference", path, got.Get("X-Request-Id"))
		}
		for name := range got {
			if strings.Contains(strings.Join(got[name], " "), "203.0.113.9") {
				t.Errorf("%s: the client's own word went upstream in %s", path, name)
			}
		}
	}
}

func TestSignIn_OT06_parallelGuesses(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{NoAccountLockout: true, NoCodeLockout: true, NoNetworkLockout: true})
	w := b.begin()
	w.name(alice)
	right, form := b.trinity.LastCode(alice), w.form(flow.PathCode)
	replies := make(chan int, 64)
	for i := range 64 {
		guess := fmt.Sprintf("%06d", 500000+i)
		if guess == right {
			guess = "499999"
		}
		go func() {
			replies <- w.post(flow.PathCode, url.Values{"flow": form["flow"], "ticket": form["ticket"], "code": {guess}}).status
		}()
	}
	got := map[int]int{}
	for range 64 {
		got[<-replies]++
	}
	b.wantSent(pathVerify, 5)
	if got[http.StatusBadRequest] > 4 || got[http.StatusBadRequest]+got[http.StatusTooManyRequests] != 64 {
		t.Errorf("answers by status: %v", got)
	}
	if tries := b.flow(w.flow).SignIn.Tries; tries != 5 {
		t.Errorf("%d tries counted, want 5", tries)
	}
}

func TestSignIn_OT14_staysBelowTheSharedBucket(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	refused := 0
	for i := range 12 {
		w := b.begin()
		w.remote = fmt.Sprintf("192.0.%d.7:4000", i)
		w.name(fmt.Sprintf("somebody%d@example.com", i))
		for range 3 {
			got := w.code("123456")
			if got.status == http.StatusTooManyRequests {
				refused++
				got.wantPage(http.StatusTooManyRequests, "code.too_many")
				if got.header.Get("Retry-After") != "300" {
					t.Errorf("Retry-After %q, want 300", got.header.Get("Retry-After"))
				}
			}
		}
	}
	b.wantSent(pathVerify, 20)
	if refused != 16 {
		t.Errorf("%d refusals, want 16", refused)
	}
	w := b.begin()
	w.name(alice)
	w.code(b.trinity.LastCode(alice)).wantPage(http.StatusTooManyRequests, "code.too_many")
	if tries := b.flow(w.flow).SignIn.Tries; tries != 0 {
		t.Errorf("a refusal of ours cost a try: %d", tries)
	}
	b.clock.Advance(5*time.Minute + time.Second)
	w.code(b.trinity.LastCode(alice)).wantOnward(flow.PathConsent, w.flow)
	b.wantSent(pathVerify, 21)
}

func TestSignIn_OT14_oneNetworkDoesNotLockOthersOut(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	for i := range 5 {
		w := b.begin()
		w.remote = fmt.Sprintf("192.0.2.%d:4000", i)
		w.name(fmt.Sprintf("somebody%d@example.com", i))
		for range 3 {
			w.code("123456")
		}
	}
	b.wantSent(pathVerify, 10)
	w := b.begin()
	w.name(alice)
	w.code(b.trinity.LastCode(alice)).wantOnward(flow.PathConsent, w.flow)
}

func TestSignIn_OT14_successesDoNotCount(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	for i := range 25 {
		mailbox := fmt.Sprintf("somebody%d@example.com", i)
		b.must(b.trinity.AddToWhitelist(mailbox))
		w := b.begin()
		w.name(mailbox)
		w.code(b.trinity.LastCode(mailbox)).wantOnward(flow.PathConsent, w.flow)
	}
}

func TestSignIn_OT14_upstream429IsOurOwnText(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	b.between.on(pathVerify, answer(http.StatusTooManyRequests, `{"detail":"Too many failed attempts for this account. Try again in 840 seconds."}`))
	w := b.begin()
	w.name(alice)
	page := w.code("123456")
	page.wantPage(http.StatusTooManyRequests, "code.locked")
	if page.header.Get("Retry-After") != "840" || strings.Contains(page.body, "failed attempts") {
		t.Errorf("Retry-After %q\n%s", page.header.Get("Retry-After"), page.body)
	}
	if tries := b.wantStep(w.flow, bridge.StepCode).SignIn.Tries; tries != 0 {
		t.Errorf("a try Trinity did not judge was counted: %d", tries)
	}
	b.wantEvents("sign_in_code_requested:ok", "sign_in_failed:trinity_locked")
}

func TestSignIn_OT03_countersThatFail(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	b.counters.hit.Store(true)
	w.name(alice).wantProblem(http.StatusServiceUnavailable, "internal")
	b.wantSent(pathRequest, 0)
	b.wantStep(w.flow, bridge.StepSignIn)

	b.counters.hit.Store(false)
	w.name(alice).wantOnward(flow.PathCode, w.flow)
	b.counters.peek.Store(true)
	w.code(b.trinity.LastCode(alice)).wantProblem(http.StatusServiceUnavailable, "internal")
	b.wantSent(pathVerify, 0)

	b.counters.peek.Store(false)
	b.counters.hit.Store(true)
	w.code(b.wrongCode(alice)).wantProblem(http.StatusServiceUnavailable, "internal")
	b.counters.hit.Store(false)
	w.code(b.trinity.LastCode(alice)).wantOnward(flow.PathConsent, w.flow)
}
