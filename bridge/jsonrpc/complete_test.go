package jsonrpc_test

import (
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, data string
		kind       jsonrpc.Kind // 0 is refused
		id         jsonrpc.ID
		complete   string // as one that may be kept; "" is the very same bytes
	}{
		{"result", `{"jsonrpc":"2.0","id":1,"result":{"a":1}}`, jsonrpc.Response, "1", `{"jsonrpc":"2.0","id":1,"result":{"a":1,"resultType":"complete","ttlMs":0,"cacheScope":"private"}}`},
		{"empty result", `{"result":{ } ,"id":"x","jsonrpc":"2.0"}`, jsonrpc.Response, `"x"`, `{"result":{ "resultType":"complete","ttlMs":0,"cacheScope":"private"} ,"id":"x","jsonrpc":"2.0"}`},
		{"some of it is there", `{"id":1,"result":{"ttlMs":5,"a":{"resultType":1}}}`, jsonrpc.Response, "1", `{"id":1,"result":{"ttlMs":5,"a":{"resultType":1},"resultType":"complete","cacheScope":"private"}}`},
		{"all of it is there", `{"id":1,"result":{"ttlMs":5,"resultType":"input_required","cacheScope":"public"}}`, jsonrpc.Response, "1", ""},
		{"a result that is no object", `{"id":1,"result":[1]}`, jsonrpc.Response, "1", ""},
		{"error", `{"id":1,"error":{"code":-1,"message":"result"}}`, jsonrpc.Response, "1", ""},
		{"request", `{"id":1,"method":"ping"}`, jsonrpc.Request, "1", ""},
		{"notification", `{"method":"notifications/message","params":{"level":"info"}}`, jsonrpc.Notification, "", ""},
		{"params of another kind", `{"method":"notifications/message","params":[1]}`, jsonrpc.Notification, "", ""},
		{"both", `{"id":1,"result":{},"error":{}}`, 0, "", ""},
		{"neither", `{"id":1}`, 0, "", ""},
		{"a batch", `[{"id":1,"result":{}}]`, 0, "", ""},
		{"two in one", `{"id":1,"result":{}}{}`, 0, "", ""},
		{"cut", `{"id":1,"result":{"a":`, 0, "", ""},
		{"a member twice", `{"id":1,"result":{"a":1},"result":{}}`, 0, "", ""},
		{"nothing", ``, 0, "", ""},
	}
	for _, tt := range tests {
		got, err := jsonrpc.ReadAnswer([]byte(tt.data))
		if (err != nil) != (tt.kind == 0) || got.Kind != tt.kind || got.ID != tt.id {
			t.Errorf("%s: %v %q %v", tt.name, got.Kind, got.ID, err)
			continue
		}
		if tt.kind == 0 {
			continue
		}
		if tt.complete == "" {
			tt.complete = tt.data
		}
		if completed := string(got.Complete(true)); completed != tt.complete {
			t.Errorf("%s: %s, want %s", tt.name, completed, tt.complete)
		}
	}
	once, err := jsonrpc.ReadAnswer([]byte(`{"id":1,"result":{}}`))
	if got := string(once.Complete(false)); err != nil || got != `{"id":1,"result":{"resultType":"complete"}}` {
		t.Errorf("what may not be kept: %s (%v)", got, err)
	}
	logged, err := jsonrpc.ReadAnswer([]byte(`{"method":"notifications/message","params":{"level":"info","data":{"level":"x"}}}`))
	if err != nil || logged.Level != "info" || logged.Method != "notifications/message" {
		t.Errorf("logged %+v (%v)", logged, err)
	}
}

func TestUnwrap(t *testing.T) {
	t.Parallel()
	const p = "io.modelcontextprotocol/"
	const can = `"` + p + `clientCapabilities":{}`
	for data, want := range map[string]string{
		`{"jsonrpc":"2.0", "id":1,"method":"m","params":{"a":[1.0],"_meta":{"` + p + `protocolVersion":"2026-07-28","progressToken":7,` + can + `,"x/y":{ "z":1}},"b":"\u00e9"}}`: `{"jsonrpc":"2.0", "id":1,"method":"m","params":{"a":[1.0],"_meta":{"progressToken":7,"x/y":{ "z":1}},"b":"\u00e9"}}`,
		`{"params": {"_meta" : {"` + p + `protocolVersion":"2026-07-28", ` + can + `}},"id":1,"method":"m"}`:                                                                      `{"params": {"_meta" : {}},"id":1,"method":"m"}`,
		`{"params":{"arguments":{"_meta":{"` + p + `x":1}},"_meta":{` + can + `}},"_meta":{"` + p + `x":1}}`:                                                                      `{"params":{"arguments":{"_meta":{"` + p + `x":1}},"_meta":{}},"_meta":{"` + p + `x":1}}`,
		`{"id":1,"method":"m","params":{"_meta":{"\u0069o.modelcontextprotocol/x":1,` + can + `,"y\"":2},"inputResponses":{"a":{},"b":{"c":1}}}}`:                                 `{"id":1,"method":"m","params":{"_meta":{"y\"":2},"inputResponses":{"a":{},"b":{"c":1}}}}`,
	} {
		got, err := jsonrpc.Unwrap([]byte(data))
		if err != nil || string(got) != want {
			t.Errorf("%s\n got %s (%v)\nwant %s", data, got, err, want)
		}
	}
}

// What a server of 2026-07-28 has to refuse.
func TestUnwrap_refuses(t *testing.T) {
	t.Parallel()
	const can = `"io.modelcontextprotocol/clientCapabilities":`
	for params, want := range map[string]string{
		``:                             "params._meta has no client capabilities",
		`"_meta":{}`:                   "params._meta has no client capabilities",
		`"_meta":{` + can + `null}`:    "params._meta has no client capabilities",
		`"_meta":{` + can + `[]}`:      "params._meta has no client capabilities",
		`"_meta":{"x":{` + can + `1}}`: "params._meta has no client capabilities",
		`"inputResponses":5,"_meta":{` + can + `{}}`:              "params.inputResponses has something else than results",
		`"inputResponses":{"a":{},"b":5},"_meta":{` + can + `{}}`: "params.inputResponses has something else than results",
		`"_meta":{` + can + `{}},"inputResponses":null`:           "params.inputResponses has something else than results",
	} {
		got, err := jsonrpc.Unwrap([]byte(`{"jsonrpc":"2.0","id":1,"method":"m","params":{` + params + `}}`))
		no := jsonrpc.AsError(err)
		if got != nil || no == nil || no.Code != jsonrpc.CodeInvalidParams || no.Message != want {
			t.Errorf("%s: %s, %v", params, got, err)
		}
	}
}
