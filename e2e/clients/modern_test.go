//go:build e2e || clients

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestModern_fastMCP has clients of MCP 2026-07-28 work through the bridge before a real FastMCP server, which knows
// sessions alone: discovery, lists, calls that tell how far they are, calls at once, changes of lists; sessions that the
// server has ended, and a server that was started anew.
func TestModern_fastMCP(t *testing.T) {
	python := programtest.MustInstalled(t, "python/venv-2/bin/python")
	for name, connect := range map[string]func(t *testing.T, url, token string) *modern{
		"TypeScript SDK": told(machine.Node, programtest.MustInstalled(t, "node/modern.mjs")),
		"Python SDK":     told(python, programtest.MustInstalled(t, "python/modern.py")),
		"go-sdk":         connectGoSDK,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			simulated := programtest.StartTrinity(t)
			upstream := startFastMCP(t, simulated)
			b := machine.StartServe(t, "http", simulated, upstream.origin+"/mcp")
			c := connect(t, b.Connector, accessToken(t, b, simulated))
			if got := c.await(t, "connected", nil); got.Server != "trinity-orchestrator" || got.Version != "2026-07-28" {
				t.Errorf("connected to %q with %s", got.Server, got.Version)
			}
			if names := c.list(t); !slices.Contains(names, "get_agent") || !slices.Contains(names, "test_hold") {
				t.Errorf("listed %q", names)
			}
			wantCallAsAlice(t, c, "first")
			wantHeldAtOnce(t, c)
			wantWithdrawn(t, c, upstream)
			wantChanges(t, c)

			before := upstream.endSessions(t)
			wantCallAsAlice(t, c, "after the sessions were ended")
			if now := upstream.sessions(t); len(now) <= len(before) {
				t.Errorf("there are the sessions %q, before they were ended there were %q", now, before)
			}
			upstream.restart(t)
			wantCallAsAlice(t, c, "after the restart")
			wantHeldAtOnce(t, c)
			if !c.listensOnce {
				wantChanges(t, c)
			}
			c.tell("end", "", "", nil)
			c.await(t, "done", nil)
		})
	}
}

func wantCallAsAlice(t *testing.T, c *modern, call string) {
	t.Helper()
	c.call(call, "get_agent", programtest.CallArguments)
	programtest.WantRanAsAlice(t, "get_agent", c.answer(t, call))
}

// wantHeldAtOnce makes calls that all wait for something to be done after they have told that they began: who held back
// what they tell, or made one call after the other, would wait for ever.
func wantHeldAtOnce(t *testing.T, c *modern) {
	t.Helper()
	const calls = 6
	for n := range calls {
		name := fmt.Sprint("held-", n)
		c.call(name, "test_hold", map[string]any{"name": name})
	}
	for n := range calls {
		c.wantProgress(t, fmt.Sprint("held-", n), 1)
	}
	for n := range calls {
		name := fmt.Sprint("held-", n)
		c.call("release "+name, "test_release", map[string]any{"name": name})
		c.answer(t, "release "+name)
		if text := c.answer(t, name); text != "released "+name {
			t.Errorf("the call %s was answered %q", name, text)
		}
		c.wantProgress(t, name, 2)
	}
}

// wantWithdrawn has a client give a call up: the server hears of it.
func wantWithdrawn(t *testing.T, c *modern, upstream *fastMCP) {
	t.Helper()
	c.call("withdrawn", "test_hold", map[string]any{"name": "withdrawn"})
	c.wantProgress(t, "withdrawn", 1)
	c.tell("cancel", "withdrawn", "", nil)
	if h := c.await(t, "called", func(h happening) bool { return h.Call == "withdrawn" }); !h.IsError {
		t.Errorf("a call that was given up was answered %q", h.Text)
	}
	if got := programtest.AwaitEvent[struct{ Name string }](t, upstream.Program, "aborted").Name; got != "withdrawn" {
		t.Errorf("the server heard that %q was given up", got)
	}
}

// wantChanges has the server change what it lists.
func wantChanges(t *testing.T, c *modern) {
	t.Helper()
	c.tell("listen", "", "", nil)
	c.await(t, "listening", nil)
	for _, what := range c.changes {
		c.call("change "+what, "test_trigger_"+strings.TrimSuffix(what, "s")+"_change", map[string]any{})
		c.answer(t, "change "+what)
		c.await(t, "changed", func(h happening) bool { return h.What == what })
	}
}

