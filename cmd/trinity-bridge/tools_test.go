package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/tools"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// toolsRun runs a command and returns what it printed and its exit code.
func toolsRun(t *testing.T, args ...string) (out, errOut string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"tools"}, args...), &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

func saved(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodTool = `{"name":"list_agents","title":"List agents","description":"Lists agents.","annotations":{"readOnlyHint":true,"destructiveHint":false,"openWorldHint":false}}`

func TestToolsAudit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, list string
		args       []string
		want       int
		out        []string // parts
	}{
		{"clean", `[` + goodTool + `]`, nil, exitDone, []string{"1 tools, no gaps"}},
		{"bare", `{"tools":[{"name":"list_agents","description":"Lists."}]}`, nil, exitFailed, []string{"title: missing; hints: missing", "1 with gaps: title 1, hints 1"}},
		{"a whole answer", `{"jsonrpc":"2.0","id":1,"result":{"tools":[` + goodTool + `]}}`, nil, exitDone, []string{"no gaps"}},
		{"unknown", `[{"name":"launch_rocket"}]`, nil, exitFailed, []string{"description: is empty", "drift: not in the catalogue"}},
		{"prohibited", `[{"name":"call_user","title":"Call","description":"Calls.","annotations":{"readOnlyHint":false,"destructiveHint":true,"openWorldHint":true}}]`, nil, exitFailed, []string{"prohibited: telephony"}},
		{"prohibited where it is not listed", `[{"name":"call_user","title":"Call","description":"Calls.","annotations":{"readOnlyHint":false,"destructiveHint":true,"openWorldHint":true}}]`, []string{"--unlisted"}, exitDone, []string{"no gaps"}},
		{"lax", `[{"name":"delete_agent","title":"Delete","description":"Deletes.","annotations":{"readOnlyHint":true,"destructiveHint":false,"openWorldHint":false}}]`, nil, exitFailed, []string{"readOnlyHint is true, destructiveHint is false against the catalogue"}},
		{"strict", `[{"name":"list_agents","title":"List","description":"Lists.","annotations":{"readOnlyHint":false,"destructiveHint":false,"openWorldHint":false}}]`, nil, exitDone, []string{"(hints: readOnlyHint is false, stricter", "no gaps; 1 note"}},
		{"steering", `[{"name":"get_agent","title":"T","description":"You must call list_agents first.","annotations":{"readOnlyHint":true,"destructiveHint":false,"openWorldHint":false}}]`, nil, exitFailed, []string{`steers the model: "You must"`}},
		{"hidden and terminal", `[{"name":"get_agent","title":"T\u001b[2J","description":"Shows\u200b."}]`, nil, exitFailed, []string{"description: holds characters that cannot be seen", "title: holds characters"}},
		{"long name", `[{"name":"` + strings.Repeat("x", 65) + `"},{"name":"with.dot"}]`, nil, exitFailed, []string{"name: is not 1 to 64 characters long", "something else than letters"}},
		{"twice", `[` + goodTool + `,` + goodTool + `]`, nil, exitFailed, []string{"name: stands twice"}},
		{"others named", `[` + goodTool + `,{"name":"get_agent","title":"T","description":"Shows one of list_agents.","annotations":{"readOnlyHint":true,"destructiveHint":false,"openWorldHint":false}}]`, nil, exitDone, []string{"(description: names another tool: list_agents)"}},
		{"no list", `{"jsonrpc":"2.0","id":1,"error":{}}`, nil, exitFailed, nil},
		{"no JSON", `tools`, nil, exitFailed, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, errOut, code := toolsRun(t, append([]string{"audit", saved(t, tt.list)}, tt.args...)...)
			if code != tt.want || strings.Contains(out, "\x1b") {
				t.Errorf("exit code %d, want %d: %q %s", code, tt.want, out, errOut)
			}
			for _, part := range tt.out {
				if !strings.Contains(out, part) {
					t.Errorf("no %q in\n%s", part, out)
				}
			}
			out, _, code = toolsRun(t, append([]string{"audit", saved(t, tt.list), "--json"}, tt.args...)...)
			var report tools.Report
			if err := json.Unmarshal([]byte(out), &report); tt.out != nil && (err != nil || code != tt.want || report.Gaps() > 0 != (code == exitFailed)) {
				t.Errorf("JSON: %v, code %d, %+v", err, code, report)
			}
		})
	}
}

