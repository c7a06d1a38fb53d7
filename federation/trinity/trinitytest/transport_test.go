package trinitytest_test

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestInitialize(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{
		"2024-10-07": "2024-10-07", "2024-11-05": "2024-11-05", "2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18",
		"2025-11-25": "2025-11-25", "2026-07-28": "2025-11-25", "nonsense": "2025-11-25",
	} {
		t.Run("4.1/"+asked, func(t *testing.T) {
			t.Parallel()
			y := start(t)
			a := y.mcp("POST", y.key(alice, "a", "user", ""), "", strings.Replace(initialize, "2025-06-18", asked, 1))
			got := a.rpc(t)
			if diff := cmp.Diff(map[string]any{
				"jsonrpc": "2.0", "id": 1.0,
				"result": map[string]any{
					"protocolVersion": want,
					"capabilities":    map[string]any{"tools": map[string]any{}, "logging": map[string]any{}, "completions": map[string]any{}},
					"serverInfo":      map[string]any{"name": "trinity-orchestrator", "version": "1.0.0"},
				},
			}, got); diff != "" {
				t.Error(diff)
			}
			if id := a.header.Get("Mcp-Session-Id"); !uuid4.MatchString(id) {
				t.Errorf("session id %q is not a v4 UUID", id)
			}
			if all := events(t, strings.NewReader(a.body), every); len(all) != 1 || all[0].name != "message" || all[0].id == "" {
				t.Errorf("not one message event with an id: %q", a.body)
			}
		})
	}
	t.Run("4.1/listChanged by switch", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.AdvertiseListChanged = true }))
		a := y.mcp("POST", y.key(alice, "a", "user", ""), "", initialize)
		if !strings.Contains(a.body, `"tools":{"listChanged":true}`) {
			t.Errorf("body %s", a.body)
		}
	})
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	const invalid = `{"error":{"code":-32000,"message":"Invalid API key"},"id":1,"jsonrpc":"2.0"}`
	t.Run("4.3/one backend call per request, with the caller's key", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "a", "user", "")
		session := y.openSession(key)
		y.ResetRequests()
		y.mcp("POST", key, session, toolsList).want(t, 200)
		y.mcp("POST", key, session, toolsList).want(t, 200)
		var seen []string
		for _, r := range y.Requests() {
			if r.Side == trinitytest.SideBackend {
				seen = append(seen, r.Method+" "+r.Path+" "+r.Header.Get("Authorization"))
			}
		}
		validate := "POST /api/mcp/validate Bearer " + key
		if diff := cmp.Diff([]string{validate, validate}, seen); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("4.3/a JWT is no key", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		y.mcp("POST", y.signIn(alice), "", initialize).wantBody(t, 401, invalid)
	})
	t.Run("4.3/the query is ignored", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "a", "user", "")
		h := mcpHeader("POST", "", "")
		y.send("POST", y.MCPURL()+"?api_key="+key, h, initialize).want(t, 401)
		y.send("POST", y.MCPURL()+"?x=1", append(h, "Authorization", "Bearer "+key), initialize).want(t, 200)
	})
	for _, condition := range []trinitytest.Condition{trinitytest.Down, trinitytest.ServingHTML, trinitytest.Redirecting, trinitytest.Failing, trinitytest.EchoingCredentials} {
		t.Run("4.3/any backend failure reads as a bad key", func(t *testing.T) {
			t.Parallel()
			y := start(t)
			key := y.key(alice, "a", "user", "")
			y.Set(func(s *trinitytest.Switches) { s.Backend = condition })
			y.mcp("POST", key, "", initialize).wantBody(t, 401, invalid)
			y.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy })
			y.openSession(key)
		})
	}
	t.Run("4.5/revoking stops the next request", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		jwt := y.signIn(alice)
		id, key := y.mint(jwt, "a")
		session := y.openSession(key)
		y.mcp("POST", key, session, toolsList).want(t, 200)
		y.api("POST", "/api/mcp/keys/"+id+"/revoke", jwt, "").want(t, 200)
		y.mcp("POST", key, session, toolsList).want(t, 401)
	})
	t.Run("4.3/OP-34 anonymous calls act as the administrator", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.AnonymousAllowed = true }))
		session := y.openSession("")
		ran, _ := text(t, y.call("", session, "list_agents", "{}"))
		if got := decode(t, ran)["username"]; got != admin {
			t.Errorf("ran as %v", got)
		}
		y.mcp("POST", "", "", toolsList).want(t, 400)
		y.mcp("GET", "", "", "").wantBody(t, 400, "No sessionId")
		y.mcp("POST", "", strangerID, toolsList).want(t, 404)
	})
}

