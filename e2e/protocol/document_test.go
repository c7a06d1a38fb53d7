package protocol_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

const documentID = "https://describes.example.com/client.json"

func describedClient(id string) bridgetest.Client {
	return bridgetest.Client{ID: id, Redirect: []string{bridgetest.Redirect}}
}

// words is the text of a page.
func words(answer bridgetest.Answer) string {
	text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(answer.Body, " ")
	return strings.Join(strings.Fields(text), " ")
}

// AS-011, AS-096, AS-098, AS-103, AS-110: a whole flow of a client that nobody registered.
func TestDocument_flow(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithPinned(t, bridgetest.NewDocument(documentID, bridgetest.Document{
		"token_endpoint_auth_method": nil, "client_uri": "https://describes.example.com/about", "logo_uri": "https://describes.example.com/logo.png",
	})))
	client := describedClient(documentID)
	w := b.NewBrowser(t)
	b.SignIn(t, w, b.Query(client), alice)
	page := words(w.Page)
	for _, want := range []string{"app.example.com", "It introduces itself at describes.example.com", "It calls itself “ Example App ”", "not verified"} {
		if !strings.Contains(page, want) {
			t.Errorf("AS-110, CO-22: the page does not say %q:\n%s", want, page)
		}
	}
	if !w.Page.Contains(`href="https://describes.example.com/about"`) || w.Page.Contains("logo.png") {
		t.Error("CO-18, AS-115: the website is not linked, or the logo is")
	}
	answer := b.Decide(t, w, "approve")
	tokens := b.Token(t, b.RedeemForm(client, answer.Get("code")))
	if status := b.Works(t, tokens.Access); status != http.StatusOK {
		t.Errorf("a call: %d", status)
	}
	for range 3 {
		b.Clock.Advance(2 * time.Hour)
		tokens = b.Token(t, b.RefreshForm(client, tokens.Refresh))
	}
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, "tbr_unknown")))
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(describedClient(documentID+"x"), tokens.Refresh)))
	b.Restart(t)
	b.Token(t, b.RefreshForm(client, tokens.Refresh))
	if answer := b.PostForm(t, "/oauth/revoke", url.Values{"client_id": {client.ID}, "token": {tokens.Access}}); answer.Status != http.StatusOK {
		t.Errorf("revoke: %d %s", answer.Status, answer.Body)
	}
}

// AS-104, AS-028, AS-111: loopback redirects of a document take any port, and the warning is there each time.
func TestDocument_AS111_loopback(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithPinned(t, bridgetest.NewDocument(documentID, bridgetest.Document{
		"client_name": "Claude Code", "redirect_uris": []string{"http://localhost/callback", "http://127.0.0.1/callback"},
	})))
	client := describedClient(documentID)
	for _, redirect := range []string{"http://localhost:3118/callback", "http://localhost:3118/callback", "http://127.0.0.1:51004/callback"} {
		client.Redirect = []string{redirect}
		w := b.NewBrowser(t)
		b.SignIn(t, w, b.Query(client), b.Someone())
		page := words(w.Page)
		if !strings.Contains(page, "Any app on this computer could pretend to be this one") || !strings.Contains(page, "introduces itself at describes.example.com") {
			t.Errorf("%s: %s", redirect, page)
		}
		b.Token(t, b.RedeemForm(client, b.Decide(t, w, "approve").Get("code")))
	}
	for _, redirect := range []string{"http://localhost:3118/other", "http://[::1]:3118/callback", "https://app.example.com/callback"} {
		client.Redirect = []string{redirect}
		wantPage(t, b.Get(t, "/oauth/authorize?"+b.Query(client).Encode()))
	}
}

// AS-011: off means off, at the metadata and at the endpoints.
func TestDocument_AS011_off(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithPinned(t, bridgetest.NewDocument(documentID, nil)),
		bridgetest.With(func(f *config.Flags) { f.DocumentPolicy = "off" }))
	if answer := b.Get(t, "/.well-known/oauth-authorization-server"); answer.Contains("client_id_metadata_document_supported") {
		t.Errorf("metadata: %s", answer.Body)
	}
	client := describedClient(documentID)
	wantPage(t, b.Get(t, "/oauth/authorize?"+b.Query(client).Encode()))
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, "tbr_x")))
}

