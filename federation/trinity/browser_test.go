package trinity_test

import (
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/flow"
)

// browser is one browser with one flow.
type browser struct {
	b      *bench
	client *http.Client
	remote string
	flow   string
}

// begin opens a browser and begins a flow in it.
func (b *bench) begin() *browser {
	b.t.Helper()
	jar, err := cookiejar.New(nil)
	b.must(err)
	w := &browser{b: b, remote: browserHome, client: &http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	w.flow = w.get("/begin").body
	return w
}

// reply is an answer as a browser sees it.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

func (w *browser) get(path string) reply {
	w.b.t.Helper()
	if w.flow != "" {
		path += "?flow=" + w.flow
	}
	req, err := http.NewRequestWithContext(w.b.t.Context(), http.MethodGet, w.b.url+path, nil)
	w.b.must(err)
	return w.do(req)
}

func (w *browser) post(path string, form url.Values, header ...string) reply {
	w.b.t.Helper()
	req, err := http.NewRequestWithContext(w.b.t.Context(), http.MethodPost, w.b.url+path, strings.NewReader(form.Encode()))
	w.b.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return w.do(req)
}

func (w *browser) do(req *http.Request) reply {
	w.b.t.Helper()
	req.Header.Set("Test-Remote-Addr", w.remote)
	res, err := w.client.Do(req)
	w.b.must(err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	w.b.must(err)
	return reply{t: w.b.t, status: res.StatusCode, header: res.Header, body: string(body)}
}

var ticketField = regexp.MustCompile(`name="ticket" value="([^"]+)"`)

// ticket reads the anti-forgery value off the page at path.
func (w *browser) ticket(path string) string {
	w.b.t.Helper()
	page := w.get(path)
	found := ticketField.FindStringSubmatch(page.body)
	if page.status != http.StatusOK || found == nil {
		w.b.t.Fatalf("%s: status %d without a form", path, page.status)
	}
	return found[1]
}

func (w *browser) form(page string, fields ...string) url.Values {
	w.b.t.Helper()
	form := url.Values{"flow": {w.flow}, "ticket": {w.ticket(page)}}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return form
}

// name posts the mailbox form.
func (w *browser) name(mailbox string) reply {
	w.b.t.Helper()
	got := w.post(flow.PathSignIn, w.form(flow.PathSignIn, "email", mailbox))
	w.b.signIn.Wait()
	return got
}

// code posts the code form.
func (w *browser) code(code string) reply {
	w.b.t.Helper()
	return w.post(flow.PathCode, w.form(flow.PathCode, "code", code))
}

// factor posts the second-factor form.
func (w *browser) factor(code string) reply {
	w.b.t.Helper()
	return w.post(flow.PathSecondFactor, w.form(flow.PathSecondFactor, "code", code))
}

// signedIn is a browser whose flow waits for consent.
func (b *bench) signedIn(mailbox string) (*browser, bridge.Flow) {
	b.t.Helper()
	w := b.begin()
	w.name(mailbox).wantOnward(flow.PathCode, w.flow)
	w.code(b.trinity.LastCode(mailbox)).wantOnward(flow.PathConsent, w.flow)
	return w, b.wantStep(w.flow, bridge.StepConsent)
}

// wrongCode is none of the live codes of the mailbox.
func (b *bench) wrongCode(mailbox string) string {
	if b.trinity.LastCode(mailbox) == "000001" {
		return "000002"
	}
	return "000001"
}

// wantOnward checks a 303 to a page of our own, with nothing but the flow's id in its address
// (OT-15, OT-16).
func (r reply) wantOnward(path, flowID string) {
	r.t.Helper()
	want := path + "?flow=" + flowID
	if r.status != http.StatusSeeOther || r.header.Get("Location") != want {
		r.t.Fatalf("got %d to %q, want 303 to %q\n%s", r.status, r.header.Get("Location"), want, r.body)
	}
	if r.header.Get("Cache-Control") != "no-store" {
		r.t.Error("a step's redirect may be cached")
	}
}

// wantPage checks status and the sentence of a notice ("" for none) of a page with a form.
func (r reply) wantPage(status int, notice string) {
	r.t.Helper()
	if r.status != status {
		r.t.Errorf("status %d, want %d", r.status, status)
	}
	if r.header.Get("Location") != "" {
		r.t.Errorf("a page sends on to %q", r.header.Get("Location"))
	}
	shown, want := "", ""
	if found := noticeText.FindStringSubmatch(r.body); found != nil {
		shown = html.UnescapeString(found[1])
	}
	if notice != "" {
		want = sentences(r.t)["notice."+notice]
	}
	if shown != want {
		r.t.Errorf("the notice is %q, want %q (%s)\n%s", shown, want, notice, r.body)
	}
}

var noticeText = regexp.MustCompile(`id="notice"><p>([^<]*)</p>`)

// wantProblem checks a page that ends a way.
func (r reply) wantProblem(status int, key string) {
	r.t.Helper()
	title, known := sentences(r.t)["problem."+key+".title"]
	if !known || r.status != status || !strings.Contains(html.UnescapeString(r.body), title) {
		r.t.Errorf("got status %d, want %d and the page %s\n%s", r.status, status, key, r.body)
	}
	if !strings.Contains(r.body, "reference-1") {
		r.t.Error("the page does not give the request's reference")
	}
}

var readSentences = sync.OnceValues(func() (map[string]string, error) {
	file, err := os.ReadFile("../../templates/messages.yaml")
	var all map[string]string
	return all, errors.Join(err, yaml.Unmarshal(file, &all))
})

func sentences(t *testing.T) map[string]string {
	t.Helper()
	all, err := readSentences()
	if err != nil {
		t.Fatal(err)
	}
	return all
}
