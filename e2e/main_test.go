//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// What the tests start. Set once by TestMain before any test runs.
var (
	bridgePath   string // the program under test
	nodePath     string // the pinned Node
	chromiumPath string
)

// screenshotDir is where the pictures of a run are left, outside version control.
const screenshotDir = "artifacts"

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	var err error
	if nodePath, err = pinnedNode(); err != nil {
		return 0, err
	}
	if chromiumPath, err = findChromium(); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "trinity-bridge-e2e-")
	if err != nil {
		return 0, fmt.Errorf("making a folder for the program: %w", err)
	}
	defer os.RemoveAll(dir)
	if bridgePath, err = buildBridge(dir); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// buildBridge builds the program into dir, unless E2E_BRIDGE names one that is built already.
func buildBridge(dir string) (string, error) {
	if given := os.Getenv("E2E_BRIDGE"); given != "" {
		return filepath.Abs(given)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	path := filepath.Join(dir, "trinity-bridge")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "../cmd/trinity-bridge")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ../cmd/trinity-bridge: %w\n%s", err, out)
	}
	return path, nil
}

// pinnedNode finds the Node that the npm packages of node/package.json carry.
func pinnedNode() (string, error) {
	found, err := filepath.Glob("node/node_modules/node-*/bin/node")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("node/node_modules holds no Node: run `make e2e`, which installs it")
	}
	return filepath.Abs(found[0])
}

// findChromium takes CHROMIUM from the environment or the first Chromium on the path.
func findChromium() (string, error) {
	if given := os.Getenv("CHROMIUM"); given != "" {
		return exec.LookPath(given)
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no Chromium on the path: install it or name it in CHROMIUM")
}
