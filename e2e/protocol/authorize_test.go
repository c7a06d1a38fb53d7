package protocol_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// configured is a configuration with one client the operator vouches for.
const configured = `
clients:
  - id: house-client
    name: House Client
    redirect_uris: ["https://app.example.com/callback", "https://app.example.com/other"]
`

func houseClient() bridgetest.Client {
	return bridgetest.Client{ID: "house-client", Redirect: []string{bridgetest.Redirect}}
}

func set(name, value string) func(url.Values) { return func(q url.Values) { q.Set(name, value) } }
func add(name, value string) func(url.Values) { return func(q url.Values) { q.Add(name, value) } }
func del(name string) func(url.Values)        { return func(q url.Values) { q.Del(name) } }

// Requests whose client or redirect URI is not proven good end on a page, never in a redirect.
func TestAuthorize_pages(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	tests := []struct {
		id   string
		edit func(url.Values)
	}{
		{"AS-025/unknown client", set("client_id", "nope")},
		{"AS-025/no client", del("client_id")},
		{"AS-025/URL client while documents are not served", set("client_id", "https://app.example.com/client.json")},
		{"AZ-02/unregistered redirect", set("redirect_uri", "https://evil.example/callback")},
		{"AZ-05/upper-case path", set("redirect_uri", "https://app.example.com/CALLBACK")},
		{"AZ-06/extra query", set("redirect_uri", bridgetest.Redirect+"?x=1")},
		{"AZ-08/user name", set("redirect_uri", "https://app.example.com@evil.example/callback")},
		{"AZ-09/look-alike", set("redirect_uri", "https://app.example.com.evil.example/callback")},
		{"AZ-10/backslash", set("redirect_uri", `https://app.example.com\@evil.example/callback`)},
		{"AZ-10/line end", set("redirect_uri", bridgetest.Redirect+"\r\nSet-Cookie: a=b")},
		{"AZ-18/private-use scheme", set("redirect_uri", "evil:/cb")},
		{"AZ-20, AS-023/redirect twice", add("redirect_uri", bridgetest.Redirect)},
		{"AZ-20/client twice", add("client_id", "x")},
		{"AZ-27/bad redirect and response type", func(q url.Values) { q.Set("response_type", "token"); q.Set("redirect_uri", "https://evil.example") }},
		{"AZ-22/not UTF-8", set("state", "\xff")},
		{"AZ-42/huge", set("state", strings.Repeat("x", 9000))},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			query := b.Query(client)
			tt.edit(query)
			wantPage(t, b.Get(t, "/oauth/authorize?"+query.Encode()))
		})
	}
	raw := map[string]string{
		"AZ-22/semicolon":        "response_type=code;client_id=" + client.ID,
		"AZ-22/broken escape":    "client_id=%zz",
		"AZ-42/1,000 parameters": strings.Repeat("a=b&", 1000),
		"I12/nothing":            "",
	}
	for id, query := range raw {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			wantPage(t, b.Get(t, "/oauth/authorize?"+query))
		})
	}
}

func wantPage(t *testing.T, answer bridgetest.Answer) {
	t.Helper()
	if answer.Status < 400 || answer.Status > 414 || answer.Header.Get("Location") != "" {
		t.Errorf("status %d, Location %q, want a page", answer.Status, answer.Header.Get("Location"))
	}
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v, want an uncached page", answer.Header)
	}
	if len(answer.Header.Values("Set-Cookie")) > 0 {
		t.Error("a refused request set a cookie")
	}
}

