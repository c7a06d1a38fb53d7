package protocol_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// CO-01, CO-04, CO-05, AS-134: what changes something is a form of the page of the very visit, and nothing else.
func TestConnections_forgeries(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, person := b.Register(t), b.Someone()
	tokens := b.Connect(t, client, person)
	w, other := b.NewBrowser(t), b.NewBrowser(t)
	b.Visit(t, w, person)
	b.Visit(t, other, b.Someone())
	good := w.Form(t, "/connections/end")
	foreign := other.Form(t, "/connections/sign-out").Get("ticket")
	same := []string{"Sec-Fetch-Site", "same-origin", "Origin", "null"}
	tests := []struct {
		id     string
		edit   func(url.Values)
		header []string
		want   int
	}{
		{"CO-01, AS-134/no ticket", del("ticket"), same, 403},
		{"CO-01/wrong ticket", set("ticket", strings.Repeat("A", 43)), same, 403},
		{"CO-02, CO-21/another visit's ticket", set("ticket", foreign), same, 403},
		{"CO-05/cross-site", nil, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"CO-05/same-site", nil, []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"CO-05/foreign origin", nil, []string{"Origin", "https://evil.example"}, 403},
		{"CO-05/null origin alone", nil, []string{"Origin", "null"}, 403},
	}
	for _, path := range []string{"/connections/end", "/connections/end-all", "/connections/unlink", "/connections/sign-out"} {
		for _, tt := range tests {
			form := cloneValues(good)
			if tt.edit != nil {
				tt.edit(form)
			}
			if answer := post(t, b, w, path, form, tt.header...); answer.Status != tt.want || answer.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s %s: %d, want %d", path, tt.id, answer.Status, tt.want)
			}
		}
		text := b.Request(t, http.MethodPost, path, good.Encode(), "Content-Type", "text/plain", "Sec-Fetch-Site", "same-origin")
		text.AddCookie(w.Cookies()[0])
		if answer := b.Do(t, text); answer.Status != http.StatusUnsupportedMediaType {
			t.Errorf("%s CO-04, of another type: %d", path, answer.Status)
		}
		if answer := post(t, b, b.NewBrowser(t), path, good); answer.Status != http.StatusForbidden {
			t.Errorf("%s without the cookie: %d", path, answer.Status)
		}
		if answer := post(t, b, other, path, good); answer.Status != http.StatusForbidden {
			t.Errorf("%s with another visit's cookie: %d", path, answer.Status)
		}
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
			if answer := b.Do(t, b.Request(t, method, path+"?"+good.Encode(), "")); answer.Status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, answer.Status)
			}
		}
	}
	w.Open(t, "/connections?"+good.Encode())
	if got := b.Works(t, tokens.Access); got != http.StatusOK || w.Page.Status != http.StatusOK {
		t.Errorf("something of it has ended the connection: %d", got)
	}
}

