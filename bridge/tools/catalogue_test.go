package tools

import (
	"bytes"
	_ "embed"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
)

// names are the tools of the newest Trinity.
//
//go:embed testdata/names.txt
var names string

func load(t *testing.T) *Catalogue {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoad_knowsEveryTool(t *testing.T) {
	t.Parallel()
	c := load(t)
	known := strings.Fields(names)
	if len(known) != 154 {
		t.Fatalf("the fixture has %d names, want 154", len(known))
	}
	for _, name := range known {
		if _, ok := c.exact[name]; !ok {
			t.Errorf("%s is not in the catalogue", name)
		}
	}
	if len(c.exact) != len(known) {
		t.Errorf("the catalogue names %d tools, Trinity has %d", len(c.exact), len(known))
	}
	if len(c.families) != 1 || c.families[0].Name != "chat_with_*" {
		t.Errorf("families are %v, want chat_with_* alone", c.families)
	}
}

func TestLoad_judgements(t *testing.T) {
	t.Parallel()
	c := load(t)
	guarded := map[string]bool{"secrets": true, "payments": true, "telephony": true, "exposure": true, "login": true, "approvals": true}
	count := map[bridge.Scope]int{}
	for name, tool := range c.exact {
		count[tool.Scope]++
		if guarded[tool.Category] && tool.Scope != bridge.ScopeAdmin {
			t.Errorf("%s is about %s and needs only %s", name, tool.Category, tool.Scope)
		}
		if strings.HasPrefix(name, "delete_") && tool.Scope != bridge.ScopeAdmin {
			t.Errorf("%s deletes and needs only %s", name, tool.Scope)
		}
		if tool.Hints.ReadOnly && !guarded[tool.Category] && tool.Scope != bridge.ScopeRead {
			t.Errorf("%s only reads and needs %s", name, tool.Scope)
		}
		if strings.Contains(tool.Note, "in person") && tool.Scope != bridge.ScopeAdmin {
			t.Errorf("%s is for a human being in person and needs only %s", name, tool.Scope)
		}
		if strings.HasPrefix(tool.Note, "Secret.") != (tool.Category == "secrets") && tool.Name != "delete_subscription" {
			t.Errorf("%s: category %q and note %q do not agree", name, tool.Category, tool.Note)
		}
	}
	want := map[bridge.Scope]int{bridge.ScopeRead: 67, bridge.ScopeWrite: 53, bridge.ScopeAdmin: 34}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("tools per scope; count again what was changed:\n%s", diff)
	}
	works := map[Audience]int{}
	for _, tool := range c.exact {
		works[tool.For]++
	}
	if diff := cmp.Diff(map[Audience]int{ForAnyone: 115, ForPerson: 1, ForAgent: 33, ForConnector: 3, ForNobody: 2}, works); diff != "" {
		t.Errorf("tools per audience:\n%s", diff)
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	c := load(t)
	tests := []struct {
		id, name, tool string
		want           bridge.Scope
	}{
		{"GW-24", "reads", "list_agents", bridge.ScopeRead},
		{"GW-24", "acts and is destructive", "chat_with_agent", bridge.ScopeWrite},
		{"GW-24", "one of the family", "chat_with_my-agent", bridge.ScopeWrite},
		{"GW-24", "deletes", "delete_agent", bridge.ScopeAdmin},
		{"GW-24", "reads a secret", "get_credential_encryption_key", bridge.ScopeAdmin},
		{"RS-38", "new upstream", "brand_new_tool", bridge.ScopeAdmin},
		{"RS-38", "no name", "", bridge.ScopeAdmin},
		{"RS-38", "the family without a member", "chat_with_", bridge.ScopeAdmin},
		{"RS-38", "the family's own spelling", "chat_with_*", bridge.ScopeAdmin},
		{"RS-41", "upper case", "LIST_AGENTS", bridge.ScopeAdmin},
		{"RS-41", "a blank after it", "list_agents ", bridge.ScopeAdmin},
		{"RS-41", "path characters", "chat_with_../delete", bridge.ScopeAdmin},
		{"RS-41", "NUL", "list_agents\x00", bridge.ScopeAdmin},
		{"RS-41", "Cyrillic a", "list_\u0430gents", bridge.ScopeAdmin},
		{"RS-41", "look-alike in the family", "chat_with_\u0430gent", bridge.ScopeAdmin},
		{"RS-41", "too long for the family", "chat_with_" + strings.Repeat("a", 60), bridge.ScopeAdmin},
		{"RS-41", "10 KB", strings.Repeat("list_agents", 1000), bridge.ScopeAdmin},
	}
	for _, tt := range tests {
		t.Run(tt.id+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			if got := c.Scope(tt.tool); got != tt.want {
				t.Errorf("%s needs %q, want %q", tt.tool, got, tt.want)
			}
		})
	}
}

