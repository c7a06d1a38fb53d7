//go:build e2e || clients

package clients

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestConformanceServer runs the official suite straight at go-sdk's everything-server and then through the gateway:
// nothing that a client sees may differ. The server has sessions for 2025-11-25 and none for 2026-07-28.
func TestConformanceServer(t *testing.T) {
	everything, err := machine.Build("everything-server", "github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
	if err != nil {
		t.Fatal(err)
	}
	for revision, stateless := range map[string]bool{"2025-11-25": false, "2026-07-28": true} {
		t.Run(revision, func(t *testing.T) {
			t.Parallel()
			address := fmt.Sprintf("127.0.0.1:%d", bridgetest.FreePort(t))
			machine.NewHome(t).Start(t, "everything-server", nil, everything, "-http", address, fmt.Sprintf("-stateless=%t", stateless))
			awaitListening(t, address)
			straight := examine(t, "http://"+address+"/mcp", revision)
			through := examine(t, startShim(t, "http://"+address), revision)
			wantSame(t, revision, straight, through)
		})
	}
}

// examine runs all that a revision requires. Some of it fails straight at the server already, what is optional there,
// so the exit code says nothing.
func examine(t *testing.T, url, revision string) map[string]check {
	t.Helper()
	s := startSuite(t, nil, "server", "--url", url, "--requirements", revision)
	s.ExitCode(t)
	return s.checks(t)
}

// wantSame wants the gateway to make no difference but the expected ones.
func wantSame(t *testing.T, revision string, straight, through map[string]check) {
	t.Helper()
	passed := 0
	for name, was := range straight {
		if was.Status == "SUCCESS" {
			passed++
		}
		is := through[name]
		if was.Status != is.Status {
			t.Logf("%s: straight %s %s, through the gateway %s %s", name, was.Status, was.ErrorMessage, is.Status, is.ErrorMessage)
		}
		wantKnown(t, revision+" "+name, was.Status != is.Status)
	}
	for name, is := range through {
		if _, known := straight[name]; !known {
			t.Errorf("%s: only through the gateway, %s %s", name, is.Status, is.ErrorMessage)
		}
	}
	t.Logf("%d checks, of which the server by itself passes %d", len(straight), passed)
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
