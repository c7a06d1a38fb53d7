package trinitytest

import (
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// orchestrator is Trinity's MCP server: one process, whose sessions die with it (contract §4.1).
type orchestrator struct {
	switches      *switchboard
	backendURL    string
	client        *http.Client
	administrator func() string // username that anonymous calls run as
	now           func() time.Time
	rand          io.Reader
	keepAlive     time.Duration
	progressStep  time.Duration
	log           *slog.Logger
	catalogue     []tool

	mu       sync.Mutex
	sessions map[string]*session
	exposed  []string // slugs of agents with a tool of their own, in order of exposure
	calls    *crowd   // tool calls in progress; they outlive the request that started them
}

// ServeHTTP routes as the real port does: /mcp exactly, the legacy pair, three probes, else an empty 404.
func (o *orchestrator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := o.switches.read()
	rules := now.rules()
	rules.allowAnyOrigin(w, r)
	if now.MCPLeaksHeaders {
		w.Header().Set("Set-Cookie", "upstream_session=0123456789abcdef; Path=/; HttpOnly")
		w.Header().Set("X-Api-Key", "upstream-internal-key")
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /mcp":
		o.post(w, r, rules)
	case "GET /mcp":
		o.listen(w, r, rules)
	case "DELETE /mcp":
		o.end(w, r, rules)
	case "GET /sse":
		o.openLegacy(w, r, rules)
	case "POST /messages":
		o.postLegacy(w, r)
	case "GET /health":
		writeText(w, http.StatusOK, "text/plain", "✓ Ok")
	case "GET /ping":
		writeText(w, http.StatusOK, "", "pong")
	case "GET /ready":
		o.ready(w, rules)
	default:
		writeText(w, http.StatusNotFound, "", "")
	}
}

// allowAnyOrigin is the transport's CORS: a star for whoever sends an Origin, and no DELETE (contract §4.5).
func (r transportRules) allowAnyOrigin(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Origin") == "" {
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", r.allowHeaders)
	h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id")
	if r.allowCredentials {
		h.Set("Access-Control-Allow-Credentials", "true")
		return
	}
	h.Set("Vary", "Origin")
}

func (o *orchestrator) ready(w http.ResponseWriter, rules transportRules) {
	o.mu.Lock()
	open := len(o.sessions)
	o.mu.Unlock()
	rules.writeJSON(w, http.StatusOK, struct {
		Ready  int    `json:"ready"`
		Status string `json:"status"`
		Total  int    `json:"total"`
	}{open, "ready", open})
}

// session returns nil for an id that the asking transport does not know.
func (o *orchestrator) session(id string, legacy bool) *session {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.sessions[id]
	if s == nil || s.legacy != legacy {
		return nil
	}
	return s
}

func (o *orchestrator) dropSession(s *session) {
	o.mu.Lock()
	delete(o.sessions, s.id)
	o.mu.Unlock()
	s.end()
}

// start begins with no sessions.
func (o *orchestrator) start() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions = make(map[string]*session)
	o.calls = newCrowd()
}

// stop ends every session and call. The listener is shut before, so none begins any more.
func (o *orchestrator) stop() {
	o.mu.Lock()
	sessions, calls := o.sessions, o.calls
	o.sessions = nil
	o.mu.Unlock()
	for _, s := range sessions {
		s.end()
	}
	calls.closeAndWait()
}
