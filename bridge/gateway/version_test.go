package gateway_test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

// merge returns h with the fields of the others; a nil value takes a field away.
func merge(hs ...header) header {
	all := header{}
	for _, h := range hs {
		maps.Copy(all, h)
	}
	maps.DeleteFunc(all, func(_ string, v []string) bool { return v == nil })
	return all
}

func sentinel(text string) string {
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
}

func TestHeaders_modern(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	list, listHeaders := modern("tools/list", "")
	call, callHeaders := modern("tools/call", `"name":"list_agents","arguments":{}`)
	callHeaders = merge(callHeaders, header{"Mcp-Name": {"list_agents"}})
	read, readHeaders := modern("resources/read", `"uri":"file:///ü"`)
	task, taskHeaders := modern("tasks/get", `"taskId":"t-1"`)
	cancelled := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
	const ok, mismatch = 0, jsonrpc.CodeHeaderMismatch
	tests := []struct {
		id, name, body string
		headers        header
		code           int
	}{
		{"GW-09", "all agree", list, listHeaders, ok},
		{"GW-09", "older version in the body", strings.Replace(list, "2026-07-28", "2025-11-25", 1), listHeaders, mismatch},
		{"GW-09", "no version in the body", `{"jsonrpc":"2.0","id":9,"method":"tools/list"}`, listHeaders, jsonrpc.CodeInvalidParams},
		{"GW-09", "no version in _meta", `{"jsonrpc":"2.0","id":9,"method":"tools/list","params":{"_meta":{}}}`, listHeaders, jsonrpc.CodeInvalidParams},
		{"GW-09", "older version in the header", list, merge(listHeaders, version("2025-11-25")), mismatch},
		{"GW-10", "no version in the header", list, merge(listHeaders, header{"Mcp-Protocol-Version": nil}), mismatch},
		{"GW-10", "a version in the body alone", strings.Replace(list, "2026-07-28", "2025-03-26", 1), nil, mismatch},
		{"GW-12", "method missing", list, merge(listHeaders, header{"Mcp-Method": nil}), mismatch},
		{"GW-12", "method in capitals", list, merge(listHeaders, header{"Mcp-Method": {"TOOLS/LIST"}}), mismatch},
		{"GW-12", "another method", list, merge(listHeaders, header{"Mcp-Method": {"tools/call"}}), mismatch},
		{"GW-12", "blanks around it", list, merge(listHeaders, header{"Mcp-Method": {"  tools/list\t"}}), ok},
		{"GW-13", "name agrees", call, callHeaders, ok},
		{"GW-13", "another name", strings.Replace(call, "list_agents", "delete_agent", 1), callHeaders, mismatch},
		{"GW-13", "name missing", call, merge(callHeaders, header{"Mcp-Name": nil}), mismatch},
		{"GW-13", "name where there is none", list, merge(listHeaders, header{"Mcp-Name": {"x"}}), mismatch},
		{"GW-13", "uri agrees, wrapped", read, merge(readHeaders, header{"Mcp-Name": {sentinel("file:///ü")}}), ok},
		{"GW-13", "uri missing", read, readHeaders, mismatch},
		{"GW-13", "task", task, merge(taskHeaders, header{"Mcp-Name": {"t-1"}}), ok},
		{"GW-13", "task not named", task, taskHeaders, ok},
		{"GW-13", "another task", task, merge(taskHeaders, header{"Mcp-Name": {"t-2"}}), mismatch},
		{"GW-14", "wrapped", call, merge(callHeaders, header{"Mcp-Name": {sentinel("list_agents")}}), ok},
		{"RS-37", "wrapped, prefix in capitals", call, merge(callHeaders, header{"Mcp-Name": {strings.Replace(sentinel("list_agents"), "base64", "BASE64", 1)}}), ok},
		{"RS-37", "wrapped, another name", call, merge(callHeaders, header{"Mcp-Name": {sentinel("delete_agent")}}), mismatch},
		{"RS-37", "padding cut", call, merge(callHeaders, header{"Mcp-Name": {"=?base64?bGlzdF9hZ2VudHM?="}}), mismatch},
		{"RS-37", "another spelling of the same bytes", call, merge(callHeaders, header{"Mcp-Name": {"=?base64?bGlzdF9hZ2VudHN=?="}}), mismatch},
		{"RS-37", "no end", call, merge(callHeaders, header{"Mcp-Name": {"=?base64?bGlzdF9hZ2VudHM="}}), mismatch},
		{"RS-37", "blank inside", call, merge(callHeaders, header{"Mcp-Name": {"=?base64?bGlz dF9hZ2VudHM=?="}}), mismatch},
		{"RS-37", "no UTF-8", call, merge(callHeaders, header{"Mcp-Name": {"=?base64?/w==?="}}), mismatch},
		{"RS-37", "raw UTF-8", read, merge(readHeaders, header{"Mcp-Name": {"file:///ü"}}), mismatch},
		{"GW-15", "method twice", list, merge(listHeaders, header{"Mcp-Method": {"tools/list", "tools/list"}}), mismatch},
		{"GW-15", "name twice", call, merge(callHeaders, header{"Mcp-Name": {"list_agents", "delete_agent"}}), mismatch},
		{"GW-15", "version twice", list, merge(listHeaders, version("2026-07-28"), header{"Mcp-Protocol-Version": {"2026-07-28", "2026-07-28"}}), mismatch},
		{"GW-15", "names in one line", call, merge(callHeaders, header{"Mcp-Name": {"list_agents, delete_agent"}}), mismatch},
		{"GW-15", "a parameter twice", call, merge(callHeaders, header{"Mcp-Param-Region": {"a", "b"}}), mismatch},
		{"GW-22", "batch", "[" + list + "]", merge(listHeaders, header{"Mcp-Method": nil}), jsonrpc.CodeInvalidRequest},
		{"GW-23", "posted response", `{"jsonrpc":"2.0","id":1,"result":{}}`, merge(listHeaders, header{"Mcp-Method": nil}), jsonrpc.CodeInvalidRequest},
		{"GW-09", "notification without a version", cancelled, merge(listHeaders, header{"Mcp-Method": {"notifications/cancelled"}}), ok},
		{"GW-09", "notification of another version", strings.Replace(cancelled, `"requestId":1`, `"_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25"}`, 1), merge(listHeaders, header{"Mcp-Method": {"notifications/cancelled"}}), mismatch},
		{"RS-35", "an older client whose header lies", toolCall("delete_agent"), merge(version("2025-11-25"), header{"Mcp-Name": {"list_agents"}}), mismatch},
		{"RS-35", "an older client whose header is right", toolCall("list_agents"), merge(version("2025-11-25"), header{"Mcp-Name": {"list_agents"}}), ok},
		{"GW-22", "a batch with a name", `[` + ping + `]`, header{"Mcp-Method": {"ping"}}, mismatch},
	}
	for _, tt := range tests {
		t.Run(tt.id+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			c := w.connect("alice")
			got := w.call(c, tt.body, tt.headers)
			if tt.code == ok {
				if got.status != http.StatusOK && got.status != http.StatusAccepted {
					t.Fatalf("status %d: %s", got.status, got.body)
				}
				return
			}
			got.want(t, http.StatusBadRequest)
			if code, _ := got.rpcError(t); code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
			w.upstream.wantUntouched(t)
			w.wantAudit(t, "call_refused malformed")
		})
	}
	w.call(c, call, callHeaders, header{"Mcp-Param-Foo": {"x"}}).want(t, http.StatusOK)
	seen := w.upstream.last(t).header // GW-19
	if seen.Get("Mcp-Param-Foo") != "x" || seen.Get("Mcp-Method") != "tools/call" || seen.Get("Mcp-Name") != "list_agents" || seen.Get("Mcp-Protocol-Version") != "2026-07-28" {
		t.Errorf("the upstream got %v", seen)
	}
}

