package protocol_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// grantIDs are the connections of everybody, newest first.
func grantIDs(t *testing.T, b *bridgetest.Bridge) []string {
	t.Helper()
	grants, err := app.ListGrants(t.Context(), b.Data, "", "")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, grant := range grants {
		ids = append(ids, grant.ID)
	}
	return ids
}

// press submits the form of one connection, or another of the page's.
func press(t *testing.T, w *bridgetest.Browser, action, grant string) {
	t.Helper()
	w.Submit(t, action, func(form url.Values) {
		if grant != "" {
			form.Set("grant", grant)
		}
	})
}

// AS-137: a person sees what they have connected as the consent page told it, ends one, and the very next call and
// refresh are refused; the key is gone at Trinity and the audit says who did it.
func TestConnections_AS137_end(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, person := b.Register(t), b.Someone()
	kept := b.Connect(t, client, person)
	b.Clock.Advance(time.Second)
	tokens := b.Connect(t, client, person)
	b.Works(t, tokens.Access)
	w := b.NewBrowser(t)
	b.Visit(t, w, person)
	ids := grantIDs(t, b)
	if !w.Page.Contains("app.example.com", "It calls itself", "Example App", "not verified", b.MCP, "See your Trinity", "Work with your agents",
		"Yourself", person, ids[0], ids[1], "not yet", b.Clock.Now().UTC().Format(time.DateOnly)) || w.Page.Contains("Delete things") {
		t.Errorf("the page:\n%s", w.Page.Body)
	}
	press(t, w, "/connections/end", ids[0])
	if w.URL.String() != b.URL+"/connections?done=ended" || !w.Page.Contains("The connection has ended.", ids[1]) || w.Page.Contains(ids[0]) {
		t.Errorf("afterwards the browser is at %s:\n%s", w.URL, w.Page.Body)
	}
	if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
		t.Errorf("the next call: %d", got)
	}
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	if got := b.Works(t, kept.Access); got != http.StatusOK {
		t.Errorf("the other connection: %d", got)
	}
	wait(t, func() bool { return liveKeys(b) == 1 }, "the key is revoked at Trinity")
	if n := b.Audited("grant_ended", "revoked_by_person"); n != 1 {
		t.Errorf("%d events say so", n)
	}
	if n := b.Trinity.LiveJWTs(); n != 0 {
		t.Errorf("%d Trinity sessions are left of signing in", n)
	}
	// To the person an ended connection is ended, however often they say so.
	form := w.Form(t, "/connections/end")
	form.Set("grant", ids[0])
	if answer := post(t, b, w, "/connections/end", form); answer.Status != http.StatusSeeOther || b.Audited("grant_ended", "") != 1 {
		t.Errorf("ending it again: %d", answer.Status)
	}
}

// AS-137: everything at once, what is on its way as well; afterwards the page says that there is nothing, and the
// next consent page knows of no earlier yes.
func TestConnections_AS137_endAll(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, person := b.Register(t), b.Someone()
	tokens, other := b.Connect(t, client, person), b.Connect(t, client, b.Someone())
	code := b.Code(t, client, person)
	w := b.NewBrowser(t)
	b.Visit(t, w, person)
	press(t, w, "/connections/end-all", "")
	if !w.Page.Contains("All connections have ended.", "No apps are connected") {
		t.Errorf("afterwards:\n%s", w.Page.Body)
	}
	if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
		t.Errorf("the next call: %d", got)
	}
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RedeemForm(client, code)))
	if got := b.Works(t, other.Access); got != http.StatusOK {
		t.Errorf("somebody else's connection: %d", got)
	}
	b.Clock.Advance(11 * time.Minute) // three codes in ten minutes
	again := b.NewBrowser(t)
	b.SignIn(t, again, b.Query(client), person)
	if again.Page.Contains("You allowed this app on") {
		t.Error("the earlier yes was not forgotten")
	}
}

