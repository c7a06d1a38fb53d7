package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

func TestBody_I9_theBytesThatWereReadAreForwarded(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	body := " \r\n{ \"params\": {\"arguments\":{\"n\":1e2,\"u\":\"\\u00e9é\"},\"name\":\"list_agents\"},\"method\":\"tools\\/call\",\"id\":\"a\",\"jsonrpc\":\"2.0\" }\n"
	w.call(c, body).want(t, http.StatusOK)
	if seen := w.upstream.last(t); seen.body != body || seen.header.Get("Content-Length") != fmt.Sprint(len(body)) {
		t.Errorf("the upstream got %q with length %s", seen.body, seen.header.Get("Content-Length"))
	}
}

func TestBody_refused(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	tests := []struct {
		id, name, body string
		headers        header
		status, code   int
		wantID         string
	}{
		{"GW-18", "no JSON", "hello", nil, 400, jsonrpc.CodeParse, ""},
		{"GW-18", "empty", "", nil, 400, jsonrpc.CodeParse, ""},
		{"GW-18", "method twice", `{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}`, nil, 400, jsonrpc.CodeParse, ""},
		{"RS-32", "Method beside method", `{"jsonrpc":"2.0","id":7,"method":"tools/list","Method":"tools/call","params":{"name":"delete_agent"}}`, nil, 400, jsonrpc.CodeInvalidRequest, "7"},
		{"RS-33", "NUL", `{"jsonrpc":"2.0","id":"x","method":"tools/list","method\u0000":"tools/call"}`, nil, 400, jsonrpc.CodeInvalidRequest, `"x"`},
		{"RS-42", "a call as a notification", `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"delete_agent"}}`, nil, 400, jsonrpc.CodeInvalidRequest, ""},
		{"RS-41", "no tool", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`, nil, 400, jsonrpc.CodeInvalidParams, "1"},
		{"RS-41", "10 KB of a name", toolCall(strings.Repeat("a", 10<<10)), nil, 400, jsonrpc.CodeInvalidParams, `"c-1"`},
		{"GW-39", "a form", "a=b", header{"Content-Type": {"application/x-www-form-urlencoded"}}, 415, jsonrpc.CodeInvalidRequest, ""},
		{"GW-39", "JSON as text", ping, header{"Content-Type": {"text/plain"}}, 415, jsonrpc.CodeInvalidRequest, ""},
		{"GW-39", "no type", ping, header{"Content-Type": nil}, 415, jsonrpc.CodeInvalidRequest, ""},
		{"GW-39", "compressed", "\x1f\x8b\x08\x00", header{"Content-Encoding": {"gzip"}}, 400, jsonrpc.CodeParse, ""},
	}
	for _, tt := range tests {
		t.Run(tt.id+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			got := w.call(c, tt.body, tt.headers).want(t, tt.status)
			if code, id := got.rpcError(t); code != tt.code || id != tt.wantID {
				t.Errorf("code %d id %q, want %d %q", code, id, tt.code, tt.wantID)
			}
			w.upstream.wantUntouched(t)
		})
	}
}

func TestBody_typeWithParameters(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	for _, kind := range []string{"application/json; charset=utf-8", "Application/JSON", "application/json;charset=utf-16"} {
		w.call(c, ping, header{"Content-Type": {kind}}).want(t, http.StatusOK)
		if got := w.upstream.last(t).header.Get("Content-Type"); got != "application/json" {
			t.Errorf("the upstream got the type %q", got)
		}
	}
}

func TestBody_GW39_tooLarge(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Limits.BodyBytes = 1000 })
	c := w.connect("alice")
	w.call(c, ping+strings.Repeat(" ", 1000-len(ping))).want(t, http.StatusOK)
	before := len(w.upstream.requests())
	got := w.call(c, ping+strings.Repeat(" ", 1001-len(ping))).want(t, http.StatusRequestEntityTooLarge)
	got.rpcError(t)
	req := w.request(t.Context(), "POST", "/mcp", "", bearer(c.token)) // without a length
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(ping+strings.Repeat(" ", 5000))), -1
	res, err := w.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
	if len(w.upstream.requests()) != before {
		t.Error("the upstream was asked")
	}
}

// raw writes text to the gateway and returns the status line's code, or 0 when the connection was closed.
func (w *world) raw(text string) (int, *bufio.Reader) {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.URL, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		return 0, nil
	}
	reader := bufio.NewReader(conn)
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		return 0, reader
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, reader
}

func TestBody_RS46_slow(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*gateway.Options){
		"idle":     func(o *gateway.Options) { o.Limits.BodyIdle = 20 * time.Millisecond },
		"in total": func(o *gateway.Options) { o.Limits.BodyTotal = 20 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, edit)
			c := w.connect("alice")
			code, reader := w.raw("POST /mcp HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + c.token +
				"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
			if code != http.StatusRequestTimeout {
				t.Errorf("status %d, want 408", code)
			}
			if _, err := reader.ReadByte(); err != io.EOF {
				t.Errorf("the connection is still open: %v", err)
			}
			w.upstream.wantUntouched(t)
		})
	}
}

// TestBody_deadlineIsTakenBack: the connection serves further requests, and long answers.
func TestBody_RS46_deadlineIsTakenBack(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Limits.BodyIdle = 50 * time.Millisecond })
	c := w.connect("alice")
	release := make(chan struct{})
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, body string) {
		<-release
		mcpServer(rw, r, body)
	})
	time.AfterFunc(150*time.Millisecond, func() { close(release) })
	for range 3 {
		w.call(c, ping).want(t, http.StatusOK)
	}
}

// TestBody_deadlineOverHTTP2: where nobody takes the deadline back, it ends nothing once the body is there.
func TestBody_RS46_deadlineOverHTTP2(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Limits.BodyIdle = 20 * time.Millisecond })
	c := w.connect("alice")
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, body string) {
		time.Sleep(100 * time.Millisecond) // well past the deadline
		mcpServer(rw, r, body)
	})
	server := httptest.NewUnstartedServer(w.handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	for range 2 {
		req := w.request(t.Context(), http.MethodPost, "/mcp", ping, bearer(c.token))
		req.URL.Scheme, req.URL.Host = "https", strings.TrimPrefix(server.URL, "https://")
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.ProtoMajor != 2 || res.StatusCode != http.StatusOK {
			t.Errorf("%s over %s", res.Status, res.Proto)
		}
	}
}

// TestFraming_RS16: what two servers could frame differently never becomes a request upstream.
func TestFraming_RS16(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	head := "POST /mcp HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + c.token + "\r\nContent-Type: application/json\r\n"
	smuggled := "POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(ping), ping)
	tests := []struct {
		name, request string
		forwarded     bool // as exactly one request with ping as its body
	}{
		{"two equal lengths", head + "Content-Length: 40\r\nContent-Length: 40\r\n\r\n" + ping, true},
		{"two lengths", head + "Content-Length: 40\r\nContent-Length: 41\r\n\r\n" + ping, false},
		{"a list of lengths", head + "Content-Length: 40, 41\r\n\r\n" + ping, false},
		{"length and chunks", head + "Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + smuggled, true},
		{"chunked, identity", head + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunked, false},
		{"unknown coding", head + "Transfer-Encoding: xchunked\r\n\r\n" + chunked, false},
		{"two codings", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunked, false},
		{"bare LF in a chunk's size", head + "Transfer-Encoding: chunked\r\n\r\n28\n" + ping + "\r\n0\r\n\r\n", false},
		{"chunk extension with a bare LF", head + "Transfer-Encoding: chunked\r\n\r\n28;a\n" + ping + "\r\n0\r\n\r\n", false},
		{"negative size", head + "Transfer-Encoding: chunked\r\n\r\n-28\r\n" + ping + "\r\n0\r\n\r\n", false},
		{"size with 0x", head + "Transfer-Encoding: chunked\r\n\r\n0x28\r\n" + ping + "\r\n0\r\n\r\n", false},
		{"space before the colon", head + "Content-Length : 40\r\n\r\n" + ping, false},
		{"folded line", head + "X-A: b\r\n Content-Length: 40\r\n\r\n" + ping, false},
		{"NUL in a value", head + "X-A: b\x00c\r\nContent-Length: 40\r\n\r\n" + ping, false},
		{"length with a sign", head + "Content-Length: +40\r\n\r\n" + ping, false},
		{"HTTP/1.0 with chunks", strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n" + chunked, false},
		{"line feed in the target", strings.Replace(head, "/mcp", "/mcp\n", 1) + "Content-Length: 40\r\n\r\n" + ping, false},
	}
	for _, tt := range tests {
		before := len(w.upstream.requests())
		code, _ := w.raw(strings.ReplaceAll(tt.request, "Content-Length: 40", fmt.Sprintf("Content-Length: %d", len(ping))))
		seen := w.upstream.requests()[before:]
		switch {
		case !tt.forwarded && (len(seen) != 0 || code == http.StatusOK):
			t.Errorf("%s: status %d and %d requests upstream, want none", tt.name, code, len(seen))
		case tt.forwarded && (code != http.StatusOK || len(seen) != 1 || seen[0].body != ping):
			t.Errorf("%s: status %d, upstream saw %+v", tt.name, code, seen)
		}
		for _, s := range seen {
			if s.header.Get("Content-Length") != fmt.Sprint(len(ping)) || s.header["Transfer-Encoding"] != nil {
				t.Errorf("%s: framed as %v", tt.name, s.header)
			}
		}
	}
}
