package flow_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/flow"
)

var visitor = bridge.Person{Source: "https://sso.example.com", Subject: "00u1"}

// visited is a browser that has signed in to a visit: the flow's cookie from before, and the visit's.
func visited(t *testing.T, k *flow.Keeper) (begun bridge.Flow, before, after *http.Cookie) {
	t.Helper()
	recorder := httptest.NewRecorder()
	begun, err := k.BeginVisit(recorder, request(t, "/connections/sign-in"))
	if err != nil {
		t.Fatal(err)
	}
	before = recorder.Result().Cookies()[0]
	_, err = k.Update(t.Context(), begun.ID, func(f *bridge.Flow) error {
		f.Step = f.SignedIn()
		f.SignIn = bridge.SignIn{
			Source: "company", Person: visitor, Mailbox: "alice@example.com", Session: []byte("a session"),
			Identity: &bridge.IdentitySession{ID: "identity-1", Refresh: []byte("a refresh token"), IDToken: []byte("an ID token")},
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	recorder = httptest.NewRecorder()
	arrived, err := k.Arrive(recorder, request(t, "/connections/arrive?flow="+url.QueryEscape(begun.ID), before))
	if err != nil || string(arrived.SignIn.Session) != "a session" {
		t.Fatalf("arriving: %+v, %v", arrived.SignIn, err)
	}
	for _, cookie := range recorder.Result().Cookies() {
		if cookie.Name == before.Name && cookie.MaxAge != -1 {
			t.Errorf("the cookie from before stays: %+v", cookie)
		}
		if strings.HasSuffix(cookie.Name, "trinity-visit") {
			after = cookie
		}
	}
	return begun, before, after
}

func request(t *testing.T, target string, cookies ...*http.Cookie) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, issuer+target, nil)
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	return r
}

// FB-03, AS-135: a visit has a cookie of its own, and nothing of its sign-in but who it was, and what signing out at
// the provider needs.
func TestKeeper_FB03_visit(t *testing.T) {
	t.Parallel()
	k, rotated := newKeeper(t, issuer)
	begun, before, cookie := visited(t, k)
	if cookie.Name != "__Host-trinity-visit" || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode ||
		cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge != 900 {
		t.Errorf("cookie %+v", cookie)
	}
	for _, keeper := range []*flow.Keeper{k, rotated([]byte(strings.Repeat("a-newer-master-secret", 2)))} {
		visit, err := keeper.Visit(request(t, "/connections", cookie))
		if err != nil || visit.ID != begun.ID || visit.SignIn.Person != visitor {
			t.Fatalf("Visit = %+v, %v", visit, err)
		}
		if s := visit.SignIn; s.Session != nil || s.Mailbox != "" || s.Identity.Refresh != nil || string(s.Identity.IDToken) != "an ID token" {
			t.Errorf("the visit keeps %+v", s)
		}
	}
	renamed, tampered, flows := *before, *cookie, *cookie
	renamed.Name, flows.Name = cookie.Name, before.Name
	tampered.Value = cookie.Value[:len(cookie.Value)-2] + "xx"
	for name, cookies := range map[string][]*http.Cookie{
		"FB-02/no cookie": nil, "FB-03/the one from before": {before}, "FB-04/renamed": {&renamed}, "FB-04/tampered": {&tampered},
	} {
		if got, err := k.Visit(request(t, "/connections?flow="+begun.ID, cookies...)); !errors.Is(err, flow.ErrOtherBrowser) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, other := range map[string]*http.Cookie{"its cookie": cookie, "its cookie renamed": &flows, "the one from before": before} {
		if got, err := k.Current(request(t, "/consent?flow="+begun.ID, other)); !errors.Is(err, flow.ErrOtherBrowser) {
			t.Errorf("another step with %s: %+v, %v", name, got, err)
		}
	}
	_, err := k.Arrive(httptest.NewRecorder(), request(t, "/connections/arrive?flow="+begun.ID, before, cookie))
	if !errors.Is(err, flow.ErrOtherBrowser) {
		t.Errorf("arriving twice: %v", err)
	}
	if err := k.EndVisit(httptest.NewRecorder(), request(t, "/"), bridge.Flow{ID: begun.ID}); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Visit(request(t, "/connections", cookie)); !errors.Is(err, flow.ErrGone) {
		t.Errorf("after its end: %+v, %v", got, err)
	}
}

// I1: no request of a client becomes a visit, and no visit that is not signed in.
func TestKeeper_Arrive_refuses(t *testing.T) {
	t.Parallel()
	k, _ := newKeeper(t, issuer)
	tests := map[string]func(*bridge.Flow){
		"a client's request":    func(f *bridge.Flow) { f.Visit, f.Step, f.SignIn.Person = false, bridge.StepVisit, visitor },
		"before the sign-in":    func(f *bridge.Flow) { f.Visit = true },
		"with nobody signed in": func(f *bridge.Flow) { f.Visit, f.Step = true, bridge.StepVisit },
		"at the decision":       func(f *bridge.Flow) { f.Visit, f.Step, f.SignIn.Person = true, bridge.StepConsent, visitor },
	}
	for name, change := range tests {
		begun, cookie := begin(t, k)
		if _, err := k.Update(t.Context(), begun.ID, func(f *bridge.Flow) error { change(f); return nil }); err != nil {
			t.Fatal(err)
		}
		recorder := httptest.NewRecorder()
		if _, err := k.Arrive(recorder, request(t, "/connections/arrive?flow="+begun.ID, cookie)); !errors.Is(err, flow.ErrGone) {
			t.Errorf("%s: %v", name, err)
		}
		if cookies := recorder.Result().Cookies(); len(cookies) != 0 {
			t.Errorf("%s: set %v", name, cookies)
		}
	}
}
