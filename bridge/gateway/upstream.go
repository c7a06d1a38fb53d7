package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

// forward sends the request on and relays the answer. A call of 2026-07-28 to an upstream of the
// revisions before goes another way.
func (x *exchange) forward() *refusal {
	if x.g.NoteCalls {
		x.note()
	}
	if !x.modern() {
		return x.send()
	}
	stateless, err := x.g.carrier.Stateless(x.r.Context(), x.owner())
	switch {
	case err != nil:
		return x.notCarried(err)
	case stateless:
		return x.send()
	}
	return x.carry()
}

// send sends the request and relays the answer.
//
// What goes upstream lives with the gateway, not with the client's connection: whether the one ends
// the other depends on the revision (package comment).
func (x *exchange) send() *refusal {
	base := x.g.life
	if x.listens() {
		base = x.g.listening
	}
	ctx, cancel := context.WithCancelCause(base)
	defer cancel(nil)
	x.ended = func() error { return context.Cause(ctx) }
	if x.endsWithClient() {
		forget := context.AfterFunc(x.r.Context(), func() { cancel(errClientGone) })
		defer forget()
	}
	if x.listens() {
		x.g.asking.Go(x.touch) // the end of it may be far; and who listens calls at once, and is asked here
	}
	watch := x.watch(cancel)
	defer watch.end()
	res, err := x.g.Transport.RoundTrip(x.request(ctx))
	if err != nil {
		return x.unanswered(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusOK { // a failure is waited for to its end
		events := isMedia(res.Header.Get("Content-Type"), mediaEvents)
		answer := &messages{ReadCloser: res.Body, events: events, limit: x.g.Limits.MessageBytes}
		res.Body = answer
		watch.begun(answer)
	}
	return x.relay(res)
}

func (x *exchange) endsWithClient() bool { return x.modern() || x.r.Method == http.MethodGet }

// request makes the upstream's request from nothing but what is listed here: no header of the
// client passes because nobody thought of it (RS-12, RS-14, RS-15, I4).
func (x *exchange) request(ctx context.Context) *http.Request {
	from, to := x.r.Header, make(http.Header, 8)
	to["Authorization"] = x.who.key.authorization
	to["User-Agent"] = x.g.lines.agent
	if x.named != nil {
		to["X-Request-Id"] = x.named
	}
	method := x.r.Method
	if x.carried != nil {
		method = x.carriedMethod()
		to[headerVersion] = []string{x.carried.Hello.Version}
	} else {
		x.protocolFields(to)
	}
	if x.session != "" {
		to[headerSession] = []string{x.session}
	}
	req := x.g.blank.WithContext(ctx)
	req.Method, req.Header = method, to
	switch method {
	case http.MethodPost:
		// Servers of this transport want both types in Accept whatever the client can take (B73).
		to["Accept"] = x.g.lines.accept
		to["Content-Type"] = x.g.lines.json
		req.ContentLength = int64(len(x.data))
		req.Body = newBody(x.data)
		// A POST is sent once (GW-36). With GetBody the transport may take another connection when
		// the one it chose had been closed while idle and not one byte was written to it.
		req.GetBody = func() (io.ReadCloser, error) { return newBody(x.data), nil }
	case http.MethodGet:
		to["Accept"] = x.g.lines.events
		// An event id means something within its session only (GW-38, RS-53).
		if lines := from[headerLastEvent]; lines != nil && x.session != "" {
			to[headerLastEvent] = lines
		}
	}
	return req
}

// newBody is a body that was read before, in the type that net/http knows as one: it sends header and
// body in one piece, and the upstream wakes up once.
func newBody(data []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(data)) }

// unanswered is for an upstream that did not begin to answer.
func (x *exchange) unanswered(err error) *refusal {
	switch cause := x.ended(); {
	case errors.Is(cause, errGrantEnded):
		return x.at.invalidToken("grant_ended", "while the call was going on")
	case errors.Is(cause, errImpatient):
		return &refusal{
			status: http.StatusGatewayTimeout, code: jsonrpc.CodeInternal, message: "Trinity's MCP server took too long to answer", cause: cause,
		}
	case cause != nil:
		return unavailable("The bridge ended the call", cause)
	}
	var failed *net.OpError
	if errors.As(err, &failed) && failed.Op == "dial" {
		return unavailable("Trinity's MCP server cannot be reached", err)
	}
	return x.upstreamFailed(err)
}

// keyRefused is for an upstream that did not take the key. It says so for other reasons too, among
// them a backend that is down and a session that is missing (contract 4.4), so Trinity itself is
// asked, and only its word ends a grant.
func (x *exchange) keyRefused() *refusal {
	ctx, cancel := x.afterwards()
	defer cancel()
	var standing bridge.Standing
	if x.who.static {
		if standing = x.g.Credentials.StandingOfKey(ctx, x.who.key.token); standing.Ends() != "" {
			return x.refuseKey()
		}
	} else {
		standing = x.g.ask(ctx, x.who.grant, x.who.key)
		if no := x.heed(standing); no != nil {
			return no
		}
	}
	if standing != bridge.StandingGood {
		return unavailable("Trinity cannot say at the moment whether this connection is good", nil)
	}
	if x.session == "" && !x.initializes() && !x.told.opening {
		return x.sessionMissing()
	}
	return x.upstreamFailed(errors.New("the upstream refuses a key that Trinity calls good"))
}

// sessionMissing is what 2025-era servers answer to a request outside a session. Clients that
// tried 2026-07-28 first go back to initialize on it (GW-20).
func (x *exchange) sessionMissing() *refusal {
	return &refusal{
		status: http.StatusBadRequest, code: jsonrpc.CodeServer, message: "Bad Request: No valid session ID provided",
	}
}