// A modern client is one of 2026-07-28 that does as it is told and tells what happens to it.
type modern struct {
	tell func(do string, call, tool string, arguments map[string]any)
	next func(t *testing.T) happening // waits for it

	changes     []string // of what it hears
	listensOnce bool     // and not anew when the server was gone
	seen        []happening
}

// A happening is what a client tells; node/modern.mjs says of what there is.
type happening struct {
	Event, Call, What, Text, Server string
	Version                         string `json:"protocol_version"`
	Progress                        float64
	Names                           []string
	IsError                         bool `json:"is_error"`
	Error                           string
}

// await takes the first thing that is told and is wanted; what else is told meanwhile stays for others.
func (c *modern) await(t *testing.T, event string, is func(happening) bool) happening {
	t.Helper()
	wanted := func(h happening) bool { return h.Event == event && (is == nil || is(h)) }
	if n := slices.IndexFunc(c.seen, wanted); n >= 0 {
		h := c.seen[n]
		c.seen = slices.Delete(c.seen, n, n+1)
		return h
	}
	for {
		switch h := c.next(t); {
		case h.Event == "failed":
			t.Fatalf("waiting for %s: %s", event, h.Error)
		case wanted(h):
			return h
		default:
			c.seen = append(c.seen, h)
		}
	}
}

func (c *modern) list(t *testing.T) []string {
	t.Helper()
	c.tell("list", "", "", nil)
	return c.await(t, "listed", nil).Names
}

// call begins a call under a name of the test's own.
func (c *modern) call(name, tool string, arguments map[string]any) {
	c.tell("call", name, tool, arguments)
}

func (c *modern) wantProgress(t *testing.T, call string, progress float64) {
	t.Helper()
	c.await(t, "progress", func(h happening) bool { return h.Call == call && h.Progress == progress })
}

func (c *modern) answer(t *testing.T, call string) string {
	t.Helper()
	h := c.await(t, "called", func(h happening) bool { return h.Call == call })
	if h.IsError {
		t.Fatalf("the call %s failed: %s", call, h.Text)
	}
	return h.Text
}

// told starts a client that is a program.
func told(command ...string) func(*testing.T, string, string) *modern {
	return func(t *testing.T, url, token string) *modern {
		t.Helper()
		p := machine.NewHome(t).Start(t, "client", nil, command[0], append(command[1:], url, token)...)
		return &modern{
			changes: []string{"tools", "prompts"},
			tell: func(do, call, tool string, arguments map[string]any) {
				line, _ := json.Marshal(map[string]any{"do": do, "call": call, "tool": tool, "arguments": arguments}) // it can be written
				p.WriteLine(t, string(line))
			},
			next: func(t *testing.T) (h happening) {
				t.Helper()
				l := p.Await(t, "an event", func(l programtest.Line) bool { return !l.Stderr && strings.HasPrefix(l.Text, `{"event":`) })
				if err := json.Unmarshal([]byte(l.Text), &h); err != nil {
					t.Fatalf("%s: %v", l.Text, err)
				}
				return h
			},
		}
	}
}

// connectGoSDK connects go-sdk's client. It listens when it connects, and to what the server has said that it would tell:
// FastMCP says so of prompts alone.
func connectGoSDK(t *testing.T, url, token string) *modern {
	t.Helper()
	happened := make(chan happening, 100)
	client := mcp.NewClient(&mcp.Implementation{Name: "go-sdk client", Version: "1.0.0"}, &mcp.ClientOptions{
		PromptListChangedHandler: func(context.Context, *mcp.PromptListChangedRequest) {
			happened <- happening{Event: "changed", What: "prompts"}
		},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			happened <- happening{Event: "progress", Call: fmt.Sprint(r.Params.ProgressToken), Progress: r.Params.Progress}
		},
	})
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: url, HTTPClient: &http.Client{Transport: bearer(token)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	hello := session.InitializeResult()
	happened <- happening{Event: "connected", Server: hello.ServerInfo.Name, Version: hello.ProtocolVersion}
	c := &goSDK{ClientSession: session, happened: happened, calls: map[string]context.CancelFunc{}}
	return &modern{
		changes: []string{"prompts"}, listensOnce: true,
		tell: func(do, call, tool string, arguments map[string]any) {
			go c.act(context.WithoutCancel(t.Context()), do, call, tool, arguments)
		},
		next: func(t *testing.T) happening {
			t.Helper()
			select {
			case h := <-happened:
				return h
			case <-time.After(programtest.Patience):
				t.Fatalf("go-sdk told nothing more within %v", programtest.Patience)
				return happening{}
			}
		},
	}
}

