package protocol_test

import (
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

const alice = "alice@example.com"

// The success redirect carries exactly code, state and iss, each once (AS-045, AZ-38), after a 303
// to a page of our own origin (AS-049, CO-24).
func TestFlow_success(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	query := b.Query(client)
	query.Set("state", "a+b%20&=é/\u2603")
	w := b.NewBrowser(t)
	b.SignIn(t, w, query, b.Someone())
	got := b.Decide(t, w, "approve")
	if len(got) != 3 || len(got["code"]) != 1 || len(got["iss"]) != 1 || got.Get("iss") != b.URL || got.Get("state") != query.Get("state") {
		t.Errorf("answer %v", got)
	}
	if len(got.Get("code")) < 43 {
		t.Errorf("AS-053: code of %d characters", len(got.Get("code")))
	}
	if w.Page.Status != http.StatusOK || w.URL.Path != "/consent/done" || w.Page.Header.Get("Cache-Control") != "no-store" ||
		w.Page.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("AZ-47, I11: the last page is %d at %s with %v", w.Page.Status, w.URL, w.Page.Header)
	}
}

// CO-12, AS-138: a denial goes back once, with state and iss, and nothing is left.
func TestFlow_CO12_denied(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	w := b.NewBrowser(t)
	b.SignIn(t, w, b.Query(client), b.Someone())
	form := w.Form(t, "/consent")
	got := b.Decide(t, w, "deny")
	if got.Get("error") != "access_denied" || got.Get("state") != "state-value" || got.Get("iss") != b.URL || got.Has("code") {
		t.Errorf("answer %v", got)
	}
	form.Set("decision", "approve")
	if answer := post(t, b, w, "/consent", form); answer.Status != http.StatusGone && answer.Status != http.StatusForbidden {
		t.Errorf("approving afterwards: %d", answer.Status)
	}
	if keys := b.Trinity.Keys(); len(keys) != 0 {
		t.Errorf("a denied flow minted %v", keys)
	}
	wait(t, func() bool { return b.Trinity.LiveJWTs() == 0 }, "the Trinity session is logged out")
}

