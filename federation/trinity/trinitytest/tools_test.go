package trinitytest_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// listTools returns the tools a key sees in a session of its own.
func listTools(t *testing.T, y *trinity, key string) []map[string]any {
	t.Helper()
	response := y.mcp("POST", key, y.openSession(key), toolsList).rpc(t)
	data, err := json.Marshal(response["result"])
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Tools []map[string]any `json:"tools"`
	}
	if err := json.Unmarshal(data, &result); err != nil {
		t.Fatal(err)
	}
	return result.Tools
}

func names(tools []map[string]any) []string {
	var names []string
	for _, tool := range tools {
		name, _ := tool["name"].(string)
		names = append(names, name)
	}
	return names
}

func TestListTools(t *testing.T) {
	t.Parallel()
	tests := []struct {
		scope string
		want  int
	}{
		{"user", 149 + 1}, // and the dynamic one
		{"system", 149 + 1},
		{"agent", 148 + 1}, // search_executions is for people and the system
		{"connector", 3},
		{"portal_delegate", 0},
		{"ops", 0},
		{"something new", 0},
		{"", 0},
	}
	for _, tt := range tests {
		t.Run("4.7/"+tt.scope, func(t *testing.T) {
			t.Parallel()
			y := start(t)
			if got := listTools(t, y, y.key(alice, "k", tt.scope, "worker")); len(got) != tt.want {
				t.Errorf("%d tools, want %d: %q", len(got), tt.want, names(got))
			}
		})
	}
	t.Run("5/name, description and schema alone", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		tools := listTools(t, y, y.key(alice, "k", "user", ""))
		seen := map[string]bool{}
		for _, tool := range tools {
			name, _ := tool["name"].(string)
			description, _ := tool["description"].(string)
			schema, _ := tool["inputSchema"].(map[string]any)
			if len(tool) != 3 || seen[name] || !regexp.MustCompile(`^[a-z0-9_]{1,30}$`).MatchString(name) {
				t.Errorf("tool %v", tool)
			}
			if description == "" || len(description) >= 2048 || schema["type"] != "object" || schema["properties"] == nil {
				t.Errorf("tool %v", tool)
			}
			seen[name] = true
		}
	})
	t.Run("4.5/the list is the opener's", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		session := y.openSession(y.key(alice, "k", "connector", "worker"))
		user := y.key(alice, "k", "user", "")
		a := y.mcp("POST", user, session, toolsList)
		if strings.Contains(a.body, "list_agents") || !strings.Contains(a.body, "run_playbook") {
			t.Errorf("body %s", a.body)
		}
		if code := rpcCode(y.call(user, session, "list_agents", "{}")); code != -32601 {
			t.Errorf("code %v, want -32601", code)
		}
	})
	t.Run("4.7/agents' own tools", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "k", "user", "")
		y.ExposeAgent("writer")
		y.HideAgent("reporter")
		got := names(listTools(t, y, key))
		if slices.Contains(got, "chat_with_reporter") || !slices.Contains(got, "chat_with_writer") {
			t.Errorf("tools %q", got)
		}
	})
}