// A person's page leads to nothing of anybody else, whatever id is asked for; two sources with one address are two
// people, and one with several pages of connections sees each of them once.
func TestConnections_AS137_ownOnly(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	c.idp.Add(person("u1", alice, "staff"))
	client := c.Register(t)
	byCompany := c.enter(t, client, "u1", alice)
	companys := grantIDs(t, c.Bridge)[0]
	c.Clock.Advance(time.Second)
	query := c.Query(client)
	byCode := c.NewBrowser(t)
	byCode.Open(t, "/oauth/authorize?"+query.Encode())
	byCode.Follow(t, "Use a code by e-mail")
	c.ProveMailbox(t, byCode, alice)
	c.Token(t, c.RedeemForm(client, c.Decide(t, byCode, "approve").Get("code")))
	codes := grantIDs(t, c.Bridge)[0]

	w := c.visit(t, "u1")
	if !w.Page.Contains(companys, "The company login") || w.Page.Contains(codes) {
		t.Errorf("the company's person sees:\n%s", w.Page.Body)
	}
	form := w.Form(t, "/connections/end")
	for _, id := range []string{codes, "nothing", ""} {
		form.Set("grant", id)
		answer := post(t, c.Bridge, w, "/connections/end", form)
		if answer.Status != http.StatusNotFound || !answer.Contains("You have no such connection") {
			t.Errorf("ending %q: %d", id, answer.Status)
		}
	}
	for _, id := range []string{codes, "nothing"} {
		if w.Open(t, "/connections?after="+id); w.Page.Status != http.StatusNotFound || w.Page.Contains(codes+`"`) {
			t.Errorf("the page after %q: %d", id, w.Page.Status)
		}
	}
	if c.Audited("grant_ended", "") != 0 {
		t.Error("something has ended")
	}
	other := c.NewBrowser(t)
	other.Open(t, "/connections")
	other.Follow(t, "Sign in")
	other.Follow(t, "Use a code by e-mail")
	c.ProveMailbox(t, other, alice)
	if !other.Page.Contains(codes) || other.Page.Contains(companys) || other.Page.Contains("The company login") {
		t.Errorf("the person by code sees:\n%s", other.Page.Body)
	}
	press(t, other, "/connections/end-all", "")
	c.works(t, byCompany.Access, 200)
}

// visit signs somebody of the company in to their connections.
func (c *company) visit(t *testing.T, subject string) *bridgetest.Browser {
	t.Helper()
	w := c.NewBrowser(t)
	c.visitIn(t, w, subject)
	if w.URL.Path != "/connections" || w.Page.Status != http.StatusOK {
		t.Fatalf("after signing in the browser is at %s (%d):\n%s", w.URL, w.Page.Status, w.Page.Body)
	}
	return w
}

func (c *company) visitIn(t *testing.T, w *bridgetest.Browser, subject string) {
	t.Helper()
	w.Open(t, "/connections")
	w.Follow(t, "Sign in")
	w.Follow(t, "The company login")
	back := c.idp.Approve(t, w.Left, subject)
	c.Secret(back.Query().Get("code"))
	w.Open(t, back.RequestURI())
}

// Pages hold twenty, and the last leads back to the first.
func TestConnections_AS137_pages(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "")
	c.idp.Add(person("u1", alice, "staff"))
	client := c.Register(t)
	for range 22 {
		c.enter(t, client, "u1", alice)
		c.Clock.Advance(time.Second)
	}
	ids := grantIDs(t, c.Bridge)
	if _, err := app.RevokeGrant(t.Context(), c.Data, ids[20]); err != nil { // ended ones are not on any page
		t.Fatal(err)
	}
	w := c.visit(t, "u1")
	seen := 0
	for _, id := range ids[:20] {
		seen += strings.Count(w.Page.Body, `value="`+id+`"`)
	}
	if seen != 20 || w.Page.Contains(`value="`+ids[21]+`"`) {
		t.Errorf("the first page has %d of its twenty", seen)
	}
	w.Follow(t, "Show earlier ones")
	if !w.Page.Contains(`value="`+ids[21]+`"`) || strings.Count(w.Page.Body, `name="grant"`) != 1 || w.Page.Contains("Show earlier ones") {
		t.Errorf("the second page:\n%s", w.Page.Body)
	}
	if w.Follow(t, "Back to the newest"); !w.Page.Contains(`value="` + ids[0] + `"`) {
		t.Error("the way back leads elsewhere")
	}
}

// Unlinking ends every connection that came through the link, revokes its key, and the person has to prove their
// account again.
func TestConnections_unlink(t *testing.T) {
	t.Parallel()
	c, client, tokens := staff(t)
	w := c.visit(t, "u1")
	if !w.Page.Contains("Your sign-in at", "stands for the Trinity account", alice) {
		t.Errorf("the page:\n%s", w.Page.Body)
	}
	press(t, w, "/connections/unlink", "")
	if !w.Page.Contains("no longer connected to your sign-in", "No apps are connected", "a person without a Trinity account") || w.Page.Contains(alice) {
		t.Errorf("afterwards:\n%s", w.Page.Body)
	}
	c.works(t, tokens.Access, 401)
	c.ended(t, "unlinked", 1)
	if c.Audited("link_ended", "revoked_by_person") != 1 {
		t.Error("no event says so")
	}
	wait(t, func() bool { return liveKeys(c.Bridge) == 0 }, "the end of the link's key at Trinity")
	again := c.NewBrowser(t)
	c.arrive(t, again, c.Query(client), "u1")
	if again.URL.Path != "/signin/link" {
		t.Errorf("connecting again leads to %s", again.URL)
	}
	// Visiting needs no account, and gives none.
	if again = c.visit(t, "u1"); !again.Page.Contains("No apps are connected") || len(c.links(t)) != 1 {
		t.Errorf("without a link:\n%s", again.Page.Body)
	}
}

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

