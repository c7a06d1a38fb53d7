package bridgetest

import (
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Browser is a person's browser: it keeps cookies, follows redirects on the bridge, fills forms
// in the way browsers do, and stops where it would leave the bridge.
type Browser struct {
	b    *Bridge
	jar  http.CookieJar
	Page Answer   // the page it shows
	URL  *url.URL // its address
	Left string   // the foreign URL it was sent to, or ""
}

// NewBrowser opens a browser without cookies.
func (b *Bridge) NewBrowser(t *testing.T) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{b: b, jar: jar}
}

// Open goes to a path of the bridge.
func (w *Browser) Open(t *testing.T, path string) *Browser {
	t.Helper()
	return w.send(t, w.b.Request(t, http.MethodGet, path, ""))
}

// Submit sends the page's form that posts to action, with its hidden and ticked fields, after
// edit changed them; button is the name and value of the button pressed, or "".
func (w *Browser) Submit(t *testing.T, action string, edit func(url.Values), header ...string) *Browser {
	t.Helper()
	form, ok := w.form(action)
	if !ok {
		t.Fatalf("no form for %s on %s (%d):\n%s", action, w.URL, w.Page.Status, w.Page.Body)
	}
	if edit != nil {
		edit(form)
	}
	header = append([]string{"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin", "Origin", "null"}, header...)
	return w.send(t, w.b.Request(t, http.MethodPost, action, form.Encode(), header...))
}

// Follow follows the page's link with that text in it.
func (w *Browser) Follow(t *testing.T, text string) *Browser {
	t.Helper()
	link := LinkIn(w.Page.Body, text)
	if link == "" {
		t.Fatalf("no link %q on %s (%d):\n%s", text, w.URL, w.Page.Status, w.Page.Body)
	}
	return w.Open(t, link)
}

// LinkIn is where the link with that text on a page leads, or "".
func LinkIn(page, text string) string {
	for _, link := range linkTag.FindAllStringSubmatch(page, -1) {
		if strings.Contains(html.UnescapeString(link[2]), text) {
			return html.UnescapeString(link[1])
		}
	}
	return ""
}

// Form returns the fields that Submit would send.
func (w *Browser) Form(t *testing.T, action string) url.Values {
	t.Helper()
	form, ok := w.form(action)
	if !ok {
		t.Fatalf("no form for %s on %s:\n%s", action, w.URL, w.Page.Body)
	}
	return form
}

// Keep takes the cookies of an answer that somebody else got for the browser.
func (w *Browser) Keep(answer Answer) {
	u, _ := url.Parse(w.b.URL + "/")
	res := http.Response{Header: answer.Header}
	w.jar.SetCookies(u, res.Cookies())
}

// Cookies are what the browser would send to the bridge.
func (w *Browser) Cookies() []*http.Cookie {
	u, _ := url.Parse(w.b.URL + "/")
	return w.jar.Cookies(u)
}

func (w *Browser) send(t *testing.T, req *http.Request) *Browser {
	t.Helper()
	for range 10 {
		for _, cookie := range w.jar.Cookies(req.URL) {
			req.AddCookie(cookie)
			w.b.Secret(cookie.Value)
		}
		w.Page, w.URL = w.b.Do(t, req), req.URL
		w.Keep(w.Page)
		location := w.Page.Header.Get("Location")
		if location == "" {
			w.Left = w.refresh()
			return w
		}
		next, err := req.URL.Parse(location)
		if err != nil {
			t.Fatalf("Location %q: %v", location, err)
		}
		if next.Host != req.URL.Host || next.Scheme != req.URL.Scheme {
			w.Left = next.String()
			return w
		}
		req = w.b.Request(t, http.MethodGet, next.RequestURI(), "")
	}
	t.Fatalf("too many redirects, last at %s", w.URL)
	return nil
}

var (
	formTag   = regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`)
	inputTag  = regexp.MustCompile(`(?is)<input\b([^>]*)>`)
	attribute = regexp.MustCompile(`(?is)([a-z-]+)(?:\s*=\s*"([^"]*)")?`)
	linkTag   = regexp.MustCompile(`(?is)<a\b[^>]*\bhref="(/[^"]*)"[^>]*>(.*?)</a>`)
	refreshTo = regexp.MustCompile(`(?is)<meta\s+http-equiv="refresh"\s+content="0;\s*url=([^"]*)"`)
)

func (w *Browser) refresh() string { return SentOn(w.Page.Body) }

func (w *Browser) form(action string) (url.Values, bool) { return FormIn(w.Page.Body, action) }

// SentOn is where a page sends the browser by itself.
func SentOn(page string) string {
	if found := refreshTo.FindStringSubmatch(page); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

// FormIn returns the hidden and ticked fields of the form on a page that posts to action.
func FormIn(page, action string) (url.Values, bool) {
	for _, form := range formTag.FindAllStringSubmatch(page, -1) {
		attrs := attributes(form[1])
		if target, _, _ := strings.Cut(attrs["action"], "?"); target != action || !strings.EqualFold(attrs["method"], "post") {
			continue
		}
		fields := url.Values{}
		for _, input := range inputTag.FindAllStringSubmatch(form[2], -1) {
			field := attributes(input[1])
			_, ticked := field["checked"]
			if kind := field["type"]; field["name"] == "" || kind == "submit" || (kind == "checkbox" || kind == "radio") && !ticked {
				continue
			}
			fields.Add(field["name"], field["value"])
		}
		return fields, true
	}
	return nil, false
}

func attributes(tag string) map[string]string {
	attrs := map[string]string{}
	for _, found := range attribute.FindAllStringSubmatch(tag, -1) {
		attrs[strings.ToLower(found[1])] = html.UnescapeString(found[2])
	}
	return attrs
}