// Once client and redirect URI are good, errors go back to the client: by redirect for one the
// operator vouches for (AS-047), by a page with a link for one that registered itself (AS-048).
func TestAuthorize_errorsGoBack(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithFile(configured))
	stranger := b.Register(t)
	tests := []struct {
		id, want string
		edit     func(url.Values)
	}{
		{"AZ-20, AS-023/state twice", "invalid_request", add("state", "b")},
		{"AZ-20/challenge twice", "invalid_request", add("code_challenge", "b")},
		{"AZ-20/response type twice", "invalid_request", add("response_type", "code")},
		{"AZ-20/scope twice", "invalid_request", add("scope", "trinity:read")},
		{"AZ-23, AS-030/no challenge", "invalid_request", del("code_challenge")},
		{"AS-031/no method", "invalid_request", del("code_challenge_method")},
		{"AS-031/plain", "invalid_request", set("code_challenge_method", "plain")},
		{"AZ-25, AS-032/42 characters", "invalid_request", set("code_challenge", strings.Repeat("a", 42))},
		{"AZ-25/200 characters", "invalid_request", set("code_challenge", strings.Repeat("a", 200))},
		{"AZ-25/padding", "invalid_request", set("code_challenge", strings.Repeat("a", 42)+"=")},
		{"AZ-27, AS-024/token", "unsupported_response_type", set("response_type", "token")},
		{"AZ-27/hybrid", "unsupported_response_type", set("response_type", "code token")},
		{"AZ-27, AS-024/missing", "invalid_request", del("response_type")},
		{"AZ-27/empty", "invalid_request", set("response_type", "")},
		{"AZ-29/fragment", "invalid_request", set("response_mode", "fragment")},
		{"AZ-29/form_post", "invalid_request", set("response_mode", "form_post")},
		{"AZ-30/request object", "request_not_supported", set("request", "eyJhbGciOiJub25lIn0.e30.")},
		{"AZ-30/request_uri", "request_uri_not_supported", set("request_uri", "https://evil.example/r")},
		{"AZ-32, AS-038/other host", "invalid_target", set("resource", "https://other.example/mcp")},
		{"AZ-32/sub-path", "invalid_target", func(q url.Values) { q.Set("resource", q.Get("resource")+"/x") }},
		{"AZ-32/other case", "invalid_target", func(q url.Values) { q.Set("resource", strings.Replace(q.Get("resource"), "/mcp", "/MCP", 1)) }},
		{"AZ-32/trailing slash", "invalid_target", func(q url.Values) { q.Set("resource", q.Get("resource")+"/") }},
		{"AZ-32, AS-037/fragment", "invalid_target", func(q url.Values) { q.Set("resource", q.Get("resource")+"#x") }},
		{"AZ-32, AS-037/relative", "invalid_target", set("resource", "/mcp")},
		{"AZ-32/user name", "invalid_target", func(q url.Values) { q.Set("resource", strings.Replace(q.Get("resource"), "//", "//a@", 1)) }},
		{"AS-041/two different", "invalid_target", add("resource", "https://other.example/mcp")},
		{"AZ-34/unknown scope alone", "invalid_scope", set("scope", "bogus")},
		{"AZ-34/quotes", "invalid_scope", set("scope", `trinity:read "x"`)},
		{"AZ-34/line end", "invalid_scope", set("scope", "trinity:read\r\nx")},
		{"AZ-34/very long", "invalid_scope", set("scope", strings.Repeat("trinity:read ", 200))},
		{"AZ-36/long state", "invalid_request", set("state", strings.Repeat("s", 5000))},
		{"AS-048/prompt none", "interaction_required", set("prompt", "none")},
		{"AS-042/prompt none and more", "invalid_request", set("prompt", "none login")},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			query := b.Query(houseClient())
			tt.edit(query)
			answer := b.Get(t, "/oauth/authorize?"+query.Encode())
			location, err := url.Parse(answer.Header.Get("Location"))
			if err != nil || answer.Status != http.StatusSeeOther || !strings.HasPrefix(location.String(), bridgetest.Redirect+"?") {
				t.Fatalf("status %d, Location %q", answer.Status, answer.Header.Get("Location"))
			}
			got := location.Query()
			if got.Get("error") != tt.want || got.Has("code") || len(got["iss"]) != 1 || got.Get("iss") != b.URL {
				t.Errorf("AS-046, AS-047: %v, want %s with one iss", got, tt.want)
			}
			if strings.ContainsAny(got.Get("error_description"), "\"\\\r\n") {
				t.Errorf("AS-047: description %q", got.Get("error_description"))
			}
			wantState := query["state"]
			if len(wantState) > 1 || len(wantState[0]) > 4096 {
				wantState = nil
			}
			if got.Get("state") != strings.Join(wantState, "") {
				t.Errorf("AS-033: state %q, want %q", got.Get("state"), wantState)
			}

			query.Set("client_id", stranger.ID)
			page := b.Get(t, "/oauth/authorize?"+query.Encode())
			wantPage(t, page)
			if !page.Contains("app.example.com", "error="+tt.want) {
				t.Errorf("AS-048: the page does not name the target or lead back:\n%s", page.Body)
			}
		})
	}
}

