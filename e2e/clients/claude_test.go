//go:build clients

package clients

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestClaudeCode has Claude Code log in and call a tool, and then twice at the same time from two processes, with
// tokens so short-lived that it refreshes before each request. The processes share their stored tokens, and none of
// them may fall out over the other's refresh. It asks for more when a tool needs more, and to log in anew when its grant
// was ended.
func TestClaudeCode(t *testing.T) {
	version := packageVersion(t, "@anthropic-ai/claude-code")
	t.Run(version+"/DCR", func(t *testing.T) {
		t.Parallel()
		b := startDemo(t, "--access-token-lifetime", "1m")
		c := newClaude(t, b)
		c.add(t)
		id := c.login(t).Get("client_id")
		c.wantCalls(t, 1)
		c.wantCalls(t, 2)
		b.wantCameIn(t, id, cameIn{registered: 1, signedIn: 1, refreshed: 3})
		c.wantSignedOut(t)
	})
	t.Run(version+"/CIMD", func(t *testing.T) {
		t.Parallel()
		const id = "https://claude.ai/oauth/claude-code-client-metadata"
		b := startServe(t, "TRINITY_BRIDGE_ACCESS_TOKEN_LIFETIME=1m", "TRINITY_BRIDGE_TOOLS_BEYOND_SCOPE=on", pinned(t, map[string]any{
			"client_id": id, "client_name": "Claude Code", "client_uri": "https://claude.ai",
			"redirect_uris": []string{"http://localhost/callback", "http://127.0.0.1/callback"},
			"grant_types":   []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"token_endpoint_auth_method": "none",
		}))
		c := newClaude(t, b)
		c.add(t)
		if got := c.login(t).Get("client_id"); got != id {
			t.Errorf("Claude Code is %q, want %q", got, id)
		}
		c.wantCalls(t, 1)
		c.wantCalls(t, 2)
		b.wantCameIn(t, id, cameIn{signedIn: 1, refreshed: 3})
		c.wantWiden(t)
		c.wantSignedOut(t)
	})
	t.Run(version+"/configured", func(t *testing.T) {
		t.Parallel()
		b := startServe(t, append(configured(t, "http://localhost/callback"), "TRINITY_BRIDGE_ACCESS_TOKEN_LIFETIME=1m")...)
		c := newClaude(t, b)
		c.add(t, "--client-id", configuredID, "--callback-port", fmt.Sprint(bridgetest.FreePort(t)))
		c.login(t)
		c.wantCalls(t, 1)
		b.wantCameIn(t, configuredID, cameIn{signedIn: 1, refreshed: 1})
	})
}

// A claude is one person's Claude Code, whose model is a stub.
type claude struct {
	programtest.Home
	bridge  *bridge
	model   *messages
	program string
	env     []string
}

func newClaude(t *testing.T, b *bridge) *claude {
	t.Helper()
	h, model := machine.NewHome(t), startMessages(t, "mcp__trinity__get_agent", programtest.CallArguments)
	return &claude{
		h, b, model, programtest.MustInstalled(t, "node/node_modules/@anthropic-ai/claude-code-linux-*/claude"),
		[]string{
			"CLAUDE_CONFIG_DIR=" + filepath.Join(h.Dir, "claude"),
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

// add makes the bridge known to Claude Code.
func (c *claude) add(t *testing.T, options ...string) {
	t.Helper()
	args := append([]string{"mcp", "add", "--transport", "http", "--scope", "user"}, options...)
	c.Run(t, "claude", c.env, c.program, append(args, "trinity", c.bridge.Connector)...)
}

// login gives back what Claude Code asked for.
func (c *claude) login(t *testing.T) url.Values {
	t.Helper()
	login := c.Terminal(t, "claude mcp login", c.env, c.program, "mcp", "login", "--no-browser", "trinity")
	asked := c.bridge.signIn(t, login.AwaitMatch(t, authorizeLink)[1])
	if code := login.ExitCode(t); code != 0 {
		t.Fatalf("claude mcp login ended with %d", code)
	}
	return asked
}

// start has the model work in a process of its own.
func (c *claude) start(t *testing.T) *programtest.Program {
	t.Helper()
	p := c.Start(t, "claude", c.env, c.program, "-p", "Do what there is to do with the agent research.",
		"--allowedTools", "mcp__trinity", "--output-format", "stream-json", "--verbose")
	_ = p.Stdin.Close()
	return p
}

// wantCalls runs n processes at the same time, in each of which the model calls the tool once.
func (c *claude) wantCalls(t *testing.T, n int) {
	t.Helper()
	wantCalls(t, n, "get_agent", c.model.answered, func() *programtest.Program { return c.start(t) })
}

// wantWiden has the model call a tool that needs more than was granted. Claude Code says so, asks for that and for what
// it has at the next login, and gives the narrow grant back.
func (c *claude) wantWiden(t *testing.T) {
	t.Helper()
	c.model.call("mcp__trinity__delete_agent")
	c.start(t).ExitCode(t)
	answers := c.model.answered()
	const wider = `(scope: "trinity:read trinity:write trinity:admin")`
	if last := answers[len(answers)-1]; !strings.Contains(last, wider) {
		t.Fatalf("the tool answered %q, want a request for %s", last, wider)
	}
	if got := strings.Fields(c.login(t).Get("scope")); !slices.Contains(got, "trinity:admin") || !slices.Contains(got, "trinity:write") {
		t.Errorf("Claude Code asks for %q", got)
	}
	wantCalls(t, 1, "delete_agent", c.model.answered, func() *programtest.Program { return c.start(t) })
	grants := c.bridge.Grants(t)
	if len(grants) != 2 || grants[0].Status != "live" || grants[1].Status != "ended" {
		t.Errorf("the operator sees the grants %+v, want the wide one live and the narrow one ended", grants)
	}
}

// wantSignedOut ends the grant and wants Claude Code to know that a person is needed.
func (c *claude) wantSignedOut(t *testing.T) {
	t.Helper()
	c.bridge.Revoke(t, c.bridge.Grants(t)[0])
	if got := c.Run(t, "claude", c.env, c.program, "mcp", "list"); !strings.Contains(got, "Needs authentication") {
		t.Errorf("claude mcp list printed %q", got)
	}
}
