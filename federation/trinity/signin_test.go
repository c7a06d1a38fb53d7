package trinity_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

func TestSignIn_throughToConsent(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	w.get(flow.PathSignIn).wantPage(http.StatusOK, "")
	w.name(" Alice@Example.com ").wantOnward(flow.PathCode, w.flow)
	page := w.get(flow.PathCode)
	page.wantPage(http.StatusOK, "")
	if !strings.Contains(page.body, alice) {
		t.Error("the code page does not say which mailbox")
	}
	code := b.trinity.LastCode(alice)
	w.code(" "+code[:3]+"-"+code[3:]+" ").wantOnward(flow.PathConsent, w.flow)

	got := b.wantStep(w.flow, bridge.StepConsent).SignIn
	session, err := b.ring.OpenToken("flow session", w.flow, got.Session)
	b.must(err)
	if account, err := b.api.Me(t.Context(), session); err != nil || account.Username != alice {
		t.Errorf("the stored session is %v's, %v", account, err)
	}
	want := bridge.SignIn{
		Mailbox: alice, CodeSentAt: b.clock.Now(), At: b.clock.Now(),
		Person:  bridge.Person{Source: bridge.SourceTrinity, Subject: alice},
		Account: bridge.Account{Username: alice, Email: alice, Role: bridge.RoleUser},
		Session: got.Session,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sign-in (-want +got):\n%s", diff)
	}
	b.wantEvents("sign_in_code_requested:ok", "signed_in:ok")
	for _, path := range []string{flow.PathSignIn, flow.PathCode, flow.PathSecondFactor} {
		w.get(path).wantOnward(flow.PathConsent, w.flow)
	}
}

func TestSignIn_accountWithAnotherUsername(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	_, signedIn := b.signedIn("carol@example.com")
	if got := signedIn.SignIn.Person.Subject; got != "carol" {
		t.Errorf("the person is %q, want the username (contract 2)", got)
	}
}

func TestSignIn_prefill(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	for hint, want := range map[string]string{
		"?hint=Bob@example.com": `value="bob@example.com"`, "?hint=%22%3E%3Cscript": `value=""`, "": `value=""`,
	} {
		w := b.begin()
		w.flow = ""
		w.flow = w.get("/begin" + hint).body
		if page := w.get(flow.PathSignIn); !strings.Contains(page.body, want) {
			t.Errorf("hint %q: no %s in\n%s", hint, want, page.body)
		}
	}
}

func TestSignIn_OT10_addressTricks(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	for _, typed := range []string{
		"", "alice", `"alice"@example.com`, "alice@example.com,bob@example.com", "alice@example.com\r\nBcc: bob@example.com",
		"аlice@example.com", strings.Repeat("a", 10<<10) + "@example.com",
	} {
		w.name(typed).wantPage(http.StatusBadRequest, "email.invalid")
	}
	twice := w.form(flow.PathSignIn, "email", alice, "email", bob)
	w.post(flow.PathSignIn, twice).wantPage(http.StatusBadRequest, "email.invalid")
	w.post(flow.PathSignIn, w.form(flow.PathSignIn)).wantPage(http.StatusBadRequest, "email.invalid")
	page := w.name(`<script>alert(1)</script>@example.com`)
	if page.wantPage(http.StatusBadRequest, "email.invalid"); strings.Contains(page.body, "<script>") {
		t.Error("markup comes back as markup")
	}
	b.wantSent(pathRequest, 0)
	b.wantStep(w.flow, bridge.StepSignIn)
	b.wantEvents()
}

