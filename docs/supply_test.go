package docs

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// required are the versions that go.mod names, with "go" among them; direct are the modules used directly, and others
// what else stands there.
func required(t *testing.T) (versions map[string]string, direct, others []string) {
	t.Helper()
	versions = map[string]string{}
	for line := range strings.Lines(read(t, "go.mod")) {
		switch fields := strings.Fields(strings.TrimPrefix(line, "require ")); {
		case len(fields) < 2 || fields[1] == "(":
		case strings.HasPrefix(fields[1], "v"):
			versions[fields[0]] = strings.TrimPrefix(fields[1], "v")
			if len(fields) == 2 {
				direct = append(direct, fields[0])
			}
		default:
			versions[fields[0]] = fields[1]
			others = append(others, fields[0])
		}
	}
	return versions, direct, others
}

// SC-01: what is used directly has its reason on a page.
func TestSupply_SC01_dependencies(t *testing.T) {
	t.Parallel()
	page := read(t, "docs/decisions/0013-dependencies.md")
	_, direct, _ := required(t)
	if len(direct) < 10 {
		t.Fatalf("go.mod names %d modules: does this test still read it?", len(direct))
	}
	for _, module := range direct {
		if !strings.Contains(page, "`"+module+"`") {
			t.Errorf("docs/decisions/0013-dependencies.md does not say why we depend on %s", module)
		}
	}
}

// SC-03: no module is replaced by another. Their sums are `make modules`.
func TestSupply_SC03_modules(t *testing.T) {
	t.Parallel()
	if _, _, others := required(t); !slices.Equal(others, []string{"module", "go"}) {
		t.Errorf("go.mod says more than its name and what it requires: %v", others)
	}
}

// SC-03: what the tests install is the very version that was chosen, and runs nothing while it is installed.
func TestSupply_SC03_packages(t *testing.T) {
	t.Parallel()
	version := regexp.MustCompile(`^\d+\.\d+\.\d+(-[a-z]+\.\d+)?$`)
	for _, folder := range []string{"e2e/node", "e2e/clients/node"} {
		var wanted struct{ Dependencies, DevDependencies, OptionalDependencies map[string]string }
		var locked struct {
			Packages map[string]struct{ Resolved, Integrity string }
		}
		if err := json.Unmarshal([]byte(read(t, folder+"/package.json")), &wanted); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(read(t, folder+"/package-lock.json")), &locked); err != nil {
			t.Fatal(err)
		}
		for _, versions := range []map[string]string{wanted.Dependencies, wanted.DevDependencies, wanted.OptionalDependencies} {
			for name, chosen := range versions {
				if !version.MatchString(chosen) {
					t.Errorf("%s/package.json: %s %s", folder, name, chosen)
				}
			}
		}
		delete(locked.Packages, "") // the folder itself
		if len(locked.Packages) < 100 {
			t.Errorf("%s/package-lock.json: only %d packages were found", folder, len(locked.Packages))
		}
		for name, entry := range locked.Packages {
			// Without an address the file works with any registry; the sum makes sure of what comes from it.
			if entry.Resolved != "" || !strings.HasPrefix(entry.Integrity, "sha512-") {
				t.Errorf("%s/package-lock.json: %s: address %q, sum %q", folder, name, entry.Resolved, entry.Integrity)
			}
		}
	}

	files, err := filepath.Glob(filepath.Join(root, "e2e/clients/python/requirements-*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no requirements of Python clients: ", err)
	}
	requirement := regexp.MustCompile(`^([\w.-]+==[\w.]+|#.*|)$`)
	for _, file := range files {
		for line := range strings.Lines(read(t, "e2e/clients/python/"+filepath.Base(file))) {
			if !requirement.MatchString(strings.TrimSpace(line)) {
				t.Errorf("%s: %s", filepath.Base(file), line)
			}
		}
	}

	install := regexp.MustCompile(`npm|npx|\bpip\b|install `)
	safe := regexp.MustCompile(`npm ci .*--ignore-scripts |pip install .*--only-binary :all: |\$\(GO\) install \S+@v\d`)
	for line := range strings.Lines(read(t, "Makefile")) {
		if strings.HasPrefix(line, "\t") && install.MatchString(line) && !safe.MatchString(line) {
			t.Errorf("Makefile: %s", strings.TrimSpace(line))
		}
	}
}

// SC-07: the image holds the program and nothing to run beside it, and it does not run as root. As the compose file
// starts it, it can write to its volumes alone and gain no rights. Package e2e runs it so.
func TestSupply_SC07_container(t *testing.T) {
	t.Parallel()
	_, image, _ := strings.Cut(read(t, "Dockerfile"), "\nFROM scratch\n")
	for _, want := range []string{"USER 65532:65532\n", "VOLUME /data\n", `ENTRYPOINT ["/trinity-bridge"]`} {
		if !strings.Contains(image, want) {
			t.Errorf("the image's stage lacks %q", want)
		}
	}
	if strings.Contains(image, "FROM ") || strings.Contains(image, "RUN ") || strings.Contains(image, "ADD ") {
		t.Errorf("more is put into the image than the build made:\n%s", image)
	}
	var compose struct {
		Services map[string]map[string]any
	}
	if err := yaml.Unmarshal([]byte(read(t, "compose.trinity-bridge.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	service := compose.Services["trinity-bridge"]
	want := map[string]any{
		"read_only": true, "cap_drop": []any{"ALL"}, "security_opt": []any{"no-new-privileges:true"},
		"volumes": []any{"data:/data", "watermark:/watermark"},
		"user":    nil, "privileged": nil, "cap_add": nil, "devices": nil, "pid": nil, "network_mode": nil,
	}
	for key, value := range want {
		if diff := cmp.Diff(value, service[key]); diff != "" {
			t.Errorf("compose, %s (-want +got):\n%s", key, diff)
		}
	}
}

// SC-09: no version with a known weakness that matters here.
func TestSupply_SC09_leastVersions(t *testing.T) {
	t.Parallel()
	versions, _, _ := required(t)
	for name, least := range map[string]string{
		"go":                                     "1.26.0",
		"github.com/go-jose/go-jose/v4":          "4.1.4",  // CVE-2026-34986
		"golang.org/x/oauth2":                    "0.27.0", // CVE-2025-22868
		"github.com/dgraph-io/badger/v4":         "4.9.4",
		"github.com/modelcontextprotocol/go-sdk": "1.4.1",
	} {
		if slices.Compare(numbers(t, versions[name]), numbers(t, least)) < 0 {
			t.Errorf("%s %s, want %s at least", name, versions[name], least)
		}
	}
}

// numbers takes a version apart.
func numbers(t *testing.T, version string) (parts []int) {
	t.Helper()
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatalf("version %q: %v", version, err)
		}
		parts = append(parts, n)
	}
	return parts
}
