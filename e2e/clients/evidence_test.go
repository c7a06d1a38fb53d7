//go:build e2e || clients

package clients

import (
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// cameIn is how a client came in: how often it registered, a person signed in for it, and at least it refreshed.
type cameIn struct{ registered, signedIn, refreshed int }

// wantCameIn checks against the bridge's own records that the client with that id came in as told, and that nothing
// it asked for on the way was refused.
func (b *bridge) wantCameIn(t *testing.T, clientID string, want cameIn) {
	t.Helper()
	events := b.events(t)
	got := cameIn{events["client_registered"], events["signed_in"], events["token_refreshed"]}
	if got.registered != want.registered || got.signedIn != want.signedIn || got.refreshed < want.refreshed {
		t.Errorf("the client came in by %+v, want %+v", got, want)
	}
	if events["token_issued"] != want.signedIn {
		t.Errorf("%d codes were redeemed, want %d", events["token_issued"], want.signedIn)
	}
	for _, refused := range []string{"authorize_rejected", "register_refused", "token_refused", "sign_in_failed", "consent_refused"} {
		if events[refused] > 0 {
			t.Errorf("%d events %s", events[refused], refused)
		}
	}
	grants := b.Grants(t)
	if len(grants) == 0 || grants[0].ClientID != clientID || grants[0].Account != programtest.Alice || grants[0].Status != "live" {
		t.Errorf("the operator sees the grants %+v, want a live one of %s", grants, clientID)
	}
}

// wantCalls runs n processes at the same time, in each of which a stubbed model calls the tool once; answered is what
// models have been answered so far.
func wantCalls(t *testing.T, n int, tool string, answered func() []string, start func() *programtest.Program) {
	t.Helper()
	before := len(answered())
	running := make([]*programtest.Program, n)
	for i := range running {
		running[i] = start()
	}
	for _, p := range running {
		if code := p.ExitCode(t); code != 0 {
			t.Errorf("%s ended with %d", p.Name, code)
		}
	}
	answers := answered()[before:]
	if len(answers) != n {
		t.Fatalf("the tool was called %d times, want %d", len(answers), n)
	}
	for _, answer := range answers {
		programtest.WantRanAsAlice(t, tool, answer)
	}
}