func TestSignIn_OT01_sameAnswerForEveryAddress(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("old answers %v", old), func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{OldEmailAnswers: old})
			var answers, pages []string
			for _, mailbox := range []string{alice, "whois@example.com"} {
				w := b.begin()
				got := w.name(mailbox)
				got.header.Del("Date")
				answers = append(answers, strings.ReplaceAll(fmt.Sprint(got.status, got.header, got.body), w.flow, "FLOW"))
				page := w.get(flow.PathCode)
				page.header.Del("Date")
				page.header.Del("Content-Length")
				text := strings.NewReplacer(w.flow, "FLOW", mailbox, "MAILBOX", w.ticket(flow.PathCode), "TICKET")
				pages = append(pages, text.Replace(fmt.Sprint(page.status, page.header, page.body)))
				w.code(b.wrongCode(mailbox)).wantPage(http.StatusBadRequest, "code.wrong")
			}
			if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
				t.Errorf("the answers differ (-known +unknown):\n%s", diff)
			}
			if diff := cmp.Diff(pages[0], pages[1]); diff != "" {
				t.Errorf("the code pages differ (-known +unknown):\n%s", diff)
			}
		})
	}
}

func TestSignIn_OT01_answersBeforeTrinityDoes(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	release := make(chan struct{})
	b.between.on(pathRequest, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		<-release
		forward.ServeHTTP(w, r)
	})
	w := b.begin()
	w.post(flow.PathSignIn, w.form(flow.PathSignIn, "email", alice)).wantOnward(flow.PathCode, w.flow)
	b.wantSent(pathRequest, 0)
	close(release)
	b.signIn.Wait()
	w.code(b.trinity.LastCode(alice)).wantOnward(flow.PathConsent, w.flow)
}

func TestSignIn_OT02_upstream429IsNeutral(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{OldEmailAnswers: true})
	for range 3 { // somebody used the mailbox's codes up elsewhere
		b.must(b.api.RequestCode(t.Context(), alice, netip.Addr{}))
	}
	w := b.begin()
	w.name(alice).wantOnward(flow.PathCode, w.flow)
	w.get(flow.PathCode).wantPage(http.StatusOK, "")
	b.wantSent(pathRequest, 4) // never retried
	b.wantEvents("sign_in_code_requested:trinity_locked")
}

// A failure that could depend on the address is not told; one that cannot is.
func TestSignIn_OT02_onlyFailuresAboutNobodyAreTold(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	b.between.on(pathRequest, answer(http.StatusInternalServerError, `{"detail":"Failed to send"}`))
	w := b.begin()
	w.name(alice).wantOnward(flow.PathCode, w.flow)
	w.get(flow.PathCode).wantPage(http.StatusOK, "")
	b.wantSent("/api/auth/mode", 1)
	b.wantEvents("sign_in_code_requested:trinity_unavailable")
}

func TestSignIn_trinityCannotBeAsked(t *testing.T) {
	t.Parallel()
	for name, condition := range map[string]trinitytest.Condition{
		"down": trinitytest.Down, "HTML": trinitytest.ServingHTML, "redirecting": trinitytest.Redirecting,
		"failing": trinitytest.Failing, "echoing": trinitytest.EchoingCredentials,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{Backend: condition})
			w := b.begin()
			w.name(alice).wantOnward(flow.PathCode, w.flow)
			w.get(flow.PathCode).wantPage(http.StatusOK, "code.send_failed")
			w.get(flow.PathSignIn).wantPage(http.StatusOK, "email.trinity_down")
			w.code("123456").wantPage(http.StatusServiceUnavailable, "code.trinity_down")
			if tries := b.wantStep(w.flow, bridge.StepCode).SignIn.Tries; tries != 0 {
				t.Errorf("a try Trinity did not judge was counted: %d", tries)
			}
			b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy })
			w.name(alice).wantOnward(flow.PathCode, w.flow) // the flow was not lost
			w.get(flow.PathCode).wantPage(http.StatusOK, "")
			w.code(b.trinity.LastCode(alice)).wantOnward(flow.PathConsent, w.flow)
			b.wantEvents("sign_in_code_requested:trinity_unavailable", "sign_in_failed:trinity_unavailable",
				"sign_in_code_requested:ok", "signed_in:ok")
		})
	}
}