func TestTools_usage(t *testing.T) {
	t.Parallel()
	list := saved(t, "["+goodTool+"]")
	wrong := saved(t, "tools: [{name: list_agents, scope: everything}]")
	for _, args := range [][]string{
		{"audit"},
		{"audit", list, "--url", "http://127.0.0.1:1/mcp"},
		{"audit", list, "--key-file", list},
		{"audit", "--url", "ftp://x"},
		{"audit", "--url", "http://user:word@127.0.0.1/mcp"},
		{"audit", list, "--tools-overlay", wrong},
		{"audit", list, "--config", filepath.Join(t.TempDir(), "missing.yaml")},
		{"list", "--profile", "none"},
		{"list", "--scope", "everything"},
		{"list", "--acting-as", "robot"},
		{"list", "--grant", "x", "--profile", "read"},
		{"overlay"},
		{"nonsense"},
	} {
		if out, errOut, code := toolsRun(t, args...); code != exitUsage || errOut == "" {
			t.Errorf("%v: code %d: %s%s", args, code, out, errOut)
		}
	}
	for _, args := range [][]string{
		{"audit", filepath.Join(t.TempDir(), "missing.json")},
		{"audit", "--url", "http://127.0.0.1:1/mcp"},
		{"list", "--grant", "x", "--data", t.TempDir()},
	} {
		if _, errOut, code := toolsRun(t, args...); code != exitFailed || errOut == "" {
			t.Errorf("%v: code %d: %s", args, code, errOut)
		}
	}
}

