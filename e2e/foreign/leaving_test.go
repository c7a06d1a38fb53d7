//go:build e2e

package foreign_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// realTime has people leave by the machine's clock, which takes five minutes.
var realTime = flag.Bool("real-time", false, "wait in real time for what five minutes of use bring about")

// employee is somebody who came in through npm's oidc-provider and is connected, and the ways to change that.
type employee struct {
	*client
	idp   idp
	login string
	email string
}

// employ starts a company and has one of its people connect and call a tool.
func employ(t *testing.T, login, email string) *employee {
	t.Helper()
	address := bridgeAddress(t)
	source := startOIDCProvider(t, "http://"+address, "ES256", nil)
	source.steps, source.cookies = asLogin(login), filepath.Join(t.TempDir(), "cookies.json")
	b := startBehind(t, address, []idp{source}, bridgetest.With(func(f *config.Flags) { f.AccessLifetime = "1h" }))
	e := &employee{connectAs(t, b, "none", chromiumPerson(b, source, true, email)), source, login, email}
	e.leave() // whatever happens, nobody signs in again
	if answer, err := e.call(t, "get_agent"); err != nil || answer.Username != email {
		t.Fatalf("the call ran as %q: %v", answer.Username, err)
	}
	return e
}

// regroup changes the person's groups at the provider.
func (e *employee) regroup(t *testing.T, groups ...string) {
	t.Helper()
	body, err := json.Marshal(claims(e.email, groups...))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, e.idp.issuer+"/people/"+e.login, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := network.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		t.Fatalf("the provider answered %d", res.StatusCode)
	}
}

// demote gives the person a lower role at Trinity.
func (e *employee) demote(t *testing.T) {
	t.Helper()
	if err := e.bridge.Trinity.SetRole(e.email, "user"); err != nil {
		t.Fatal(err)
	}
}

// signOut is the person who ends the session on the provider's own page.
func (e *employee) signOut(t *testing.T) {
	t.Helper()
	page := e.idp
	page.name, page.steps = "npm-signout", []map[string]any{{"press": "button[name=logout][value=yes]"}}
	if last := chromiumWalk(t, e.bridge, page, false, e.idp.issuer+"/session/end", "", "Sign-out Success"); last["event"] != "stopped" {
		t.Fatalf("signing out ended with %v", last)
	}
}

// ended waits until the connection is over for a reason.
func (e *employee) ended(t *testing.T, reason string) {
	t.Helper()
	for deadline := time.Now().Add(patience); e.bridge.Audited("grant_ended", reason) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the connection did not end as %s", reason)
		}
	}
}

// wantOut wants the connection over for one reason, which the trail tells: calls and refreshes are refused, and where the
// person is to be let in no more, the link's key is revoked at Trinity.
func (e *employee) wantOut(t *testing.T, reason string, unlinked bool) {
	t.Helper()
	if _, err := e.call(t, "get_agent"); err == nil {
		t.Error("a call still works")
	}
	e.source.age(t)
	if _, err := e.source.Token(); err == nil {
		t.Error("a refresh still works")
	}
	if ended, all := e.bridge.Audited("grant_ended", reason), e.bridge.Audited("grant_ended", ""); ended != 1 || all != 1 {
		t.Errorf("%d of %d connections ended as %s", ended, all, reason)
	}
	for deadline := time.Now().Add(patience); unlinked; time.Sleep(50 * time.Millisecond) {
		live := 0
		for _, key := range e.bridge.Trinity.Keys() {
			if key.Active {
				live++
			}
		}
		if live == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d keys are alive at Trinity", live)
		}
	}
}

// FB-30: somebody who is taken out of the group is out within five minutes of use, in the middle of a session, and
// their key is revoked.
func TestProvider_npm_FB30_groupRemoved(t *testing.T) {
	t.Parallel()
	e := employ(t, "alice", alice)
	e.regroup(t)
	for range 5 {
		e.bridge.Clock.Advance(time.Minute)
		_, _ = e.call(t, "get_agent")
	}
	e.ended(t, "not_admitted") // it was asked behind the last of the calls
	e.wantOut(t, "not_admitted", true)
}

// FB-30: who signs out on the provider's own page is out at once, by the provider's word to the bridge. The link stays
// for the next sign-in, and its key with it.
func TestProvider_npm_FB30_backChannel(t *testing.T) {
	t.Parallel()
	e := employ(t, "alice", alice)
	e.signOut(t)
	e.ended(t, "signed_out")
	e.wantOut(t, "signed_out", false)
}

// FB-30: the same by the machine's own clock: a group taken away, and a role lowered at Trinity.
func TestProvider_npm_FB30_realTime(t *testing.T) {
	t.Parallel()
	if !*realTime {
		t.Skip("five minutes of use take five minutes: make leaving")
	}
	for name, tt := range map[string]struct {
		login, email string
		change       func(*employee, *testing.T)
		reason       string
		unlinks      bool
	}{
		"a group removed": {"alice", alice, func(e *employee, t *testing.T) { e.regroup(t) }, "not_admitted", true},
		"a role lowered":  {"admin", admin, (*employee).demote, "role_lowered", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := employ(t, tt.login, tt.email)
			tt.change(e, t)
			began, calls := time.Now(), 0
			for ; time.Since(began) < 5*time.Minute; time.Sleep(5 * time.Second) {
				if _, err := e.call(t, "get_agent"); err != nil {
					break
				}
				calls++
			}
			t.Logf("%s: out after %s and %d calls", name, time.Since(began).Round(time.Second), calls)
			e.wantOut(t, tt.reason, tt.unlinks)
		})
	}
}
