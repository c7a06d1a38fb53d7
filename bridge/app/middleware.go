package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/flow"
)

// bodyDeadline bounds how long a small request's body may take. The MCP endpoint sets its own.
const bodyDeadline = 30 * time.Second

// shell is what every request passes before it is routed. It stands outside the router, whose
// own middleware does not run for unknown paths and methods.
func (b *Bridge) shell(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		id, err := bridge.NewID(b.rand)
		if err != nil {
			http.Error(w, "no randomness", http.StatusInternalServerError)
			return
		}
		r = r.WithContext(audit.WithRequestID(r.Context(), id))
		r.RemoteAddr = clientAddress(r, b.config.TrustedProxies)
		w.Header().Set("X-Request-ID", id)
		if b.config.PublicURL.Scheme == "https" {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		recorder := &statusRecorder{ResponseWriter: w}
		defer func() { b.finish(recorder, r, began, recover()) }()
		if !b.acceptable(recorder, r) {
			return
		}
		if slices.Contains([]string{"sign-in", "consent", "connections"}, routeWord(r.URL.Path)) {
			ctx, cancel := context.WithTimeout(r.Context(), flow.PageTime)
			defer cancel()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(recorder, r)
	})
}

// acceptable refuses what must not reach a route: a Host that is not ours (RS-44), a path that
// different programs read differently, a body that comes too slowly.
func (b *Bridge) acceptable(w http.ResponseWriter, r *http.Request) bool {
	if !slices.Contains(b.hosts, strings.ToLower(r.Host)) {
		refuse(w, http.StatusMisdirectedRequest, "The host name is not one of this server")
		return false
	}
	if ambiguous(r.URL.EscapedPath()) {
		refuse(w, http.StatusNotFound, "There is nothing at this path")
		return false
	}
	if !b.endpoint(r.URL.Path) {
		err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyDeadline))
		if err != nil && !errors.Is(err, http.ErrNotSupported) {
			b.log.DebugContext(r.Context(), "no read deadline", "error", err)
		}
	}
	return true
}

// endpoint reports whether the path is an MCP endpoint, with or without a slash at its end.
func (b *Bridge) endpoint(path string) bool {
	path = strings.TrimSuffix(path, "/")
	return slices.ContainsFunc(b.resources, func(r bridge.Resource) bool { return r.Path == path })
}

// routeWord is the metrics' word for a path.
func routeWord(path string) string {
	switch path = strings.TrimSuffix(path, "/"); {
	case path == discovery.PathMCP || strings.HasPrefix(path, discovery.PathMCP+"/"):
		return "mcp"
	case path == discovery.PathToken || path == "/token":
		return "token"
	case path == discovery.PathRegister || path == "/register":
		return "register"
	case path == discovery.PathAuthorize || path == "/authorize":
		return "authorize"
	case path == discovery.PathRevoke:
		return "revoke"
	case path == discovery.PathKeys || strings.HasPrefix(path, "/.well-known/"):
		return "discovery"
	case strings.HasPrefix(path, flow.PathSignIn):
		return "sign-in"
	case strings.HasPrefix(path, flow.PathConsent):
		return "consent"
	case strings.HasPrefix(path, flow.PathConnections):
		return "connections"
	}
	return "other"
}

// ambiguous reports whether a path can be read in more than one way.
func ambiguous(path string) bool {
	path = strings.ToLower(path)
	for _, part := range []string{"//", "/./", "/../", "%2e", "%2f", "%5c", "%00", "\\", ";"} {
		if strings.Contains(path, part) {
			return true
		}
	}
	return strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/..")
}

// finish logs the request; a panic becomes an answer without detail, and the program lives (OP-32).
func (b *Bridge) finish(w *statusRecorder, r *http.Request, began time.Time, failure any) {
	if failure != nil {
		b.panicked(w, r, failure)
	}
	b.metrics.Request(routeWord(r.URL.Path), w.status)
	b.log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("request_id", audit.RequestID(r.Context())),
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", w.status),
		slog.Duration("took", time.Since(began)))
}

func (b *Bridge) panicked(w *statusRecorder, r *http.Request, failure any) {
	if failure == http.ErrAbortHandler { //nolint:errorlint // the panic value itself, by its contract
		panic(failure)
	}
	b.log.ErrorContext(r.Context(), "a handler panicked", "request_id", audit.RequestID(r.Context()),
		"path", r.URL.Path, "panic", failure, "stack", string(debug.Stack()))
	if w.status == 0 {
		refuse(w, http.StatusInternalServerError, "Something went wrong, reference "+audit.RequestID(r.Context()))
	}
}

// clientAddress is the address of the client: the peer's, unless the peer is a configured proxy;
// then the right-most address of X-Forwarded-For that is none (OT-04).
func clientAddress(r *http.Request, proxies []netip.Prefix) string {
	host, port, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	trusted := func(text string) bool {
		addr, err := netip.ParseAddr(text)
		return err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
	}
	if !trusted(host) {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		hop = strings.TrimSpace(hop)
		if _, err := netip.ParseAddr(hop); err != nil {
			break // what no proxy of ours wrote is not believed
		}
		host = hop
		if !trusted(hop) {
			break
		}
	}
	return net.JoinHostPort(host, port)
}

// openCORS lets browser-based clients of any origin read the documents and use the direct
// endpoints: none of them reads cookies (AS-065, B27). A DPoP field may be sent in any case: a page that
// sends one does not know whether it is looked at.
func openCORS(next http.Handler, proofs bool) http.Handler {
	exposed := "WWW-Authenticate, Retry-After, X-Request-ID"
	if proofs {
		exposed += ", DPoP-Nonce"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", exposed)
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, MCP-Protocol-Version, DPoP")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}

func refuse(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	code := map[int]string{http.StatusNotFound: "not_found", http.StatusMethodNotAllowed: "invalid_request"}[status]
	if code == "" {
		code = "server_error"
		if status < http.StatusInternalServerError {
			code = "invalid_request"
		}
	}
	_, _ = w.Write([]byte(`{"error":"` + code + `","error_description":"` + text + `"}`))
}

// statusRecorder notes the status of an answer; Unwrap keeps flushing and deadlines working.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(p []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(p)
}

// Flush is for callers that ask for an http.Flusher.
func (s *statusRecorder) Flush() {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	_ = http.NewResponseController(s.ResponseWriter).Flush()
}

func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