type goSDK struct {
	*mcp.ClientSession
	happened chan<- happening

	mu    sync.Mutex
	calls map[string]context.CancelFunc
}

func (c *goSDK) act(ctx context.Context, do, call, tool string, arguments map[string]any) {
	var h happening
	var err error
	switch do {
	case "list":
		h.Event = "listed"
		for tool, failed := range c.Tools(ctx, nil) {
			if err = failed; err != nil {
				break
			}
			h.Names = append(h.Names, tool.Name)
		}
	case "call":
		h.Event, h.Call = "called", call
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		c.mu.Lock()
		c.calls[call] = cancel
		c.mu.Unlock()
		params := &mcp.CallToolParams{Name: tool, Arguments: arguments}
		params.SetProgressToken(call)
		var result *mcp.CallToolResult
		if result, err = c.CallTool(ctx, params); err == nil {
			text, _ := json.Marshal(result.Content[0])
			var content struct{ Text string }
			err = json.Unmarshal(text, &content)
			h.Text, h.IsError = content.Text, result.IsError
		} else {
			h.Text, h.IsError, err = err.Error(), true, nil
		}
	case "cancel":
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls[call]()
		return
	case "listen": // it does already
		h.Event = "listening"
	case "end":
		h.Event, err = "done", c.Close()
	}
	if err != nil {
		h.Event, h.Error = "failed", fmt.Sprintf("%s %s: %v", do, call, err)
	}
	c.happened <- h
}

// bearer is a way to the network with an access token.
type bearer string

// RoundTrip sends a request with the token.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// A fastMCP is a real FastMCP server that has its keys checked by a Trinity.
type fastMCP struct {
	*programtest.Program
	origin string
	env    []string
	owner  map[string]string // the Authorization of who opened a session, by its id
}

func startFastMCP(t *testing.T, simulated programtest.Trinity) *fastMCP {
	t.Helper()
	port := fmt.Sprint(bridgetest.FreePort(t))
	f := &fastMCP{
		origin: "http://127.0.0.1:" + port, owner: map[string]string{},
		env: []string{"PORT=" + port, "EVERYTHING=yes", "TRINITY_API_URL=" + simulated.BackendURL()},
	}
	f.start(t)
	return f
}

func (f *fastMCP) start(t *testing.T) {
	t.Helper()
	f.Program = machine.NewHome(t).Start(t, "FastMCP", f.env, machine.Node, programtest.MustInstalled(t, "../node/fastmcp-server.mjs"))
	programtest.AwaitEvent[struct{}](t, f.Program, "listening")
}

// restart has all sessions forgotten.
func (f *fastMCP) restart(t *testing.T) {
	t.Helper()
	f.Stop()
	f.start(t)
}

// sessions are those that were ever used, as far as this run of the server has seen.
func (f *fastMCP) sessions(t *testing.T) map[string]string {
	t.Helper()
	used := map[string]string{}
	for _, r := range programtest.EventsSoFar[struct{ Headers map[string]string }](t, f.Program, "request") {
		if id := r.Headers["mcp-session-id"]; id != "" {
			used[id] = r.Headers["authorization"]
		}
	}
	return used
}

// endSessions ends all of them behind the bridge's back: the server answers 404 from then on.
func (f *fastMCP) endSessions(t *testing.T) map[string]string {
	t.Helper()
	used := f.sessions(t)
	for id, authorization := range used {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, f.origin+"/mcp", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Mcp-Session-Id", id)
		request.Header.Set("Authorization", authorization)
		response, err := programtest.HTTPClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	return used
}
