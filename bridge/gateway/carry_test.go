package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// stateless posts a call of 2026-07-28. A tool's name goes into its header, too.
func (w *world) stateless(c connection, method, params string) answer {
	w.t.Helper()
	body, headers := modern(method, params)
	if name, ok := strings.CutPrefix(params, `"name":"`); ok {
		headers["Mcp-Name"] = []string{name[:strings.Index(name, `"`)]}
	}
	return w.call(c, body, headers)
}

// message is the one JSON-RPC message of an answer, document or event.
func (a answer) message(t testing.TB) (result map[string]any, id string) {
	t.Helper()
	text := a.body
	if strings.Contains(a.header.Get("Content-Type"), "event-stream") {
		for line := range strings.Lines(a.body) {
			if data, ok := strings.CutPrefix(line, "data: "); ok && strings.TrimSpace(data) != "" {
				text = data
			}
		}
	}
	var m struct {
		ID     json.RawMessage `json:"id"`
		Result map[string]any  `json:"result"`
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return m.Result, string(m.ID)
}

// TestCarry_trinity: a client of 2026-07-28 is served by every generation of Trinity's MCP server, which has sessions.
func TestCarry_trinity(t *testing.T) {
	t.Parallel()
	eachGeneration(t, func(t *testing.T, d *deployment) {
		c := d.allow(t, "alice@example.com")
		key := d.pastedKey(t, "bob@example.com")
		for username, c := range map[string]connection{"alice@example.com": c, "bob@example.com": {token: key}} {
			found, _ := d.stateless(c, "server/discover", "").want(t, http.StatusOK).message(t)
			if found["resultType"] != "complete" || !strings.Contains(fmt.Sprint(found["supportedVersions"]), "2026-07-28") ||
				!strings.Contains(fmt.Sprint(found["capabilities"]), "tools") || !strings.Contains(fmt.Sprint(found["_meta"]), "trinity-orchestrator") {
				t.Errorf("discovered %v", found)
			}
			got := d.stateless(c, "tools/list", "").want(t, http.StatusOK)
			list, id := got.message(t)
			if tools, _ := list["tools"].([]any); len(tools) < 100 || id != "9" || list["resultType"] != "complete" ||
				list["cacheScope"] != "private" || list["ttlMs"] != 0.0 {
				t.Errorf("listed %d tools, id %s, %v %v %v", len(tools), id, list["resultType"], list["cacheScope"], list["ttlMs"])
			}
			if got.header["Mcp-Session-Id"] != nil {
				t.Error("a session id reached a client that has none")
			}
			ran, _ := d.stateless(c, "tools/call", `"name":"list_agents","arguments":{"n":1}`).want(t, http.StatusOK).message(t)
			if ran["resultType"] != "complete" || !strings.Contains(fmt.Sprint(ran["content"]), username) {
				t.Errorf("ran %v", ran)
			}
		}
		for _, method := range []string{"prompts/list", "resources/list", "logging/setLevel", "ping", "initialize", "tasks/list"} {
			got := d.stateless(c, method, "").want(t, http.StatusNotFound)
			if code, id := got.rpcError(t); code != jsonrpc.CodeMethodNotFound || id != "9" {
				t.Errorf("%s: code %d id %s", method, code, id)
			}
		}
		body, headers := modern("notifications/cancelled", `"requestId":1`)
		d.call(c, strings.Replace(body, `"id":9,`, "", 1), headers).want(t, http.StatusAccepted)
		if got := d.sessions(); got != 2 {
			t.Errorf("%d sessions were opened for two callers", got)
		}
		d.wantNoToken(t, c.token)
	})
}

// TestCarry_foreignClient: go-sdk's client, which asks for 2026-07-28 first, stays with it.
func TestCarry_foreignClient(t *testing.T) {
	t.Parallel()
	d := deploy(t, trinitytest.Switches{})
	session, err := d.client(t, d.allow(t, "alice@example.com").token)
	if err != nil {
		t.Fatal(err)
	}
	if got := session.InitializeResult(); got.ProtocolVersion != "2026-07-28" || got.ServerInfo == nil || got.ServerInfo.Name != "trinity-orchestrator" {
		t.Errorf("connected to %+v", got)
	}
	if listed, err := session.ListTools(t.Context(), nil); err != nil || len(listed.Tools) < 100 {
		t.Fatal(err)
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_agents", Arguments: map[string]any{}})
	if err != nil || result.IsError {
		t.Fatal(result, err)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}

// TestCarry_restart: an upstream that has lost its sessions is given new ones, and no call is made twice.
func TestCarry_GW36_restart(t *testing.T) {
	t.Parallel()
	eachGeneration(t, func(t *testing.T, d *deployment) {
		c := d.allow(t, "alice@example.com")
		d.stateless(c, "tools/call", `"name":"list_agents"`).want(t, http.StatusOK)
		d.trinity.KillMCP()
		if err := d.trinity.RestartMCP(); err != nil {
			t.Fatal(err)
		}
		got := onNewConnection(func() answer { return d.stateless(c, "tools/call", `"name":"create_agent"`) })
		got.want(t, http.StatusOK)
		if n := d.sessions(); n != 2 {
			t.Errorf("%d sessions, want 2", n)
		}
	})
}

// TestCarry_I8: calls at the same time never meet in a session, whatever ids they carry and whoever makes them.
func TestCarry_I8_oneCallASession(t *testing.T) {
	t.Parallel()
	w, s := startSessions(t)
	alice, bob := w.connect("alice"), w.connect("bob")
	var group sync.WaitGroup
	for i := range 10 {
		group.Go(func() {
			w.stateless([]connection{alice, bob}[i%2], "tools/call", `"name":"list_agents"`).want(t, http.StatusOK)
		})
	}
	eventually(t, "ten calls at once", func() bool { _, calls, _, _ := s.seen(); return len(calls) == 10 })
	_, calls, _, _ := s.seen()
	slices.Sort(calls)
	if got := len(slices.Compact(calls)); got != 10 {
		t.Errorf("ten calls at once were in %d sessions", got)
	}
	owners := map[string]string{}
	for _, seen := range w.upstream.requests() {
		id, who := seen.header.Get("Mcp-Session-Id"), owner(seen.header)
		if before := owners[id]; id != "" && before != "" && before != who {
			t.Errorf("%s was used by two", id)
		}
		owners[id] = who
	}
	for range 100 {
		s.release <- struct{}{}
	}
	group.Wait()
	w.stateless(alice, "tools/call", `"name":"list_agents"`).want(t, http.StatusOK)
	if opened, _, _, _ := s.seen(); opened != 10 {
		t.Errorf("%d sessions, want 10: an idle one serves the next call", opened)
	}
	eventually(t, "idle sessions over the bound are ended", func() bool { _, _, ended, _ := s.seen(); return len(ended) == 2 })
}

// TestCarry_stream: what a session carries beside the answer reaches the client as far as 2026-07-28 has it.
func TestCarry_stream(t *testing.T) {
	t.Parallel()
	w, s := startSessions(t)
	c := w.connect("alice")
	s.release <- struct{}{}
	s.release <- struct{}{}
	for wanted, want := range map[string][]string{
		"": {"progress", "session"},
		`,"io.modelcontextprotocol/logLevel":"warning"`: {"progress", "loud", "session"},
	} {
		body, headers := modern("tools/call", `"name":"list_agents"`)
		body = strings.Replace(body, `"2026-07-28"`, `"2026-07-28"`+wanted, 1)
		got := w.call(c, body, headers, header{"Mcp-Name": {"list_agents"}}).want(t, http.StatusOK)
		var carried []string
		for line := range strings.Lines(got.body) {
			for _, word := range []string{"createMessage", "ping", "progress", "quiet", "loud", "session"} {
				if strings.HasPrefix(line, "data: ") && strings.Contains(line, word) {
					carried = append(carried, word)
				}
			}
		}
		if !slices.Equal(carried, want) || !strings.Contains(got.body, `"resultType":"complete"`) {
			t.Errorf("carried %q, want %q: %s", carried, want, got.body)
		}
	}
	_, _, _, told := s.seen()
	for _, want := range []string{`"id":"ask","error":{"code":-32601`, `"id":2,"result":{}`, `"logging/setLevel"`} {
		if !strings.Contains(strings.Join(told, "\n"), want) {
			t.Errorf("the upstream was not told %s: %s", want, told)
		}
	}
}

// TestCarry_GW35: a client that leaves withdraws its call: the upstream hears of it, and the session is not used again.
func TestCarry_GW35_clientLeaves(t *testing.T) {
	t.Parallel()
	w, s := startSessions(t)
	c := w.connect("alice")
	ctx, cancel := context.WithCancel(t.Context())
	body, headers := modern("tools/call", `"name":"list_agents"`)
	res := w.open(ctx, "POST", "/mcp", body, headers, header{"Mcp-Name": {"list_agents"}}, bearer(c.token))
	if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = res.Body.Close()
	eventually(t, "the call is called off and its session ended", func() bool {
		_, _, ended, told := s.seen()
		return slices.Equal(ended, []string{"s-1"}) && strings.Contains(strings.Join(told, "\n"), `"notifications/cancelled","params":{"requestId":9,`)
	})
	s.release <- struct{}{}
	got, _ := w.stateless(c, "tools/call", `"name":"list_agents"`).want(t, http.StatusOK).message(t)
	if got["session"] != "s-2" {
		t.Errorf("the next call ran in %v", got["session"])
	}
}

// TestCarry_ends: sessions end with their grant, and with the program.
func TestCarry_ends(t *testing.T) {
	t.Parallel()
	w, s := startSessions(t)
	alice, bob := w.connect("alice"), w.connect("bob")
	for _, c := range []connection{alice, bob} {
		s.release <- struct{}{}
		w.stateless(c, "tools/call", `"name":"list_agents"`).want(t, http.StatusOK)
	}
	w.gateway.GrantChanged(alice.grant.ID) // which lives
	w.grants.change(alice.grant.ID, func(g *bridge.Grant) { g.Status = bridge.GrantEnded })
	w.gateway.GrantChanged(alice.grant.ID)
	eventually(t, "alice's session is ended", func() bool { _, _, ended, _ := s.seen(); return slices.Equal(ended, []string{"s-1"}) })
	w.gateway.Close()
	if _, _, ended, _ := s.seen(); !slices.Equal(ended, []string{"s-1", "s-2"}) {
		t.Errorf("ended %q", ended)
	}
}

// TestCarry_listen: subscriptions/listen is the stream of a session of its own.
func TestCarry_GW37_listen(t *testing.T) {
	t.Parallel()
	d := deploy(t, trinitytest.Switches{})
	c := d.allow(t, "alice@example.com")
	body, headers := modern("subscriptions/listen", `"notifications":{"toolsListChanged":true,"promptsListChanged":true}`)
	res := d.open(t.Context(), "POST", "/mcp", body, headers, bearer(c.token))
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	lines := bufio.NewScanner(res.Body)
	next := func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && data != "" {
				return data
			}
		}
		return "the stream ended"
	}
	meta := `"_meta":{"io.modelcontextprotocol/subscriptionId":9}`
	if got, want := next(), `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true},`+meta+`}}`; got != want {
		t.Errorf("acknowledged %s, want %s", got, want)
	}
	go func() { // until it is heard: the stream may not be open yet
		for n := 0; t.Context().Err() == nil; n++ {
			d.trinity.ExposeAgent(fmt.Sprintf("helper-%d", n))
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if got, want := next(), `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{`+meta+`}}`; got != want {
		t.Errorf("heard %s, want %s", got, want)
	}
	d.gateway.Drain()
	for got := next(); !strings.Contains(got, `"result"`); got = next() {
		if !strings.Contains(got, "list_changed") {
			t.Fatalf("ended with %s", got)
		}
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Errorf("the stream was cut: %v", err)
	}
}

// TestCarry_refuses: what a server of 2026-07-28 has to refuse, and one before would not, goes nowhere.
func TestCarry_refuses(t *testing.T) {
	t.Parallel()
	w, s := startSessions(t)
	c := w.connect("alice")
	body, headers := modern("tools/call", `"name":"list_agents"`)
	for what, wrong := range map[string]string{
		"no capabilities": strings.Replace(body, `,"io.modelcontextprotocol/clientCapabilities":{}`, "", 1),
		"no results":      strings.Replace(body, `"params":{`, `"params":{"inputResponses":{"a":7},`, 1),
	} {
		got := w.call(c, wrong, headers, header{"Mcp-Name": {"list_agents"}}).want(t, http.StatusBadRequest)
		if code, id := got.rpcError(t); code != jsonrpc.CodeInvalidParams || id != "9" || wrong == body {
			t.Errorf("%s: code %d id %s", what, code, id)
		}
	}
	if _, calls, _, _ := s.seen(); len(calls) != 0 {
		t.Errorf("the upstream was called %d times", len(calls))
	}
}

// TestCarry_upstreamTrouble: an upstream that opens no session gives a client an error it understands.
func TestCarry_upstreamTrouble(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		serve func(http.ResponseWriter, *http.Request, string)
		want  int
	}{
		"busy":         {status(503, "text/plain", "later"), http.StatusServiceUnavailable},
		"failing":      {status(500, "text/plain", "stack trace canary"), http.StatusBadGateway},
		"not a result": {status(200, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}`), http.StatusBadGateway},
		"no MCP":       {status(200, "text/html", "<html>canary"), http.StatusBadGateway},
		"refused":      {status(401, "application/json", "{}"), http.StatusBadGateway},
		"a version that was not offered": {
			status(200, "application/json", `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2099-01-01","capabilities":{}}}`), http.StatusBadGateway,
		},
	} {
		w := start(t)
		w.upstream.sessionsOnly()
		w.upstream.answer(tt.serve)
		got := w.stateless(w.connect("alice"), "tools/call", `"name":"list_agents"`).want(t, tt.want)
		if _, id := got.rpcError(t); id != "9" || strings.Contains(got.body, "canary") {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	w, s := startSessions(t)
	c := w.connect("alice")
	s.release <- struct{}{}
	w.stateless(c, "tools/call", `"name":"list_agents"`).want(t, http.StatusOK)
	w.upstream.server.Close()
	got := onNewConnection(func() answer { return w.stateless(c, "tools/call", `"name":"list_agents"`) })
	got.want(t, http.StatusServiceUnavailable)
}
