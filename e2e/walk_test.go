//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// signIn takes a person through sign-in and consent with forms alone and ends at the client's redirect URI. It gives
// back what the client was sent there.
func signIn(t *testing.T, b *bridge, authorizeURL, redirectURL string, secrets canaries) url.Values {
	t.Helper()
	web, onward := allow(t, b, authorizeURL, redirectURL, secrets)
	return arrive(t, b, web, onward, secrets)
}

// allow is signIn up to the page after the decision, which sends the browser onward to the client.
func allow(t *testing.T, b *bridge, authorizeURL, redirectURL string, secrets canaries) (web *browser, onward string) {
	t.Helper()
	web = newBrowser(t)
	mailbox := web.open(t, authorizeURL)
	asksCode := web.submit(t, mailbox.form(t, "email"), url.Values{"email": {programtest.Alice}}, button{})
	code := b.NextCode(t)
	secrets.add(t, emailCode, code)
	consent := web.submit(t, asksCode.form(t, "code"), url.Values{"code": {code}}, button{})
	sendsOn := web.submit(t, consent.form(t, "decision"), nil, button{"decision", "approve"})

	for _, p := range web.pages {
		wantSafePage(t, b, p)
		secrets.wantAbsent(t, "the page "+p.url.Path, []byte(p.body))
	}
	if !strings.HasPrefix(sendsOn.next, redirectURL+"?") {
		t.Fatalf("the page after the decision sends the browser to %q, not to %s:\n%s", sendsOn.next, redirectURL, sendsOn.body)
	}
	return web, sendsOn.next
}

// arrive brings the browser to the client and gives back what the client was sent.
func arrive(t *testing.T, b *bridge, web *browser, onward string, secrets canaries) url.Values {
	t.Helper()
	back := web.open(t, onward)
	if back.status != http.StatusOK {
		t.Fatalf("the client answered its redirect with %d:\n%s", back.status, back.body)
	}
	sent := back.url.Query()
	secrets.add(t, "authorization code", sent.Get("code"))
	if got := sent.Get("iss"); got != b.Origin {
		t.Errorf("iss = %q, want %q (RFC 9207)", got, b.Origin)
	}
	return sent
}

// wantSafePage checks what every page a person sees must carry (AS-050, AS-051, AZ-47).
func wantSafePage(t *testing.T, b *bridge, p page) {
	t.Helper()
	if got := p.url.Scheme + "://" + p.url.Host; got != b.Origin || p.status != http.StatusOK {
		t.Errorf("page %s%s answered %d", got, p.url.Path, p.status)
	}
	for name, want := range map[string]string{
		"Cache-Control":           "no-store",
		"Content-Security-Policy": "frame-ancestors 'none'",
		"Referrer-Policy":         "no-referrer",
		"X-Content-Type-Options":  "nosniff",
		"X-Frame-Options":         "DENY",
	} {
		if got := p.header.Get(name); !strings.Contains(got, want) {
			t.Errorf("page %s: %s is %q, want %q in it", p.url.Path, name, got, want)
		}
	}
}

// signInWithChromium does the same in a real browser, deciding as told, and leaves pictures of every page whose names
// begin with prefix; none when prefix is "".
func signInWithChromium(t *testing.T, b *bridge, authorizeURL, redirectURL, decision, prefix string, secrets canaries) {
	t.Helper()
	pictures, err := filepath.Abs(screenshotDir)
	if err != nil {
		t.Fatal(err)
	}
	web := startNode(t, "chromium.mjs", nil, map[string]string{
		"executable": chromium(t), "url": authorizeURL, "email": programtest.Alice, "decision": decision,
		"redirectUrl": redirectURL, "screenshots": pictures, "prefix": prefix,
	})
	programtest.AwaitEvent[struct{}](t, web, "code_wanted")
	code := b.NextCode(t)
	secrets.add(t, emailCode, code)
	web.WriteLine(t, code)
	programtest.AwaitEvent[struct{}](t, web, "done")

	wantGoodPages(t, web, secrets)
	wantOwnOriginOnly(t, web, b.Origin, redirectURL)
	wantGuardedCookies(t, web)
	if prefix != "" {
		wantPictures(t, filepath.Join(pictures, prefix))
	}
}