// What the pages send along, and for how long they serve whom.
func TestConnections_visit(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	person := b.Someone()
	b.Connect(t, b.Register(t), person)
	w := b.NewBrowser(t)
	before := w.Open(t, "/connections").Page
	if before.Status != http.StatusOK || len(w.Cookies()) != 0 || before.Contains(person) {
		t.Errorf("the door: %d with cookies %v", before.Status, w.Cookies())
	}
	b.Visit(t, w, person)
	for _, header := range []http.Header{before.Header, w.Page.Header} {
		if header.Get("Cache-Control") != "no-store" || header.Get("Referrer-Policy") != "no-referrer" || header.Get("X-Frame-Options") != "DENY" ||
			!strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") || header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("headers %v", header)
		}
	}
	cookies := w.Cookies()
	if len(cookies) != 1 || cookies[0].Name != "trinity-visit" {
		t.Fatalf("the browser keeps %v", cookies)
	}
	head := b.Request(t, http.MethodHead, "/connections", "")
	head.AddCookie(cookies[0])
	if answer := b.Do(t, head); answer.Status != http.StatusOK || answer.Body != "" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("HEAD: %d %q", answer.Status, answer.Body)
	}
	form := w.Form(t, "/connections/sign-out")

	w.Submit(t, "/connections/sign-out", nil)
	if w.URL.Path != "/connections/signed-out" || !w.Page.Contains("You are signed out") || len(w.Cookies()) != 0 {
		t.Errorf("signed out at %s with %v:\n%s", w.URL, w.Cookies(), w.Page.Body)
	}
	stolen := func(path string) bridgetest.Answer {
		req := b.Request(t, http.MethodGet, path, "")
		req.AddCookie(cookies[0])
		return b.Do(t, req)
	}
	if answer := stolen("/connections"); answer.Contains(person) || !answer.Contains("Sign in") {
		t.Error("the cookie outlives signing out")
	}
	if answer := post(t, b, w, "/connections/end-all", form); answer.Status != http.StatusForbidden || !answer.Contains("You are not signed in here") {
		t.Errorf("ending all afterwards: %d", answer.Status)
	}

	b.Clock.Advance(11 * time.Minute)
	b.Visit(t, w, person)
	form = w.Form(t, "/connections/end-all")
	b.Clock.Advance(14 * time.Minute)
	if w.Open(t, "/connections"); !w.Page.Contains(person) {
		t.Error("the visit is over too early")
	}
	b.Clock.Advance(2 * time.Minute)
	if answer := post(t, b, w, "/connections/end-all", form); answer.Status != http.StatusForbidden {
		t.Errorf("ending all after its time: %d", answer.Status)
	}
	if w.Open(t, "/connections"); w.Page.Contains(person) || !w.Page.Contains("Your time here was up") {
		t.Errorf("after its time:\n%s", w.Page.Body)
	}
	if b.Audited("grant_ended", "") != 0 {
		t.Error("something has ended")
	}
}

// FB-02, FB-03, GW-61: the cookie from before the sign-in opens nothing after it, no other browser goes on with it,
// and no other site has one begun.
func TestConnections_FB03_fixation(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	person := b.Someone()
	w := b.NewBrowser(t)
	w.Open(t, "/connections")
	w.Follow(t, "Sign in")
	planted := w.Cookies()
	flow := w.Form(t, "/signin").Get("flow")
	b.ProveMailbox(t, w, person)
	for _, path := range []string{"/connections", "/connections/arrive?flow=" + flow, "/signin?flow=" + flow, "/consent?flow=" + flow} {
		req := b.Request(t, http.MethodGet, path, "")
		for _, cookie := range planted {
			req.AddCookie(cookie)
			renamed := *cookie
			renamed.Name = "trinity-visit"
			req.AddCookie(&renamed)
		}
		if answer := b.Do(t, req); answer.Contains(person) || answer.Status == http.StatusSeeOther {
			t.Errorf("%s with the cookie from before: %d", path, answer.Status)
		}
	}
	if w.Open(t, "/connections/arrive?flow="+flow); w.URL.Path != "/connections" || !w.Page.Contains(person) {
		t.Errorf("arriving again in the same browser: %s", w.URL)
	}
	for site, want := range map[string]string{"cross-site": "/connections", "same-site": "/connections", "same-origin": "/signin", "none": "/signin", "": "/signin"} {
		answer := b.Get(t, "/connections/sign-in", "Sec-Fetch-Site", site)
		at, err := url.Parse(answer.Header.Get("Location"))
		if err != nil || at.Path != want || answer.Header.Get("Set-Cookie") == "" == (want == "/signin") {
			t.Errorf("begun by %q: sent to %s", site, at)
		}
	}
	if answer := b.Do(t, b.Request(t, http.MethodHead, "/connections/sign-in", "")); answer.Status != http.StatusMethodNotAllowed {
		t.Errorf("HEAD begins a sign-in: %d", answer.Status)
	}
}

