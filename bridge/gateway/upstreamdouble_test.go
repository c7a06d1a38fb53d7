package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// upstream is an MCP server that answers what a test wants and remembers what it was asked. When the bridge asks, it
// speaks 2026-07-28 as well.
type upstream struct {
	server *httptest.Server
	mu     sync.Mutex
	seen   []seen
	serve  func(w http.ResponseWriter, r *http.Request, body string)
	old    bool // it does not speak 2026-07-28
}

func (u *upstream) sessionsOnly() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.old = true
}

type seen struct {
	method, path, query, host, body string
	header                          http.Header
}

func newUpstream(t testing.TB) *upstream {
	u := &upstream{serve: mcpServer}
	u.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the upstream could not read a body: %v", err)
		}
		if r.Header.Get("Mcp-Method") == "server/discover" && strings.Contains(string(body), `"trinity-bridge"`) {
			u.mu.Lock()
			old := u.old
			u.mu.Unlock()
			if old {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"]}}`)
			return
		}
		u.mu.Lock()
		u.seen = append(u.seen, seen{r.Method, r.URL.Path, r.URL.RawQuery, r.Host, string(body), r.Header.Clone()})
		serve := u.serve
		u.mu.Unlock()
		serve(w, r, string(body))
	}))
	return u
}

func (u *upstream) answer(serve func(w http.ResponseWriter, r *http.Request, body string)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.serve = serve
}

func (u *upstream) requests() []seen {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.seen)
}

// last is the newest request.
func (u *upstream) last(t testing.TB) seen {
	t.Helper()
	all := u.requests()
	if len(all) == 0 {
		t.Fatal("the upstream was not asked")
	}
	return all[len(all)-1]
}

func (u *upstream) wantUntouched(t testing.TB) {
	t.Helper()
	if n := len(u.requests()); n != 0 {
		t.Errorf("the upstream was asked %d times, want never", n)
	}
}

// mcpServer answers as a stateful server of 2025 does: initialize opens session "upstream-session".
func mcpServer(w http.ResponseWriter, r *http.Request, body string) {
	switch {
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusOK)
	case r.Method == http.MethodGet:
		events(w, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n")
	case strings.Contains(body, `"initialize"`):
		w.Header().Set("Mcp-Session-Id", "upstream-session")
		events(w, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2025-11-25\"}}\n\n")
	case strings.Contains(body, `"notifications/`):
		w.WriteHeader(http.StatusAccepted)
	default:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":{"session":%q}}`, r.Header.Get("Mcp-Session-Id"))
	}
}

func events(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

func status(code int, contentType, body string, headers ...string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}
