//go:build e2e || clients

package clients

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestConformanceAuthorization has the official suite examine the authorization server as each kind of client, over
// http on loopback and over https with an authority of the test's own. The suite takes a client with a secret for one
// without wherever "none" is advertised, so the SDKs show those.
func TestConformanceAuthorization(t *testing.T) {
	const redirect = "http://127.0.0.1/callback"
	tests := []struct{ name, scheme, id string }{
		{"configured", "http", configuredID},
		{"CIMD", "http", exampleID},
		{"configured over https", "https", configuredID},
		{"CIMD over https", "https", exampleID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			settings := append(configured(t, redirect), pinned(t, exampleDocument(redirect)))
			var env []string
			if tt.scheme == "https" {
				cert, key := certificate(t)
				settings = append(settings, "TRINITY_BRIDGE_TLS_CERT="+cert, "TRINITY_BRIDGE_TLS_KEY="+key)
				env = append(env, "NODE_EXTRA_CA_CERTS="+cert)
			}
			simulated := programtest.StartTrinity(t)
			b := &bridge{machine.StartServe(t, tt.scheme, simulated, simulated.MCPURL(), settings...)}
			suite := startSuite(t, env, "authorization", "--url", b.Origin, "--resource", b.Connector,
				"--client-id", tt.id, "--port", fmt.Sprint(bridgetest.FreePort(t)))
			b.signIn(t, suite.AwaitMatch(t, authorizeURL)[1])
			if code := suite.ExitCode(t); code != 0 {
				t.Errorf("the suite ended with %d", code)
			}
			good := check{Status: success}
			want := map[string]check{
				"authorization-server-metadata-endpoint authorization-server-metadata":      good,
				"authorization-server-metadata-endpoint authorization-server-metadata-cimd": good,
				"authorization-code-grant authorization-code-grant":                         good,
			}
			if diff := cmp.Diff(want, suite.checks(t)); diff != "" {
				t.Errorf("checks (-want +got):\n%s", diff)
			}
			b.wantCameIn(t, tt.id, cameIn{signedIn: 1})
		})
	}
}

// A suite is a run of the conformance suite, which leaves its results in a folder.
type suite struct {
	*programtest.Program
	folder string
}

func startSuite(t *testing.T, env []string, args ...string) suite {
	t.Helper()
	folder := t.TempDir()
	path := programtest.MustInstalled(t, "node/node_modules/@modelcontextprotocol/conformance/dist/index.js")
	args = append(append([]string{path}, args...), "--output-dir", folder)
	return suite{machine.NewHome(t).Start(t, "conformance "+args[1], env, machine.Node, args...), folder}
}

// A check is one thing that the suite looked at.
type check struct{ Status, ErrorMessage string }

var scenarioFolder = regexp.MustCompile(`^(?:authorization-server|server)-(.*)-[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9-]+Z$`)

// checks waits for the end and gives the results by scenario and check. A check that a scenario makes more than once is numbered.
func (s suite) checks(t *testing.T) map[string]check {
	t.Helper()
	select {
	case <-s.Ended:
	case <-time.After(4 * programtest.Patience): // all that a revision requires is more than one wait
		t.Fatalf("%s did not end", s.Name)
	}
	files, err := filepath.Glob(filepath.Join(s.folder, "*", "checks.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the suite left %d results: %v", len(files), err)
	}
	all := map[string]check{}
	for _, file := range files {
		scenario := scenarioFolder.FindStringSubmatch(filepath.Base(filepath.Dir(file)))
		if scenario == nil {
			t.Fatalf("%s is no scenario's folder", file)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct {
			ID string
			check
		}
		if err := json.Unmarshal(text, &checks); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range checks {
			name := scenario[1] + " " + c.ID
			for n := 2; ; n++ {
				if _, taken := all[name]; !taken {
					break
				}
				name = fmt.Sprintf("%s %s %d", scenario[1], c.ID, n)
			}
			all[name] = c.check
		}
	}
	return all
}
