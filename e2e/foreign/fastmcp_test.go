//go:build e2e

package foreign_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// The upstream is a real FastMCP server, the library Trinity's own MCP server is made with.
func TestGoSDK_fastMCP(t *testing.T) {
	t.Parallel()
	upstream := &goServer{}
	b := bridgetest.Start(t, bridgetest.WithUpstream(func(backend string) string {
		return upstream.startBefore(t, startFastMCP(t, backend))
	}))
	c := connect(t, b, "none")
	if got := c.InitializeResult(); got.ProtocolVersion != "2026-07-28" || c.ID() != "" {
		t.Errorf("connected with %s and session %q: FastMCP has sessions alone, the client should not know", got.ProtocolVersion, c.ID())
	}
	walk(t, c, upstream.arrived)
}

// startBefore listens in front of another server and records what passes.
func (g *goServer) startBefore(t *testing.T, server *url.URL) string {
	t.Helper()
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(server) }}
	listening := httptest.NewServer(g.record(proxy))
	t.Cleanup(listening.Close)
	return listening.URL + "/mcp"
}

func startFastMCP(t *testing.T, backend string, environment ...string) *url.URL {
	t.Helper()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(bridgetest.FreePort(t)))
	server := exec.CommandContext(t.Context(), node(t), "fastmcp-server.mjs")
	server.Dir = "../node"
	server.Env = append(os.Environ(), "PORT="+strings.TrimPrefix(address, "127.0.0.1:"), "TRINITY_API_URL="+backend)
	server.Env = append(server.Env, environment...)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if strings.Contains(lines.Text(), `"event":"listening"`) {
				close(listening)
			}
		}
		_ = server.Wait() // ended by the test's context
	}()
	select {
	case <-listening:
	case <-time.After(patience):
		t.Fatal("the FastMCP server does not listen")
	}
	endpoint, err := url.Parse(fmt.Sprintf("%s://%s", "http", address))
	if err != nil {
		t.Fatal(err)
	}
	return endpoint
}