// The same over a real connection, with a certificate of a private authority (CM-23, CM-26, CM-29, AS-116).
func TestDocument_fetched(t *testing.T) {
	t.Parallel()
	host := bridgetest.NewDocumentHost(t)
	b := bridgetest.Start(t, host.Settings)
	id := host.URL + "/oauth/client.json"
	client := describedClient(id)
	host.JSON(bridgetest.NewDocument(id, nil).Text(t), "Cache-Control", "max-age=300")

	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, "tbr_x")))
	if host.Hits() > 0 {
		t.Error("CM-29: a token request had the document fetched")
	}
	tokens := b.Connect(t, client, alice)
	if host.Hits() != 1 {
		t.Errorf("AS-096, AS-108: %d fetches for one flow", host.Hits())
	}
	if sent := host.Last(); len(sent.Cookies()) > 0 || sent.Referer() != "" || sent.Header.Get("Authorization") != "" {
		t.Errorf("AS-116: sent %v", sent.Header)
	}
	b.Connect(t, client, "bob@example.com")
	if host.Hits() > bridgetest.Times(1) { // each replica has a copy of its own
		t.Errorf("AS-108: %d fetches for two flows within max-age", host.Hits())
	}

	host.Serve(http.NotFound)
	b.Clock.Advance(time.Hour)
	wantPage(t, b.Get(t, "/oauth/authorize?"+b.Query(client).Encode()))
	tokens = b.Token(t, b.RefreshForm(client, tokens.Refresh))
	b.Restart(t)
	tokens = b.Token(t, b.RefreshForm(client, tokens.Refresh)) // CM-29
	if status := b.Works(t, tokens.Access); status != http.StatusOK {
		t.Errorf("a call: %d", status)
	}
	host.JSON(bridgetest.NewDocument(id, nil).Text(t))
	b.Code(t, client, alice) // AS-108: the failure is not remembered
}

// A document that changes while somebody signs in changes nothing of what they see and allow.
func TestDocument_changesMeanwhile(t *testing.T) {
	t.Parallel()
	host := bridgetest.NewDocumentHost(t)
	b := bridgetest.Start(t, host.Settings)
	id := host.URL + "/client.json"
	client := describedClient(id)
	host.JSON(bridgetest.NewDocument(id, nil).Text(t))
	w := b.NewBrowser(t)
	b.SignIn(t, w, b.Query(client), alice)
	host.Serve(http.NotFound)
	b.Clock.Advance(5 * time.Minute)
	b.Token(t, b.RedeemForm(client, b.Decide(t, w, "approve").Get("code")))
	if host.Hits() != 1 {
		t.Errorf("%d fetches", host.Hits())
	}
}

// CM-28, CO-07, AS-112: what a yes rested on has changed, and the page says so; the connection goes on.
func TestDocument_CM28_changed(t *testing.T) {
	t.Parallel()
	host := bridgetest.NewDocumentHost(t)
	b := bridgetest.Start(t, host.Settings)
	id := host.URL + "/client.json"
	client := describedClient(id)
	const changed = "it has changed what it says of itself"
	consentPage := func(members bridgetest.Document) string {
		host.JSON(bridgetest.NewDocument(id, members).Text(t))
		b.Clock.Advance(time.Hour)
		w := b.NewBrowser(t)
		b.SignIn(t, w, b.Query(client), alice)
		return words(w.Page)
	}
	host.JSON(bridgetest.NewDocument(id, nil).Text(t))
	tokens := b.Connect(t, client, alice)
	if page := consentPage(nil); strings.Contains(page, changed) || !strings.Contains(page, "You allowed this app on") {
		t.Errorf("unchanged: %s", page)
	}
	page := consentPage(bridgetest.Document{"redirect_uris": []string{bridgetest.Redirect, "https://other.example.com/cb"}})
	if !strings.Contains(page, changed) {
		t.Errorf("redirect_uris: %s", page)
	}
	b.Clock.Advance(15 * time.Minute)
	page = consentPage(bridgetest.Document{"client_name": "Another App"})
	if !strings.Contains(page, changed) || !strings.Contains(page, "Another App") {
		t.Errorf("client_name: %s", page)
	}
	if b.Audited("client_changed", "") != 2 {
		t.Error("B47: the trail does not tell of the changes")
	}
	b.Token(t, b.RefreshForm(client, tokens.Refresh))
}

