//go:build e2e || clients

package clients

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestConformanceServer runs the official suite straight at servers that others wrote and then through the gateway:
// nothing that a client sees may differ, save that the gateway refuses foreign hosts and origins itself. Before a server
// that knows sessions alone, a client of 2026-07-28 gets what a client of 2025-11-25 gets.
func TestConformanceServer(t *testing.T) {
	everything, err := machine.Build("everything-server", "github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
	if err != nil {
		t.Fatal(err)
	}
	goSDK := func(stateless bool) []string {
		return []string{everything, "-http", "127.0.0.1:PORT", fmt.Sprintf("-stateless=%t", stateless)}
	}
	for _, server := range []struct {
		name    string
		command []string // PORT in it is the port to listen at, as is the variable
		modern  bool     // it speaks 2026-07-28 itself
	}{
		{"go-sdk with sessions", goSDK(false), false},
		{"go-sdk stateless", goSDK(true), true},
		{"FastMCP", []string{machine.Node, programtest.MustInstalled(t, "../node/fastmcp-server.mjs")}, false},
		{"server-everything", []string{machine.Node, programtest.MustInstalled(t, everythingServer), "streamableHttp"}, false},
	} {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			upstream := startServer(t, server.name, server.command)
			shim := startShim(t, upstream)
			before, through := examine(t, upstream+"/mcp", shim, "2025-11-25")
			wantSame(t, before, through)
			straight, through := examine(t, upstream+"/mcp", shim, "2026-07-28")
			if server.modern {
				wantSame(t, straight, through)
			} else {
				wantCarried(t, before, straight, through)
			}
		})
	}
}

const everythingServer = "../node/node_modules/@modelcontextprotocol/server-everything/dist/index.js"

// startServer starts a server at a free port and gives its origin.
func startServer(t *testing.T, name string, command []string) string {
	t.Helper()
	port := fmt.Sprint(bridgetest.FreePort(t))
	args := slices.Clone(command[1:])
	for i := range args {
		args[i] = strings.Replace(args[i], "PORT", port, 1)
	}
	machine.NewHome(t).Start(t, name, []string{"PORT=" + port, "EVERYTHING=yes"}, command[0], args...)
	awaitListening(t, "127.0.0.1:"+port)
	return "http://127.0.0.1:" + port
}

// examine runs all that a revision requires, straight at the server and through the gateway, at once: some servers spend
// most of the time waiting. Some of it fails straight at the server already, what is optional there, so the exit code says
// nothing.
//
// FastMCP asks its questions on the stream that a client opens beside its calls. A call that overtakes the stream waits
// for an answer for ever, straight or through the gateway: where that has happened, all is run again, for what has waited.
func examine(t *testing.T, server, shim, revision string) (straight, through map[string]check) {
	t.Helper()
	start := func(url string) suite { return startSuite(t, nil, "server", "--url", url, "--requirements", revision) }
	for again := range 4 {
		direct, behind := start(server), start(shim)
		straight, through = ended(straight, direct.checks(t)), ended(through, behind.checks(t))
		if len(stalled(straight)) == 0 && len(stalled(through)) == 0 {
			break
		}
		t.Logf("%s: something has waited for ever, try %d", revision, again+1)
	}
	return straight, through
}

// ended is what a run has shown, and of scenarios that waited for ever in it what the runs before have.
func ended(before, now map[string]check) map[string]check {
	if before == nil {
		return now
	}
	was, is := stalled(before), stalled(now)
	fromBefore := func(name string) bool { return is[scenarioOf(name)] && !was[scenarioOf(name)] }
	maps.DeleteFunc(now, func(name string, _ check) bool { return fromBefore(name) })
	for name, c := range before {
		if fromBefore(name) {
			now[name] = c
		}
	}
	return now
}

// stalled are the scenarios that have waited for ever.
func stalled(checks map[string]check) map[string]bool {
	of := map[string]bool{}
	for name := range checks {
		if scenario, found := strings.CutSuffix(name, " scenario-timeout"); found {
			of[scenario] = true
		}
	}
	return of
}

func scenarioOf(name string) string {
	scenario, _, _ := strings.Cut(name, " ")
	return scenario
}

// refusesItself is what the gateway does itself, whatever the server does.
const refusesItself = "dns-rebinding-protection localhost-host-rebinding-rejected"

