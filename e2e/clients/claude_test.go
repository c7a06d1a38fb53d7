//go:build clients

package clients

import (
	"path/filepath"
	"regexp"
	"testing"
)

// TestClaudeCode has Claude Code log in and call a tool, and then twice at the same time from two processes, with
// tokens so short-lived that it refreshes before each request. The processes share their stored tokens, and none of
// them may fall out over the other's refresh.
func TestClaudeCode(t *testing.T) {
	version := packageVersion(t, "@anthropic-ai/claude-code")
	t.Run(version+"/DCR", func(t *testing.T) {
		t.Parallel()
		b := startDemo(t, "--access-token-lifetime", "1m")
		c := newClaude(t, b)
		id := c.login(t)
		c.wantCalls(t, 1)
		c.wantCalls(t, 2)
		b.wantCameIn(t, id, cameIn{registered: 1, signedIn: 1, refreshed: 3})
	})
	t.Run(version+"/CIMD", func(t *testing.T) {
		t.Parallel()
		const id = "https://claude.ai/oauth/claude-code-client-metadata"
		b := startServe(t, "TRINITY_BRIDGE_ACCESS_TOKEN_LIFETIME=1m", pinned(t, map[string]any{
			"client_id": id, "client_name": "Claude Code", "client_uri": "https://claude.ai",
			"redirect_uris": []string{"http://localhost/callback", "http://127.0.0.1/callback"},
			"grant_types":   []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"token_endpoint_auth_method": "none",
		}))
		c := newClaude(t, b)
		if got := c.login(t); got != id {
			t.Errorf("Claude Code is %q, want %q", got, id)
		}
		c.wantCalls(t, 1)
		c.wantCalls(t, 2)
		b.wantCameIn(t, id, cameIn{signedIn: 1, refreshed: 3})
	})
}

// A claude is one person's Claude Code, whose model is a stub.
type claude struct {
	home
	bridge  *bridge
	model   *messages
	program string
	env     []string
}

func newClaude(t *testing.T, b *bridge) *claude {
	t.Helper()
	h, model := newHome(t), startMessages(t, "mcp__trinity__get_agent", callArguments)
	return &claude{
		h, b, model, mustInstalled(t, "node/node_modules/@anthropic-ai/claude-code-linux-*/claude"),
		[]string{
			"CLAUDE_CONFIG_DIR=" + filepath.Join(h.dir, "claude"),
			"ANTHROPIC_BASE_URL=" + model.URL,
			"ANTHROPIC_API_KEY=sk-ant-of-no-account",
			"ENABLE_TOOL_SEARCH=false",         // the model is offered every tool at once,
			"MCP_CONNECTION_NONBLOCKING=false", // and not before there are any
			"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
			"DISABLE_AUTOUPDATER=1", "DISABLE_TELEMETRY=1", "DISABLE_ERROR_REPORTING=1",
		},
	}
}

// The URL is printed as a terminal's link, between control characters.
var authorizeLink = regexp.MustCompile(`(http://127\.0\.0\.1:[0-9]+/oauth/authorize\?[^\x07\x1b\s]+)`)

// login gives back who Claude Code says it is.
func (c *claude) login(t *testing.T) (clientID string) {
	t.Helper()
	c.run(t, "claude", c.env, c.program, "mcp", "add", "--transport", "http", "--scope", "user", "trinity", c.bridge.connector)
	login := c.terminal(t, "claude mcp login", c.env, c.program, "mcp", "login", "--no-browser", "trinity")
	asked := c.bridge.signIn(t, awaitMatch(t, login, authorizeLink)[1])
	if code := login.exitCode(t); code != 0 {
		t.Fatalf("claude mcp login ended with %d", code)
	}
	return asked.Get("client_id")
}

// wantCalls runs n processes at the same time, in each of which the model calls the tool once.
func (c *claude) wantCalls(t *testing.T, n int) {
	t.Helper()
	wantCalls(t, n, c.model.answered, func() *program {
		return c.start(t, "claude", c.env, c.program, "-p", "Show the agent research.",
			"--allowedTools", c.model.tool, "--output-format", "stream-json", "--verbose")
	})
}
