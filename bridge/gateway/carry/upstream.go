package carry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	versionStateless = "2026-07-28"
	versionSessions  = "2025-11-25" // what the upstream is offered

	// knownFor is how long it is enough to have found out once how an upstream speaks: one that is
	// replaced by a newer one forgets its sessions, and is then asked at once.
	knownFor = 5 * time.Minute
	// handshakeWithin is for each question of the bridge's own.
	handshakeWithin = 30 * time.Second
	maxDiscarded    = 64 << 10
)

// Options are what an Upstream is made of. All fields but IdleFor must be set.
type Options struct {
	URL       *url.URL
	Transport http.RoundTripper
	Log       *slog.Logger
	// IdleFor is how long a session is kept without use; default 5 minutes.
	IdleFor time.Duration
}

// Upstream is an MCP server as this package sees it, with the sessions it was given. Make one with New.
type Upstream struct {
	Options
	found  atomic.Pointer[finding]
	asking chan struct{} // holds whoever asks how the upstream speaks

	mu     sync.Mutex
	owners map[string]*owned
	live   int         // sessions, in use or idle
	closed bool        // no session is kept any more
	timer  *time.Timer // runs while sessions are idle
	ending sync.WaitGroup
}

// finding is how the upstream was last found to speak.
type finding struct {
	stateless bool
	at        time.Time
}

// New makes an Upstream.
func New(o Options) *Upstream {
	if o.IdleFor == 0 {
		o.IdleFor = 5 * time.Minute
	}
	return &Upstream{Options: o, asking: make(chan struct{}, 1), owners: map[string]*owned{}}
}

// Owner is who sessions belong to.
type Owner struct {
	ID            string
	Authorization []string // the field's value on the way to the upstream
}

// StatusError is an answer of the upstream that a question of the bridge's own did not expect.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("the upstream answered a question of the bridge with status %d", e.Status)
}

// Stateless reports whether the upstream speaks 2026-07-28 itself, so that calls go to it as they
// are. It is asked with the owner's key when that is not known, or not any more.
func (u *Upstream) Stateless(ctx context.Context, who Owner) (bool, error) {
	if known, ok := u.known(); ok {
		return known, nil
	}
	select {
	case u.asking <- struct{}{}:
		defer func() { <-u.asking }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	if known, ok := u.known(); ok {
		return known, nil
	}
	stateless, err := u.discover(ctx, who)
	if err != nil {
		return false, err
	}
	u.found.Store(&finding{stateless, time.Now()})
	u.Log.DebugContext(ctx, "found out how the upstream speaks", "stateless", stateless)
	return stateless, nil
}

func (u *Upstream) known() (stateless, ok bool) {
	found := u.found.Load()
	if found == nil || time.Since(found.at) >= knownFor {
		return false, false
	}
	return found.stateless, true
}

// Forget has the upstream asked again how it speaks, for it may have been replaced.
func (u *Upstream) Forget() { u.found.Store(nil) }

// discover asks. Whoever does not answer as 2026-07-28 has it is taken for an upstream with sessions,
// also one that refuses the key: some say so when it is the session that they miss. Opening a session
// will show.
func (u *Upstream) discover(ctx context.Context, who Owner) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeWithin)
	defer cancel()
	const ask = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"` + versionStateless + `",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"trinity-bridge","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	res, err := u.send(ctx, http.MethodPost, who, http.Header{
		"Mcp-Protocol-Version": {versionStateless}, "Mcp-Method": {"server/discover"},
	}, ask)
	if err != nil {
		return false, err
	}
	defer drop(res)
	switch res.StatusCode {
	case http.StatusOK:
		result, err := readResult(res)
		return err == nil && strings.Contains(string(result), `"`+versionStateless+`"`), nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false, &StatusError{res.StatusCode}
	}
	return false, nil
}

// send sends a message of the bridge's own.
func (u *Upstream) send(ctx context.Context, method string, who Owner, header http.Header, body string) (*http.Response, error) {
	header["Authorization"] = who.Authorization
	header["User-Agent"] = []string{"trinity-bridge"}
	req := &http.Request{
		Method: method, URL: u.URL, Host: u.URL.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if body != "" {
		header["Accept"] = []string{"application/json, text/event-stream"}
		header["Content-Type"] = []string{"application/json"}
		req.ContentLength = int64(len(body))
		req.Body = io.NopCloser(strings.NewReader(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	}
	res, err := u.Transport.RoundTrip(req.WithContext(ctx))
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return res, err
}

// drop reads what is left of an answer nobody wants, so that the connection can be used again.
func drop(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, maxDiscarded)
	_ = res.Body.Close() // nothing more is wanted of it
}
