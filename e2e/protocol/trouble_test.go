package protocol_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/idp"
)

// A trouble is how somebody who is asked does not answer.
type trouble struct {
	name   string
	answer http.HandlerFunc // in the place of what was asked for
}

func (f trouble) title() string { return f.name }

// troubles are those a provider's server and Trinity's can have alike.
func troubles() []trouble {
	return []trouble{
		{"refuse", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = conn.Close()
		}},
		{"hang", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // or it is not noticed that the caller has left
			<-r.Context().Done()
		}},
		{"1 byte a second", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Second):
				}
			}
		}},
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>down for maintenance</html>"))
		}},
	}
}

// hooks put a provider into a trouble.
func (f trouble) hooks() idp.Hooks {
	return idp.Hooks{Intercept: func(w http.ResponseWriter, r *http.Request) bool { f.answer(w, r); return true }}
}

// strangeKeys are hooks of a provider whose keys are not those it signs with.
func strangeKeys(t *testing.T) idp.Hooks {
	t.Helper()
	strange := idp.Start(t, "", time.Now).PublicKeys()
	return idp.Hooks{Keys: func(k *jose.JSONWebKeySet) { *k = strange }}
}

// promptly does something a person waits for. They are promised a page within ten seconds; what is allowed beyond is
// for a slow machine, and less than asking a second time would take.
func promptly(t *testing.T, what string, do func()) {
	t.Helper()
	began := time.Now()
	do()
	took := time.Since(began)
	t.Logf("%s: answered after %s", what, took.Round(time.Millisecond))
	if took > 15*time.Second {
		t.Errorf("%s: nobody waits that long for a page: %s", what, took)
	}
}

// together runs tests side by side, however few may run at once: what they do is wait.
func together[T any](t *testing.T, tests []T, name func(T) string, run func(*testing.T, T)) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	for _, tt := range tests {
		all.Go(func() { t.Run(name(tt), func(t *testing.T) { run(t, tt) }) })
	}
}

// FB-28: whatever a provider does when somebody signs in, they get a page within ten seconds that keeps the flow. When
// the trouble is over, trying again leads on to a connection.
func TestTrouble_FB28_providerAtSignIn(t *testing.T) {
	t.Parallel()
	type test struct {
		name       string
		hooks      idp.Hooks
		status     int
		words      string
		atTheStart bool // it shows before the person is there
	}
	tests := []test{{"wrong keys", strangeKeys(t), http.StatusBadGateway, "This sign-in cannot be trusted", false}}
	for _, f := range troubles() {
		tests = append(tests, test{f.name, f.hooks(), http.StatusServiceUnavailable, "does not work right now", true})
	}
	together(t, tests, func(tt test) string { return tt.name }, func(t *testing.T, tt test) {
		c := startCompany(t, "")
		c.idp.Add(person("00u1", alice, "staff"))
		client := c.Register(t)
		w := c.NewBrowser(t)
		w.Open(t, "/oauth/authorize?"+c.Query(client).Encode())
		c.idp.Hook(tt.hooks)
		promptly(t, "leaving", func() { w.Follow(t, "The company login") })
		if tt.atTheStart {
			wantSourcePage(t, w, tt.status, tt.words)
			c.idp.Hook(idp.Hooks{})
			w.Follow(t, "Try again")
			w.Follow(t, "The company login")
		}
		back := c.idp.Approve(t, w.Left, "00u1")
		c.idp.Hook(tt.hooks)
		promptly(t, "coming back", func() { w.Open(t, back.RequestURI()) })
		wantSourcePage(t, w, tt.status, tt.words)
		c.idp.Hook(idp.Hooks{})
		w.Follow(t, "Try again")
		w.Follow(t, "The company login")
		w.Open(t, c.idp.Approve(t, w.Left, "00u1").RequestURI())
		c.link(t, w, alice)
		c.works(t, c.Token(t, c.RedeemForm(client, c.Decide(t, w, "approve").Get("code"))).Access, http.StatusOK)
	})
}

