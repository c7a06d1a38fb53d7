package foreign_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// owning adds tools that tie what they give out to the person who got it: a handle, and the state of a call that asks
// something first.
func owning(server *mcp.Server) {
	schema := json.RawMessage(`{"type":"object"}`)
	text := func(text string) *mcp.CallToolResult {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
	}
	server.AddTool(&mcp.Tool{Name: "handle", Description: "Gives a handle, or takes one.", InputSchema: schema},
		func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			var given struct{ Handle string }
			if err := json.Unmarshal(r.Params.Arguments, &given); err != nil {
				return nil, err
			}
			switch owner := r.Extra.TokenInfo.UserID; given.Handle {
			case "":
				return text("handle of " + owner), nil
			case "handle of " + owner:
				return text("used by " + owner), nil
			}
			return nil, errors.New("no such handle")
		})
	server.AddTool(&mcp.Tool{Name: "rounds", Description: "Asks first.", InputSchema: schema},
		func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			switch owner := r.Extra.TokenInfo.UserID; r.Params.RequestState {
			case "":
				return &mcp.CallToolResult{
					RequestState:  "state of " + owner,
					InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Message: "Sure?", RequestedSchema: map[string]any{"type": "object"}}},
				}, nil
			case "state of " + owner:
				return text("sure is " + owner), nil
			}
			return nil, errors.New("no such state")
		})
}

// GW-31, GW-46: what a server ties to a person stays that person's: the bridge brings states and handles as they are, and
// says at each call who calls.
func TestGoSDK_GW31_GW46_owners(t *testing.T) {
	t.Parallel()
	upstream := &goServer{more: owning}
	b := bridgetest.Start(t, bridgetest.WithUpstream(func(backend string) string { return upstream.start(t, backend, false) }))
	client := b.Register(t)
	call := func(token, tool, params string) string {
		t.Helper()
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `",` + params +
			`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},` +
			`"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}}}`
		answer := b.Call(t, token, body, "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", tool)
		if answer.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", params, answer.Status, answer.Body)
		}
		return answer.Body
	}
	const answered = `"inputResponses":{"sure":{"action":"accept","content":{}}},`
	people := map[string]string{}
	for range 2 {
		person, query := b.Someone(), b.Query(client)
		query.Set("scope", "trinity:read trinity:write trinity:admin") // the catalogue does not know these tools
		people[person] = b.Token(t, b.RedeemForm(client, b.CodeFor(t, query, person))).Access
	}
	for owner, token := range people {
		if got := call(token, "handle", `"arguments":{},`); !strings.Contains(got, "handle of "+owner) {
			t.Errorf("%s", got)
		}
		if got := call(token, "rounds", ""); !strings.Contains(got, `"requestState":"state of `+owner) || !strings.Contains(got, `"input_required"`) {
			t.Errorf("%s", got)
		}
		for person, token := range people {
			used := call(token, "handle", `"arguments":{"handle":"handle of `+owner+`"},`)
			sure := call(token, "rounds", answered+`"requestState":"state of `+owner+`",`)
			if own := person == owner; strings.Contains(used, "used by "+owner) != own || strings.Contains(used, "no such handle") == own ||
				strings.Contains(sure, "sure is "+owner) != own || strings.Contains(sure, "no such state") == own {
				t.Errorf("%s with what is %s's: %s\n%s", person, owner, used, sure)
			}
		}
	}
}
