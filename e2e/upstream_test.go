//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// An upstream is a real FastMCP server that checks keys against a simulated Trinity backend.
type upstream struct {
	*programtest.Program
	trinity  programtest.Trinity
	endpoint string
}

func startUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{trinity: programtest.StartTrinity(t)}
	u.Program = startNode(t, "fastmcp-server.mjs", []string{
		fmt.Sprintf("PORT=%d", bridgetest.FreePort(t)),
		"TRINITY_API_URL=" + u.trinity.BackendURL(),
	}, nil)
	u.endpoint = programtest.AwaitEvent[struct{ URL string }](t, u.Program, "listening").URL
	return u
}

// wantKeysOnly checks what reached the upstream: nothing at all without alice's one Trinity key but the bridge's own
// probes, and never a secret of the client's.
func (u *upstream) wantKeysOnly(t *testing.T, secrets canaries) {
	t.Helper()
	type request struct {
		Method, URL, Account string
		Headers              map[string]string
	}
	keys := map[string]bool{}
	for _, r := range programtest.EventsSoFar[request](t, u.Program, "request") {
		authorization, given := r.Headers["authorization"]
		switch {
		case r.Account == "" && r.Headers["mcp-session-id"] == "" && (!given || staticKey.MatchString(authorization)):
			// the probe whether the upstream refuses calls without a good key (OP-34)
		case r.Account != programtest.Alice:
			t.Errorf("%s %s reached the upstream as %q", r.Method, r.URL, r.Account)
		default:
			keys[authorization] = true
		}
	}
	if len(keys) != 1 {
		t.Errorf("the calls came with %d keys, want the grant's one", len(keys))
	}
	for _, kind := range secrets.foundIn([]byte(u.Output())) {
		t.Errorf("the upstream saw the %s", kind)
	}
	for _, r := range u.trinity.Requests() {
		sent := fmt.Appendf(nil, "%s?%s %v\n%s", r.Path, r.Query, r.Header, r.Body)
		for _, kind := range secrets.foundIn(sent) {
			if kind != emailCode { // Trinity made it and has to check it
				t.Errorf("Trinity saw the %s at %s", kind, r.Path)
			}
		}
	}
}

// wantNothingLeft waits until nothing at Trinity is live that the bridge had it make: no key, and no sign-in of the
// kind that could make more.
func (u *upstream) wantNothingLeft(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(programtest.Patience); ; time.Sleep(50 * time.Millisecond) {
		keys := slices.DeleteFunc(u.trinity.Keys(), func(k trinitytest.KeyInfo) bool { return !k.Active })
		signIns := u.trinity.LiveJWTs()
		if len(keys) == 0 && signIns == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d keys and %d sign-ins live on at Trinity after the grant was revoked", len(keys), signIns)
			return
		}
	}
}