func TestCallTool(t *testing.T) {
	t.Parallel()
	t.Run("4.6/tells whom it ran as", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "claude-connector:x", "user", "")
		session := y.openSession(key)
		for _, name := range []string{"list_agents", "delete_agent", "chat_with_agent", "chat_with_reporter"} {
			got, failed := text(t, y.call(key, session, name, `{"name":"x","n":[1]}`))
			want := `{"tool":"` + name + `","arguments":{"name":"x","n":[1]},"username":"alice@example.com","key_name":"claude-connector:x"}`
			if got != want || failed {
				t.Errorf("got %s, error %t, want %s", got, failed, want)
			}
		}
		a := y.mcp("POST", key, session, `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"list_agents"}}`)
		if got, _ := text(t, a.rpc(t)); !strings.Contains(got, `"arguments":{}`) {
			t.Errorf("got %s", got)
		}
	})
	t.Run("4.6/the caller's key reaches the backend", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "telling name", "agent", "worker")
		session := y.openSession(key)
		y.ResetRequests()
		y.call(key, session, "list_agents", "{}")
		last := y.Requests()[len(y.Requests())-1]
		if last.Side != trinitytest.SideBackend || last.Path != "/api/users/me" || last.Header.Get("Authorization") != "Bearer "+key {
			t.Errorf("last request %s %s %v", last.Side, last.Path, last.Header)
		}
		if last.Header.Get("X-Mcp-Key-Name") != "telling name" || last.Header.Get("X-Source-Agent") != "worker" {
			t.Errorf("headers %v", last.Header)
		}
	})
	t.Run("3.4/a suspended owner is an error text in a 200", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "k", "user", "")
		session := y.openSession(key)
		if err := y.Suspend(alice, true); err != nil {
			t.Fatal(err)
		}
		got, failed := text(t, y.call(key, session, "list_agents", "{}"))
		if !failed || !strings.Contains(got, "401") {
			t.Errorf("got %s, error %t", got, failed)
		}
	})
	t.Run("5/SELF tools want an agent key", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		user, agent := y.key(alice, "k", "user", ""), y.key(alice, "k", "agent", "worker")
		session := y.openSession(user)
		refused := 0
		for _, name := range names(listTools(t, y, user)) {
			got, failed := text(t, y.call(user, session, name, "{}"))
			if failed {
				t.Errorf("%s: %s", name, got)
			}
			if decode(t, got)["error"] == "agent_key_required" {
				refused++
			}
		}
		if refused != 33 {
			t.Errorf("%d tools want an agent key, want 33", refused)
		}
		if got, _ := text(t, y.call(agent, y.openSession(agent), "fetch_credential", "{}")); decode(t, got)["tool"] != "fetch_credential" || decode(t, got)["error"] != nil {
			t.Errorf("got %s", got)
		}
	})
	t.Run("3.4/connector tools use the connector's routes", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "k", "connector", "worker")
		session := y.openSession(key)
		for tool, path := range map[string]string{
			"list_playbooks": "/api/agents/worker/connector/playbooks", "run_playbook": "/api/agents/worker/chat", "ask": "/api/agents/worker/chat",
		} {
			got, failed := text(t, y.call(key, session, tool, "{}"))
			if failed || decode(t, got)["username"] != alice {
				t.Errorf("%s: %s", tool, got)
			}
			if last := y.Requests()[len(y.Requests())-1]; last.Path != path {
				t.Errorf("%s called %s, want %s", tool, last.Path, path)
			}
		}
	})
}

func TestMethods(t *testing.T) {
	t.Parallel()
	y := start(t)
	key := y.key(alice, "k", "user", "")
	session := y.openSession(key)
	tests := []struct {
		name, method, params string
		code                 float64 // 0: a result
	}{
		{"4.5/ping", "ping", `{}`, 0},
		{"4.1/log level", "logging/setLevel", `{"level":"warning"}`, 0},
		{"4.1/no such log level", "logging/setLevel", `{"level":"loud"}`, -32603},
		{"4.1/completion of a prompt", "completion/complete", `{"ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"a","value":"b"}}`, -32603},
		{"4.1/completion of a resource", "completion/complete", `{"ref":{"type":"ref/resource","uri":"x"},"argument":{"name":"a","value":"b"}}`, -32603},
		{"4.1/no resources", "resources/list", `{}`, -32601},
		{"4.1/no prompts", "prompts/list", `{}`, -32601},
		{"4.5/unknown method", "nope/nope", `{}`, -32601},
		{"4.5/unknown tool", "tools/call", `{"name":"nope","arguments":{}}`, -32601},
		{"4.7/connector tool", "tools/call", `{"name":"list_playbooks","arguments":{}}`, -32601},
		{"4.7/anonymous tool", "tools/call", `{"name":"request_login","arguments":{}}`, -32601},
		{"4.5/no tool name", "tools/call", `{}`, -32603},
		{"4.5/arguments that are no object", "tools/call", `{"name":"list_agents","arguments":[]}`, -32603},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := y.mcp("POST", key, session, fmt.Sprintf(`{"jsonrpc":"2.0","id":"x","method":%q,"params":%s}`, tt.method, tt.params))
			got := a.rpc(t)
			if rpcCode(got) != tt.code || got["id"] != "x" {
				t.Errorf("response %v, want code %v", got, tt.code)
			}
			a.wantHeader(t, "Mcp-Session-Id", session)
		})
	}
	t.Run("4.5/unknown tool's message", func(t *testing.T) {
		t.Parallel()
		failure, _ := y.call(key, session, "nope", "{}")["error"].(map[string]any)
		if failure["message"] != "MCP error -32601: Unknown tool: nope" {
			t.Errorf("error %v", failure)
		}
	})
}