func TestToolsList(t *testing.T) {
	t.Parallel()
	names := func(args ...string) string {
		t.Helper()
		out, errOut, code := toolsRun(t, append([]string{"list", "--json"}, args...)...)
		var shown []shownTool
		if err := json.Unmarshal([]byte(out), &shown); err != nil || code != exitDone {
			t.Fatalf("%v: %v, %d: %s", args, err, code, errOut)
		}
		all := " "
		for _, tool := range shown {
			all += tool.Name + " "
		}
		return all
	}
	overlay := saved(t, "tools: [{name: list_agents, hidden: true}]")
	file := filepath.Join(t.TempDir(), "bridge.yaml")
	if err := os.WriteFile(file, []byte("tools_overlay: "+overlay+"\nprofiles: [{name: desk, only: {categories: [agents]}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := saved(t, `[{"name":"list_agents"},{"name":"launch_rocket"},{"name":"chat_with_boss","description":"Talks."},{"name":"report"}]`)
	for _, tt := range []struct {
		args     []string
		has, not string
	}{
		{nil, "delete_agent", "report"},
		{[]string{"--profile", "read"}, "list_agents", "create_agent"},
		{[]string{"--profile", "listed"}, "chat_with_*", "call_user"},
		{[]string{"--scope", "trinity:read"}, "list_agents", "create_agent"},
		{[]string{"--acting-as", "agent"}, "report", "search_executions"},
		{[]string{"--config", file}, "get_agent", "list_agents"},
		{[]string{"--config", file, "--profile", "desk"}, "get_agent", "list_tags"},
		{[]string{list}, "launch_rocket", "report"},
		{[]string{list, "--profile", "listed"}, "chat_with_boss", "launch_rocket"},
	} {
		if got := names(tt.args...); !strings.Contains(got, " "+tt.has+" ") || strings.Contains(got, " "+tt.not+" ") {
			t.Errorf("%v: %s", tt.args, got)
		}
	}
	table, _, code := toolsRun(t, "list", list, "--profile", "listed")
	if code != exitDone || !strings.Contains(table, "Chat with boss") || !strings.Contains(table, "destructive, open world") || !strings.Contains(table, "1 tools") {
		t.Errorf("%d\n%s", code, table)
	}
}

// TestToolsOverlay: what is written can be laid over, and then nothing is unknown.
func TestToolsOverlay(t *testing.T) {
	t.Parallel()
	list := saved(t, `[{"name":"launch_rocket","title":"Launch","annotations":{"readOnlyHint":true}},{"name":"odd name"},`+goodTool+`,{"name":"x1"}]`)
	out := filepath.Join(t.TempDir(), "tools.yaml")
	printed, errOut, code := toolsRun(t, "overlay", list, "--out", out)
	if code != exitDone || !strings.Contains(printed, "wrote 2 tools") {
		t.Fatalf("%d: %s%s", code, printed, errOut)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"name: launch_rocket", "title: Launch", "read_only: false", "destructive: true", "trinity:admin", `# "odd name" has no name`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	again, _, code := toolsRun(t, "overlay", list, "--tools-overlay", out)
	if code != exitDone || !strings.Contains(again, "tools: []") {
		t.Errorf("%d: %s", code, again)
	}
	if audit, _, _ := toolsRun(t, "audit", list, "--tools-overlay", out); strings.Count(audit, "drift") != 2 { // the odd one, and the sum
		t.Errorf("still unknown:\n%s", audit)
	}
	if _, _, code := toolsRun(t, "overlay", list, "--out", out); code != exitFailed {
		t.Error("a file was overwritten")
	}
}

// TestTools_live asks a running bridge: over MCP with a key and with a token, and for a grant by its id.
func TestTools_live(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	token := b.ConnectTo(t, b.Register(t), "/mcp/listed", "trinity:read").Access
	key, err := b.Trinity.MintKey("alice@example.com", "audit", "user", "")
	if err != nil {
		t.Fatal(err)
	}
	b.Secret(key)
	keyFile, tokenFile := saved(t, key+"\n"), saved(t, token)

	if out, errOut, code := toolsRun(t, "audit", "--url", b.Trinity.MCPURL(), "--key-file", keyFile); code != exitFailed || !strings.Contains(out, "prohibited: telephony") {
		t.Errorf("straight: %d %s", code, errOut)
	}
	for _, credential := range []string{keyFile, tokenFile} {
		if out, errOut, code := toolsRun(t, "audit", "--url", b.MCP+"/listed", "--key-file", credential); code != exitDone || !strings.Contains(out, "no gaps") {
			t.Errorf("through /mcp/listed: %d %s%s", code, out, errOut)
		}
	}
	if _, errOut, code := toolsRun(t, "audit", "--url", b.MCP); code != exitFailed || !strings.Contains(errOut, "does not take the key") {
		t.Errorf("without a key: %d %s", code, errOut)
	}
	if _, errOut, code := toolsRun(t, "audit", "--url", b.URL+"/privacy"); code != exitFailed || strings.Contains(errOut, "<html") {
		t.Errorf("no MCP server: %d %s", code, errOut)
	}

	grants, err := bridgetest.All(app.ListGrants(t.Context(), b.Data, "", ""))
	if err != nil || len(grants) != 1 {
		t.Fatalf("%+v, %v", grants, err)
	}
	var ofGrant, overMCP []shownTool
	for into, args := range map[*[]shownTool][]string{
		&ofGrant: {"list", "--grant", grants[0].ID, "--data", b.Data, "--url", b.Trinity.MCPURL(), "--key-file", keyFile, "--json"},
		&overMCP: {"list", "--url", b.MCP + "/listed", "--key-file", tokenFile, "--json"},
	} {
		out, errOut, code := toolsRun(t, args...)
		if err := json.Unmarshal([]byte(out), into); err != nil || code != exitDone {
			t.Fatalf("%v: %d %s", args, code, errOut)
		}
	}
	if diff := cmp.Diff(overMCP, ofGrant); diff != "" || len(ofGrant) < 30 {
		t.Errorf("what a grant would see is not what it sees (-over MCP +told):\n%s", diff)
	}
	if _, errOut, code := toolsRun(t, "list", "--grant", "none", "--data", b.Data); code != exitFailed || !strings.Contains(errOut, "no such grant") {
		t.Errorf("unknown grant: %d %s", code, errOut)
	}
}