func TestVersion_GW11_unknown(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	for _, value := range []string{"1900-01-01", "2027-01-01", "", "2025-11-25, 2026-07-28", strings.Repeat("9", 5000)} {
		for _, method := range []string{"POST", "GET", "DELETE"} {
			got := w.send(method, "/mcp", ping, bearer(c.token), version(value)).want(t, http.StatusBadRequest)
			if code, _ := got.rpcError(t); code != jsonrpc.CodeUnsupportedVersion {
				t.Errorf("%q: code %d", value, code)
			}
			if !strings.Contains(got.body, `"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"]`) || len(got.body) > 400 {
				t.Errorf("%q: body %s", value, got.body)
			}
		}
	}
	w.upstream.wantUntouched(t)
}

func TestVersion_GW10_legacyVersionsPass(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	for _, h := range []header{nil, version("2024-11-05"), version("2025-03-26"), version("2025-06-18"), version("2025-11-25")} {
		w.call(c, ping, h).want(t, http.StatusOK)
		if got := w.upstream.last(t).header["Mcp-Protocol-Version"]; !slices.Equal(got, h["Mcp-Protocol-Version"]) {
			t.Errorf("the upstream got the version %q, sent %q", got, h)
		}
	}
}

func TestBatch_GW22_onlyIn20250326(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	batch := "[" + ping + "," + `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "]"
	for _, h := range []header{nil, version("2025-03-26")} {
		if got := w.call(c, batch, h); got.status != http.StatusAccepted && got.status != http.StatusOK {
			t.Errorf("%v: status %d", h, got.status)
		}
	}
	before := len(w.upstream.requests())
	for _, v := range []string{"2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28"} {
		w.call(c, batch, version(v)).want(t, http.StatusBadRequest)
	}
	if len(w.upstream.requests()) != before {
		t.Error("the upstream was asked")
	}
}

func TestModern_GW45_noSessions(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	w.upstream.answer(status(http.StatusOK, "application/json", `{"jsonrpc":"2.0","id":9,"result":{}}`, "Mcp-Session-Id", "upstream-session"))
	list, headers := modern("tools/list", "")
	got := w.call(c, list, headers, session("whatever")).want(t, http.StatusOK)
	if got.header["Mcp-Session-Id"] != nil || w.upstream.last(t).header["Mcp-Session-Id"] != nil {
		t.Error("a session id passed in 2026-07-28")
	}
	for _, method := range []string{"GET", "DELETE"} {
		got := w.send(method, "/mcp", "", bearer(c.token), version("2026-07-28")).want(t, http.StatusMethodNotAllowed)
		if got.header.Get("Allow") != "POST" {
			t.Errorf("Allow %q", got.header.Get("Allow"))
		}
	}
}
