//go:build clients

package clients

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestInspector has the command line of MCP Inspector list and call, and call again after its stored access token died.
func TestInspector(t *testing.T) {
	version := packageVersion(t, "@modelcontextprotocol/inspector")
	t.Run(version+"/DCR", func(t *testing.T) {
		t.Parallel()
		b := startDemo(t)
		newInspector(t, b).walk(t, "")
	})
	t.Run(version+"/CIMD", func(t *testing.T) {
		t.Parallel()
		document := exampleDocument("http://127.0.0.1/oauth/callback")
		b := startServe(t, pinned(t, document))
		newInspector(t, b, "--client-metadata-url", exampleID, "--protocol-era", "auto").walk(t, exampleID)
	})
	t.Run(version+"/configured", func(t *testing.T) {
		t.Parallel()
		b := startServe(t, configured(t, "http://127.0.0.1/oauth/callback")...)
		newInspector(t, b, "--client-id", configuredID).walk(t, configuredID)
	})
}

// An inspector is one person's Inspector. Each run is a process of its own over what the last one stored.
type inspector struct {
	programtest.Home
	bridge  *bridge
	program string
	args    []string
}

func newInspector(t *testing.T, b *bridge, args ...string) inspector {
	t.Helper()
	return inspector{
		machine.NewHome(t), b,
		programtest.MustInstalled(t, "node/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"),
		append([]string{
			"--cli", b.Connector, "--transport", "http", "--format", "json",
			"--callback-url", fmt.Sprintf("http://127.0.0.1:%d/oauth/callback", bridgetest.FreePort(t)),
		}, args...),
	}
}

func (i inspector) start(t *testing.T, args ...string) *programtest.Program {
	t.Helper()
	return i.Start(t, "inspector", []string{
		"MCP_AUTO_OPEN_ENABLED=true", // or it asks nobody to sign in
		"MCP_INSPECTOR_SECRET_STORE=file",
	}, machine.Node, append(append([]string{i.program}, i.args...), args...)...)
}

// walk is the whole of it for a client that registers, or whose id is given.
func (i inspector) walk(t *testing.T, clientID string) {
	t.Helper()
	listing := i.start(t, "--method", "tools/list")
	asked := i.bridge.signIn(t, listing.AwaitMatch(t, navigateLine)[1])
	want := cameIn{signedIn: 1, refreshed: 1}
	if clientID == "" {
		clientID, want.registered = asked.Get("client_id"), 1
	}
	var tools programtest.ToolList
	i.result(t, listing, &tools)
	tools.WantTrinitys(t)
	i.wantCall(t)
	i.spoilAccessToken(t)
	i.wantCall(t)
	i.bridge.wantCameIn(t, clientID, want)
}

var navigateLine = regexp.MustCompile(`^Please navigate to: (\S+)$`)

func (i inspector) wantCall(t *testing.T) {
	t.Helper()
	arguments, err := json.Marshal(programtest.CallArguments)
	if err != nil {
		t.Fatal(err)
	}
	var called struct {
		IsError bool
		Content []struct{ Text string }
	}
	calling := i.start(t, "--method", "tools/call", "--tool-name", "get_agent", "--tool-args-json", string(arguments))
	i.result(t, calling, &called)
	if called.IsError || len(called.Content) != 1 {
		t.Fatalf("the tool answered %+v", called)
	}
	programtest.WantRanAsAlice(t, "get_agent", called.Content[0].Text)
}

// result reads what a run printed at its end.
func (i inspector) result(t *testing.T, p *programtest.Program, into any) {
	t.Helper()
	if code := p.ExitCode(t); code != 0 {
		t.Fatalf("the inspector ended with %d", code)
	}
	printed := struct{ Result any }{into}
	if err := json.Unmarshal([]byte(p.StandardOutput()), &printed); err != nil {
		t.Fatalf("the inspector printed %q: %v", p.StandardOutput(), err)
	}
}

// spoilAccessToken puts a value in the place of the stored access token that the bridge cannot have issued.
func (i inspector) spoilAccessToken(t *testing.T) {
	t.Helper()
	i.Replace(t, ".mcp-inspector/secrets.json", `(\\"access_token\\":\\")[^\\"]+`, "${1}spoiled-access-token")
}
