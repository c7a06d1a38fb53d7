//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestDPoP_EX22 has a client that others wrote bind its tokens to a key (RFC 9449): pushed request, code, calls in a
// session, refresh. It takes what the bridge answers by its own reading of the RFC, nonces among it. Whoever steals its
// tokens gets nothing for them.
func TestDPoP_EX22(t *testing.T) {
	for _, tt := range []struct {
		algorithm string
		settings  []string
		nonces    int // how often it was asked for one; the library keeps what answers bring
	}{
		{"ES256", []string{"TRINITY_BRIDGE_DPOP=on"}, 0},
		{"EdDSA", []string{"TRINITY_BRIDGE_DPOP=required", "TRINITY_BRIDGE_DPOP_NONCES=on"}, 2},
	} {
		t.Run(tt.algorithm, func(t *testing.T) {
			up := startUpstream(t)
			b := &bridge{machine.StartServe(t, "http", up.trinity, up.endpoint, tt.settings...), up}
			port, secrets := bridgetest.FreePort(t), canaries{}
			client := startNode(t, "dpop-client.mjs", nil, map[string]any{
				"serverUrl": b.Connector, "callbackPort": port, "algorithm": tt.algorithm, "tool": "get_agent", "args": programtest.CallArguments,
			})
			announced := programtest.AwaitEvent[struct{ Resource, Server []string }](t, client, "metadata")
			if !slices.Contains(announced.Resource, tt.algorithm) || !slices.Equal(announced.Server, announced.Resource) {
				t.Errorf("EX-21: %+v", announced)
			}
			if !programtest.AwaitEvent[struct{ Bound bool }](t, client, "registered").Bound {
				t.Error("its registration does not say that it takes bound tokens only")
			}
			url := programtest.AwaitEvent[struct{ URL string }](t, client, "authorize").URL
			signIn(t, b, url, fmt.Sprintf("http://127.0.0.1:%d/callback", port), secrets)
			for range 2 {
				got := programtest.AwaitEvent[struct {
					tokens
					Code, Verifier string
				}](t, client, "tokens")
				secrets.add(t, "access token", got.Tokens.AccessToken)
				secrets.add(t, "refresh token", got.Tokens.RefreshToken)
				if got.Tokens.TokenType != "dpop" { // as the library writes it
					t.Errorf("token type %q", got.Tokens.TokenType)
				}
			}
			refused := programtest.AwaitEvent[struct {
				Refusals map[string]string
				Nonces   int
			}](t, client, "refusals")
			want := map[string]string{
				"bearer": "invalid_token invalid_token", "another key": "invalid_dpop_proof", "refresh with another key": "invalid_grant",
				"refresh without a key": "invalid_dpop_proof", // it said that it takes bound tokens only
				"after the end":         "invalid_token invalid_token",
			}
			if diff := cmp.Diff(want, refused.Refusals); diff != "" {
				t.Errorf("EX-22…EX-24: what was refused (-want +got):\n%s", diff)
			}
			if refused.Nonces < tt.nonces || tt.nonces == 0 && refused.Nonces != 0 {
				t.Errorf("EX-26: asked for a nonce %d times", refused.Nonces)
			}
			calls := programtest.EventsSoFar[struct {
				IsError bool
				Text    string
			}](t, client, "called")
			if len(calls) != 3 {
				t.Fatalf("%d calls", len(calls))
			}
			for _, call := range calls {
				if call.IsError {
					t.Fatalf("the tool failed: %s", call.Text)
				}
				programtest.WantRanAsAlice(t, "get_agent", call.Text)
			}
			programtest.AwaitEvent[struct{}](t, client, "done")
			up.wantNothingLeft(t)
			b.wantDiscreet(t, secrets, client)
		})
	}
}
