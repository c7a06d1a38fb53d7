//go:build e2e || clients

package clients

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// callArguments go through the bridge unchanged.
var callArguments = map[string]any{"name": "research"}

// toolList is the part of tools/list that matters here.
type toolList struct {
	Tools []struct{ Name string }
}

// wantTrinitys checks that what is offered is Trinity's.
func (l toolList) wantTrinitys(t *testing.T) {
	t.Helper()
	for _, name := range []string{"list_agents", "get_agent", "chat_with_agent"} {
		if !slices.ContainsFunc(l.Tools, func(tool struct{ Name string }) bool { return tool.Name == name }) {
			t.Errorf("the tool %s is not offered", name)
		}
	}
}

// wantRanAsAlice checks what a simulated tool said about its call.
func wantRanAsAlice(t *testing.T, tool, text string) {
	t.Helper()
	type called struct {
		Tool      string         `json:"tool"`
		Arguments map[string]any `json:"arguments"`
		Username  string         `json:"username"`
		KeyName   string         `json:"key_name"`
	}
	var got called
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("the tool answered %q: %v", text, err)
	}
	if got.KeyName == "" {
		t.Error("the call ran without a key of its own")
	}
	want := called{Tool: tool, Arguments: callArguments, Username: alice, KeyName: got.KeyName}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the call (-want +got):\n%s", diff)
	}
}

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
	grants := b.grants(t)
	if len(grants) == 0 || grants[0].ClientID != clientID || grants[0].Account != alice || grants[0].Status != "live" {
		t.Errorf("the operator sees the grants %+v, want a live one of %s", grants, clientID)
	}
}

// wantCalls runs n processes at the same time, in each of which a stubbed model calls the tool once; answered is what
// models have been answered so far.
func wantCalls(t *testing.T, n int, tool string, answered func() []string, start func() *program) {
	t.Helper()
	before := len(answered())
	running := make([]*program, n)
	for i := range running {
		running[i] = start()
	}
	for _, p := range running {
		if code := p.exitCode(t); code != 0 {
			t.Errorf("%s ended with %d", p.name, code)
		}
	}
	answers := answered()[before:]
	if len(answers) != n {
		t.Fatalf("the tool was called %d times, want %d", len(answers), n)
	}
	for _, answer := range answers {
		wantRanAsAlice(t, tool, answer)
	}
}
