package programtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// A Machine is what the tests of a package start. Main makes it.
type Machine struct {
	Node   string // the pinned Node
	Bridge string // the program under test
	Folder string // what is built and made goes here, and with the tests
}

// Main builds the program and runs the tests of a package; it is all that a TestMain has to do. The root of the
// repository is given as seen from the package.
func Main(m *testing.M, machine *Machine, root string) {
	code, err := machine.run(m, root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "programtest:", err)
		os.Exit(1) //nolint:revive // it stands in for TestMain
	}
	os.Exit(code) //nolint:revive // it stands in for TestMain
}

func (m *Machine) run(tests *testing.M, root string) (int, error) {
	var err error
	if m.Node, err = Installed(filepath.Join(root, "e2e/node/node_modules/node-*/bin/node")); err != nil {
		return 0, err
	}
	if m.Folder, err = os.MkdirTemp("", "trinity-bridge-e2e-"); err != nil {
		return 0, fmt.Errorf("making a folder for the program: %w", err)
	}
	defer os.RemoveAll(m.Folder)
	if given := os.Getenv("E2E_BRIDGE"); given != "" { // one that is built already
		m.Bridge, err = filepath.Abs(given)
	} else {
		m.Bridge, err = m.Build("trinity-bridge", "github.com/abilityai/trinity-bridge/cmd/trinity-bridge")
	}
	if err != nil {
		return 0, err
	}
	return tests.Run(), nil
}

// Build builds a Go program.
func (m *Machine) Build(name, pkg string) (string, error) { return m.build(".", name, pkg) }

// BuildIn builds the Go program in a folder that is a module of its own.
func (m *Machine) BuildIn(folder, name string) (string, error) { return m.build(folder, name, ".") }

func (m *Machine) build(folder, name, pkg string) (string, error) {
	path := filepath.Join(m.Folder, name)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", path, pkg)
	build.Dir = folder
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s in %s: %w\n%s", pkg, folder, err, out)
	}
	return path, nil
}

// Installed finds what the Makefile installs for these tests, of which there is one for the machine. What it finds can
// be started from anywhere.
func Installed(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("there are %d files %s: the make target of these tests installs it", len(found), pattern)
	}
	return filepath.Abs(found[0])
}

// MustInstalled is Installed for a test.
func MustInstalled(t *testing.T, pattern string) string {
	t.Helper()
	path, err := Installed(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A Home is where one person's programs keep what they keep, and what each is told about its surroundings.
type Home struct {
	Dir     string
	machine *Machine
}

// NewHome makes an empty one.
func (m *Machine) NewHome(t *testing.T) Home {
	t.Helper()
	return Home{t.TempDir(), m}
}

// environment is all that a program in this home sees of its surroundings.
func (h Home) environment() []string {
	return []string{
		"PATH=" + filepath.Dir(h.machine.Node) + string(os.PathListSeparator) + "/usr/local/bin:/usr/bin:/bin",
		"HOME=" + h.Dir,
		"TMPDIR=" + h.Dir,
		"LANG=C.UTF-8",
		"TERM=dumb",
		"PYTHONDONTWRITEBYTECODE=1",
		"BROWSER=true", // what opens a browser opens nothing: the test is the browser
	}
}

// Replace changes the one place that matches the pattern in a file of this home.
func (h Home) Replace(t *testing.T, file, pattern, with string) {
	t.Helper()
	path := filepath.Join(h.Dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	expression := regexp.MustCompile(pattern)
	if n := len(expression.FindAll(text, -1)); n != 1 {
		t.Fatalf("%s has %d places %s, want one", file, n, pattern)
	}
	if err := os.WriteFile(path, expression.ReplaceAll(text, []byte(with)), 0o600); err != nil {
		t.Fatal(err)
	}
}
