//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// machine is set by TestMain before any test runs.
var machine programtest.Machine

// screenshotDir is where the pictures of a run are left, outside version control.
const screenshotDir = "artifacts"

func TestMain(m *testing.M) { programtest.Main(m, &machine, "..") }

// chromium takes CHROMIUM from the environment or the first Chromium on the path.
func chromium(t *testing.T) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome"}
	if given := os.Getenv("CHROMIUM"); given != "" {
		names = []string{given}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium on the path: install it or name it in CHROMIUM")
	return ""
}

// startNode runs one of the scripts in node/ with its one JSON argument.
func startNode(t *testing.T, script string, env []string, argument any) *programtest.Program {
	t.Helper()
	args := []string{programtest.MustInstalled(t, filepath.Join("node", script))}
	if argument != nil {
		text, err := json.Marshal(argument)
		if err != nil {
			t.Fatalf("argument of %s: %v", script, err)
		}
		args = append(args, string(text))
	}
	env = append(env, fmt.Sprintf("SETTLE_MS=%d", bridgetest.Settling().Milliseconds())) // how soon all replicas know of a revocation
	return machine.NewHome(t).Start(t, script, env, machine.Node, args...)
}
