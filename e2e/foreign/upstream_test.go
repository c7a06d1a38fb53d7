package foreign_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// arrived is a request as the upstream got it.
type arrived struct {
	Method string
	Path   string
	Header http.Header
	Body   []byte
}

// arrivedAtTrinity are the requests to the simulated Trinity's MCP server, or to its backend.
func arrivedAtTrinity(b *bridgetest.Bridge, side trinitytest.Side) []arrived {
	var all []arrived
	for _, r := range b.Trinity.Requests() {
		if r.Side == side {
			all = append(all, arrived{r.Method, r.Path + "?" + r.Query, r.Header, r.Body})
		}
	}
	return all
}

// A goServer is go-sdk's MCP server, with Trinity's rule in front of it: the backend vouches for the key of
// every request.
type goServer struct {
	more func(*mcp.Server) // adds tools; nil adds none

	mu       sync.Mutex
	requests []arrived
}

// tools are Trinity's names; the words are ours.
var tools = map[string]string{
	"list_agents":     "Lists the agents you can reach.",
	"get_agent":       "Shows one agent.",
	"chat_with_agent": "Sends a message to an agent and waits for its answer.",
	"delete_agent":    "Deletes an agent.",
}

// start starts the server, with sessions or without, and returns its endpoint.
func (g *goServer) start(t *testing.T, backendURL string, sessions bool) string {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "go-sdk server", Version: "1.0.0"}, nil)
	for name, description := range tools {
		tool := &mcp.Tool{Name: name, Description: description, InputSchema: json.RawMessage(`{"type":"object"}`)}
		server.AddTool(tool, func(_ context.Context, request *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			text, err := json.Marshal(map[string]any{
				"tool": name, "arguments": request.Params.Arguments,
				"username": request.Extra.TokenInfo.UserID, "key_name": request.Extra.TokenInfo.Extra["key_name"],
			})
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(text)}}}, err
		})
	}
	if g.more != nil {
		g.more(server)
	}
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{Stateless: !sessions})
	verify := func(ctx context.Context, key string, _ *http.Request) (*auth.TokenInfo, error) {
		v, err := validate(ctx, backendURL, key)
		if err != nil || !v.Valid {
			return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
		}
		return &auth.TokenInfo{
			UserID: v.Username, Expiration: time.Now().Add(time.Hour), Extra: map[string]any{"key_name": v.KeyName},
		}, nil
	}
	listening := httptest.NewServer(g.record(auth.RequireBearerToken(verify, nil)(handler)))
	t.Cleanup(listening.Close)
	return listening.URL + "/mcp"
}

func (g *goServer) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the bridge left in the middle of its body
		}
		g.mu.Lock()
		g.requests = append(g.requests, arrived{r.Method, r.URL.RequestURI(), r.Header.Clone(), body})
		g.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func (g *goServer) arrived() []arrived {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.requests)
}

// validation is what Trinity's backend says about a key.
type validation struct {
	Valid    bool   `json:"valid"`
	Username string `json:"user_id"`
	KeyName  string `json:"key_name"`
}

func validate(ctx context.Context, backendURL, key string) (v validation, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, backendURL+"/api/mcp/validate", http.NoBody)
	if err != nil {
		return v, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := network.RoundTrip(req)
	if err != nil {
		return v, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return v, fmt.Errorf("the backend answered %s", res.Status)
	}
	return v, json.NewDecoder(res.Body).Decode(&v)
}

// wantPersonsKey checks what reached the upstream (I4): alice's one key with every request but the bridge's own
// probes, and never a secret of the client's. It returns the key's name.
func wantPersonsKey(t *testing.T, c *client, requests []arrived) string {
	t.Helper()
	var key string
	for _, r := range requests {
		wantNoSecret(t, c, r)
		if bytes.Contains(r.Body, []byte(`"trinity-bridge probe"`)) {
			continue // asks whether calls without a good key are refused (OP-34)
		}
		presented, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if key == "" {
			key = presented
		}
		if !ok || presented != key || len(r.Header["Authorization"]) != 1 {
			t.Errorf("%s %s came with another credential than the first call", r.Method, r.Path)
		}
	}
	if !strings.HasPrefix(key, "trinity_mcp_") {
		t.Fatal("no call reached the upstream with a Trinity key")
	}
	c.bridge.Secret(key)
	if strings.Contains(c.wire.answers(), "trinity_mcp_") {
		t.Error("the client was shown a Trinity key")
	}
	v, err := validate(t.Context(), c.bridge.Trinity.BackendURL(), key)
	if err != nil || !v.Valid || v.Username != alice {
		t.Errorf("the key of the calls is %+v, %v", v, err)
	}
	return v.KeyName
}

func wantNoSecret(t *testing.T, c *client, r arrived) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	whole := fmt.Sprintf("%s %v %s", r.Path, r.Header, r.Body)
	for _, secret := range c.secrets {
		if strings.Contains(whole, secret) {
			t.Errorf("%s %s carried a secret of the client's", r.Method, r.Path)
		}
	}
}
