package flow_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
)

const issuer = "https://connect.example.com"

func newKeeper(t *testing.T, issuer string) (*flow.Keeper, func([]byte) *flow.Keeper) {
	t.Helper()
	store, err := badger.Open(badger.Options{Dir: t.TempDir(), Sealer: secrettest.Ring()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	public, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	keeper := func(masters ...[]byte) *flow.Keeper {
		ring, err := secret.NewKeyring(masters...)
		if err != nil {
			t.Fatal(err)
		}
		return flow.New(flow.Options{Store: store, Ring: ring, Issuer: public, Now: time.Now, Rand: rand.Reader})
	}
	old := []byte(strings.Repeat("an-old-master-secret", 2))
	return keeper(old), func(newer []byte) *flow.Keeper { return keeper(newer, old) }
}

func begin(t *testing.T, k *flow.Keeper) (bridge.Flow, *http.Cookie) {
	t.Helper()
	recorder := httptest.NewRecorder()
	request := bridge.AuthorizationRequest{ClientID: "client", RedirectURI: "https://app.example.com/cb"}
	begun, err := k.Begin(recorder, httptest.NewRequest(http.MethodGet, issuer+"/oauth/authorize", nil), request)
	if err != nil {
		t.Fatal(err)
	}
	cookies := recorder.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	return begun, cookies[0]
}

func TestKeeper_AS135_cookie(t *testing.T) {
	t.Parallel()
	k, _ := newKeeper(t, issuer)
	begun, cookie := begin(t, k)
	if !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode ||
		cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge != 600 {
		t.Errorf("cookie %+v", cookie)
	}
	if strings.Contains(cookie.Value, begun.Browser.String()) || strings.Contains(cookie.Value, begun.ID) {
		t.Error("the cookie shows what is stored")
	}
	loopback, _ := newKeeper(t, "http://127.0.0.1:8420")
	if _, plain := begin(t, loopback); plain.Secure || strings.HasPrefix(plain.Name, "__Host-") || !plain.HttpOnly {
		t.Errorf("loopback cookie %+v", plain)
	}
}

func TestKeeper_Current(t *testing.T) {
	t.Parallel()
	k, rotated := newKeeper(t, issuer)
	begun, cookie := begin(t, k)
	other, otherCookie := begin(t, k)
	tampered := *cookie
	tampered.Value = cookie.Value[:len(cookie.Value)-2] + "xx"
	crossed := *otherCookie
	crossed.Name = cookie.Name
	tests := []struct {
		id      string
		keeper  *flow.Keeper
		flow    string
		cookies []*http.Cookie
		want    error
	}{
		{"own browser", k, begun.ID, []*http.Cookie{cookie}, nil},
		{"FB-05/both cookies", k, begun.ID, []*http.Cookie{otherCookie, cookie}, nil},
		{"while the secret is replaced", rotated([]byte(strings.Repeat("a-newer-master-secret", 2))), begun.ID, []*http.Cookie{cookie}, nil},
		{"FB-02/no cookie", k, begun.ID, nil, flow.ErrOtherBrowser},
		{"FB-05/another flow's cookie", k, begun.ID, []*http.Cookie{otherCookie}, flow.ErrOtherBrowser},
		{"FB-04/another flow's cookie renamed", k, begun.ID, []*http.Cookie{&crossed}, flow.ErrOtherBrowser},
		{"FB-04/tampered", k, begun.ID, []*http.Cookie{&tampered}, flow.ErrOtherBrowser},
		{"FB-04/forged", k, begun.ID, []*http.Cookie{{Name: cookie.Name, Value: "x"}}, flow.ErrOtherBrowser},
		{"FB-01/unknown flow", k, "nothing", []*http.Cookie{cookie}, flow.ErrGone},
		{"I12/no flow", k, "", []*http.Cookie{cookie}, flow.ErrGone},
		{"the other flow", k, other.ID, []*http.Cookie{otherCookie}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, issuer+"/signin?flow="+url.QueryEscape(tt.flow), nil)
			for _, c := range tt.cookies {
				r.AddCookie(c)
			}
			got, err := tt.keeper.Current(r)
			if !errors.Is(err, tt.want) || err == nil && got.ID != tt.flow {
				t.Errorf("Current = %q, %v, want %v", got.ID, err, tt.want)
			}
		})
	}
}

