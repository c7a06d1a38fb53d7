package trinitytest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// The MCP requests that the tests repeat.
const (
	both        = "application/json, text/event-stream"
	initialize  = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	toolsList   = `{"jsonrpc":"2.0","id":3,"method":"tools/list"}`
	strangerID  = "11111111-1111-4111-8111-111111111111"
)

// mcp makes a request to the MCP endpoint; key and session may be empty.
func (y *trinity) mcp(method, key, session, body string, more ...string) answer {
	y.t.Helper()
	return y.send(method, y.MCPURL(), mcpHeader(method, key, session, more...), body)
}

func mcpHeader(method, key, session string, more ...string) header {
	h := header{"Accept", both}
	if method == "POST" {
		h = append(h, "Content-Type", "application/json")
	}
	if key != "" {
		h = append(h, "Authorization", "Bearer "+key)
	}
	if session != "" {
		h = append(h, "Mcp-Session-Id", session)
	}
	return append(h, more...)
}

// openSession initializes and returns the session id.
func (y *trinity) openSession(key string) string {
	y.t.Helper()
	a := y.mcp("POST", key, "", initialize)
	a.want(y.t, 200)
	return a.header.Get("Mcp-Session-Id")
}

// call makes a tools/call and returns the JSON-RPC response.
func (y *trinity) call(key, session, tool, arguments string) map[string]any {
	y.t.Helper()
	a := y.mcp("POST", key, session, fmt.Sprintf(`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments))
	return a.rpc(y.t)
}

// rpc is the last message of an SSE answer.
func (a answer) rpc(t *testing.T) map[string]any {
	t.Helper()
	a.want(t, 200)
	all := events(t, strings.NewReader(a.body), every)
	if len(all) == 0 {
		t.Fatalf("no event in %q", a.body)
	}
	return decode(t, all[len(all)-1].data)
}

// text is the text of a tool result and whether it says isError.
func text(t *testing.T, response map[string]any) (string, bool) {
	t.Helper()
	var r struct {
		Result struct {
			Content []struct {
				Type string `json:"type"`
				Text string `json:"text"`
			} `json:"content"`
			IsError bool `json:"isError"`
		} `json:"result"`
	}
	data, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Result.Content) != 1 || r.Result.Content[0].Type != "text" {
		t.Fatalf("not a tool result: %s", data)
	}
	return r.Result.Content[0].Text, r.Result.IsError
}

// rpcCode is the error code of a JSON-RPC response, 0 for a result.
func rpcCode(response map[string]any) float64 {
	failure, _ := response["error"].(map[string]any)
	code, _ := failure["code"].(float64)
	return code
}
