//go:build clients

package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestCodex has Codex log in and call a tool, and then twice at the same time from two processes, once its stored
// access token ran out.
func TestCodex(t *testing.T) {
	version := packageVersion(t, "@openai/codex")
	t.Run(version+"/DCR", func(t *testing.T) {
		t.Parallel()
		b := startDemo(t)
		c := newCodex(t, b)
		id := c.login(t)
		c.wantCalls(t, 1)
		c.expire(t)
		c.wantCalls(t, 2)
		b.wantCameIn(t, id, cameIn{registered: 1, signedIn: 1, refreshed: 1})
	})
	t.Run(version+"/CIMD", func(t *testing.T) {
		t.Parallel()
		const id = "https://chatgpt.com/oauth/codex/client.json"
		b := startServe(t, pinned(t, map[string]any{
			"client_id": id, "client_name": "Codex",
			"redirect_uris": []string{"http://127.0.0.1/callback", "http://localhost/callback"},
			"grant_types":   []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"token_endpoint_auth_method": "none",
		}))
		c := newCodex(t, b)
		if got := c.login(t); got != id {
			t.Errorf("Codex is %q, want %q", got, id)
		}
		c.wantCalls(t, 1)
		c.expire(t)
		c.wantCalls(t, 2)
		b.wantCameIn(t, id, cameIn{signedIn: 1, refreshed: 1})
	})
	t.Run(version+"/configured", func(t *testing.T) {
		t.Parallel()
		b := startServe(t, configured(t, "http://127.0.0.1/callback")...)
		c := newCodex(t, b)
		c.login(t, "--oauth-client-id", configuredID)
		c.wantCalls(t, 1)
		c.expire(t)
		c.wantCalls(t, 1)
		b.wantCameIn(t, configuredID, cameIn{signedIn: 1, refreshed: 1})
	})
}

// A codex is one person's Codex, whose model is a stub.
type codex struct {
	programtest.Home
	bridge  *bridge
	model   *responses
	program string
	env     []string
}

// codexConfig names the stub's address, and switches off what asks the internet.
const codexConfig = `
model = "stub"
model_provider = "stub"
approval_policy = "never"
sandbox_mode = "danger-full-access"
mcp_oauth_credentials_store = "file"
check_for_update_on_startup = false
analytics.enabled = false
feedback.enabled = false

[features]
apps = false
plugins = false
remote_plugin = false

[model_providers.stub]
name = "stub"
base_url = "%s/v1"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
`

func newCodex(t *testing.T, b *bridge) *codex {
	t.Helper()
	c := &codex{
		machine.NewHome(t), b, startResponses(t, "mcp__trinity", "get_agent", programtest.CallArguments),
		programtest.MustInstalled(t, "node/node_modules/@openai/codex-linux-*/vendor/*/bin/codex"), nil,
	}
	folder := filepath.Join(c.Dir, "codex")
	c.env = []string{"CODEX_HOME=" + folder}
	config := fmt.Sprintf(codexConfig, c.model.URL)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// login gives back who Codex says it is.
func (c *codex) login(t *testing.T, options ...string) (clientID string) {
	t.Helper()
	args := append([]string{"mcp", "add", "trinity", "--url", c.bridge.Connector}, options...)
	login := c.Start(t, "codex mcp add", c.env, c.program, args...)
	asked := c.bridge.signIn(t, login.AwaitMatch(t, authorizeURL)[1])
	if code := login.ExitCode(t); code != 0 {
		t.Fatalf("codex mcp add ended with %d", code)
	}
	return asked.Get("client_id")
}

// wantCalls runs n processes at the same time, in each of which the model calls the tool once.
func (c *codex) wantCalls(t *testing.T, n int) {
	t.Helper()
	wantCalls(t, n, "get_agent", c.model.answered, func() *programtest.Program {
		p := c.Start(t, "codex", c.env, c.program, "exec", "--skip-git-repo-check", "--json", "Show the agent research.")
		_ = p.Stdin.Close()
		return p
	})
}

// expire makes the stored access token one that ran out, and one that the bridge cannot have issued.
func (c *codex) expire(t *testing.T) {
	t.Helper()
	const file = "codex/.credentials.json"
	c.Replace(t, file, `("expires_at":)[0-9]+`, "${1}1000")
	c.Replace(t, file, `("access_token":")[^"]+`, "${1}spoiled-access-token")
}