// Requests real clients send, all of which reach the sign-in page.
func TestAuthorize_accepts(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	tests := []struct {
		id   string
		edit func(url.Values)
	}{
		{"AS-022/unknown parameter, empty state", func(q url.Values) { q.Set("foo", "1"); q.Set("state", "") }},
		{"AS-022/empty scope", set("scope", "")},
		{"AS-033/no state", del("state")},
		{"AS-033/2 KiB state", set("state", strings.Repeat("+%&é", 400))},
		{"AS-042/what clients add", func(q url.Values) { q.Set("prompt", "consent"); q.Set("access_type", "offline"); q.Set("nonce", "n") }},
		{"AS-035/no scope", del("scope")},
		{"AS-034/known and unknown", set("scope", "trinity:read bogus offline_access")},
		{"B53/leading space", set("scope", "  trinity:read  offline_access")},
		{"B52/offline_access alone", set("scope", "offline_access")},
		{"AZ-31/no resource", del("resource")},
		{"AS-039/upper-case scheme and host", func(q url.Values) { q.Set("resource", strings.Replace(q.Get("resource"), "http://", "HTTP://", 1)) }},
		{"AS-041/the same twice", func(q url.Values) { q.Add("resource", q.Get("resource")) }},
		{"AS-027/the one redirect left out", del("redirect_uri")},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			query := b.Query(client)
			tt.edit(query)
			for _, path := range []string{"/oauth/authorize?", "/authorize?"} {
				w := b.NewBrowser(t).Open(t, path+query.Encode())
				if w.Page.Status != http.StatusOK || w.URL.Path != "/signin" {
					t.Errorf("%s: %d at %s", path, w.Page.Status, w.URL.Path)
				}
			}
		})
	}
	t.Run("AS-022/POST", func(t *testing.T) {
		t.Parallel()
		answer := b.PostForm(t, "/oauth/authorize", b.Query(client))
		if answer.Status != http.StatusSeeOther || !strings.HasPrefix(answer.Header.Get("Location"), "/signin?") {
			t.Errorf("%d %s", answer.Status, answer.Header.Get("Location"))
		}
	})
	t.Run("AZ-21/query and body", func(t *testing.T) {
		t.Parallel()
		wantPage(t, b.PostForm(t, "/oauth/authorize?client_id="+client.ID, b.Query(client)))
	})
	t.Run("AZ-39/methods", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodTrace} {
			if answer := b.Do(t, b.Request(t, method, "/oauth/authorize?"+b.Query(client).Encode(), "")); answer.Status != http.StatusMethodNotAllowed {
				t.Errorf("%s: %d", method, answer.Status)
			}
		}
	})
	t.Run("AS-027/two registered, none sent", func(t *testing.T) {
		t.Parallel()
		two := b.Register(t, bridgetest.Redirect, "https://app.example.com/two")
		query := b.Query(two)
		query.Del("redirect_uri")
		wantPage(t, b.Get(t, "/oauth/authorize?"+query.Encode()))
	})
	t.Run("AS-027/loopback left out", func(t *testing.T) {
		t.Parallel()
		native := b.Register(t, "http://127.0.0.1/callback")
		query := b.Query(native)
		query.Del("redirect_uri")
		wantPage(t, b.Get(t, "/oauth/authorize?"+query.Encode()))
	})
}

// AZ-12, AS-028: a native client comes back on whatever port it got, and the code is bound to that port.
func TestAuthorize_AZ12_loopbackPort(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t, "http://127.0.0.1/callback", "http://localhost/callback")
	query := b.Query(client)
	query.Set("redirect_uri", "http://localhost:51004/callback")
	code := b.CodeFor(t, query, "alice@example.com")
	form := b.RedeemForm(client, code)
	form.Set("redirect_uri", "http://localhost:51005/callback")
	if answer := b.PostForm(t, "/oauth/token", form); answer.Status != 400 || answer.ErrorCode() != "invalid_grant" {
		t.Errorf("TK-05: another port: %d %s", answer.Status, answer.Body)
	}
	form.Set("redirect_uri", "http://localhost:51004/callback")
	b.Token(t, form)
}

// GW-66: a network whose browsers begin too much waits, and nobody else does, whatever it begins: the requests of
// clients and visits to people's connections have one share.
func TestAuthorize_GW66_flood(t *testing.T) {
	bridgetest.OneProcess(t, "each process counts for itself")
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.TrustedProxies = "127.0.0.1" }))
	targets := []string{"/oauth/authorize?" + b.Query(b.Register(t)).Encode(), "/connections/sign-in"}
	statuses := map[int]int{}
	for i := range 340 {
		answer := b.Get(t, targets[i%2], "X-Forwarded-For", "203.0.113.9")
		statuses[answer.Status]++
		if answer.Status == http.StatusTooManyRequests && (answer.Header.Get("Retry-After") == "" || answer.Header.Get("Location") != "") {
			t.Fatalf("429: %v", answer.Header)
		}
	}
	if statuses[http.StatusSeeOther] != 300 || statuses[http.StatusTooManyRequests] != 40 {
		t.Errorf("statuses %v", statuses)
	}
	for _, target := range targets {
		if answer := b.Get(t, target, "X-Forwarded-For", "198.51.100.9"); answer.Status != http.StatusSeeOther {
			t.Errorf("another network, %s: %d", target, answer.Status)
		}
		b.Clock.Advance(time.Second)
		if answer := b.Get(t, target, "X-Forwarded-For", "203.0.113.200"); answer.Status != http.StatusSeeOther {
			t.Errorf("a second later, %s: %d", target, answer.Status)
		}
	}
}
