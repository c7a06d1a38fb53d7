//go:build clients

package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

func TestConformance_authorization(t *testing.T) {
	config := filepath.Join(t.TempDir(), "bridge.yaml")
	os.WriteFile(config, []byte(`clients:
  - id: conformance
    name: Conformance suite
    redirect_uris: ["http://127.0.0.1:3000/callback"]
`), 0o600)
	b := startServe(t, "", "TRINITY_BRIDGE_CONFIG="+config)
	h := newHome(t)
	p := h.start(t, "conformance", nil, nodePath, mustInstalled(t, "node/node_modules/@modelcontextprotocol/conformance/dist/index.js"),
		"authorization", "--url", b.origin, "--client-id", "conformance", "-p", fmt.Sprint(bridgetest.FreePort(t)), "--resource", b.connector)
	b.signIn(t, awaitMatch(t, p, regexp.MustCompile(`(http://127\.0\.0\.1:[0-9]+/oauth/authorize\?\S+)`))[1])
	t.Log(p.exitCode(t))
	t.Fatal("LOOK")
}
