package trinity_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// twin is a browser with the cookies that this one has now.
func (w *browser) twin() *browser {
	w.b.t.Helper()
	jar, err := cookiejar.New(nil)
	w.b.must(err)
	site, err := url.Parse(w.b.url)
	w.b.must(err)
	jar.SetCookies(site, w.client.Jar.Cookies(site))
	other := *w
	other.client = &http.Client{Jar: jar, CheckRedirect: w.client.CheckRedirect}
	return &other
}

// FB-03: whoever knew the flow's cookie from before the sign-in is left with nothing after it, whichever form it was that
// proved the person. The same form sent twice, whose first answer never came, leads on all the same.
func TestSignIn_FB03_anotherCookie(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		switches trinitytest.Switches
		page     string // of the form that signs in
		code     func(*bench) string
		next     bridge.Step
	}{
		{"code", trinitytest.Switches{}, flow.PathCode, func(b *bench) string { return b.trinity.LastCode(alice) }, bridge.StepConsent},
		{
			"second factor",
			trinitytest.Switches{SecondFactor: trinitytest.SecondFactorEnrolled, SecondFactorRoutes: true},
			flow.PathSecondFactor,
			func(*bench) string { return trinitytest.SecondFactorCode }, bridge.StepConsent,
		},
		{
			"new second factor",
			trinitytest.Switches{SecondFactor: trinitytest.SecondFactorRequired, SecondFactorRoutes: true},
			flow.PathEnrol,
			func(*bench) string { return trinitytest.SecondFactorCode }, bridge.StepRecovery,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, tt.switches)
			w := b.begin()
			w.name(alice)
			if tt.page != flow.PathCode {
				w.code(b.trinity.LastCode(alice))
			}
			form := w.form(tt.page, "code", tt.code(b))
			knows, twice := w.twin(), w.twin()
			w.post(tt.page, form)
			b.wantStep(w.flow, tt.next)
			next := flow.URL(bridge.Flow{Step: tt.next})
			next = next[:strings.Index(next, "?")]
			w.get(flow.PathCode).wantOnward(next, w.flow)
			knows.get(flow.PathCode).wantProblem(http.StatusForbidden, "other-browser")
			form.Set("code", "000000")
			if got := knows.post(tt.page, form); got.status != http.StatusForbidden || len(got.header["Set-Cookie"]) > 0 {
				t.Errorf("the cookie of before and a guess: %d %v", got.status, got.header)
			}
			form.Set("code", tt.code(b))
			twice.post(tt.page, form).wantOnward(next, w.flow)
			twice.get(flow.PathCode).wantOnward(next, w.flow)
			w.get(flow.PathCode).wantOnward(next, w.flow) // with the first answer's cookie, which is the same
		})
	}
}

// FB-03, OT-03: with the cookie of before the sign-in nobody guesses the code afterwards, which would open the flow.
func TestSignIn_FB03_guesses(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	w := b.begin()
	w.name(alice)
	form := w.form(flow.PathCode, "code", b.trinity.LastCode(alice))
	knows := w.twin()
	w.post(flow.PathCode, form)
	for range 12 {
		form.Set("code", b.wrongCode(alice))
		knows.post(flow.PathCode, form)
	}
	form.Set("code", b.trinity.LastCode(alice))
	if got := knows.post(flow.PathCode, form); got.status != http.StatusForbidden {
		t.Errorf("after twelve guesses the right one opens the flow: %d", got.status)
	}
}