// A provider that does not answer, or cannot be believed, throws nobody out for an hour; then calls and refreshes wait
// for it, with the tokens there are.
func TestTrouble_providerOfConnected(t *testing.T) {
	t.Parallel()
	type test struct {
		name string
		make func(*testing.T, *company)
	}
	renewal := func(say http.HandlerFunc) func(*testing.T, *company) {
		return func(_ *testing.T, c *company) { c.renewals(say) }
	}
	tests := []test{
		{"refuses us", renewal(oauthError(401, "invalid_client"))},
		{"temporarily down", renewal(oauthError(400, "temporarily_unavailable"))},
		{"about somebody else", func(_ *testing.T, c *company) {
			c.idp.Hook(idp.Hooks{Claims: func(claims map[string]any) { claims["sub"] = "u2" }})
		}},
		{"wrong keys", func(t *testing.T, c *company) {
			t.Helper()
			c.idp.Rotate() // or the right ones would be remembered
			c.idp.Hook(strangeKeys(t))
		}},
	}
	for _, f := range troubles() {
		tests = append(tests, test{f.name, func(_ *testing.T, c *company) { c.idp.Hook(f.hooks()) }})
	}
	together(t, tests, func(tt test) string { return tt.name }, func(t *testing.T, tt test) {
		c, client, tokens := staff(t, bridgetest.With(func(f *config.Flags) { f.AccessLifetime = "4h" }))
		tt.make(t, c)
		c.Clock.Advance(5 * time.Minute)
		asked := c.idp.Asked("/token")
		c.works(t, tokens.Access, http.StatusOK)
		c.works(t, tokens.Access, http.StatusOK)
		if asked = c.idp.Asked("/token") - asked; asked > 1 {
			t.Errorf("asked %d times in a minute", asked)
		}
		c.Clock.Advance(30 * time.Minute)
		tokens = c.Token(t, c.RefreshForm(client, tokens.Refresh))
		c.works(t, tokens.Access, http.StatusOK)
		c.Clock.Advance(35 * time.Minute)
		c.works(t, tokens.Access, http.StatusServiceUnavailable)
		wire{503, "temporarily_unavailable"}.check(t, c.PostForm(t, "/oauth/token", c.RefreshForm(client, tokens.Refresh)))
		c.ended(t, "", 0)
		c.idp.Hook(idp.Hooks{})
		c.Clock.Advance(5 * time.Minute)
		c.works(t, tokens.Access, http.StatusOK)
		c.Token(t, c.RefreshForm(client, tokens.Refresh))
	})
}

// A backend is Trinity's, with whatever troubles the bridge has with it: what it forwards to has none.
type backend struct {
	trouble atomic.Pointer[func(*http.Request) http.HandlerFunc]
}

// between is the option that puts it there.
func (b *backend) between(t *testing.T) bridgetest.Option {
	t.Helper()
	return bridgetest.WithBackend(func(address string) string {
		target, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if of := b.trouble.Load(); of != nil {
				if answer := (*of)(r); answer != nil {
					answer(w, r)
					return
				}
			}
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		return server.URL
	})
}

// begin begins a trouble on all paths that begin so.
func (b *backend) begin(f trouble, prefix string) {
	of := func(r *http.Request) http.HandlerFunc {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return f.answer
		}
		return nil
	}
	b.trouble.Store(&of)
}

func (b *backend) end() { b.trouble.Store(nil) }

// Whatever Trinity does when somebody signs in, they get a page within ten seconds that keeps the flow, and the same
// form works when the trouble is over.
func TestTrouble_trinityAtSignIn(t *testing.T) {
	t.Parallel()
	together(t, troubles(), trouble.title, func(t *testing.T, f trouble) {
		between := &backend{}
		b := bridgetest.Start(t, between.between(t))
		client := b.Register(t)
		w := b.NewBrowser(t)
		w.Open(t, "/oauth/authorize?"+b.Query(client).Encode())
		between.begin(f, "/")
		promptly(t, "asking for a code", func() {
			w.Submit(t, "/signin", func(form url.Values) { form.Set("email", alice) })
		})
		if w.URL.Path != "/signin/code" || w.Page.Status != http.StatusOK {
			t.Fatalf("no page for the code: %s (%d)", w.URL, w.Page.Status)
		}
		between.end()
		w.Open(t, "/signin?"+url.Values{"flow": {w.Form(t, "/signin/code").Get("flow")}}.Encode())
		code := b.CodeOf(t, alice, func() {
			w.Submit(t, "/signin", func(form url.Values) { form.Set("email", alice) })
		})

		typed := func(form url.Values) { form.Set("code", code) }
		between.begin(f, "/")
		promptly(t, "the code", func() { w.Submit(t, "/signin/code", typed) })
		if w.Page.Status != http.StatusServiceUnavailable || !w.Page.Contains("Trinity does not answer") {
			t.Fatalf("the code: %d\n%s", w.Page.Status, w.Page.Body)
		}
		between.end()
		if w.Submit(t, "/signin/code", typed); w.URL.Path != "/consent" {
			t.Fatalf("the code again: %s (%d)", w.URL, w.Page.Status)
		}

		allow := func(form url.Values) { form.Set("decision", "approve") }
		between.begin(f, "/")
		promptly(t, "allowing", func() { w.Submit(t, "/consent", allow) })
		if w.Page.Status != http.StatusServiceUnavailable || !w.Page.Contains("Trinity does not answer") {
			t.Fatalf("allowing: %d\n%s", w.Page.Status, w.Page.Body)
		}
		between.end()
		tokens := b.Token(t, b.RedeemForm(client, b.Decide(t, w, "approve").Get("code")))
		if status := b.Works(t, tokens.Access); status != http.StatusOK {
			t.Errorf("a call: %d", status)
		}
	})
}