func TestTransport(t *testing.T) {
	t.Parallel()
	y := start(t)
	key := y.key(alice, "a", "user", "")
	session := y.openSession(key)
	url := y.MCPURL()
	const (
		notAcceptable = `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Not Acceptable: Client must accept both application/json and text/event-stream"},"id":null}`
		parseError    = `{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error: Invalid JSON-RPC message"},"id":null}`
	)
	auth := header{"Authorization", "Bearer " + key, "Mcp-Session-Id", session, "Content-Type", "application/json"}
	for _, accept := range []string{"", "*/*", "application/json", "text/event-stream", "APPLICATION/JSON, text/event-stream"} {
		t.Run("4.5/406 "+accept, func(t *testing.T) {
			t.Parallel()
			y.send("POST", url, append(header{"Accept", accept}, auth...), toolsList).wantBody(t, 406, notAcceptable)
		})
	}
	t.Run("4.5/406 GET", func(t *testing.T) {
		t.Parallel()
		y.send("GET", url, append(header{"Accept", "application/json"}, auth...), "").
			wantBody(t, 406, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Not Acceptable: Client must accept text/event-stream"},"id":null}`)
	})
	t.Run("4.5/415", func(t *testing.T) {
		t.Parallel()
		y.send("POST", url, header{"Accept", both, "Authorization", "Bearer " + key, "Mcp-Session-Id", session, "Content-Type", "text/plain"}, toolsList).want(t, 415)
	})
	for _, body := range []string{
		"", "{", `{"a":1}`, `5`, `[5]`, `{"jsonrpc":"2.0","id":null,"method":"ping"}`, `{"jsonrpc":"1.0","id":1,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}`, `{"jsonrpc":"2.0","id":1,"method":5}`, `{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, `{"jsonrpc":"2.0"}`,
	} {
		t.Run("4.5/not JSON-RPC "+body, func(t *testing.T) {
			t.Parallel()
			y.mcp("POST", key, session, body).wantBody(t, 400, parseError)
		})
	}
	for name, body := range map[string]string{
		"notification": initialized, "response": `{"jsonrpc":"2.0","id":0,"result":{}}`, "batch of notifications": "[" + initialized + "]", "empty batch": "[]",
	} {
		t.Run("4.5/202 "+name, func(t *testing.T) {
			t.Parallel()
			y.mcp("POST", key, session, body).wantBody(t, 202, "")
		})
	}
	t.Run("4.5/already initialized", func(t *testing.T) {
		t.Parallel()
		y.mcp("POST", key, session, initialize).
			wantBody(t, 400, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: Server already initialized"},"id":null}`)
	})
	t.Run("4.5/the last of two equal names wins", func(t *testing.T) {
		t.Parallel()
		a := y.mcp("POST", key, session, `{"jsonrpc":"2.0","id":1,"id":"two","method":"nope","method":"ping"}`)
		if got := a.rpc(t); got["id"] != "two" || got["result"] == nil {
			t.Errorf("response %v", got)
		}
	})
	t.Run("4.5/batch", func(t *testing.T) {
		t.Parallel()
		a := y.mcp("POST", key, session, `[{"jsonrpc":"2.0","id":6,"method":"ping"},{"jsonrpc":"2.0","id":7,"method":"ping"}]`)
		a.want(t, 200)
		if got := len(events(t, strings.NewReader(a.body), every)); got != 2 {
			t.Errorf("%d answers, want 2", got)
		}
	})
	t.Run("4.1/paths", func(t *testing.T) {
		t.Parallel()
		base := strings.TrimSuffix(url, "/mcp")
		for _, path := range []string{"/mcp/", "/", "/mcp/x", "/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server"} {
			for _, method := range []string{"GET", "POST"} {
				y.send(method, base+path, append(header{"Accept", both}, auth...), initialize).wantBody(t, 404, "")
			}
		}
		for _, method := range []string{"PUT", "HEAD", "PATCH"} {
			y.send(method, url, auth, "").wantBody(t, 404, "")
		}
		y.send("OPTIONS", url, header{"Origin", "https://evil.example"}, "").wantHeader(t, "Access-Control-Allow-Origin", "*")
		y.send("GET", base+"/health", nil, "").wantBody(t, 200, "✓ Ok")
		y.send("GET", base+"/ping", nil, "").wantBody(t, 200, "pong")
		y.send("GET", base+"/ready", nil, "").want(t, 200)
	})
}