func wantPictures(t *testing.T, prefix string) {
	t.Helper()
	for _, name := range []string{"sign-in", "code", "consent"} {
		for _, variant := range []string{"phone-light", "phone-dark", "desktop-light", "desktop-dark"} {
			picture := prefix + "-" + name + "-" + variant + ".png"
			if info, err := os.Stat(picture); err != nil || info.Size() == 0 {
				t.Errorf("no picture %s: %v", filepath.Base(picture), err)
			}
		}
	}
}

// wantGoodPages checks what Chromium read off the pages.
func wantGoodPages(t *testing.T, web *programtest.Program, secrets canaries) {
	t.Helper()
	type shown struct {
		Name, Title, Lang, Text, HTML string
		Overflow                      int
		Unlabelled                    []string
	}
	pages := programtest.EventsSoFar[shown](t, web, "page")
	if len(pages) != 3 {
		t.Errorf("Chromium saw %d pages, want sign-in, code and consent", len(pages))
	}
	for _, p := range pages {
		if p.Title == "" || p.Lang == "" {
			t.Errorf("%s page: title %q, language %q", p.Name, p.Title, p.Lang)
		}
		if p.Overflow > 0 {
			t.Errorf("%s page: %d pixels too wide at a width of 320", p.Name, p.Overflow)
		}
		if len(p.Unlabelled) > 0 {
			t.Errorf("%s page: no label on %q", p.Name, p.Unlabelled)
		}
		secrets.wantAbsent(t, "the "+p.Name+" page", []byte(p.Text+p.HTML))
	}
	for _, complaint := range programtest.EventsSoFar[struct{ Type, Text string }](t, web, "console") {
		t.Errorf("Chromium's console: %s: %s", complaint.Type, complaint.Text)
	}
}

// wantOwnOriginOnly checks that pages loaded nothing from elsewhere and that the way out was one 200 page of our own
// (a redirect straight from the form would need a wider form-action).
func wantOwnOriginOnly(t *testing.T, web *programtest.Program, origin, redirectURL string) {
	t.Helper()
	type response struct {
		Method, Origin, Path string
		Status               int
		Document             bool
	}
	var before response // the document shown last
	for _, r := range programtest.EventsSoFar[response](t, web, "response") {
		client := r.Document && strings.HasPrefix(redirectURL, r.Origin+r.Path)
		switch {
		case r.Origin != origin && !client:
			t.Errorf("Chromium asked %s %s%s", r.Method, r.Origin, r.Path)
		case r.Status >= http.StatusBadRequest:
			t.Errorf("Chromium got %d from %s%s", r.Status, r.Origin, r.Path)
		}
		if client && (before.Origin != origin || before.Status != http.StatusOK) {
			t.Errorf("the browser came to the client from %s%s (%d), not from a page of the bridge", before.Origin, before.Path, before.Status)
		}
		if r.Document {
			before = r
		}
	}
	if !strings.HasPrefix(redirectURL, before.Origin) {
		t.Errorf("Chromium ended at %s%s", before.Origin, before.Path)
	}
}

// wantGuardedCookies checks that no script and no other site can use the browser's cookies.
func wantGuardedCookies(t *testing.T, web *programtest.Program) {
	t.Helper()
	type cookies struct {
		Cookies []struct {
			Name, SameSite string
			HTTPOnly       bool
		}
	}
	seen := programtest.TheEvent[cookies](t, web, "cookies")
	if len(seen.Cookies) == 0 {
		t.Error("the flow is not bound to the browser: there is no cookie")
	}
	for _, c := range seen.Cookies {
		if !c.HTTPOnly || (c.SameSite != "Lax" && c.SameSite != "Strict") {
			t.Errorf("cookie %s: HttpOnly %v, SameSite %q", c.Name, c.HTTPOnly, c.SameSite)
		}
	}
}