// CM-25, AS-109: whatever is wrong with a document or its host, the page is the same.
func TestDocument_CM25_onePage(t *testing.T) {
	t.Parallel()
	host := bridgetest.NewDocumentHost(t)
	b := bridgetest.Start(t, host.Settings)
	host.Serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch id := host.URL + r.URL.Path; r.URL.Path {
		case "/other":
			_, _ = w.Write([]byte(bridgetest.NewDocument(id+"x", nil).Text(t)))
		case "/secret":
			_, _ = w.Write([]byte(bridgetest.NewDocument(id, bridgetest.Document{"client_secret": "s"}).Text(t)))
		case "/long":
			_, _ = w.Write([]byte(bridgetest.NewDocument(id, bridgetest.Document{"x": strings.Repeat("x", 6000)}).Text(t)))
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
		case "/moved":
			http.Redirect(w, r, host.URL+"/good", http.StatusFound)
		case "/broken":
			_, _ = w.Write([]byte("{"))
		default:
			http.NotFound(w, r)
		}
	})
	at := func(address string) string { return strings.Replace(host.URL, "127.0.0.2", address, 1) + "/c" }
	reference := regexp.MustCompile(`[a-z2-7]{26}`)
	want := ""
	for _, id := range []string{
		host.URL + "/404", host.URL + "/other", host.URL + "/secret", host.URL + "/long", host.URL + "/gzip", host.URL + "/moved", host.URL + "/broken",
		at("127.0.0.3"), at("10.0.0.1"), at("169.254.169.254"), "https://169.254.169.254/latest/meta-data", "https://[::1]/c", "https://localhost/c", "https://backend/c",
		at("127.0.0.1"), "http://127.0.0.2/c", "https://127.0.0.2:1/c", "https://127.0.0.2/a/../c", "https://127.0.0.2",
	} {
		answer := b.Get(t, "/oauth/authorize?"+b.Query(describedClient(id)).Encode())
		wantPage(t, answer)
		got := fmt.Sprint(answer.Status, reference.ReplaceAllString(answer.Body, "…"))
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%s has another page:\n%s", id, got)
		}
	}
	if !strings.Contains(want, "could not introduce itself") {
		t.Errorf("the page: %s", want)
	}
	if b.Audited("authorize_rejected", "client-document") < 15 {
		t.Error("the trail does not tell")
	}
	for _, why := range []string{"status 404", "is not a permitted destination", "its client_id differs", "more than 5120 bytes", "is one of our own", "port 1"} {
		if !strings.Contains(b.Logs(), why) {
			t.Errorf("the log does not say %q", why)
		}
	}
}