// post sends a form with the browser's cookies, as our own page would.
func post(t *testing.T, b *bridgetest.Bridge, w *bridgetest.Browser, path string, form url.Values, header ...string) bridgetest.Answer {
	t.Helper()
	if len(header) == 0 {
		header = []string{"Sec-Fetch-Site", "same-origin", "Origin", "null"}
	}
	req := b.Request(t, http.MethodPost, path, form.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
	for _, cookie := range w.Cookies() {
		req.AddCookie(cookie)
	}
	return b.Do(t, req)
}

// CO-01…CO-05, FB-02, CO-09: a decision is taken from our own page in the flow's own browser only.
func TestConsent_forgeries(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	same := []string{"Sec-Fetch-Site", "same-origin", "Origin", "null"}
	tests := []struct {
		id     string
		edit   func(url.Values)
		header []string
		want   int
	}{
		{"CO-01, AS-134/no ticket", del("ticket"), same, http.StatusForbidden},
		{"CO-01/wrong ticket", set("ticket", strings.Repeat("A", 43)), same, http.StatusForbidden},
		{"CO-05/cross-site", nil, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, http.StatusForbidden},
		{"CO-05/same-site", nil, []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{"CO-05/foreign origin", nil, []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{"CO-05/null origin alone", nil, []string{"Origin", "null"}, http.StatusForbidden},
		{"CO-05/two origins", nil, []string{"Origin", b.URL, "Origin", b.URL}, http.StatusForbidden},
		{"I12/no flow", del("flow"), same, http.StatusGone},
		{"I12/no decision", del("decision"), same, http.StatusBadRequest},
		{"CO-12/unknown decision", set("decision", "maybe"), same, http.StatusBadRequest},
		{"I12/no scope", del("scope"), same, http.StatusBadRequest},
		{"CO-19/foreign scope", add("scope", "trinity:everything"), same, http.StatusBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			w := b.NewBrowser(t)
			b.SignIn(t, w, b.Query(client), b.Someone())
			form := w.Form(t, "/consent")
			form.Set("decision", "approve")
			good := cloneValues(form)
			if tt.edit != nil {
				tt.edit(form)
			}
			if answer := post(t, b, w, "/consent", form, tt.header...); answer.Status != tt.want || answer.Header.Get("Location") != "" {
				t.Errorf("status %d, Location %q, want %d", answer.Status, answer.Header.Get("Location"), tt.want)
			}
			if answer := post(t, b, w, "/consent", good); answer.Status != http.StatusSeeOther {
				t.Errorf("the flow was hurt: %d", answer.Status)
			}
		})
	}
	t.Run("CO-04", func(t *testing.T) {
		t.Parallel()
		w := b.NewBrowser(t)
		b.SignIn(t, w, b.Query(client), b.Someone())
		form := w.Form(t, "/consent")
		form.Set("decision", "approve")
		for kind, want := range map[string]int{"application/json": 415, "text/plain": 415, "multipart/form-data": 415, "": 415} {
			req := b.Request(t, http.MethodPost, "/consent", form.Encode(), "Sec-Fetch-Site", "same-origin", "Content-Type", kind)
			for _, cookie := range w.Cookies() {
				req.AddCookie(cookie)
			}
			if answer := b.Do(t, req); answer.Status != want {
				t.Errorf("content type %q: %d", kind, answer.Status)
			}
		}
		if answer := b.Get(t, "/consent?"+form.Encode()); answer.Status < 400 {
			t.Errorf("approving by GET: %d", answer.Status)
		}
	})
	t.Run("CO-09, FB-02, GW-61/another browser", func(t *testing.T) {
		t.Parallel()
		w, other := b.NewBrowser(t), b.NewBrowser(t)
		b.SignIn(t, w, b.Query(client), b.Someone())
		form := w.Form(t, "/consent")
		form.Set("decision", "approve")
		if answer := post(t, b, other, "/consent", form); answer.Status != http.StatusForbidden {
			t.Errorf("approving elsewhere: %d", answer.Status)
		}
		if other.Open(t, w.URL.RequestURI()); other.Page.Status != http.StatusForbidden || other.Page.Contains("person-") {
			t.Errorf("opening elsewhere: %d", other.Page.Status)
		}
		other.Open(t, "/oauth/authorize?"+b.Query(client).Encode()) // a cookie of its own flow is no help
		if answer := post(t, b, other, "/consent", form); answer.Status != http.StatusForbidden {
			t.Errorf("FB-05: with the cookie of another flow: %d", answer.Status)
		}
	})
	t.Run("CO-01/ticket of another flow", func(t *testing.T) {
		t.Parallel()
		w := b.NewBrowser(t)
		b.SignIn(t, w, b.Query(client), b.Someone())
		first := w.Form(t, "/consent")
		b.SignIn(t, w, b.Query(client), b.Someone())
		second := w.Form(t, "/consent")
		second.Set("ticket", first.Get("ticket"))
		second.Set("decision", "approve")
		if answer := post(t, b, w, "/consent", second); answer.Status != http.StatusForbidden {
			t.Errorf("status %d", answer.Status)
		}
	})
}

func cloneValues(values url.Values) url.Values {
	clone, _ := url.ParseQuery(values.Encode())
	return clone
}

// AZ-44, CO-12: back, reload and a second click come to nothing, and to no second code.
func TestFlow_AZ44_usedOnce(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	w := b.NewBrowser(t)
	b.SignIn(t, w, b.Query(client), b.Someone())
	form := w.Form(t, "/consent")
	form.Set("decision", "approve")
	onward := w
	b.Decide(t, onward, "approve")
	again := post(t, b, w, "/consent", form)
	if again.Status < 400 || again.Header.Get("Location") != "" {
		t.Errorf("second click: %d %q", again.Status, again.Header.Get("Location"))
	}
	done := b.NewBrowser(t)
	_ = done
	if reload := w.Open(t, w.URL.RequestURI()); reload.Page.Status < 400 || reload.Left != "" || strings.Contains(reload.Page.Body, "code=") {
		t.Errorf("reload: %d, sent to %q", reload.Page.Status, reload.Left)
	}
	live := 0
	for _, key := range b.Trinity.Keys() {
		if key.Active {
			live++
		}
	}
	if live != 1 {
		t.Errorf("%d live keys after one approval", live)
	}
}

// AZ-45, FB-05: two flows in one browser end each with its own client and state, in any order.
func TestFlow_AZ45_parallel(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	one, two := b.Register(t), b.Register(t, "https://two.example.com/cb")
	w := b.NewBrowser(t)
	queryOne, queryTwo := b.Query(one), b.Query(two)
	queryOne.Set("state", "one")
	queryTwo.Set("state", "two")
	b.SignIn(t, w, queryOne, b.Someone())
	first := *w
	b.SignIn(t, w, queryTwo, "bob@example.com")
	if got := b.Decide(t, w, "approve"); got.Get("state") != "two" || !strings.HasPrefix(w.Left, "https://two.example.com/cb?") {
		t.Errorf("second flow: %s", w.Left)
	}
	if got := b.Decide(t, &first, "approve"); got.Get("state") != "one" || !strings.HasPrefix(first.Left, bridgetest.Redirect+"?") {
		t.Errorf("first flow: %s", first.Left)
	}
}

// CO-21: the page of one person cannot be sent once another has signed in to the flow.
func TestConsent_CO21_sessionSwap(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	w := b.NewBrowser(t)
	b.SignIn(t, w, b.Query(client), b.Someone())
	form := w.Form(t, "/consent")
	form.Set("decision", "approve")
	b.Clock.Advance(11 * time.Minute)
	if answer := post(t, b, w, "/consent", form); answer.Status != http.StatusGone {
		t.Errorf("after the flow's time: %d", answer.Status)
	}
}

// CO-22: the consent page says the seven things.
func TestConsent_CO22_says(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.RegisterAs(t, map[string]any{
		"client_name": `Claude <script>alert(1)</script>`, "redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "none",
	})
	w := b.NewBrowser(t)
	b.SignIn(t, w, b.Query(client), alice)
	for what, part := range map[string]string{
		"client host": "app.example.com", "account": alice, "resource": b.MCP, "key to revoke": "trinity-bridge:", "scope read": "trinity:read",
		"scope write": "trinity:write",
	} {
		if !w.Page.Contains(part) {
			t.Errorf("%s (%q) is missing:\n%s", what, part, w.Page.Body)
		}
	}
	if strings.Contains(w.Page.Body, "<script") {
		t.Error("CO-14: markup of the client's name is in the page")
	}
	csp := w.Page.Header.Get("Content-Security-Policy")
	for _, directive := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, directive) {
			t.Errorf("AS-050, AS-051: CSP %q lacks %q", csp, directive)
		}
	}
}

