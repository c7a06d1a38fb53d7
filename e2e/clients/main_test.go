//go:build e2e || clients

package clients

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
	bridgePath string // the program under test
	nodePath   string // the pinned Node
	workFolder string // what is built and made goes here, and with the tests
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	var err error
	if nodePath, err = installed("../node/node_modules/node-*/bin/node"); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "trinity-bridge-clients-")
	if err != nil {
		return 0, fmt.Errorf("making a folder for the program: %w", err)
	}
	defer os.RemoveAll(dir)
	workFolder = dir
	if bridgePath, err = buildBridge(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// buildBridge builds the program, unless E2E_BRIDGE names one that is built already.
func buildBridge() (string, error) {
	if given := os.Getenv("E2E_BRIDGE"); given != "" {
		return filepath.Abs(given)
	}
	return build("trinity-bridge", "../../cmd/trinity-bridge")
}

// build builds a Go program in the work folder.
func build(name, pkg string) (string, error) {
	path := filepath.Join(workFolder, name)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// installed finds what `make clients` installs, of which there is one for the machine.
func installed(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("there are %d files %s: `make clients` installs it", len(found), pattern)
	}
	return filepath.Abs(found[0])
}

// mustInstalled is installed for a test. What it finds can be started from anywhere.
func mustInstalled(t *testing.T, pattern string) string {
	t.Helper()
	path, err := installed(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
