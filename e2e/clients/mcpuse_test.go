//go:build clients

package clients

import (
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestMCPUse has the client of mcp-use connect. It registers for codes alone, so it gets no refresh token, and names the
// resource to the authorization endpoint only.
func TestMCPUse(t *testing.T) {
	l := library{
		name: "mcp-use", version: pinnedVersion(t, "mcp-use", "mcp-use"),
		command: []string{
			programtest.MustInstalled(t, "python/venv-mcp-use/bin/python"), programtest.MustInstalled(t, "python/mcp_use_client.py"),
		},
	}
	t.Run(l.version, func(t *testing.T) {
		t.Parallel()
		b := startDemo(t)
		s := l.start(t, b, nil)
		s.signIn(t, b)
		for _, step := range []string{"restart", ""} {
			programtest.AwaitEvent[programtest.ToolList](t, s.Program, "tools").WantTrinitys(t)
			s.wantCall(t, "get_agent")
			if step != "" {
				s.awaitStep(t, step)
			}
		}
		s.wantDone(t)
		grants := b.Grants(t)
		if len(grants) != 1 {
			t.Fatalf("there are the grants %+v", grants)
		}
		b.wantCameIn(t, grants[0].ClientID, cameIn{registered: 1, signedIn: 1})
	})
}
