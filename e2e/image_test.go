//go:build e2e

package e2e

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestImage_SC04_sameBuild builds the program twice as the Dockerfile does: in two folders, the second time with nothing
// built before. Both are the same to the byte.
func TestImage_SC04_sameBuild(t *testing.T) {
	bridgetest.OneProcess(t, "what is built does not depend on how many run")
	first, second := buildImage(t), buildImage(t, "GOCACHE="+t.TempDir())
	if !bytes.Equal(first, second) {
		t.Errorf("two builds differ: %d and %d bytes", len(first), len(second))
	}
}

// TestImage_SC05_madeOf: the program says itself which modules it is made of, each with the sum of what was compiled and
// none in the place of another. `go version -m` prints the list.
func TestImage_SC05_madeOf(t *testing.T) {
	bridgetest.OneProcess(t, "what is built does not depend on how many run")
	made, err := buildinfo.Read(bytes.NewReader(buildImage(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range made.Deps {
		if !strings.HasPrefix(module.Sum, "h1:") || module.Replace != nil {
			t.Errorf("%s %s has the sum %q and is replaced by %v", module.Path, module.Version, module.Sum, module.Replace)
		}
		if strings.HasPrefix(module.Path, "github.com/modelcontextprotocol/") || strings.HasPrefix(module.Path, "github.com/google/go-cmp") {
			t.Errorf("%s is for tests", module.Path)
		}
	}
	if len(made.Deps) < 10 || !slices.Contains(made.Settings, debug.BuildSetting{Key: "CGO_ENABLED", Value: "0"}) {
		t.Errorf("it is made of %d modules, with %v", len(made.Deps), made.Settings)
	}
}

// TestImage_SC07_run runs the program as the image does: as nobody in particular, in a root where there is nothing else
// and only its data folder can be written to. It connects a client and finds itself healthy.
func TestImage_SC07_run(t *testing.T) {
	bridgetest.OneProcess(t, "an image runs one of them")
	if os.Getuid() != 0 {
		t.Skip("only root may give a process another root and user")
	}
	image := t.TempDir()
	data := filepath.Join(image, "data")
	// What the image says about where the program runs, where data is and who it is.
	entry := fmt.Sprintf("#!/bin/sh\nexport TRINITY_BRIDGE_DATA=/data\nexec /usr/sbin/chroot --userspec=65532:65532 %s /trinity-bridge \"$@\"\n", image)
	contained := machine
	contained.Bridge = filepath.Join(t.TempDir(), "entry")
	for path, text := range map[string][]byte{filepath.Join(image, "trinity-bridge"): buildImage(t), contained.Bridge: []byte(entry)} {
		if err := os.WriteFile(path, text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(data, 0o700), os.Chown(data, 65532, 65532)); err != nil {
		t.Fatal(err)
	}

	simulated := programtest.StartTrinity(t)
	b := contained.StartServe(t, "http", simulated, simulated.MCPURL())
	web := &bridgetest.Bridge{URL: b.Origin, MCP: b.Connector, Trinity: simulated.Server}
	web.Session(t, web.Connect(t, web.Register(t), programtest.Alice).Access)
	if said := contained.NewHome(t).Run(t, "health", nil, contained.Bridge, "health"); said != "ok\n" {
		t.Errorf("health: %s", said)
	}
	if left, err := fs.Glob(os.DirFS(image), "*"); err != nil || !slices.Equal(left, []string{"data", "trinity-bridge"}) {
		t.Errorf("the root holds %v (%v)", left, err)
	}
}

// buildImage runs the Dockerfile's own build in a folder that has only what .dockerignore lets through, and returns the
// program.
func buildImage(t *testing.T, env ...string) []byte {
	t.Helper()
	folder := t.TempDir()
	ignored, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(ignored)) {
		var copying *exec.Cmd
		if wanted, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			copying = exec.CommandContext(t.Context(), "cp", "-r", "../"+wanted, filepath.Join(folder, wanted))
		} else if unwanted, ok := strings.CutPrefix(strings.TrimSpace(line), "**/"); ok {
			copying = exec.CommandContext(t.Context(), "find", folder, "-depth", "-name", unwanted, "-exec", "rm", "-r", "{}", ";")
		} else {
			continue
		}
		if out, err := copying.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^RUN (.* go build .* -o )/out/(trinity-bridge .*?) *\\?$`).FindSubmatch(dockerfile)
	if command == nil {
		t.Fatal("the Dockerfile does not build the program")
	}
	build := exec.CommandContext(t.Context(), "sh", "-c", string(command[1])+string(command[2]))
	build.Dir = folder
	build.Env = append(os.Environ(), env...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command[0], err, out)
	}
	built, err := os.ReadFile(filepath.Join(folder, "trinity-bridge"))
	if err != nil {
		t.Fatal(err)
	}
	return built
}
