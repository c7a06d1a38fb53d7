package trinitytest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Side says which of the two servers saw a request.
type Side string

// The two sides.
const (
	SideBackend Side = "backend"
	SideMCP     Side = "mcp"
)

// Request is one request as it arrived, before any switch acted on it.
type Request struct {
	Side   Side
	At     time.Time // on the injected clock
	Method string
	Path   string // the path alone
	Query  string // the raw query, without "?"
	Header http.Header
	Body   []byte // the first 64 KiB
}

const (
	keptRequests      = 10_000
	keptBodyBytes     = 64 << 10
	maxBodyBytes      = 32 << 20 // Trinity's front end lets 25 MB through (contract §4.5)
	bodyTooLargeError = "request body too large"
)

// recorder keeps the newest requests of both sides.
type recorder struct {
	now func() time.Time

	mu   sync.Mutex
	ring []Request
	next int // where the next request goes once the ring is full
}

func (r *recorder) add(request Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ring) < keptRequests {
		r.ring = append(r.ring, request)
		return
	}
	r.ring[r.next] = request
	r.next = (r.next + 1) % keptRequests
}

func (r *recorder) all() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.ring[r.next:], r.ring[:r.next])
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring, r.next = nil, 0
}

// watch reads each request's body, records the request and passes it on. The body is read whole so that
// the connection's end is noticed by handlers that wait.
func (r *recorder) watch(side Side, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBodyBytes))
		r.add(Request{
			Side:   side,
			At:     r.now(),
			Method: req.Method,
			Path:   req.URL.Path,
			Query:  req.URL.RawQuery,
			Header: req.Header.Clone(),
			Body:   bytes.Clone(body[:min(len(body), keptBodyBytes)]),
		})
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, bodyTooLargeError, http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // the caller left in the middle of its body
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, req)
	})
}
