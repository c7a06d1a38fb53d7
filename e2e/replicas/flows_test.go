//go:build replicas

package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/idp"
)

const (
	flowRate = 200 // per second, as far as the machine carries it
	atOnce   = 64  // flows under way
	staff    = 60  // people of the company, who connect again and again
)

// companyFile declares a provider as an identity source: codes by e-mail are limited to less than this load.
func companyFile(t *testing.T, company *idp.Server) string {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte(idp.ClientSecret), 0o600))
	return fmt.Sprintf("identity_sources:\n  - name: company\n    label: The company login\n    issuer: %s\n    client_id: %s\n"+
		"    client_secret_file: %s\n    admit:\n      - rule: staff\n        groups: [staff]\n        scope: trinity:write\n",
		company.Issuer, idp.ClientID, secret)
}

// Replicas are killed while people connect by the company's sign-in. What they were told must hold: a code that
// reached a client is good, and so are the tokens.
func TestReplicas_OP01_killedInFlows(t *testing.T) {
	company := idp.Start(t, "", time.Now)
	_, p := start(t, bridgetest.WithFile(companyFile(t, company)))
	f := &flows{Processes: p, client: p.Register(t), company: company, told: map[string]int{}}
	for i := range staff {
		f.hire(t, i)
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() { f.run(ctx) })
	began, kills := time.Now(), 0
	for ; time.Since(began) < loadFor; kills++ {
		time.Sleep(killEach)
		p.Kill(kills % replicas)
		p.Begin(t, kills%replicas)
	}
	took := time.Since(began)
	stop()
	load.Wait()
	fmt.Printf("%d kills -9 of %d replicas in %s: %d people connected (%.0f/s of %d/s asked), %v\n",
		kills, replicas, took.Round(time.Second), len(f.connected), float64(len(f.connected))/took.Seconds(), flowRate, f.told)
	f.check(t)
}

// flows are people who connect, and what their clients were told.
type flows struct {
	*bridgetest.Processes
	client  bridgetest.Client
	company *idp.Server

	mu        sync.Mutex
	connected []string // refresh tokens
	told      map[string]int
	lost      []string
}

func subject(i int) string { return fmt.Sprint("staff-", i%staff) }

// hire has somebody link their account, once.
func (f *flows) hire(t *testing.T, i int) {
	t.Helper()
	email := fmt.Sprintf("person-%d@example.com", 50+i)
	f.company.Add(idp.Person{Subject: subject(i), Claims: map[string]any{"email": email, "email_verified": true, "groups": []any{"staff"}}})
	w := f.NewBrowser(t)
	w.Open(t, "/oauth/authorize?"+f.Query(f.client).Encode())
	w.Follow(t, "The company login")
	w.Open(t, f.company.Approve(t, w.Left, subject(i)).RequestURI())
	w.Submit(t, "/signin/link", func(form url.Values) { form.Set("way", "code") })
	w.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", f.Trinity.LastCode(email)) })
	if w.URL.Path != "/consent" {
		t.Fatalf("after linking the browser is at %s (%d):\n%s", w.URL, w.Page.Status, w.Page.Body)
	}
}

// run begins flows until ctx ends, and waits for those under way.
func (f *flows) run(ctx context.Context) {
	var walking sync.WaitGroup
	defer walking.Wait()
	places := make(chan struct{}, atOnce)
	ticker := time.NewTicker(time.Second / flowRate)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		select {
		case <-ctx.Done():
			return
		case places <- struct{}{}:
		}
		walking.Go(func() {
			defer func() { <-places }()
			f.note(f.walk(subject(i)))
		})
	}
}

var (
	errNoAnswer = errors.New("no answer")                // the replica died
	errStopped  = errors.New("the flow went no further") // after an answer that never came
)

func (f *flows) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		f.told["connected"]++
	case errors.Is(err, errNoAnswer), errors.Is(err, errStopped):
		f.told[err.Error()]++
	default:
		f.lost = append(f.lost, err.Error())
	}
}

