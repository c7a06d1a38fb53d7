//go:build e2e

package foreign_test

import (
	"bytes"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	bridgetools "github.com/abilityai/trinity-bridge/bridge/tools"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// TestTools_fastMCP: the audit of a real FastMCP server with Trinity's 154 names, none of them annotated, tells of every
// gap; through /mcp/listed the same audit of the same server has nothing to tell.
func TestTools_fastMCP(t *testing.T) {
	t.Parallel()
	names, err := filepath.Abs("../../bridge/tools/testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	var upstream *url.URL
	b := bridgetest.Start(t, bridgetest.WithUpstream(func(backend string) string {
		upstream = startFastMCP(t, backend, "TOOL_NAMES="+names)
		return upstream.JoinPath("mcp").String()
	}))
	catalogue, err := bridgetools.Load()
	if err != nil {
		t.Fatal(err)
	}
	key, err := b.Trinity.MintKey("alice@example.com", "audit", "user", "")
	if err != nil {
		t.Fatal(err)
	}
	b.Secret(key)

	direct := catalogue.Audit(ask(t, upstream.JoinPath("mcp").String(), key), false)
	untitled, unhinted := 0, 0
	for _, f := range direct.Findings {
		switch f.Rule {
		case bridgetools.RuleTitle:
			untitled++
		case bridgetools.RuleHints:
			unhinted++
		}
	}
	if direct.Tools != 154 || untitled != 154 || unhinted != 154 {
		t.Errorf("straight: %d tools, %d without title, %d without hints, want 154 of each", direct.Tools, untitled, unhinted)
	}

	tokens := b.ConnectTo(t, b.Register(t), "/mcp/listed", "trinity:read trinity:write trinity:admin")
	for who, credential := range map[string]string{"a person": tokens.Access, "a static key": key} {
		listed := ask(t, b.MCP+"/listed", credential)
		report := catalogue.Audit(listed, false)
		var table bytes.Buffer
		if err := report.Write(&table); err != nil {
			t.Fatal(err)
		}
		if len(listed) < 90 || report.Gaps() != 0 || !strings.Contains(table.String(), "no gaps") {
			t.Errorf("through /mcp/listed, %s:\n%s", who, table.String())
		}
	}
}

func ask(t *testing.T, endpoint, key string) []jsonrpc.ListedTool {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := bridgetools.AskList(t.Context(), u, secret.New(key))
	if err != nil {
		t.Fatalf("%s: %v", endpoint, err)
	}
	return listed
}