// I1: signing in to the page decides nothing. Its flow never comes to the consent page, and no form of it is a
// decision.
func TestConnections_I1_noCode(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, person := b.Register(t), b.Someone()
	w, visit := b.NewBrowser(t), b.NewBrowser(t)
	b.SignIn(t, w, b.Query(client), person)
	decision := w.Form(t, "/consent")
	visit.Open(t, "/connections")
	visit.Follow(t, "Sign in")
	flow := visit.Form(t, "/signin").Get("flow")
	if visit.Open(t, "/consent?flow="+flow); visit.URL.Path != "/signin" {
		t.Errorf("before signing in, /consent leads to %s", visit.URL)
	}
	b.ProveMailbox(t, visit, person)
	for _, ticket := range []string{visit.Form(t, "/connections/sign-out").Get("ticket"), decision.Get("ticket")} {
		decision.Set("flow", flow)
		decision.Set("ticket", ticket)
		decision.Set("decision", "approve")
		if answer := post(t, b, visit, "/consent", decision); answer.Status != http.StatusForbidden {
			t.Errorf("a decision in a visit: %d", answer.Status)
		}
	}
	for _, path := range []string{"/consent", "/consent/done", "/signin", "/signin/code"} {
		if visit.Open(t, path+"?flow="+flow); visit.Page.Status != http.StatusForbidden {
			t.Errorf("%s: %d at %s", path, visit.Page.Status, visit.URL)
		}
	}
	if len(b.Trinity.Keys()) != 0 || b.Audited("consent_given", "") != 0 || len(grantIDs(t, b)) != 0 {
		t.Error("something was allowed")
	}
}

// CO-10, CO-08: no cookie of an approval exists, nothing is set or stored before the decision, and somebody who is
// signed in to their connections and has allowed the client before is asked to sign in and to decide all the same.
func TestConsent_CO10_nothingBeforeApproval(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, person := b.Register(t), b.Someone()
	b.Connect(t, client, person)
	w := b.NewBrowser(t)
	b.Visit(t, w, person)
	kept := fmt.Sprint(w.Cookies())
	w.Open(t, "/oauth/authorize?"+b.Query(client).Encode()) // a stranger's link, say
	if w.URL.Path != "/signin" || w.Left != "" {
		t.Fatalf("the browser is at %s, sent to %q", w.URL, w.Left)
	}
	if w.Page.Contains(person) {
		t.Error("the sign-in knows who is signed in to the connections")
	}
	b.ProveMailbox(t, w, person)
	if w.URL.Path != "/consent" || w.Left != "" {
		t.Fatalf("the browser is at %s, sent to %q", w.URL, w.Left)
	}
	for _, cookie := range w.Cookies() {
		if !strings.HasPrefix(cookie.Name, "trinity-flow-") && !strings.Contains(kept, cookie.Value) {
			t.Errorf("before the decision %s is set", cookie.Name)
		}
	}
	if n := len(grantIDs(t, b)); n != 1 || b.Audited("consent_given", "") != 1 {
		t.Errorf("%d grants before the decision", n)
	}
	b.Decide(t, w, "approve")
	if got := fmt.Sprint(w.Cookies()); got != kept {
		t.Errorf("the decision leaves %s, before there was %s", got, kept)
	}
	again := w.Open(t, "/oauth/authorize?"+b.Query(client).Encode())
	if again.URL.Path != "/signin" {
		t.Errorf("after the decision the next request leads to %s", again.URL)
	}
}

// OT-11: signing in here is no way around the limit of a mailbox, nor around its count of wrong codes.
func TestConnections_OT11_limits(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, person := b.Register(t), b.Someone()
	for range 3 {
		w := b.NewBrowser(t)
		w.Open(t, "/oauth/authorize?"+b.Query(client).Encode())
		w.Submit(t, "/signin", func(form url.Values) { form.Set("email", person) })
	}
	wait(t, func() bool { return b.Audited("sign_in_code_requested", "ok") == 3 }, "three codes are sent")
	w := b.NewBrowser(t)
	w.Open(t, "/connections")
	w.Follow(t, "Sign in")
	w.Submit(t, "/signin", func(form url.Values) { form.Set("email", person) })
	if w.URL.Path != "/signin/code" || b.Audited("sign_in_code_requested", "") != 4 || b.Audited("sign_in_code_requested", "ok") != 3 {
		t.Errorf("a fourth code was sent; the browser is at %s", w.URL)
	}
	for range 5 {
		w.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", "000000") })
	}
	if w.Page.Status != http.StatusTooManyRequests {
		t.Errorf("after five wrong codes: %d", w.Page.Status)
	}
}
