package gateway

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
)

// ProbeState is what the upstream was last found to be.
type ProbeState string

// The states. Only ProbeGuarded lets calls through.
const (
	ProbeUnknown     ProbeState = "unknown"     // not probed yet
	ProbeGuarded     ProbeState = "guarded"     // refuses whoever has no good key
	ProbeOpen        ProbeState = "open"        // serves anybody, as the administrator (contract 4.3)
	ProbeNotMCP      ProbeState = "not_mcp"     // answers something that is no MCP endpoint
	ProbeUnreachable ProbeState = "unreachable" // does not answer
)

const (
	probeTimeout    = 10 * time.Second
	probeUntilGood  = 3 * time.Second
	probeWhileGood  = 3 * time.Minute
	probeInitialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",` +
		`"capabilities":{},"clientInfo":{"name":"trinity-bridge probe","version":"1"}}}`
)

// Probe finds out whether the upstream refuses calls without a good key. One that does not must
// never be proxied: everybody would be its administrator (OP-34).
type Probe struct {
	Upstream  *url.URL
	Transport http.RoundTripper
	Trail     *audit.Trail
	Log       *slog.Logger

	state atomic.Value // ProbeState
}

// State is what the last probe found.
func (p *Probe) State() ProbeState {
	if state, ok := p.state.Load().(ProbeState); ok {
		return state
	}
	return ProbeUnknown
}

// Ready says why no call may go upstream, or nil.
func (p *Probe) Ready() error {
	if state := p.State(); state != ProbeGuarded {
		return fmt.Errorf("the upstream MCP server is %s", state)
	}
	return nil
}

// Run probes until ctx ends: every few seconds until the upstream was found guarded, and every few
// minutes from then on, for it may be restarted with another configuration.
func (p *Probe) Run(ctx context.Context) {
	for {
		wait := probeUntilGood
		if p.Check(ctx) == ProbeGuarded {
			wait = probeWhileGood
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Check probes once, without a key and with one that cannot be good, and remembers the result. A
// change is told in the log. When ctx ends before, nothing is learned.
func (p *Probe) Check(ctx context.Context) ProbeState {
	found, err := p.ask(ctx, "")
	if found == ProbeGuarded {
		var random [32]byte
		_, _ = rand.Read(random[:]) // never fails
		found, err = p.ask(ctx, staticPrefix+base64.RawURLEncoding.EncodeToString(random[:]))
	}
	before := p.State()
	if ctx.Err() != nil {
		return before
	}
	p.state.Store(found)
	if found != before {
		p.tell(ctx, found, err)
	}
	return found
}

func (p *Probe) tell(ctx context.Context, found ProbeState, err error) {
	switch found {
	case ProbeGuarded:
		p.Log.InfoContext(ctx, "Trinity's MCP server refuses calls without a key, as it must: calls are let through", "upstream", p.Upstream.Host)
	case ProbeOpen:
		p.Log.ErrorContext(ctx, "TRINITY'S MCP SERVER SERVES ANYBODY AS ITS ADMINISTRATOR. Nothing is let through to it. "+
			"Set MCP_REQUIRE_API_KEY=true for it and restart it.", "upstream", p.Upstream.Host)
		p.Trail.Record(ctx, bridge.AuditEvent{Kind: audit.UpstreamOpen, Outcome: "not_proxied"})
	default:
		p.Log.WarnContext(ctx, "Trinity's MCP server cannot be used: calls are answered with 503 until it can", "upstream", p.Upstream.Host, "state", string(found), "error", err)
	}
}

// ask sends an initialize with key, or with none, and judges the answer.
func (p *Probe) ask(ctx context.Context, key string) (ProbeState, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	res, err := p.send(ctx, http.MethodPost, key, "", probeInitialize)
	if err != nil {
		return ProbeUnreachable, err
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ProbeGuarded, nil
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return ProbeUnreachable, fmt.Errorf("status %d", res.StatusCode)
	}
	text, err := p.read(res)
	switch {
	case res.StatusCode == http.StatusInternalServerError && strings.Contains(text, createFailed):
		return ProbeGuarded, nil
	case res.StatusCode/100 == 2 && hasResult(text):
		p.endSession(ctx, key, res.Header.Get(headerSession))
		return ProbeOpen, nil
	}
	return ProbeNotMCP, errors.Join(fmt.Errorf("status %d, %q", res.StatusCode, res.Header.Get("Content-Type")), err)
}

// read reads the answer as far as it matters. A stream of events may go on for ever after the first.
func (p *Probe) read(res *http.Response) (string, error) {
	var text strings.Builder
	buf := make([]byte, 4<<10)
	for text.Len() < maxDiscarded {
		n, err := res.Body.Read(buf)
		text.Write(buf[:n])
		if errors.Is(err, io.EOF) || hasResult(text.String()) {
			return text.String(), nil
		}
		if err != nil {
			return text.String(), err
		}
	}
	return text.String(), nil
}

func (p *Probe) send(ctx context.Context, method, key, session, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.Upstream.String(), strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a probe: %w", err)
	}
	req.Header = http.Header{
		"Accept": {"application/json, text/event-stream"}, "Content-Type": {mediaJSON}, "User-Agent": {"trinity-bridge"},
	}
	if key != "" {
		req.Header["Authorization"] = []string{"Bearer " + key}
	}
	if session != "" {
		req.Header[headerSession] = []string{session}
	}
	return p.Transport.RoundTrip(req)
}

// endSession leaves no session behind at an upstream that gave one to nobody.
func (p *Probe) endSession(ctx context.Context, key, session string) {
	if session == "" {
		return
	}
	if res, err := p.send(ctx, http.MethodDelete, key, session, ""); err == nil {
		_ = res.Body.Close()
	}
}

// hasResult reports whether text is a JSON-RPC result, or a stream of events with one.
func hasResult(text string) bool {
	documents := []string{text}
	for line := range strings.Lines(text) {
		if data, ok := strings.CutPrefix(line, "data:"); ok {
			documents = append(documents, data)
		}
	}
	for _, document := range documents {
		var answer struct {
			JSONRPC string         `json:"jsonrpc"`
			Result  jsontext.Value `json:"result"`
		}
		if err := json.Unmarshal([]byte(document), &answer); err == nil && answer.JSONRPC == "2.0" && answer.Result != nil {
			return true
		}
	}
	return false
}