// OT-14: who is suspended is let in here no more than anywhere, by either way.
func TestConnections_suspended(t *testing.T) {
	t.Parallel()
	c, _, _ := staff(t)
	suspend(t, c.Bridge, true)
	w := c.NewBrowser(t)
	c.visitIn(t, w, "u1")
	if w.Page.Status != http.StatusForbidden || !w.Page.Contains("Your Trinity account is suspended", c.URL[len("http://"):], "/connections") {
		t.Errorf("by the company: %d at %s\n%s", w.Page.Status, w.URL, w.Page.Body)
	}
	w.Open(t, "/connections")
	w.Follow(t, "Sign in")
	w.Follow(t, "Use a code by e-mail")
	c.ProveMailbox(t, w, alice)
	if w.URL.Path != "/signin/code" || w.Page.Status != http.StatusBadRequest {
		t.Errorf("by code: %d at %s", w.Page.Status, w.URL)
	}
	if w.Open(t, "/connections"); w.Page.Contains(alice) {
		t.Error("somebody is signed in")
	}
	// Nor whom the rules do not admit.
	c.idp.Add(person("stranger", "mallory@example.net"))
	if c.visitIn(t, w, "stranger"); w.Page.Status != http.StatusForbidden || !w.Page.Contains("You are not let in here") {
		t.Errorf("a stranger: %d at %s", w.Page.Status, w.URL)
	}
}

// FB-29: a mailbox whose domain is bound to a source signs in there, and nowhere else, here as well.
func TestConnections_FB29_bound(t *testing.T) {
	t.Parallel()
	c := startCompany(t, "\n    domains: [example.com]"+admitStaff)
	w := c.NewBrowser(t)
	w.Open(t, "/connections")
	w.Follow(t, "Sign in")
	w.Follow(t, "Use a code by e-mail")
	w.Submit(t, "/signin", func(form url.Values) { form.Set("email", alice) })
	if w.Page.Status != http.StatusForbidden || !w.Page.Contains("You sign in with", "The company login") || c.Trinity.LastCode(alice) != "" {
		t.Errorf("%d at %s", w.Page.Status, w.URL)
	}
}

// OT-12: a second factor that Trinity wants is asked for on this way, too.
func TestConnections_secondFactor(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithTrinity(func(s *trinitytest.Switches) {
		s.SecondFactor, s.SecondFactorRoutes = trinitytest.SecondFactorEnrolled, true
	}))
	w := b.NewBrowser(t)
	w.Open(t, "/connections")
	w.Follow(t, "Sign in")
	b.ProveMailbox(t, w, alice)
	if w.URL.Path != "/signin/second-factor" || w.Page.Contains("You are about to connect") {
		t.Fatalf("the browser is at %s (%d)", w.URL, w.Page.Status)
	}
	flow := w.URL.RequestURI()
	if w.Open(t, "/connections"); w.Page.Contains(alice) {
		t.Error("the page opens without it")
	}
	w.Open(t, flow)
	w.Submit(t, "/signin/second-factor", func(form url.Values) { form.Set("code", trinitytest.SecondFactorCode) })
	if w.URL.Path != "/connections" || !w.Page.Contains(alice) {
		t.Errorf("with it: %s (%d)", w.URL, w.Page.Status)
	}
}

// The page works in Trinity's absence, which ending waits for only behind.
func TestConnections_TrinityDown(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client, person := b.Register(t), b.Someone()
	tokens := b.Connect(t, client, person)
	w := b.NewBrowser(t)
	b.Visit(t, w, person)
	b.Trinity.Set(downBackend)
	press(t, w, "/connections/end-all", "")
	if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized || w.Page.Status != http.StatusOK {
		t.Errorf("the next call: %d", got)
	}
	b.Trinity.Set(healthyBackend)
	b.Clock.Advance(time.Hour)
	wait(t, func() bool { return liveKeys(b) == 0 }, "the key is revoked after all")
}
