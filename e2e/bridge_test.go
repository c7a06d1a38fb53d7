//go:build e2e

package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// A bridge is the running program and what stands behind it.
type bridge struct {
	*programtest.Bridge
	upstream *upstream // nil in demo mode, which brings its own
}

// startDemo runs the program with its own simulated Trinity.
func startDemo(t *testing.T) *bridge {
	t.Helper()
	return &bridge{Bridge: machine.StartDemo(t)}
}

// startServe runs the program as an operator would, before a FastMCP server and a simulated backend.
func startServe(t *testing.T) *bridge {
	t.Helper()
	up := startUpstream(t)
	return &bridge{machine.StartServe(t, "http", up.trinity, up.endpoint), up}
}

// crash kills the program in the middle of its work and starts it again on the same data. Its signing keys must be
// the same after.
func (b *bridge) crash(t *testing.T) {
	t.Helper()
	before := b.signingKeys(t)
	b.Crash(t)
	if diff := cmp.Diff(before, b.signingKeys(t)); diff != "" {
		t.Errorf("signing keys after the crash:\n%s", diff)
	}
}

func (b *bridge) signingKeys(t *testing.T) string {
	t.Helper()
	response, err := programtest.HTTPClient.Get(b.Origin + "/oauth/jwks")
	if err != nil {
		t.Fatalf("signing keys: %v", err)
	}
	defer response.Body.Close()
	keys, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("signing keys: %s, %v", response.Status, err)
	}
	return string(keys)
}

// revokeOnlyGrant ends the one live grant with the operator's commands.
func (b *bridge) revokeOnlyGrant(t *testing.T) {
	t.Helper()
	grants := b.Grants(t)
	if len(grants) != 1 || grants[0].Account != programtest.Alice || grants[0].Status != "live" {
		t.Fatalf("grants: %+v", grants)
	}
	b.Revoke(t, grants[0])
}

// wantDiscreet stops the program and looks for the secrets in all that it printed and kept, and for Trinity keys in
// what the clients told.
func (b *bridge) wantDiscreet(t *testing.T, secrets canaries, clients ...*programtest.Program) {
	t.Helper()
	b.Stop()
	for _, client := range clients {
		if staticKey.MatchString(client.Output()) {
			t.Errorf("%s was shown a Trinity key", client.Name)
		}
	}
	for _, p := range b.Runs() {
		var printed strings.Builder
		for text := range strings.Lines(p.Output()) {
			if !programtest.CodeLine.MatchString(strings.TrimSuffix(text, "\n")) { // demo mode's mailbox
				printed.WriteString(text)
			}
		}
		secrets.wantAbsent(t, "the output of "+p.Name, []byte(printed.String()))
	}
	if b.Database == "" {
		secrets.wantAbsentInFolder(t, "data folder", b.Data)
	} else {
		secrets.wantAbsentInDatabase(t, b.Database)
	}
	if b.upstream != nil {
		b.upstream.wantKeysOnly(t, secrets)
	}
}