// A Trinity that stops to answer in the middle of something costs a page as well, and nothing of it is left behind.
func TestTrouble_trinityHalfWay(t *testing.T) {
	t.Parallel()
	together(t, troubles(), trouble.title, func(t *testing.T, f trouble) {
		between := &backend{}
		c := startCompany(t, "", between.between(t))
		c.idp.Add(person("00u1", alice, "staff"))
		client := c.Register(t)
		w := c.NewBrowser(t)
		c.arrive(t, w, c.Query(client), "00u1")
		for _, path := range []string{"/api/users/me", "/api/mcp/keys"} {
			code := c.CodeOf(t, alice, func() {
				w.Submit(t, "/signin/link", func(form url.Values) { form.Set("way", "code") })
			})
			between.begin(f, path)
			promptly(t, "linking without "+path, func() {
				w.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", code) })
			})
			if w.Page.Status != http.StatusServiceUnavailable || !w.Page.Contains("Trinity does not answer") {
				t.Fatalf("linking: %d\n%s", w.Page.Status, w.Page.Body)
			}
			between.end()
		}
		c.link(t, w, alice)
		c.works(t, c.Token(t, c.RedeemForm(client, c.Decide(t, w, "approve").Get("code"))).Access, http.StatusOK)
		wait(t, func() bool { return c.Trinity.LiveJWTs() == 0 }, "no Trinity session is left")
	})
}

// A Trinity that does not answer the bridge throws nobody out for an hour, whether they came by its code or by a
// provider; then calls and refreshes wait for it, with the tokens there are. Who comes from a provider meanwhile gets on.
func TestTrouble_trinityOfConnected(t *testing.T) {
	bridgetest.OneProcess(t, "each process counts for itself how long Trinity has not answered")
	t.Parallel()
	together(t, troubles(), trouble.title, func(t *testing.T, f trouble) {
		between := &backend{}
		c, client, linked := staff(t, between.between(t), bridgetest.With(func(f *config.Flags) { f.AccessLifetime = "4h" }))
		w := c.NewBrowser(t)
		w.Open(t, "/oauth/authorize?"+c.Query(client).Encode())
		w.Follow(t, "Use a code by e-mail")
		c.ProveMailbox(t, w, bob)
		own := c.Token(t, c.RedeemForm(client, c.Decide(t, w, "approve").Get("code")))
		between.begin(f, "/")
		c.Clock.Advance(5 * time.Minute)
		c.works(t, linked.Access, http.StatusOK)
		own = c.Token(t, c.RefreshForm(client, own.Refresh))
		var again bridgetest.Tokens
		promptly(t, "coming from a provider", func() { again = c.enter(t, client, "u1", alice) })
		c.works(t, again.Access, http.StatusOK)
		c.Clock.Advance(65 * time.Minute)
		c.works(t, own.Access, http.StatusServiceUnavailable)
		wire{503, "temporarily_unavailable"}.check(t, c.PostForm(t, "/oauth/token", c.RefreshForm(client, linked.Refresh)))
		c.ended(t, "", 0)
		between.end()
		c.Clock.Advance(5 * time.Minute)
		for _, tokens := range []bridgetest.Tokens{linked, own} {
			c.works(t, tokens.Access, http.StatusOK)
			c.Token(t, c.RefreshForm(client, tokens.Refresh))
		}
	})
}