func TestStreams(t *testing.T) {
	t.Parallel()
	t.Run("4.5/GET stream carries list_changed", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "a", "user", "")
		session := y.openSession(key)
		res := y.open(t.Context(), "GET", y.MCPURL(), mcpHeader("GET", key, session), "")
		y.ExposeAgent("writer")
		y.ExposeAgent("writer") // nothing changes, nothing is sent
		y.HideAgent("writer")
		for _, e := range events(t, res.Body, 2) {
			if e.name != "message" || e.id == "" || e.data != `{"method":"notifications/tools/list_changed","jsonrpc":"2.0"}` {
				t.Errorf("event %+v", e)
			}
		}
	})
	t.Run("4.5/one GET stream per session", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "a", "user", "")
		session := y.openSession(key)
		y.open(t.Context(), "GET", y.MCPURL(), mcpHeader("GET", key, session), "")
		y.mcp("GET", key, session, "").
			wantBody(t, 409, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Conflict: Only one SSE stream is allowed per session"},"id":null}`)
	})
	t.Run("4.5/keepalive comments", func(t *testing.T) {
		t.Parallel()
		y := start(t, func(o *trinitytest.Options) { o.KeepAlive = time.Millisecond })
		key := y.key(alice, "a", "user", "")
		res := y.open(t.Context(), "GET", y.MCPURL(), mcpHeader("GET", key, y.openSession(key)), "")
		for _, e := range events(t, res.Body, 2) {
			if e.comment != "keepalive" {
				t.Errorf("event %+v, want a keepalive comment", e)
			}
		}
	})
	t.Run("4.5/DELETE ends the streams", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "a", "user", "")
		session := y.openSession(key)
		res := y.open(t.Context(), "GET", y.MCPURL(), mcpHeader("GET", key, session), "")
		y.mcp("DELETE", key, session, "").wantBody(t, 200, "")
		if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
			t.Errorf("stream ended with %q, %v", rest, err)
		}
		y.mcp("DELETE", key, session, "").want(t, 404)
	})
	t.Run("4.5/progress, primed and resumed", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "a", "user", "")
		session := y.openSession(key)
		a := y.mcp("POST", key, session, slow(3, `,"_meta":{"progressToken":"tok"}`), "MCP-Protocol-Version", "2025-11-25")
		a.want(t, 200)
		all := events(t, strings.NewReader(a.body), every)
		if len(all) != 5 || all[0].data != "" || all[0].name != "" || all[0].id == "" {
			t.Fatalf("want an empty event, three of progress and the answer: %q", a.body)
		}
		if want := `{"method":"notifications/progress","params":{"progress":2,"total":3,"progressToken":"tok"},"jsonrpc":"2.0"}`; all[2].data != want {
			t.Errorf("second progress %s", all[2].data)
		}
		again := y.mcp("GET", key, session, "", "Last-Event-ID", all[1].id)
		again.want(t, 200)
		if diff := cmp.Diff(all[2:], events(t, strings.NewReader(again.body), every), cmp.AllowUnexported(event{})); diff != "" {
			t.Error(diff)
		}
		y.mcp("GET", key, session, "", "Last-Event-ID", "nope").
			wantBody(t, 400, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Invalid event ID format"},"id":null}`)
	})
	t.Run("4.5/no progress without a token", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "a", "user", "")
		a := y.mcp("POST", key, y.openSession(key), slow(2, ""))
		if all := events(t, strings.NewReader(a.body), every); len(all) != 1 {
			t.Errorf("events %+v", all)
		}
	})
	t.Run("4.5/a dropped call goes on and is resumed", func(t *testing.T) {
		t.Parallel()
		y := start(t, func(o *trinitytest.Options) { o.ProgressStep = 20 * time.Millisecond })
		key := y.key(alice, "a", "user", "")
		session := y.openSession(key)
		ctx, drop := context.WithCancel(t.Context())
		res := y.open(ctx, "POST", y.MCPURL(), mcpHeader("POST", key, session), slow(10, `,"_meta":{"progressToken":1}`))
		first := events(t, res.Body, 1)
		drop()
		// Until the server has noticed the drop, the stream still has its reader.
		resumed := y.mcp("GET", key, session, "", "Last-Event-ID", first[0].id)
		for resumed.status == 409 {
			resumed = y.mcp("GET", key, session, "", "Last-Event-ID", first[0].id)
		}
		resumed.want(t, 200)
		if all := events(t, strings.NewReader(resumed.body), every); len(all) != 10 { // nine more and the answer
			t.Errorf("%d events: %s", len(all), resumed.body)
		}
	})
	t.Run("4.5/a cancelled call is not answered", func(t *testing.T) {
		t.Parallel()
		y := start(t, func(o *trinitytest.Options) { o.ProgressStep, o.KeepAlive = time.Hour, time.Millisecond })
		key := y.key(alice, "a", "user", "")
		session := y.openSession(key)
		res := y.open(t.Context(), "POST", y.MCPURL(), mcpHeader("POST", key, session), slow(3, ""))
		y.mcp("POST", key, session, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}`).want(t, 202)
		for _, e := range events(t, res.Body, 50) {
			if e.data != "" {
				t.Errorf("event %+v after the cancellation", e)
			}
		}
	})
}

// slow is a chat that takes n steps.
func slow(n int, more string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"chat_with_agent","arguments":{"agent_name":"x","message":"slow %d"}%s}}`, n, more)
}