func TestSignIn_contract1_2_switchedOffAtTrinity(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		switches trinitytest.Switches
		key      string
		event    string
	}{
		{"setup not finished", trinitytest.Switches{SetupRequired: true}, "trinity-setup", "trinity_setup_required"},
		{"e-mail sign-in off", trinitytest.Switches{EmailAuthDisabled: true}, "email-disabled", "trinity_email_disabled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{})
			w := b.begin()
			w.name(alice).wantOnward(flow.PathCode, w.flow)
			b.trinity.Set(func(s *trinitytest.Switches) { *s = tt.switches })
			page := w.code("123456")
			page.wantProblem(http.StatusServiceUnavailable, tt.key)
			if !strings.Contains(page.body, `href="/signin?flow=`+w.flow+`"`) {
				t.Error("no way to begin again")
			}
			form := w.form(flow.PathSignIn, "email", alice)
			b.pauseIsLong.Store(true)
			w.post(flow.PathSignIn, form).wantProblem(http.StatusServiceUnavailable, tt.key)
			w.get(flow.PathCode).wantPage(http.StatusOK, "code.send_failed")
			b.wantEvents("sign_in_code_requested:ok", "sign_in_failed:"+tt.event, "sign_in_code_requested:"+tt.event)
		})
	}
}

func TestSignIn_OT07_codeBelongsToItsFlow(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	first := b.begin()
	for range 3 {
		first.name(alice)
	}
	code := b.trinity.LastCode(alice)
	second := b.begin() // its mailbox is over the limit: no code was asked for
	second.name(alice).wantOnward(flow.PathCode, second.flow)
	second.code(code).wantPage(http.StatusBadRequest, "code.wrong")
	b.wantSent(pathVerify, 0)
	first.code(code).wantOnward(flow.PathConsent, first.flow)

	b.clock.Advance(11 * time.Minute)
	third := b.begin()
	third.name(alice)
	third.code(code).wantPage(http.StatusBadRequest, "code.wrong") // a code is good once
}

func TestSignIn_OT08_mailboxIsServerSide(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	w.name(bob)
	other := b.begin()
	other.name(alice)
	form := w.form(flow.PathCode, "code", b.trinity.LastCode(alice), "email", alice)
	w.post(flow.PathCode, form).wantPage(http.StatusBadRequest, "code.wrong")
	if body := string(b.sent(pathVerify)[0].Body); !strings.Contains(body, bob) || strings.Contains(body, alice) {
		t.Errorf("Trinity was asked about %s", body)
	}
	b.wantStep(w.flow, bridge.StepCode)
}

func TestSignIn_OT08_anotherMailboxStartsAfresh(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	for range 3 {
		b.begin().name(bob)
	}
	w := b.begin()
	w.name(alice)
	code := b.trinity.LastCode(alice)
	w.get(flow.PathSignIn).wantPage(http.StatusOK, "")
	w.name(bob).wantOnward(flow.PathCode, w.flow) // over its limit: nothing is sent
	got := b.flow(w.flow).SignIn
	if diff := cmp.Diff(bridge.SignIn{Mailbox: bob}, got); diff != "" {
		t.Errorf("sign-in (-want +got):\n%s", diff)
	}
	w.code(code).wantPage(http.StatusBadRequest, "code.wrong")
	b.wantSent(pathVerify, 0)
}

func TestSignIn_malformedCodesStayHere(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	w.name(alice)
	for _, code := range []string{"", "12345", "1234567", "12345a", "١٢٣٤٥٦", "123456\x00", strings.Repeat(" ", 200)} {
		w.code(code).wantPage(http.StatusBadRequest, "code.malformed")
	}
	w.post(flow.PathCode, w.form(flow.PathCode, "code", "123456", "code", "654321")).wantPage(http.StatusBadRequest, "code.malformed")
	w.post(flow.PathCode, w.form(flow.PathCode)).wantPage(http.StatusBadRequest, "code.malformed")
	b.wantSent(pathVerify, 0)
	if tries := b.flow(w.flow).SignIn.Tries; tries != 0 {
		t.Errorf("%d tries counted", tries)
	}
}

