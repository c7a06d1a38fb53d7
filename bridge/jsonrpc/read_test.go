package jsonrpc_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

func TestRead_accepts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		body string
		want jsonrpc.Body
	}{
		{
			"tool call", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"list_agents","arguments":{"Name":"x","method":1}}}`,
			one(jsonrpc.Message{Kind: jsonrpc.Request, ID: "7", Method: "tools/call", Name: "list_agents"}),
		},
		{
			"members in another order, with blanks", " \n{ \"params\" : { \"arguments\":{}, \"name\":\"a\" }, \"method\":\"tools/call\", \"id\":\"q\", \"jsonrpc\":\"2.0\" }\r\n",
			one(jsonrpc.Message{Kind: jsonrpc.Request, ID: `"q"`, Method: "tools/call", Name: "a"}),
		},
		{
			"escaped member names are the names", `{"jsonrpc":"2.0","id":1,"m\u0065thod":"tools\/call","params":{"n\u0061me":"delete\u005fagent"}}`,
			one(jsonrpc.Message{Kind: jsonrpc.Request, ID: "1", Method: "tools/call", Name: "delete_agent"}),
		},
		{
			"modern request", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","other":{"deep":[1,2]}}}}`,
			one(jsonrpc.Message{Kind: jsonrpc.Request, ID: "1", Method: "resources/read", URI: "file:///x", Version: "2026-07-28"}),
		},
		{
			"task", `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t-1"}}`,
			one(jsonrpc.Message{Kind: jsonrpc.Request, ID: "1", Method: "tasks/get", TaskID: "t-1"}),
		},
		{
			"notification", `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
			one(jsonrpc.Message{Kind: jsonrpc.Notification, Method: "notifications/initialized"}),
		},
		{
			"response", `{"jsonrpc":"2.0","id":"s-1","result":{"method":"tools/call","Result":1}}`,
			one(jsonrpc.Message{Kind: jsonrpc.Response, ID: `"s-1"`}),
		},
		{
			"error response", `{"jsonrpc":"2.0","id":0,"error":{"code":-1,"message":"no"}}`,
			one(jsonrpc.Message{Kind: jsonrpc.Response, ID: "0"}),
		},
		{
			"the largest id", `{"jsonrpc":"2.0","id":9007199254740991,"method":"ping"}`,
			one(jsonrpc.Message{Kind: jsonrpc.Request, ID: "9007199254740991", Method: "ping"}),
		},
		{
			"batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/cancelled"}]`,
			jsonrpc.Body{Batch: true, Messages: []jsonrpc.Message{
				{Kind: jsonrpc.Request, ID: "1", Method: "ping"},
				{Kind: jsonrpc.Notification, Method: "notifications/cancelled"},
			}},
		},
		{
			"brackets and quotes inside strings are no nesting",
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"s":"` + strings.Repeat(`[{\"\\`, 500) + `"}}}`,
			one(jsonrpc.Message{Kind: jsonrpc.Request, ID: "1", Method: "tools/call", Name: "a"}),
		},
		{
			"deep, within the bound", request(`{"name":"a","arguments":` + nested(jsonrpc.MaxDepth-2) + `}`),
			one(jsonrpc.Message{Kind: jsonrpc.Request, ID: "1", Method: "tools/call", Name: "a"}),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := new(jsonrpc.Reader).Read([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRead_refuses(t *testing.T) {
	t.Parallel()
	const parse, invalid = jsonrpc.CodeParse, jsonrpc.CodeInvalidRequest
	tests := []struct {
		id   string
		name string
		body string
		code int
	}{
		{"GW-18", "empty", ``, parse},
		{"GW-18", "no JSON", `hello`, parse},
		{"GW-18", "cut off", `{"jsonrpc":"2.0","id":1,"method":"ping"`, parse},
		{"GW-18", "something after it", `{"jsonrpc":"2.0","id":1,"method":"ping"} {}`, parse},
		{"GW-18", "a byte after it", `{"jsonrpc":"2.0","id":1,"method":"ping"}x`, parse},
		{"GW-18", "a byte order mark", "\xef\xbb\xbf" + `{"jsonrpc":"2.0","id":1,"method":"ping"}`, parse},
		{"GW-18", "a comment", `{"jsonrpc":"2.0","id":1,"method":"ping"/**/}`, parse},
		{"GW-18", "invalid UTF-8 in a value", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\xff\"}}", parse},
		{"GW-18", "invalid UTF-8 in an argument", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"arguments\":{\"x\":\"\xc0\xaf\"}}}", parse},
		{"GW-18", "half a surrogate pair", request(`{"name":"a\ud800"}`), parse},
		{"GW-18", "method twice", `{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}`, parse},
		{"GW-18", "method twice, once escaped", `{"jsonrpc":"2.0","id":1,"method":"tools/list","m\u0065thod":"tools/call"}`, parse},
		{"GW-18", "name twice", request(`{"name":"a","name":"b"}`), parse},
		{"GW-18", "an argument twice", request(`{"name":"a","arguments":{"x":1,"x":2}}`), parse},
		{"GW-18", "params twice", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}`, parse},
		{"GW-18", "nested too deeply", request(`{"name":"a","arguments":` + nested(jsonrpc.MaxDepth) + `}`), invalid},
		{"GW-18", "arrays without end", strings.Repeat("[", 1<<20), invalid},
		{"GW-18", "a string", `"ping"`, invalid},
		{"GW-18", "null", `null`, invalid},
		{"RS-32", "Method beside method", `{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}`, invalid},
		{"RS-32", "METHOD alone", `{"jsonrpc":"2.0","id":1,"METHOD":"tools/call"}`, invalid},
		{"RS-32", "long s", `{"jſonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}`, invalid},
		{"RS-32", "long s, escaped", `{"paramſ":{},"jsonrpc":"2.0","id":1,"method":"ping"}`, invalid},
		{"RS-32", "Kelvin sign", request("{\"name\":\"a\",\"tas\u212aId\":\"b\"}"), invalid},
		{"RS-32", "Name in params", request(`{"name":"a","Name":"b"}`), invalid},
		{"RS-32", "version in meta", request(`{"name":"a","_meta":{"io.modelcontextprotocol/ProtocolVersion":"2026-07-28"}}`), invalid},
		{"RS-33", "NUL after method", `{"jsonrpc":"2.0","id":1,"method":"tools/list","method\u0000":"tools/call"}`, invalid},
		{"RS-33", "NUL after name", request(`{"name":"a","name\u0000":"b"}`), invalid},
		{"RS-33", "raw NUL", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\x00\":\"ping\"}", parse},
		{"GW-18", "prototype", `{"jsonrpc":"2.0","id":1,"result":{},"__proto__":{"method":"tools/call"}}`, invalid},
		{"GW-18", "prototype of params", request(`{"__proto__":{"name":"b"}}`), invalid},
		{"RS-42", "notification of a call", `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"delete_agent"}}`, invalid},
		{"RS-42", "request of a notification", `{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}`, invalid},
		{"RS-42", "response with a method", `{"jsonrpc":"2.0","id":1,"result":{},"method":"tools/call"}`, invalid},
		{"RS-42", "response with params", `{"jsonrpc":"2.0","id":1,"result":{},"params":{"name":"delete_agent"}}`, invalid},
		{"RS-42", "result and error", `{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, invalid},
		{"RS-42", "neither", `{"jsonrpc":"2.0","id":1}`, invalid},
		{"RS-42", "response without id", `{"jsonrpc":"2.0","result":{}}`, invalid},
		{"GW-18", "no version", `{"id":1,"method":"ping"}`, invalid},
		{"GW-18", "version 1.0", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, invalid},
		{"GW-18", "version as a number", `{"jsonrpc":2.0,"id":1,"method":"ping"}`, invalid},
		{"GW-18", "method empty", `{"jsonrpc":"2.0","id":1,"method":""}`, invalid},
		{"GW-18", "method null", `{"jsonrpc":"2.0","id":1,"method":null}`, invalid},
		{"GW-18", "method too long", `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("m", 200) + `"}`, invalid},
		{"GW-18", "params an array", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["delete_agent"]}`, invalid},
		{"GW-18", "name a number", request(`{"name":1}`), invalid},
		{"GW-18", "meta an array", request(`{"name":"a","_meta":[]}`), invalid},
		{"GW-18", "id null", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, invalid},
		{"GW-18", "id a fraction", `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, invalid},
		{"GW-18", "id an exponent", `{"jsonrpc":"2.0","id":1e400,"method":"ping"}`, invalid},
		{"GW-18", "id beyond what JavaScript holds", `{"jsonrpc":"2.0","id":9007199254740992,"method":"ping"}`, invalid},
		{"GW-18", "id too long", `{"jsonrpc":"2.0","id":"` + strings.Repeat("i", 600) + `","method":"ping"}`, invalid},
		{"GW-22", "empty batch", `[]`, invalid},
		{"GW-22", "batch of numbers", `[1,2]`, invalid},
		{"GW-22", "batch in a batch", `[[{"jsonrpc":"2.0","id":1,"method":"ping"}]]`, invalid},
		{"GW-22", "one member wrong", `[{"jsonrpc":"2.0","id":1,"method":"ping"},{"id":2,"Method":"tools/call"}]`, invalid},
		{"GW-22", "batch without end", "[" + strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"ping"},`, jsonrpc.MaxBatch) + `{"jsonrpc":"2.0","id":1,"method":"ping"}]`, invalid},
	}
	for _, tt := range tests {
		t.Run(tt.id+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := new(jsonrpc.Reader).Read([]byte(tt.body))
			refused := jsonrpc.AsError(err)
			if refused == nil {
				t.Fatalf("got %+v, %v; want an *Error", got, err)
			}
			if refused.Code != tt.code {
				t.Errorf("code %d (%s), want %d", refused.Code, refused.Message, tt.code)
			}
		})
	}
}

func TestRead_refusalKeepsTheID(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":"a-1","method":"tools/list","Method":"tools/call"}`,
		`{"Method":"tools/call","jsonrpc":"2.0","method":"tools/list","id":"a-1"}`,
	} {
		_, err := new(jsonrpc.Reader).Read([]byte(body))
		if refused := jsonrpc.AsError(err); refused == nil || refused.ID != `"a-1"` {
			t.Errorf("%s: got %#v, want the id", body, err)
		}
	}
}

