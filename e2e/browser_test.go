//go:build e2e

package e2e

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// A browser fills in HTML forms without a script engine: cookies, redirects, meta refresh, and the request headers
// by which a server tells a person's own click from another site's.
type browser struct {
	client *http.Client
	at     *url.URL // the page shown
	quiet  bool     // the page shown has the referrer policy no-referrer
	pages  []page   // every page that was shown
}

// A page is what came back from one navigation, redirects followed.
type page struct {
	url    *url.URL
	status int
	header http.Header
	body   string
	forms  []form
	next   string // where a meta refresh sends the browser, "" for nowhere
}

// A form is an HTML form with what a browser would submit.
type form struct {
	action, method string
	hidden         url.Values // inputs of type hidden, and boxes that are ticked
	fields         []string   // the names a person fills in
	buttons        []button
}

type button struct{ name, value string }

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatalf("cookie jar: %v", err)
	}
	return &browser{client: &http.Client{Jar: jar, Timeout: programtest.HTTPClient.Timeout, CheckRedirect: programtest.HTTPClient.CheckRedirect}}
}

// open goes to a URL as from the address bar or, once a page is shown, as from that page.
func (b *browser) open(t *testing.T, target string) page {
	t.Helper()
	return b.navigate(t, http.MethodGet, target, nil)
}

// submit fills a form of the page shown in and presses the button with the given name and value, or Enter when
// name is "".
func (b *browser) submit(t *testing.T, f form, filled url.Values, pressed button) page {
	t.Helper()
	values := url.Values{}
	for name, all := range f.hidden {
		values[name] = slices.Clone(all)
	}
	for name, all := range filled {
		if !slices.Contains(f.fields, name) {
			t.Fatalf("%s has no field %q, only %q", b.at.Path, name, f.fields)
		}
		values[name] = all
	}
	if pressed.name != "" {
		if !slices.Contains(f.buttons, pressed) {
			t.Fatalf("%s has no button %v, only %v", b.at.Path, pressed, f.buttons)
		}
		values.Set(pressed.name, pressed.value)
	}
	action, err := b.at.Parse(f.action)
	if err != nil {
		t.Fatalf("form action %q: %v", f.action, err)
	}
	if f.method != http.MethodPost {
		action.RawQuery = values.Encode()
		return b.navigate(t, http.MethodGet, action.String(), nil)
	}
	return b.navigate(t, http.MethodPost, action.String(), values)
}

// navigate follows redirects by hand, so that each hop carries the headers a browser sends.
func (b *browser) navigate(t *testing.T, method, target string, values url.Values) page {
	t.Helper()
	from := b.at
	for range 10 {
		to, err := url.Parse(target)
		if err != nil {
			t.Fatalf("URL %q: %v", target, err)
		}
		request, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(values.Encode()))
		if err != nil {
			t.Fatalf("request to %s: %v", target, err)
		}
		b.setHeaders(request, from)
		response, err := b.client.Do(request)
		if err != nil {
			t.Fatalf("browser: %v", err)
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		response.Body.Close()
		if err != nil {
			t.Fatalf("browser: reading %s: %v", to.Path, err)
		}
		if location := response.Header.Get("Location"); location != "" {
			next, err := to.Parse(location)
			if err != nil {
				t.Fatalf("Location %q: %v", location, err)
			}
			method, target, values = http.MethodGet, next.String(), nil // 302 and 303 alike, as browsers do
			continue
		}
		shown := page{url: to, status: response.StatusCode, header: response.Header, body: string(body)}
		if strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
			shown.read(t)
		}
		b.at, b.quiet = to, shown.header.Get("Referrer-Policy") == "no-referrer"
		b.pages = append(b.pages, shown)
		return shown
	}
	t.Fatalf("browser: more than ten redirects, the last to %s", target)
	return page{}
}