// The key that the consent page names is the one that is made, however long the answer takes and however often the page
// is shown; it is named after the grant, whose id says when the person signed in.
func TestConsent_namesTheKey(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	w := b.NewBrowser(t)
	signedIn := b.Clock.Now()
	b.SignIn(t, w, b.Query(b.Register(t)), alice)
	first := w.Page.Body
	b.Clock.Advance(3 * time.Minute)
	w.Submit(t, "/consent", func(form url.Values) { form.Set("decision", "neither") })
	again := w.Page.Body
	b.Decide(t, w, "approve")
	grants, err := bridgetest.All(app.ListGrants(t.Context(), b.Data, "", ""))
	if err != nil || len(grants) != 1 {
		t.Fatal(grants, err)
	}
	grant, keys := grants[0], b.Trinity.Keys()
	if !strings.Contains(first, grant.KeyName) || !strings.Contains(again, grant.KeyName) || len(keys) != 1 || keys[0].Name != grant.KeyName {
		t.Errorf("the key is %q, Trinity has %v, and the page was\n%s\n%s", grant.KeyName, keys, first, again)
	}
	raw := bridge.BytesOf(grant.ID)
	if len(raw) != bridge.GrantIDBytes || !strings.Contains(grant.KeyName, ":"+grant.ID+"@") || !grant.CreatedAt.Equal(signedIn) ||
		binary.BigEndian.Uint64(append(make([]byte, 2), raw...)) != uint64(signedIn.UnixMilli()) {
		t.Errorf("the grant is %s of %s, its key %s", grant.ID, grant.CreatedAt, grant.KeyName)
	}
}

// AS-136, CO-07: a second request shows what is new since the first yes; it never skips the page (CO-08, AZ-41).
func TestConsent_AS136_rememberedButAsked(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	b.Connect(t, client, alice)
	w := b.NewBrowser(t)
	query := b.Query(client)
	query.Set("scope", "trinity:read trinity:write trinity:admin")
	b.SignIn(t, w, query, alice)
	if w.URL.Path != "/consent" || !w.Page.Contains(b.Clock.Now().UTC().Format(time.DateOnly)) {
		t.Errorf("the page does not tell of the earlier yes:\n%s", w.Page.Body)
	}
	if scopes := w.Form(t, "/consent")["scope"]; strings.Join(scopes, " ") != "trinity:read trinity:write trinity:admin" {
		t.Errorf("ticked scopes %v", scopes)
	}
}

// The person may allow less than was asked, or tick admin by themselves (decision 7).
func TestConsent_scopesAreThePersons(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	for want, scopes := range map[string][]string{
		"trinity:read": {"trinity:read"},
		"trinity:read trinity:write trinity:admin": {"trinity:read", "trinity:write", "trinity:admin"},
	} {
		w := b.NewBrowser(t)
		b.SignIn(t, w, b.Query(client), b.Someone())
		w.Submit(t, "/consent", func(form url.Values) { form["scope"] = scopes; form.Set("decision", "approve") })
		left, err := url.Parse(w.Left)
		if err != nil {
			t.Fatal(err)
		}
		tokens := b.Token(t, b.RedeemForm(client, left.Query().Get("code")))
		if tokens.Scope != want {
			t.Errorf("AS-061: scope %q, want %q", tokens.Scope, want)
		}
	}
}

// wait waits for what happens behind.
func wait(t *testing.T, done func() bool, what string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen: %s", what)
		}
	}
}
