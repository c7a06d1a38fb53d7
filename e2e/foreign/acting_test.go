//go:build e2e

package foreign_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// authContext is what Trinity's authenticate rule, in a real FastMCP server, made of a call's key.
type authContext struct {
	Username string  `json:"username"`
	Scope    string  `json:"scope"`
	Agent    *string `json:"agent_name"`
}

// The McpAuthContext matrix on a real FastMCP server: for each principal a person may choose, and each kind of
// key the operator might have handed over for it, calls pass exactly where the server builds that principal.
func TestGoSDK_fastMCP_authContextMatrix(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.WithUpstream(func(backend string) string {
		return startFastMCP(t, backend).String() + "/mcp"
	}))
	folder, agent := t.TempDir(), "researcher"
	file := filepath.Join(folder, "bridge.yaml")
	lend := func(principal string) {
		t.Helper()
		text := "principals:\n  - {" + principal + ", trinity_key_file: " + folder + "/key, who: [{source: trinity, domains: [example.com]}]}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b.Config.Config = file
		b.Restart(t)
	}
	client := b.Register(t)
	for _, principal := range []struct {
		file, value string
		want        authContext
	}{
		{"act_as: agent, agent: researcher", "agent:researcher", authContext{admin, "agent", &agent}},
		{"act_as: system", "system", authContext{admin, "system", nil}},
	} {
		for _, key := range []struct {
			scope, agent string
			right        string // the principal it is right for
		}{
			{"user", "", "user"},
			{"agent", "researcher", "agent:researcher"},
			{"agent", "writer", ""},
			{"system", "", "system"},
			{"connector", "researcher", ""},
			{"portal_delegate", "", ""},
			{"ops", "", ""},
			{"anonymous", "", ""},
		} {
			t.Run(principal.value+" by "+key.scope+":"+key.agent, func(t *testing.T) { //nolint:paralleltest // one bridge, one configuration at a time
				minted, err := b.Trinity.MintKey(admin, "operator's", key.scope, key.agent)
				if err != nil {
					t.Fatal(err)
				}
				b.Secret(minted)
				if err := os.WriteFile(filepath.Join(folder, "key"), []byte(minted), 0o600); err != nil {
					t.Fatal(err)
				}
				lend(principal.file)
				w := b.NewBrowser(t)
				b.SignIn(t, w, b.Query(client), b.Someone())
				w.Submit(t, "/consent", func(form url.Values) { form.Set("acting_as", principal.value); form.Set("decision", "approve") })
				left, err := url.Parse(w.Left)
				if err != nil {
					t.Fatal(err)
				}
				code := left.Query().Get("code")
				if key.right != principal.value {
					if code != "" || w.Page.Status != http.StatusBadGateway {
						t.Errorf("a key of another kind passed: %d %q", w.Page.Status, w.Left)
					}
					return
				}
				access := b.Token(t, b.RedeemForm(client, code)).Access
				if diff := cmp.Diff(principal.want, whoIs(t, b, access)); diff != "" {
					t.Errorf("McpAuthContext (-want +got):\n%s", diff)
				}
				// A key of the same kind that another account owns: the server would build another principal, so nothing is called with it.
				strange, err := b.Trinity.MintKey(alice, "another operator's", key.scope, key.agent)
				if err != nil {
					t.Fatal(err)
				}
				b.Secret(strange)
				if err := os.WriteFile(filepath.Join(folder, "key"), []byte(strange), 0o600); err != nil {
					t.Fatal(err)
				}
				ended := b.Audited("grant_ended", "account_changed")
				lend(principal.file)
				if status := b.Works(t, access); status != http.StatusUnauthorized || b.Audited("grant_ended", "account_changed") != ended+1 {
					t.Errorf("a key of another owner: %d", status)
				}
			})
		}
	}
	t.Run("user, right and wrong owner", func(t *testing.T) { //nolint:paralleltest // as above
		for _, email := range []string{b.Someone(), b.Someone()} {
			access := b.Connect(t, client, email).Access
			if diff := cmp.Diff(authContext{email, "user", nil}, whoIs(t, b, access)); diff != "" {
				t.Errorf("McpAuthContext (-want +got):\n%s", diff)
			}
		}
	})
}

// whoIs calls a tool and returns as whom it ran.
func whoIs(t *testing.T, b *bridgetest.Bridge, access string) authContext {
	t.Helper()
	transport := &mcp.StreamableClientTransport{Endpoint: b.MCP, HTTPClient: &http.Client{Transport: bearer(access)}}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_agents", Arguments: map[string]any{}})
	if err != nil || result.IsError || len(result.Content) != 1 {
		t.Fatalf("%v %+v", err, result)
	}
	text, ok := result.Content[0].(*mcp.TextContent)
	if !ok {
		t.Fatalf("content %T", result.Content[0])
	}
	var got authContext
	if err := json.NewDecoder(strings.NewReader(text.Text)).Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

// bearer adds an access token to every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}