func TestSignIn_CO01_forgedForms(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w, stranger := b.begin(), b.begin()
	w.name(alice)
	good := w.form(flow.PathCode, "code", b.trinity.LastCode(alice))
	tests := []struct {
		name    string
		from    *browser
		edit    func(url.Values)
		header  []string
		status  int
		problem string
	}{
		{"no ticket", w, func(v url.Values) { v.Del("ticket") }, nil, http.StatusForbidden, "forged"},
		{"another ticket", w, func(v url.Values) { v.Set("ticket", "x") }, nil, http.StatusForbidden, "forged"},
		{"cross-site", w, func(url.Values) {}, []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden, "forged"},
		{"another browser", stranger, func(url.Values) {}, nil, http.StatusForbidden, "other-browser"},
		{"no flow", w, func(v url.Values) { v.Del("flow") }, nil, http.StatusGone, "flow-gone"},
		{"JSON", w, func(url.Values) {}, []string{"Content-Type", "application/json"}, http.StatusUnsupportedMediaType, "not-a-form"},
		{"plain text", w, func(url.Values) {}, []string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType, "not-a-form"},
	}
	for _, path := range []string{flow.PathSignIn, flow.PathCode, flow.PathSecondFactor} {
		for _, tt := range tests {
			form := url.Values{"flow": good["flow"], "ticket": good["ticket"], "code": good["code"], "email": {alice}}
			tt.edit(form)
			tt.from.post(path, form, tt.header...).wantProblem(tt.status, tt.problem)
		}
	}
	b.wantSent(pathVerify, 0)
	b.wantSent(pathRequest, 1)
	w.post(flow.PathCode, good).wantOnward(flow.PathConsent, w.flow)
}

func TestSignIn_formSentTwice(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	w.name(alice)
	form := w.form(flow.PathCode, "code", b.trinity.LastCode(alice))
	held, release := make(chan struct{}), make(chan struct{})
	b.between.on(pathMe, func(rw http.ResponseWriter, r *http.Request, forward http.Handler) {
		close(held)
		<-release
		forward.ServeHTTP(rw, r)
	})
	b.between.on(pathVerify, func(rw http.ResponseWriter, r *http.Request, forward http.Handler) {
		select {
		case <-held: // the second one: answered when the first has arrived
			close(release)
			for b.flow(w.flow).Step == bridge.StepCode {
				time.Sleep(time.Millisecond)
			}
		default:
		}
		forward.ServeHTTP(rw, r)
	})
	first := make(chan reply, 1)
	go func() { first <- w.post(flow.PathCode, form) }()
	<-held
	w.post(flow.PathCode, form).wantOnward(flow.PathConsent, w.flow)
	(<-first).wantOnward(flow.PathConsent, w.flow)

	late := w.post(flow.PathCode, form) // its ticket is of a step that is over
	late.wantProblem(http.StatusForbidden, "forged")
	if !strings.Contains(late.body, `href="/signin?flow=`+w.flow+`"`) {
		t.Error("no way to where the flow is now")
	}
	w.get(flow.PathSignIn).wantOnward(flow.PathConsent, w.flow)
}

func TestSignIn_stepsOutOfOrder(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	w.get(flow.PathCode).wantOnward(flow.PathSignIn, w.flow)
	w.get(flow.PathSecondFactor).wantOnward(flow.PathSignIn, w.flow)
	form := w.form(flow.PathSignIn, "code", "123456")
	w.post(flow.PathCode, form).wantOnward(flow.PathSignIn, w.flow)
	w.post(flow.PathSecondFactor, form).wantOnward(flow.PathSignIn, w.flow)
	b.wantSent(pathVerify, 0)
	b.wantSent(pathFactor, 0)
}

// What cannot be counted is not asked.
