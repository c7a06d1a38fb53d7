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
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

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

// People connect by the company's sign-in while replicas are killed, and while their database is. What they were told
// must hold: a code that reached a client is good, and so are the tokens.
func TestReplicas_flows(t *testing.T) {
	company := idp.Start(t, "", time.Now)
	company.Sign(jose.ES256) // what it costs this machine is not what is measured
	server, p := start(t, bridgetest.WithFile(companyFile(t, company)))
	f := &flows{Processes: p, client: p.Register(t), company: company}
	for i := range staff {
		f.hire(t, i)
	}
	t.Run("OP-01/a replica is killed again and again", func(t *testing.T) {
		f.load(t, func() {
			before, kills := spent(), 0
			for began := time.Now(); time.Since(began) < loadFor; kills++ {
				time.Sleep(killEach)
				p.Kill(kills % replicas)
				p.Begin(t, kills%replicas)
			}
			fmt.Println(kills, "kills -9 of", replicas, "replicas;", spent().each(f.count(connected), before))
		})
	})
	t.Run("OP-01/the database is restarted", func(t *testing.T) {
		f.load(t, func() {
			restart(t, server)
			before := f.count(connected)
			time.Sleep(2 * time.Second)
			if f.count(connected) == before {
				t.Error("nobody connects after the restart")
			}
		})
		if f.count(unavailable) == 0 {
			t.Error("the restart was not noticed")
		}
	})
}

// load has people connect while something happens, and checks what they were told.
func (f *flows) load(t *testing.T, happens func()) {
	t.Helper()
	f.tokens, f.told, f.wrong = nil, map[string]int{}, nil
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() { f.run(ctx) })
	began := time.Now()
	happens()
	took := time.Since(began).Seconds()
	stop()
	load.Wait()
	fmt.Printf("%.0f people connected per second of %d asked, in %.0f s; %v\n", float64(len(f.tokens))/took, flowRate, took, f.told)
	f.check(t)
}

// flows are people who connect, and what their clients were told.
type flows struct {
	*bridgetest.Processes
	client  bridgetest.Client
	company *idp.Server

	mu     sync.Mutex
	tokens []string // refresh tokens of who connected
	told   map[string]int
	wrong  []string // what nobody should have been told
}

// What people were told, beside the errors of walk.
const (
	connected   = "connected"
	unavailable = "503"
)

func (f *flows) count(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.told[what]
}

// tell notes an answer. Errors of ours are 503 and no other; who has had every answer so far has done nothing wrong,
// and whoever missed one, and asks again, may come too late for what is good once.
func (f *flows) tell(status int, missed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case status == http.StatusServiceUnavailable:
		f.told[unavailable]++
	case status >= http.StatusInternalServerError, status >= http.StatusBadRequest && !missed:
		f.wrong = append(f.wrong, fmt.Sprint("an answer was ", status))
	case status >= http.StatusBadRequest:
		f.told[fmt.Sprint(status, " after an answer that never came")]++
	}
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

// run begins flows until ctx ends, and waits for those under way. People who could not begin while all places were
// taken begin late: a replica that is killed keeps nobody from coming.
func (f *flows) run(ctx context.Context) {
	var walking sync.WaitGroup
	defer walking.Wait()
	places := make(chan struct{}, atOnce)
	began := time.Now()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(began.Add(time.Duration(i) * time.Second / flowRate))):
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
		f.told[connected]++
	case errors.Is(err, errNoAnswer), errors.Is(err, errStopped):
		f.told[err.Error()]++
	default:
		f.wrong = append(f.wrong, err.Error())
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
	status, body, err := post(shared, address, address, "/oauth/token", f.RedeemForm(f.client, code))
	if err != nil {
		return errNoAnswer
	}
	f.tell(status, false)
	var tokens bridgetest.Tokens
	switch {
	case status == http.StatusOK && json.Unmarshal(body, &tokens) == nil && tokens.Refresh != "":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.tokens = append(f.tokens, tokens.Refresh)
		return nil
	case status == http.StatusServiceUnavailable:
		return errNoAnswer
	}
	return fmt.Errorf("a code that reached the client came to %d %s", status, body)
}

// check wants every refresh token that was handed out to be good.
func (f *flows) check(t *testing.T) {
	t.Helper()
	for _, wrong := range f.wrong {
		t.Error(wrong)
	}
	if len(f.tokens) == 0 {
		t.Error("nobody connected")
	}
	address := host(f.Processes)
	for _, refresh := range f.tokens {
		status, body, err := post(shared, address, address, "/oauth/token", f.RefreshForm(f.client, refresh))
		if err != nil || status != http.StatusOK {
			t.Errorf("tokens that were acknowledged are lost: %d %s %v", status, body, err)
		}
	}
}

// shared are connections of all flows together: a request takes whichever is free, and so comes to whichever replica.
// A proxy before several replicas keeps its connections, too.
var shared = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: atOnce}}

// browser is one person's. It asks again when no answer came, as people do.
type browser struct {
	http.Client
	*flows
	cut bool // an answer did not come
}

func (f *flows) browse(subject string) *browser {
	jar, _ := cookiejar.New(nil) // never fails
	w := &browser{flows: f}
	w.Client = http.Client{Timeout: 30 * time.Second, Jar: jar, Transport: w}
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

// RoundTrip notes when a request went out twice: net/http does that by itself where a connection broke off.
func (w *browser) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := 0
	res, err := shared.Transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent++ },
	})))
	w.cut = w.cut || sent > 1
	return res, err
}

// do asks until there is an answer.
func (w *browser) do(method, path string, form url.Values) (page string, err error) {
	for range 20 {
		req, err := http.NewRequestWithContext(context.Background(), method, w.URL+path, strings.NewReader(form.Encode()))
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
			w.tell(res.StatusCode, w.cut)
			if err == nil && res.StatusCode != http.StatusServiceUnavailable {
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