// wantSame wants the gateway to make no difference but the expected one.
func wantSame(t *testing.T, straight, through map[string]check) {
	t.Helper()
	for name, was := range straight {
		is := through[name]
		if was.Status != is.Status && name != refusesItself {
			t.Errorf("%s: straight %s %s, through the gateway %s %s", name, was.Status, was.ErrorMessage, is.Status, is.ErrorMessage)
		}
	}
	for name, is := range through {
		if _, known := straight[name]; !known {
			t.Errorf("%s: only through the gateway, %s %s", name, is.Status, is.ErrorMessage)
		}
	}
	if is := through[refusesItself]; is.Status != success {
		t.Errorf("%s: %s %s", refusesItself, is.Status, is.ErrorMessage)
	}
	t.Logf("%d checks; the server passes %d, through the gateway %d", len(straight), passed(straight), passed(through))
}

// wantCarried wants a client of 2026-07-28 to miss nothing through the gateway: what the server passes in a check of that
// revision, or in the same check of the revision before.
func wantCarried(t *testing.T, before, straight, through map[string]check) {
	t.Helper()
	scenarios := map[string]bool{}
	for name := range through {
		scenarios[scenarioOf(name)] = true
	}
	for _, shown := range []map[string]check{before, straight} {
		for name, was := range shown {
			if is := through[name]; was.Status == success && scenarios[scenarioOf(name)] && is.Status != success {
				t.Errorf("%s: straight it passes, through the gateway %s %s", name, is.Status, is.ErrorMessage)
			}
		}
	}
	t.Logf("%d checks; the server passes %d, through the gateway %d", len(through), passed(straight), passed(through))
}

const success = "SUCCESS"

func passed(checks map[string]check) (n int) {
	for _, c := range checks {
		if c.Status == success {
			n++
		}
	}
	return n
}

// startShim runs the program before an MCP server and, before the program, a shim that knows a token of alice's and
// leaves Host and Origin as they come. It gives the shim's endpoint.
func startShim(t *testing.T, upstream string) string {
	t.Helper()
	simulated := programtest.StartTrinity(t)
	guard := httptest.NewServer(requireKey(simulated.BackendURL(), forward(t, upstream, nil)))
	t.Cleanup(guard.Close)

	var gateway http.Handler // which needs to know the shim's address
	shim := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { gateway.ServeHTTP(w, r) }))
	t.Cleanup(shim.Close)
	b := machine.StartServe(t, "http", simulated, guard.URL+"/mcp",
		"TRINITY_BRIDGE_ALLOWED_HOSTS="+strings.TrimPrefix(shim.URL, "http://"), "TRINITY_BRIDGE_ALLOWED_ORIGINS="+shim.URL)
	token := accessToken(t, b, simulated)
	gateway = forward(t, b.Origin, func(r *httputil.ProxyRequest) {
		r.Out.Host = r.In.Host
		r.Out.Header.Set("Authorization", "Bearer "+token)
	})
	return shim.URL + "/mcp"
}

// accessToken has alice connect a client of the test's own that may do everything: the catalogue does not know the
// tools of other servers, and what it does not know needs the strongest scope.
func accessToken(t *testing.T, b *programtest.Bridge, simulated programtest.Trinity) string {
	t.Helper()
	web := &bridgetest.Bridge{URL: b.Origin, MCP: b.Connector, Trinity: simulated.Server}
	client := web.Register(t)
	query := web.Query(client)
	query.Set("scope", "trinity:read trinity:write trinity:admin")
	return web.Token(t, web.RedeemForm(client, web.CodeFor(t, query, programtest.Alice))).Access
}

// requireKey lets through what comes with a key that the backend vouches for, as Trinity's MCP server does.
func requireKey(backendURL string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, backendURL+"/api/mcp/validate", http.NoBody)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		request.Header.Set("Authorization", r.Header.Get("Authorization"))
		response, err := programtest.HTTPClient.Do(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			http.Error(w, "Invalid API key", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// forward is a proxy that streams answers. Requests it reads whole first: net/http does not read one to its end while
// it writes the answer already.
func forward(t *testing.T, target string, edit func(*httputil.ProxyRequest)) http.Handler {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			if edit != nil {
				edit(r)
			}
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the client left in the middle of its body
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	})
}
