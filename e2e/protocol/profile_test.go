package protocol_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/tools"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// toolsAt are the tools that a token's holder sees at a path, by name.
func toolsAt(t *testing.T, b *bridgetest.Bridge, path, bearer string) map[string]listedTool {
	t.Helper()
	opened := postTo(t, b, path, bearer, bridgetest.Initialize)
	answer := postTo(t, b, path, bearer, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`,
		"Mcp-Session-Id", opened.Header.Get("Mcp-Session-Id"), "MCP-Protocol-Version", "2025-11-25")
	if answer.Status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, answer.Status, answer.Body)
	}
	_, data, _ := strings.Cut(answer.Body, "data: {")
	var list struct {
		Result struct{ Tools []listedTool }
	}
	if err := json.NewDecoder(strings.NewReader("{" + data)).Decode(&list); err != nil {
		t.Fatalf("%v: %.200s", err, answer.Body)
	}
	all := map[string]listedTool{}
	for _, tool := range list.Result.Tools {
		all[tool.Name] = tool
	}
	return all
}

// postTo posts a message to an endpoint.
func postTo(t *testing.T, b *bridgetest.Bridge, path, bearer, body string, header ...string) bridgetest.Answer {
	t.Helper()
	return b.PostJSON(t, path, body, append(header, "Accept", "application/json, text/event-stream", "Authorization", "Bearer "+bearer)...)
}

type listedTool struct {
	Name, Title string
	Annotations map[string]any
}

// TestProfiles_RS20_AS38: each profile is a resource with metadata, tools and tokens of its own.
func TestProfiles_RS20_AS38(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithFile(`
profiles:
  - {name: desk, title: Help desk, scope: "trinity:read trinity:write", only: {categories: [agents, chat]}}
`))
	b.Trinity.ExposeAgent("helper")
	all := "trinity:read trinity:write trinity:admin"
	want := map[string]struct {
		scopes, name string
		has, hasNot  []string
		consent      string
		count        int
	}{
		"/mcp":        {"trinity:read trinity:write", "Trinity", []string{"list_agents", "delete_agent", "call_user", "chat_with_helper"}, []string{"report", "request_login", "ask"}, "All you may use", 118},
		"/mcp/listed": {"trinity:read trinity:write", "Trinity: listed", []string{"list_agents", "delete_agent", "chat_with_helper"}, []string{"call_user", "send_message", "inject_credentials", "report"}, "The safer set", 0},
		"/mcp/read":   {"trinity:read", "Trinity: read", []string{"list_agents", "get_chat_history"}, []string{"create_agent", "chat_with_agent", "chat_with_helper"}, "Only those that look", 0},
		"/mcp/desk":   {"trinity:read trinity:write", "Trinity: Help desk", []string{"list_agents", "chat_with_helper"}, []string{"delete_agent", "list_tags"}, "Help desk", 0},
	}
	tokens := map[string]bridgetest.Tokens{}
	for path, w := range want {
		var document struct {
			Resource string   `json:"resource"`
			Scopes   []string `json:"scopes_supported"`
			Name     string   `json:"resource_name"`
		}
		b.Get(t, "/.well-known/oauth-protected-resource"+path).JSON(t, &document)
		if document.Resource != b.URL+path || strings.Join(document.Scopes, " ") != w.scopes || document.Name != w.name {
			t.Errorf("%s: metadata %+v", path, document)
		}
		challenge := b.PostJSON(t, path, "{}").Header.Get("Www-Authenticate")
		if challenge != `Bearer resource_metadata="`+b.URL+`/.well-known/oauth-protected-resource`+path+`", scope="`+w.scopes+`"` {
			t.Errorf("%s: challenge %s", path, challenge)
		}

		client := b.Register(t)
		query := b.Query(client)
		query.Set("resource", b.URL+path)
		query.Set("scope", all)
		browser := b.NewBrowser(t)
		b.SignIn(t, browser, query, b.Someone())
		if !strings.Contains(browser.Page.Body, w.consent) || !strings.Contains(browser.Page.Body, b.URL+path) {
			t.Errorf("%s: the consent page does not say which tools:\n%s", path, browser.Page.Body)
		}
		if offers := strings.Contains(browser.Page.Body, `value="trinity:admin"`); offers != (path == "/mcp" || path == "/mcp/listed") {
			t.Errorf("%s: the page offers admin: %v", path, offers)
		}
		tokens[path] = b.ConnectTo(t, b.Register(t), path, all)
		got := toolsAt(t, b, path, tokens[path].Access)
		for _, name := range w.has {
			if _, ok := got[name]; !ok {
				t.Errorf("%s: %s is missing", path, name)
			}
		}
		for _, name := range w.hasNot {
			if _, ok := got[name]; ok {
				t.Errorf("%s: %s is there", path, name)
			}
		}
		if w.count > 0 && len(got) != w.count {
			t.Errorf("%s: %d tools, want %d", path, len(got), w.count)
		}
		for name, tool := range got {
			if tool.Title == "" || len(tool.Annotations) != 5 {
				t.Errorf("%s: %s is %+v", path, name, tool)
			}
		}
	}
	for path := range want {
		for other, token := range tokens {
			answer := postTo(t, b, path, token.Access, bridgetest.Initialize)
			if refused := answer.Status == http.StatusUnauthorized; refused != (path != other) {
				t.Errorf("a token for %s at %s: %d", other, path, answer.Status)
			}
		}
	}
}

// TestProfiles_AS40: where no resource is named, the default one is meant, and the token opens no other.
func TestProfiles_AS40(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	tokens := b.ConnectTo(t, b.Register(t), "", "trinity:read trinity:write")
	if len(toolsAt(t, b, "/mcp", tokens.Access)) == 0 {
		t.Error("the token does not open the default resource")
	}
	if answer := postTo(t, b, "/mcp/listed", tokens.Access, bridgetest.Initialize); answer.Status != http.StatusUnauthorized {
		t.Errorf("it opens another resource: %d", answer.Status)
	}
}

// TestProfiles_AS41: a token is for one resource, at the authorization endpoint, the token endpoint and
// when it is renewed.
func TestProfiles_AS41(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	query := b.Query(client)
	query["resource"] = []string{b.MCP, b.MCP + "/listed"}
	w := b.NewBrowser(t)
	w.Open(t, "/oauth/authorize?"+query.Encode())
	if !strings.Contains(w.Page.Body, "invalid_target") {
		t.Errorf("two resources: %d %s", w.Page.Status, w.Page.Body)
	}
	query["resource"] = []string{b.MCP + "/read", b.MCP + "/read"}
	query.Set("scope", "trinity:write") // nothing at that resource needs it
	w = b.NewBrowser(t)
	w.Open(t, "/oauth/authorize?"+query.Encode())
	if !strings.Contains(w.Page.Body, "invalid_scope") {
		t.Errorf("no scope is left: %d %s", w.Page.Status, w.Page.Body)
	}

	query.Set("scope", "trinity:read trinity:write")
	form := b.RedeemForm(client, b.CodeFor(t, query, b.Someone()))
	answer := b.PostForm(t, "/oauth/token", form) // for /mcp
	if answer.Status != http.StatusBadRequest || answer.ErrorCode() == "" {
		t.Errorf("a code for another resource: %d %s", answer.Status, answer.Body)
	}
	form.Set("resource", b.MCP+"/read")
	tokens := b.Token(t, form)
	if tokens.Scope != "trinity:read" {
		t.Errorf("scope %q", tokens.Scope)
	}
	refresh := b.RefreshForm(client, tokens.Refresh)
	refresh.Set("resource", b.MCP)
	if answer := b.PostForm(t, "/oauth/token", refresh); answer.ErrorCode() != "invalid_target" {
		t.Errorf("renewed for another resource: %d %s", answer.Status, answer.Body)
	}
	refresh.Set("resource", b.MCP+"/read")
	if renewed := b.Token(t, refresh); len(toolsAt(t, b, "/mcp/read", renewed.Access)) == 0 {
		t.Error("the renewed token opens nothing")
	}
}

// TestProfiles_goneWithTheirGrants: a profile that the operator took away ends what was for it, in the
// words that make a client start over.
func TestProfiles_goneWithTheirGrants(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithFile("profiles: [{name: desk, only: {categories: [agents]}}]"))
	client := b.Register(t)
	tokens := b.ConnectTo(t, client, "/mcp/desk", "trinity:read trinity:write")
	writeText(t, b.Config.Config, "log_level: debug\n")
	b.Restart(t)
	if answer := postTo(t, b, "/mcp/desk", tokens.Access, bridgetest.Initialize); answer.Status != http.StatusNotFound {
		t.Errorf("its endpoint: %d", answer.Status)
	}
	refresh := b.RefreshForm(client, tokens.Refresh)
	refresh.Del("resource")
	if answer := b.PostForm(t, "/oauth/token", refresh); answer.ErrorCode() != "invalid_grant" {
		t.Errorf("its refresh: %d %s", answer.Status, answer.Body)
	}
}

// TestMachine_profile: a client that acts for itself has a grant for each resource.
func TestMachine_profile(t *testing.T) {
	t.Parallel()
	m := startMachines(t, "user")
	resource := func(path string) func(url.Values) {
		return func(form url.Values) { form.Set("resource", m.URL+path) }
	}
	var first, read bridgetest.Tokens
	m.ask(t).JSON(t, &first)
	m.ask(t, resource("/mcp/read")).JSON(t, &read)
	for _, tt := range []struct {
		path, token string
		want        int
	}{
		{"/mcp", first.Access, http.StatusOK},
		{"/mcp/read", first.Access, http.StatusUnauthorized},
		{"/mcp", read.Access, http.StatusUnauthorized},
		{"/mcp/read", read.Access, http.StatusOK},
	} {
		answer := postTo(t, m.Bridge, tt.path, tt.token, bridgetest.Initialize)
		if answer.Status != tt.want {
			t.Errorf("%s: %d, want %d", tt.path, answer.Status, tt.want)
		}
	}
	if read.Scope != "trinity:read" {
		t.Errorf("scope %q", read.Scope)
	}
	if answer := m.ask(t, resource("/mcp/other")); answer.ErrorCode() != "invalid_target" {
		t.Errorf("another resource: %s", answer.Body)
	}
}

// TestList_perGeneration: whatever generation of Trinity's MCP server it comes from, the list is the
// caller's.
func TestList_perGeneration(t *testing.T) {
	t.Parallel()
	for _, generation := range []trinitytest.Generation{trinitytest.Proxy6_7_19, trinitytest.Proxy6_5_1, trinitytest.Proxy5_12_5} {
		b := bridgetest.Start(t, bridgetest.WithTrinity(func(s *trinitytest.Switches) { s.Generation = generation }))
		got := toolsAt(t, b, "/mcp", b.ConnectTo(t, b.Register(t), "/mcp", "trinity:read").Access)
		if len(got) == 0 || got["create_agent"].Name != "" || got["report"].Name != "" || got["list_agents"].Title != "List agents" {
			t.Errorf("%v: %v", generation, slices.Sorted(maps.Keys(got)))
		}
	}
}

// TestProfiles_audit: what a directory would find at Trinity, it does not find at /mcp/listed.
func TestProfiles_audit(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	catalogue, err := tools.Load()
	if err != nil {
		t.Fatal(err)
	}
	key, err := b.Trinity.MintKey(alice, "audit", "user", "")
	if err != nil {
		t.Fatal(err)
	}
	b.Secret(key)
	for _, tt := range []struct {
		endpoint, credential string
		gaps                 bool
	}{
		{b.Trinity.MCPURL(), key, true},
		{b.MCP, key, true}, // payments and the like are there
		{b.MCP + "/listed", key, false},
		{b.MCP + "/listed", b.ConnectTo(t, b.Register(t), "/mcp/listed", "trinity:read trinity:write trinity:admin").Access, false},
		{b.MCP + "/read", key, true}, // so are some secrets' neighbours
	} {
		endpoint, err := url.Parse(tt.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		listed, err := tools.AskList(t.Context(), endpoint, secret.New(tt.credential))
		if err != nil {
			t.Fatal(err)
		}
		if report := catalogue.Audit(listed, false); len(listed) < 50 || report.Gaps() > 0 != tt.gaps {
			t.Errorf("%s: %d tools, %+v", tt.endpoint, len(listed), report.Findings)
		}
	}
}

// TestProfiles_actingAs: tools that act as the calling agent are offered to who acts as one, and to nobody else.
func TestProfiles_actingAs(t *testing.T) {
	t.Parallel()
	l := startLender(t)
	client := l.Register(t)
	for acting, agents := range map[string]bool{"user": false, "agent:researcher": true, "system": false} {
		tokens := l.connectAs(t, client, alice, acting)
		got := toolsAt(t, l.Bridge, "/mcp", tokens.Access)
		if _, shown := got["report"]; shown != agents || got["list_agents"].Title == "" {
			t.Errorf("%s sees report: %v", acting, shown)
		}
		answer := l.Tool(t, tokens.Access, l.Session(t, tokens.Access), "report")
		if refused := answer.Contains("Unknown tool"); refused == agents {
			t.Errorf("%s calls report: %d %s", acting, answer.Status, answer.Body)
		}
	}
}