// setHeaders says where a request comes from, as the Fetch standard wants it.
func (b *browser) setHeaders(request *http.Request, from *url.URL) {
	h := request.Header
	h.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	h.Set("Accept-Language", "en-US,en;q=0.9")
	h.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) e2e")
	h.Set("Sec-Fetch-Dest", "document")
	h.Set("Sec-Fetch-Mode", "navigate")
	h.Set("Sec-Fetch-User", "?1")
	switch {
	case from == nil:
		h.Set("Sec-Fetch-Site", "none")
	case from.Scheme == request.URL.Scheme && from.Host == request.URL.Host:
		h.Set("Sec-Fetch-Site", "same-origin")
	default:
		h.Set("Sec-Fetch-Site", "cross-site")
	}
	if request.Method == http.MethodPost {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
		h.Set("Origin", from.Scheme+"://"+from.Host)
		if b.quiet {
			// A page with the policy no-referrer hides its origin from its own forms too: Chromium sends this.
			h.Set("Origin", "null")
		}
	}
}

// form finds the form in which a person fills in the field, or presses a button of that name.
func (p page) form(t *testing.T, name string) form {
	t.Helper()
	for _, f := range p.forms {
		named := func(b button) bool { return b.name == name }
		if slices.Contains(f.fields, name) || slices.ContainsFunc(f.buttons, named) {
			return f
		}
	}
	t.Fatalf("%s (%d) asks for no %q:\n%s", p.url.Path, p.status, name, p.body)
	return form{}
}

// raw matches what an HTML reader must not look for tags in.
var raw = regexp.MustCompile(`(?is)<(script|style)\b.*?</(script|style)\s*>`)

var refresh = regexp.MustCompile(`(?i)^\s*[0-9.]+\s*[;,]\s*url\s*=\s*['"]?([^'"]*)['"]?\s*$`)

// read collects the forms and the meta refresh of an HTML page.
func (p *page) read(t *testing.T) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(raw.ReplaceAllString(p.body, "")))
	d.Strict, d.Entity = false, xml.HTMLEntity
	var open *form
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s is no HTML that this browser reads: %v\n%s", p.url.Path, err, p.body)
		}
		switch tag := token.(type) {
		case xml.EndElement:
			if strings.EqualFold(tag.Name.Local, "form") && open != nil {
				p.forms = append(p.forms, *open)
				open = nil
			}
		case xml.StartElement:
			a := attributes(tag)
			switch strings.ToLower(tag.Name.Local) {
			case "meta":
				if found := refresh.FindStringSubmatch(a["content"]); found != nil && strings.EqualFold(a["http-equiv"], "refresh") {
					p.next = found[1]
				}
			case "form":
				open = &form{action: a["action"], method: strings.ToUpper(a["method"]), hidden: url.Values{}}
			case "input", "button":
				if open != nil {
					open.add(strings.ToLower(tag.Name.Local), a)
				}
			}
		}
	}
}

func attributes(tag xml.StartElement) map[string]string {
	a := map[string]string{}
	for _, attr := range tag.Attr {
		a[strings.ToLower(attr.Name.Local)] = attr.Value
	}
	return a
}

// add files an input or button under what a browser would do with it.
func (f *form) add(element string, a map[string]string) {
	kind := strings.ToLower(a["type"])
	_, disabled := a["disabled"]
	_, ticked := a["checked"]
	value, hasValue := a["value"]
	if !hasValue {
		value = "on"
	}
	switch {
	case disabled:
	case element == "button" && kind != "button" && kind != "reset", kind == "submit":
		f.buttons = append(f.buttons, button{a["name"], a["value"]})
	case element == "button" || kind == "button" || kind == "reset" || a["name"] == "":
	case kind == "hidden":
		f.hidden.Add(a["name"], a["value"])
	case kind == "checkbox" || kind == "radio":
		if ticked {
			f.hidden.Add(a["name"], value)
		}
	default:
		f.fields = append(f.fields, a["name"])
		if a["value"] != "" {
			f.hidden.Set(a["name"], a["value"]) // prefilled
		}
	}
}