// A form that was shown under one secret is taken under the next, while both are live, and after that
// not any more.
func TestKeeper_Posted_whileTheSecretIsReplaced(t *testing.T) {
	t.Parallel()
	k, rotated := newKeeper(t, issuer)
	newer := []byte(strings.Repeat("a-newer-master-secret", 2))
	both := rotated(newer)
	begun, cookie := begin(t, k)
	post := func(k *flow.Keeper, ticket string) error {
		form := url.Values{"flow": {begun.ID}, "ticket": {ticket}}
		r := httptest.NewRequest(http.MethodPost, issuer+"/consent", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", issuer)
		r.AddCookie(cookie)
		_, err := k.Posted(httptest.NewRecorder(), r)
		return err
	}
	for _, ticket := range []string{k.Ticket(begun), both.Ticket(begun)} {
		if err := post(both, ticket); err != nil {
			t.Errorf("a ticket of a live secret: %v", err)
		}
	}
	for name, ticket := range map[string]string{"a secret that is not live": both.Ticket(begun), "nothing": ""} {
		if err := post(k, ticket); !errors.Is(err, flow.ErrForged) {
			t.Errorf("a ticket of %s: %v", name, err)
		}
	}
}

// CO-02, CO-21: a ticket is of one flow, person and step.
func TestKeeper_Ticket(t *testing.T) {
	t.Parallel()
	k, _ := newKeeper(t, issuer)
	begun, _ := begin(t, k)
	tickets := map[string]bool{k.Ticket(begun): true}
	for _, change := range []func(*bridge.Flow){
		func(f *bridge.Flow) { f.ID += "x" },
		func(f *bridge.Flow) { f.Browser[0]++ },
		func(f *bridge.Flow) { f.Step = bridge.StepConsent },
		func(f *bridge.Flow) { f.SignIn.Person = bridge.Person{Source: "trinity", Subject: "alice@example.com"} },
		func(f *bridge.Flow) { f.SignIn.Person = bridge.Person{Source: "trinity", Subject: "bob@example.com"} },
	} {
		changed := begun
		change(&changed)
		tickets[k.Ticket(changed)] = true
	}
	if len(tickets) != 6 {
		t.Errorf("six different flows have %d tickets", len(tickets))
	}
}

// AZ-44: the exit is taken once, and only by its own flow.
func TestKeeper_TakeExit_AZ44(t *testing.T) {
	t.Parallel()
	k, _ := newKeeper(t, issuer)
	begun, _ := begin(t, k)
	if _, err := k.TakeExit(t.Context(), begun); !errors.Is(err, flow.ErrGone) {
		t.Errorf("before the decision: %v", err)
	}
	decide := func(ctx context.Context, f bridge.Flow, sealed []byte) {
		t.Helper()
		if _, err := k.Update(ctx, f.ID, func(f *bridge.Flow) error { f.Step, f.Exit = bridge.StepDecided, sealed; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	decide(t.Context(), begun, k.SealExit(begun.ID, "https://app.example.com/cb?code=x"))
	if got, err := k.TakeExit(t.Context(), begun); err != nil || got != "https://app.example.com/cb?code=x" {
		t.Errorf("first: %q, %v", got, err)
	}
	if _, err := k.TakeExit(t.Context(), begun); !errors.Is(err, flow.ErrGone) {
		t.Errorf("second: %v", err)
	}
	swapped, _ := begin(t, k)
	decide(t.Context(), swapped, k.SealExit(begun.ID, "https://app.example.com/cb?code=x"))
	if got, err := k.TakeExit(t.Context(), swapped); err == nil {
		t.Errorf("another flow's exit: %q", got)
	}
}

func TestAnswerURL(t *testing.T) {
	t.Parallel()
	tests := []struct{ id, redirect, state, want string }{
		{"AS-045", "https://app.example.com/cb", "s", "https://app.example.com/cb?code=c&iss=https%3A%2F%2Fconnect.example.com&state=s"},
		{"AS-033/no state", "http://127.0.0.1:1/cb", "", "http://127.0.0.1:1/cb?code=c&iss=https%3A%2F%2Fconnect.example.com"},
		{"AZ-37/its own query", "https://app.example.com/cb?a=%2f", "a&b", "https://app.example.com/cb?a=%2f&code=c&iss=https%3A%2F%2Fconnect.example.com&state=a%26b"},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			if got := flow.AnswerURL(tt.redirect, issuer, tt.state, url.Values{"code": {"c"}}); got != tt.want {
				t.Errorf("AnswerURL = %s, want %s", got, tt.want)
			}
		})
	}
}

// BenchmarkKeeper_Current finds the flow of a request and knows its browser.
func BenchmarkKeeper_Current(b *testing.B) {
	store, err := badger.Open(badger.Options{Dir: b.TempDir(), Sealer: secrettest.Ring()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	public, err := url.Parse(issuer)
	if err != nil {
		b.Fatal(err)
	}
	k := flow.New(flow.Options{Store: store, Ring: secrettest.Ring(), Issuer: public, Now: time.Now, Rand: rand.Reader})
	recorder := httptest.NewRecorder()
	begun, err := k.Begin(recorder, httptest.NewRequest(http.MethodGet, issuer, nil), bridge.AuthorizationRequest{ClientID: "client"})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, issuer+flow.URL(begun), nil)
	r.AddCookie(recorder.Result().Cookies()[0])
	for b.Loop() {
		if _, err := k.Current(r); err != nil {
			b.Fatal(err)
		}
	}
}
