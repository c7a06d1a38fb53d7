package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

const (
	maxDiscarded = 64 << 10 // bytes of an unwanted answer that are read to keep the connection
	maxExcerpt   = 4 << 10  // bytes of a failure that are looked at
	// createFailed is what the oldest generation answers, with 500, to a key it does not take
	// (contract 4.4).
	createFailed = "Error creating server"
)

// relay passes on an answer that speaks MCP. Anything else is told in the bridge's own words: no
// challenge, redirect, page or stack trace of the upstream reaches a client (GW-51, RS-21, RS-24).
func (x *exchange) relay(res *http.Response) *refusal {
	status := res.StatusCode
	if status == http.StatusOK || status == http.StatusAccepted || status == http.StatusNoContent {
		return x.pass(res)
	}
	excerpt, err := io.ReadAll(io.LimitReader(res.Body, maxExcerpt))
	if err != nil {
		return x.upstreamFailed(fmt.Errorf("reading an answer of status %d: %w", status, err))
	}
	if x.modern() && x.carried == nil {
		x.g.carrier.Forget() // perhaps it does not speak this revision any more
	}
	switch {
	case status == http.StatusNotFound && x.carried != nil:
		x.told.lost = true
		return x.upstreamFailed(errors.New("the upstream does not know its session any more"))
	case status == http.StatusMethodNotAllowed && x.carried != nil && x.listens():
		return x.listenToNothing()
	case status == http.StatusUnauthorized, status == http.StatusInternalServerError && strings.Contains(string(excerpt), createFailed):
		return x.keyRefused()
	case status == http.StatusNotFound && x.session != "":
		return noSession()
	case status == http.StatusMethodNotAllowed:
		return &refusal{status: status, code: jsonrpc.CodeServer, message: "Trinity's MCP server does not have this method", allow: "POST"}
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return x.busy(res)
	case status == http.StatusGatewayTimeout:
		return &refusal{status: status, code: jsonrpc.CodeInternal, message: "Trinity's MCP server took too long to answer"}
	case status >= 400 && status < 500 && status != http.StatusForbidden && isMedia(res.Header.Get("Content-Type"), mediaJSON):
		return x.passError(res, excerpt)
	case status == http.StatusBadRequest && x.session == "" && !x.initializes():
		return x.sessionMissing()
	case status >= 400 && status < 500 && status != http.StatusForbidden && status != http.StatusNotFound:
		return &refusal{status: status, code: jsonrpc.CodeServer, message: "Trinity's MCP server refused the request"}
	}
	return x.upstreamFailed(fmt.Errorf("the upstream answered with status %d", status))
}

// busy passes on that the upstream wants to be left alone for a while.
func (x *exchange) busy(res *http.Response) *refusal {
	no := &refusal{status: res.StatusCode, code: jsonrpc.CodeServer, message: "Trinity's MCP server is busy", retry: retryAfter}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 && seconds <= 3600 {
		no.retry = time.Duration(seconds) * time.Second
	}
	return no
}

// passError passes on a protocol error: a small JSON-RPC body that the client's own library knows
// how to read (GW-21).
func (x *exchange) passError(res *http.Response, excerpt []byte) *refusal {
	if len(excerpt) == maxExcerpt || !acceptableEncoding(res) {
		return x.upstreamFailed(fmt.Errorf("the upstream's error answer of status %d is too large or encoded", res.StatusCode))
	}
	r := redactor{secret: x.who.key.bytes}
	body := r.clean(excerpt, true)
	x.reportEcho(r.found)
	h := x.w.Header()
	x.standardHeaders(h)
	h["Content-Type"] = x.g.lines.json
	x.w.WriteHeader(res.StatusCode)
	_, _ = x.w.Write(body) // who has left needs no answer
	return nil
}

// pass relays a good answer: an empty one, a JSON document or a stream of events.
func (x *exchange) pass(res *http.Response) *refusal {
	contentType := res.Header.Get("Content-Type")
	events := isMedia(contentType, mediaEvents)
	empty := res.StatusCode != http.StatusOK || res.ContentLength == 0 || x.r.Method == http.MethodDelete
	switch {
	case !acceptableEncoding(res):
		return x.upstreamFailed(errors.New("the upstream encoded its answer unasked"))
	case !empty && !events && (x.r.Method != http.MethodPost || !isMedia(contentType, mediaJSON)):
		return x.upstreamFailed(errors.New("the upstream's answer is neither JSON nor a stream of events"))
	case !events && res.ContentLength > x.g.Limits.MessageBytes:
		return x.upstreamFailed(errOversized)
	}
	h := x.w.Header()
	if no := x.sessionHeader(h, res); no != nil {
		return no
	}
	x.standardHeaders(h)
	if lines := res.Header[headerVersion]; len(lines) == 1 {
		h[headerVersion] = lines
	}
	switch {
	case empty:
		_, _ = io.CopyN(io.Discard, res.Body, maxDiscarded) // so that the connection can be used again
		if res.StatusCode == http.StatusOK {
			h["Content-Length"] = []string{"0"}
		}
		x.w.WriteHeader(res.StatusCode)
	case events:
		h["Content-Type"] = res.Header["Content-Type"][:1:1]
		h["Cache-Control"] = []string{"no-cache, no-transform, no-store, private"}
		h["X-Accel-Buffering"] = []string{"no"}
		x.w.WriteHeader(http.StatusOK)
		from := io.Reader(res.Body)
		if x.carried != nil {
			from = x.carriedEvents(from)
		}
		switch {
		case x.lists():
			from = x.listEvents(from)
		case x.introduces():
			from = x.events(from, x.announce)
		}
		x.copyEvents(from)
	default:
		h["Content-Type"] = res.Header["Content-Type"][:1:1]
		return x.passDocument(res)
	}
	return nil
}

// passDocument relays a JSON document as it comes, unless it may hold a list of tools or introduces the server.
func (x *exchange) passDocument(res *http.Response) *refusal {
	from, length := io.Reader(res.Body), res.ContentLength
	if x.carried != nil {
		data, err := readWhole(from, x.carriedMessage)
		if err != nil {
			return x.upstreamFailed(err)
		}
		from, length = bytes.NewReader(data), int64(len(data))
	}
	change := x.announce
	if x.lists() {
		change = x.relist
	}
	if x.lists() || x.introduces() {
		data, err := readWhole(from, change)
		if err != nil {
			return x.upstreamFailed(err)
		}
		from, length = bytes.NewReader(data), int64(len(data))
	}
	if length > 0 {
		x.w.Header()["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	x.w.WriteHeader(http.StatusOK)
	x.copyDocument(from, length > 0)
	return nil
}

// sessionHeader seals the session id that the upstream gives or repeats. 2026-07-28 has none (GW-45).
func (x *exchange) sessionHeader(h http.Header, res *http.Response) *refusal {
	id := res.Header.Get(headerSession)
	if id == "" || x.modern() {
		return nil
	}
	sealed, err := x.sealSession(id)
	if err != nil {
		return x.upstreamFailed(err)
	}
	h[headerSession] = sealed
	return nil
}

// acceptableEncoding: an encoding that nobody asked for would carry bytes past the redactor.
func acceptableEncoding(res *http.Response) bool {
	encoding := res.Header.Get("Content-Encoding")
	return encoding == "" || strings.EqualFold(encoding, "identity")
}
