//go:build e2e || clients

package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// configuredID is a client that the operator wrote into the configuration file, for a program to be told.
const configuredID = "handed-out-to-a-program"

// configured are the settings of a bridge that takes this client and that nobody can register with.
func configured(t *testing.T, redirectURI string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bridge.yaml")
	text := fmt.Sprintf("clients:\n  - id: %s\n    name: Example program\n    redirect_uris: [%q]\n", configuredID, redirectURI)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"TRINITY_BRIDGE_CONFIG=" + path, "TRINITY_BRIDGE_REGISTRATION=off"}
}