// TestRead_again: a Reader forgets what it read before, good or bad.
func TestRead_again(t *testing.T) {
	t.Parallel()
	var r jsonrpc.Reader
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[{"y":`,
		`[{"jsonrpc":"2.0","id":1,"Method":"x"}]`, "{", "",
	} {
		if got, err := r.Read([]byte(body)); err == nil {
			t.Errorf("%q was read as %+v", body, got)
		}
		got, err := r.Read([]byte(`{"jsonrpc":"2.0","id":"b","method":"ping"}`))
		if diff := cmp.Diff(one(jsonrpc.Message{Kind: jsonrpc.Request, ID: `"b"`, Method: "ping"}), got); err != nil || diff != "" {
			t.Errorf("after %q: %v %s", body, err, diff)
		}
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, got, want string }{
		{
			"with id", string(jsonrpc.Refusal(`"a\u0000"`, jsonrpc.CodeNoSession, "Session not found", nil)),
			`{"jsonrpc":"2.0","id":"a\u0000","error":{"code":-32001,"message":"Session not found"}}`,
		},
		{
			"without", string(jsonrpc.Refusal("", jsonrpc.CodeUnsupportedVersion, "no", map[string]any{"requested": "1"})),
			`{"jsonrpc":"2.0","error":{"code":-32022,"message":"no","data":{"requested":"1"}}}`,
		},
		{
			"data that is no JSON", string(jsonrpc.Refusal("1", jsonrpc.CodeParse, "no", make(chan int))),
			`{"jsonrpc":"2.0","error":{"code":-32603,"message":"internal error"}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzRead holds the reader against a decoder that reads objects as JavaScript does (exact names,
// the last of two wins): what Read accepts, both understand alike.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		request(`{"name":"list_agents","arguments":{"x":[1,2,{"y":null}]}}`),
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","method\u0000":"tools/call"}`,
		`[{"jsonrpc":"2.0","id":"a","method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"}]`,
		`{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
		`{"jsonrpc":"2.0","id":-1,"result":{}}`,
		"{\"jſonrpc\":\"2.0\"}", "[[[[", `{"a":"\ud800"}`, `"\"\\`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := new(jsonrpc.Reader).Read(data)
		if err != nil {
			if refused := jsonrpc.AsError(err); refused == nil {
				t.Fatalf("%v is no *Error", err)
			} else if !json.Valid(jsonrpc.Refusal(refused.ID, refused.Code, refused.Message, nil)) {
				t.Fatalf("the refusal of %q is no JSON", data)
			}
			return
		}
		plain, err := asJavaScript(data, body.Batch)
		if err != nil {
			t.Fatalf("accepted %q, which another decoder refuses: %v", data, err)
		}
		if diff := cmp.Diff(plain, body.Messages); diff != "" {
			t.Fatalf("%q is read in two ways:\n%s", data, diff)
		}
	})
}

func asJavaScript(data []byte, batch bool) ([]jsonrpc.Message, error) {
	var all []map[string]any
	var err error
	if batch {
		err = json.Unmarshal(data, &all)
	} else {
		all = make([]map[string]any, 1)
		err = json.Unmarshal(data, &all[0])
	}
	if err != nil {
		return nil, fmt.Errorf("decoding loosely: %w", err)
	}
	read := make([]jsonrpc.Message, len(all))
	for i, object := range all {
		m := &read[i]
		id, hasID := object["id"]
		_, hasMethod := object["method"]
		switch {
		case hasMethod && hasID:
			m.Kind = jsonrpc.Request
		case hasMethod:
			m.Kind = jsonrpc.Notification
		default:
			m.Kind = jsonrpc.Response
		}
		if hasID {
			m.ID = idOf(data, id)
		}
		m.Method, _ = object["method"].(string)
		params, _ := object["params"].(map[string]any)
		m.Name, _ = params["name"].(string)
		m.URI, _ = params["uri"].(string)
		m.TaskID, _ = params["taskId"].(string)
		meta, _ := params["_meta"].(map[string]any)
		m.Version, _ = meta["io.modelcontextprotocol/protocolVersion"].(string)
	}
	return read, nil
}

// idOf finds the spelling of an id that stood in data: there are many ways to write a string.
func idOf(data []byte, id any) jsonrpc.ID {
	if number, ok := id.(float64); ok {
		return jsonrpc.ID(fmt.Sprintf("%.0f", number))
	}
	for i := range data {
		for j := i + 2; data[i] == '"' && j <= len(data); j++ {
			var text string
			if json.Unmarshal(data[i:j], &text) == nil && text == id {
				return jsonrpc.ID(data[i:j])
			}
		}
	}
	return ""
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{100, 100 << 10} {
		body := []byte(request(`{"name":"chat_with_agent","arguments":{"message":"` + strings.Repeat("x", size) + `"},"_meta":{"progressToken":3}}`))
		b.Run(fmt.Sprintf("%d", size), func(b *testing.B) {
			b.ReportAllocs()
			var r jsonrpc.Reader
			for b.Loop() {
				if _, err := r.Read(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func one(m jsonrpc.Message) jsonrpc.Body { return jsonrpc.Body{Messages: []jsonrpc.Message{m}} }

func request(params string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + params + `}`
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