// CM-24: a flood of ids gets pages that say to wait, and a client we know is served.
func TestDocument_CM24_flood(t *testing.T) {
	bridgetest.OneProcess(t, "each process bounds its own fetches")
	t.Parallel()
	host := bridgetest.NewDocumentHost(t)
	b := bridgetest.Start(t, host.Settings)
	id := host.URL + "/client.json"
	client := describedClient(id)
	host.JSON(bridgetest.NewDocument(id, nil).Text(t), "Cache-Control", "max-age=60")
	tokens := b.Connect(t, client, alice)
	host.Serve(http.NotFound)
	b.Clock.Advance(2 * time.Minute)
	statuses := map[int]int{}
	for i := range 100 {
		answer := b.Get(t, "/oauth/authorize?"+b.Query(describedClient(fmt.Sprintf("%s/flood-%d", host.URL, i))).Encode())
		statuses[answer.Status]++
		if answer.Status == http.StatusTooManyRequests && (answer.Header.Get("Retry-After") == "" || answer.Header.Get("Location") != "") {
			t.Fatalf("429: %v", answer.Header)
		}
	}
	if statuses[http.StatusTooManyRequests] < 50 || statuses[http.StatusBadRequest] == 0 || len(statuses) != 2 || host.Hits() > 30 {
		t.Errorf("statuses %v, %d fetches", statuses, host.Hits())
	}
	b.Code(t, client, "bob@example.com")
	b.Token(t, b.RefreshForm(client, tokens.Refresh))
}

// AS-113: the operator's word, and the page for who has to ask them.
func TestDocument_AS113_trust(t *testing.T) {
	t.Parallel()
	host := bridgetest.NewDocumentHost(t)
	id := host.URL + "/client.json"
	client := describedClient(id)
	host.JSON(bridgetest.NewDocument(id, nil).Text(t))
	policy := func(policy, hosts, blocked string) bridgetest.Option {
		return bridgetest.With(func(f *config.Flags) {
			f.DocumentPolicy, f.DocumentHosts, f.DocumentBlockedHosts = policy, hosts, blocked
		})
	}
	tests := []struct {
		name    string
		option  bridgetest.Option
		outcome string // "" is let in
		says    string
	}{
		{"ask", policy("ask", "", ""), "client-ask", strings.TrimPrefix(host.URL, "https://")},
		{"ask, let in", policy("ask", "127.0.0.2", ""), "", ""},
		{"list", policy("allow-list", "claude.ai", ""), "client-blocked", "not let in"},
		{"list, let in by id", policy("allow-list", id, ""), "", ""},
		{"blocked", policy("open", "", "127.0.0.2"), "client-blocked", "not let in"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := bridgetest.Start(t, host.Settings, tt.option)
			if tt.outcome == "" {
				b.Connect(t, client, alice)
				return
			}
			answer := b.Get(t, "/oauth/authorize?"+b.Query(client).Encode())
			wantPage(t, answer)
			if !strings.Contains(words(answer), tt.says) || b.Audited("authorize_rejected", tt.outcome) != 1 {
				t.Errorf("%s", words(answer))
			}
		})
	}
	t.Run("TK-21/blocked later", func(t *testing.T) {
		t.Parallel()
		b := bridgetest.Start(t, host.Settings)
		tokens := b.Connect(t, client, alice)
		b.Config.DocumentBlockedHosts = "127.0.0.2"
		b.Restart(t)
		wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	})
}

// RFC 9126: a client that only a document describes may push its request before anybody allowed it.
func TestDocument_pushed(t *testing.T) {
	t.Parallel()
	host, key := bridgetest.NewDocumentHost(t), bridgetest.NewKey(t, "ES256")
	b := bridgetest.Start(t, host.Settings)
	id := host.URL + "/client.json"
	client := describedClient(id)
	host.JSON(keyDocument(id, nil, key).Text(t))
	s := &signer{b: b, id: id, key: key}
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/par", b.Query(client)))
	answer := b.PostForm(t, "/oauth/par", withAssertion(b.Query(client), s.assertion(t, nil, nil)))
	var pushed struct {
		RequestURI string `json:"request_uri"`
	}
	answer.JSON(t, &pushed)
	if answer.Status != http.StatusCreated || pushed.RequestURI == "" {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	code := b.CodeFor(t, url.Values{"client_id": {id}, "request_uri": {pushed.RequestURI}}, alice)
	b.Token(t, withAssertion(b.RedeemForm(client, code), s.assertion(t, nil, nil)))
	host.Serve(http.NotFound)
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/par", b.Query(describedClient(host.URL+"/unknown.json"))))
}