func TestLegacyTransport(t *testing.T) {
	t.Parallel()
	y := start(t)
	key := y.key(alice, "a", "user", "")
	base := strings.TrimSuffix(y.MCPURL(), "/mcp")
	t.Run("4.1/refusals", func(t *testing.T) {
		t.Parallel()
		y.send("GET", base+"/sse", nil, "").wantBody(t, 500, "Error creating server")
		y.send("POST", base+"/messages", nil, "").wantBody(t, 400, "No sessionId")
		y.send("POST", base+"/messages?sessionId=x", nil, "").wantBody(t, 400, "No active transport")
		y.send("POST", base+"/messages?sessionId="+y.openSession(key), nil, initialize).wantBody(t, 400, "No active transport")
	})
	t.Run("4.1/a message needs no key", func(t *testing.T) {
		t.Parallel()
		res := y.open(t.Context(), "GET", base+"/sse", header{"Authorization", "Bearer " + key}, "")
		hello := events(t, res.Body, 2)
		if hello[0].name != "endpoint" || !strings.HasPrefix(hello[0].data, "/messages?sessionId=") {
			t.Fatalf("first event %+v", hello[0])
		}
		y.send("POST", base+hello[0].data, nil, "nonsense").want(t, 400)
		for range 2 {
			y.send("POST", base+hello[0].data, nil, `{"jsonrpc":"2.0","id":9,"method":"ping"}`).wantBody(t, 202, "Accepted")
			if got := events(t, res.Body, 1); got[0].data != `{"result":{},"jsonrpc":"2.0","id":9}` {
				t.Errorf("event %+v", got)
			}
		}
		_, id, _ := strings.Cut(hello[0].data, "=")
		y.mcp("POST", key, id, toolsList).want(t, 404)
	})
}
