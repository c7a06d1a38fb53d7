package protocol_test

import (
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
	grants, err := bridgetest.All(app.ListGrants(t.Context(), b.Data, "", ""))
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
	c.Revoke(t, ids[20]) // ended ones are not on any page
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

// Who is suspended is let in here no more than anywhere, by either way.
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

// A second factor that Trinity wants is asked for on this way, too.
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

// A second factor that is set up on the way leads here as well, past its recovery codes.
func TestConnections_enrolment(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithTrinity(func(s *trinitytest.Switches) {
		s.SecondFactor, s.SecondFactorRoutes = trinitytest.SecondFactorRequired, true
	}))
	w := b.NewBrowser(t)
	w.Open(t, "/connections")
	w.Follow(t, "Sign in")
	b.ProveMailbox(t, w, alice)
	w.Submit(t, "/signin/second-factor/new", func(form url.Values) { form.Set("code", trinitytest.SecondFactorCode) })
	if w.URL.Path != "/signin/second-factor/kept" || !w.Page.Contains("Next you see what you have connected.") {
		t.Fatalf("the browser is at %s (%d):\n%s", w.URL, w.Page.Status, w.Page.Body)
	}
	if w.Submit(t, "/signin/second-factor/kept", nil); w.URL.Path != "/connections" || !w.Page.Contains(alice) {
		t.Errorf("afterwards: %s (%d)", w.URL, w.Page.Status)
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
	wait(t, func() bool {
		b.Clock.Advance(time.Hour) // once may be before the try that failed was noted
		return liveKeys(b) == 0
	}, "the key is revoked after all")
}

// A sign-in that was on the way to the page of connections and is over, or another browser's, sends people back to where
// they came from, not to an app they do not have.
func TestConnections_signInOver(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	w, other := b.NewBrowser(t), b.NewBrowser(t)
	w.Open(t, "/connections/sign-in")
	at := w.URL.RequestURI()
	if other.Open(t, at); other.Page.Status != http.StatusForbidden || !other.Page.Contains("or at your connections") {
		t.Errorf("in another browser: %d\n%s", other.Page.Status, other.Page.Body)
	}
	b.Clock.Advance(11 * time.Minute)
	if w.Open(t, at); w.Page.Status != http.StatusGone || !w.Page.Contains("or at your connections") {
		t.Errorf("eleven minutes later: %d\n%s", w.Page.Status, w.Page.Body)
	}
}