func TestMethodScope_RS40_everyMethodHasARule(t *testing.T) {
	t.Parallel()
	read := []string{
		"initialize", "ping", "server/discover", "tools/list", "completion/complete", "logging/setLevel",
		"prompts/list", "prompts/get", "resources/list", "resources/templates/list", "resources/read",
		"resources/subscribe", "resources/unsubscribe", "subscriptions/listen", "tasks/get", "tasks/list", "tasks/result",
		"notifications/initialized", "notifications/cancelled", "notifications/progress", "notifications/roots/list_changed",
	}
	want := map[string]bridge.Scope{"tools/call": bridge.ScopeAdmin, "tasks/update": bridge.ScopeWrite, "tasks/cancel": bridge.ScopeWrite}
	for _, method := range read {
		want[method] = bridge.ScopeRead
	}
	for method, scope := range want {
		if got, ok := MethodScope(method); !ok || got != scope {
			t.Errorf("%s needs %q (%v), want %q", method, got, ok, scope)
		}
	}
	for _, method := range []string{
		"", "tools", "tools/", "tools/Call", "TOOLS/CALL", "tools/call ", "tools/delete", "notifications",
		"sampling/createMessage", "elicitation/create", "roots/list", "admin/run", "tasks/delete",
	} {
		if got, ok := MethodScope(method); ok {
			t.Errorf("%q has the rule %q, want none", method, got)
		}
	}
}

func TestRead_mistakes(t *testing.T) {
	t.Parallel()
	good := "tools:\n  - name: a\n    title: A\n    category: c\n    scope: trinity:write\n" +
		"    hints: {read_only: false, destructive: true, idempotent: true, open_world: false}\n"
	if _, err := read([]byte(good)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, old, new, want string }{
		{"empty", good, "", "EOF"},
		{"no tools", good, "tools: []\n", "empty"},
		{"unknown member", "title: A", "title: A\n    titel: B", "titel"},
		{"unknown hint", "idempotent", "idempotente", "idempotente"},
		{"no scope", "    scope: trinity:write\n", "", "unknown scope"},
		{"unknown scope", "trinity:write", "trinity:all", "unknown scope"},
		{"offline_access", "trinity:write", "offline_access", "unknown scope"},
		{"no title", "title: A", `title: ""`, "no title"},
		{"a hint left out", "destructive: true, ", "", "lacks a hint"},
		{"no hints", "    hints: {read_only: false, destructive: true, idempotent: true, open_world: false}\n", "", "lacks a hint"},
		{"both hints", "read_only: false", "read_only: true", "both"},
		{"acts for the reading scope", "trinity:write", "trinity:read", "acts"},
		{"name too long", "name: a", "name: " + strings.Repeat("a", 65), "64"},
		{"name of a star", "name: a", `name: "*"`, "a name is"},
		{"name with a blank", "name: a", "name: a b", "a name is"},
		{"another document", "tools:", "tools: []\n---\ntools:", "after it"},
		{"for whom", "scope: trinity:write", "scope: trinity:write\n    for: everybody", "none of anyone"},
		{"hidden", "scope: trinity:write", "scope: trinity:write\n    hidden: true", "only an operator"},
		{"described", "scope: trinity:write", "scope: trinity:write\n    description: d", "only an operator"},
		{"title too long", "title: A", "title: " + strings.Repeat("a", 65), "longer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := read([]byte(strings.Replace(good, tt.old, tt.new, 1)))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
		})
	}
	_, err := read(append([]byte(good), bytes.TrimPrefix([]byte(good), []byte("tools:\n"))...))
	if err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("got %v, want that a tool stands twice", err)
	}
}