// walk is one flow from the authorization request to the tokens.
func (f *flows) walk(subject string) error {
	w := f.browse(subject)
	page, err := w.do(http.MethodGet, "/oauth/authorize?"+f.Query(f.client).Encode(), nil)
	if err == nil {
		page, err = w.do(http.MethodGet, w.choose(page), nil)
	}
	if err != nil {
		return err
	}
	form, ok := bridgetest.FormIn(page, "/consent")
	if !ok {
		return w.stopped("no consent page", page)
	}
	form.Set("decision", "approve")
	if page, err = w.do(http.MethodPost, "/consent", form); err != nil {
		return err
	}
	sent, err := url.Parse(bridgetest.SentOn(page))
	if err != nil || sent.Query().Get("code") == "" {
		return w.stopped("no code", page)
	}
	return f.redeem(sent.Query().Get("code"))
}

// redeem presents a code once, for a second time is a thief's.
func (f *flows) redeem(code string) error {
	address := host(f.Processes)
	status, body, err := post(address, address, "/oauth/token", f.RedeemForm(f.client, code))
	if err != nil {
		return errNoAnswer
	}
	var tokens bridgetest.Tokens
	switch {
	case status == http.StatusOK && json.Unmarshal(body, &tokens) == nil && tokens.Refresh != "":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.connected = append(f.connected, tokens.Refresh)
		return nil
	case status == http.StatusServiceUnavailable:
		return errNoAnswer
	}
	return fmt.Errorf("a code that reached the client came to %d %s", status, body)
}

// check wants every refresh token that was handed out to be good.
func (f *flows) check(t *testing.T) {
	t.Helper()
	for _, lost := range f.lost {
		t.Error(lost)
	}
	if len(f.connected) == 0 {
		t.Error("nobody connected")
	}
	address := host(f.Processes)
	for _, refresh := range f.connected {
		status, body, err := post(address, address, "/oauth/token", f.RefreshForm(f.client, refresh))
		if err != nil || status != http.StatusOK {
			t.Errorf("tokens that were acknowledged are lost: %d %s %v", status, body, err)
		}
	}
}

// browser is one person's. It asks again when no answer came, as people do.
type browser struct {
	http.Client
	origin string
	cut    bool // an answer did not come
}

func (f *flows) browse(subject string) *browser {
	jar, _ := cookiejar.New(nil) // never fails
	w := &browser{origin: f.URL}
	w.Client = http.Client{Timeout: 30 * time.Second, Jar: jar, Transport: direct.Transport}
	w.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if strings.HasPrefix(f.company.Issuer, req.URL.Scheme+"://"+req.URL.Host) {
			req.URL.RawQuery += "&as=" + subject // who signs in there
		}
		if len(via) > 10 {
			return errStopped
		}
		return nil
	}
	return w
}

// do asks until there is an answer.
func (w *browser) do(method, path string, form url.Values) (page string, err error) {
	for range 20 {
		req, err := http.NewRequestWithContext(context.Background(), method, w.origin+path, strings.NewReader(form.Encode()))
		if err != nil {
			return "", err
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Sec-Fetch-Site", "same-origin")
			req.Header.Set("Origin", "null")
		}
		res, err := w.Do(req)
		if err == nil {
			var body []byte
			body, err = io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err == nil && !slices.Contains([]int{http.StatusServiceUnavailable, http.StatusBadGateway}, res.StatusCode) {
				return string(body), nil
			}
		}
		w.cut = true
		time.Sleep(100 * time.Millisecond)
	}
	return "", errNoAnswer
}

// choose is the company's button on the page that asks where to sign in.
func (w *browser) choose(page string) string { return bridgetest.LinkIn(page, "The company login") }

// stopped says that a flow went no further: well, if an answer got lost on the way, and badly otherwise.
func (w *browser) stopped(what, page string) error {
	if w.cut {
		return errStopped
	}
	return fmt.Errorf("%s:\n%s", what, page)
}
