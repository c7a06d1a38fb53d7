package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/dpop"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

// refusal is an answer that the bridge gives itself: a status, and a JSON-RPC error as its body.
type refusal struct {
	status    int
	code      int // JSON-RPC
	message   string
	data      any
	challenge []string      // lines of WWW-Authenticate
	allow     string        // Allow
	retry     time.Duration // Retry-After
	hangUp    bool          // the connection cannot be used again

	outcome string // what the audit trail calls it; "" is not worth a line there
	detail  string
	cause   error // for the log alone
}

// challenges are the WWW-Authenticate values that are the same for everybody at a resource.
type challenges struct {
	base                              discovery.Challenge
	missing, invalidToken, badRequest []string
	badProof, wantNonce               []string
}

func newChallenges(issuer string, resource bridge.Resource, proofs bool) challenges {
	base := discovery.Challenge{Metadata: discovery.MetadataURL(issuer, resource.Path), Scopes: resource.Baseline()}
	if proofs {
		base.ProofAlgorithms = bridge.AssertionAlgorithms()
	}
	build := func(code, description string) []string {
		c := base
		c.Error, c.Description = code, description
		c.ProofOnly = code == dpop.ErrorProof || code == dpop.ErrorNonce
		return c.Fields()
	}
	return challenges{
		base:         base,
		missing:      build("", ""),
		invalidToken: build("invalid_token", "The access token is not valid here"),
		badRequest:   build("invalid_request", "Send one credential in one Authorization header"),
		badProof:     build(dpop.ErrorProof, "The DPoP proof is not valid for this request"),
		wantNonce:    build(dpop.ErrorNonce, "The DPoP proof needs the nonce in the DPoP-Nonce field"),
	}
}

// unauthenticated asks for a credential where none was sent.
func (e *endpoint) unauthenticated() *refusal {
	return &refusal{
		status: http.StatusUnauthorized, code: jsonrpc.CodeServer, message: "Authentication required", challenge: e.challenges.missing,
	}
}

// invalidToken refuses a credential; detail is for the audit trail and tells nothing of the value.
func (e *endpoint) invalidToken(outcome, detail string) *refusal {
	return &refusal{
		status: http.StatusUnauthorized, code: jsonrpc.CodeServer, message: "The access token is not valid here",
		challenge: e.challenges.invalidToken, outcome: outcome, detail: detail,
	}
}

// unavailable is for what a client should try again: something the bridge needs is not there.
func unavailable(message string, cause error) *refusal {
	return &refusal{
		status: http.StatusServiceUnavailable, code: jsonrpc.CodeInternal, message: message, retry: retryAfter, cause: cause,
	}
}

// upstreamFailed is for answers of the upstream that a client cannot use. The client learns the
// request's reference and nothing else (RS-24).
func (x *exchange) upstreamFailed(cause error) *refusal {
	no := &refusal{status: http.StatusBadGateway, code: jsonrpc.CodeInternal, message: "Trinity's MCP server failed", cause: cause}
	if x.reference != "" {
		no.message += ", reference " + x.reference
	}
	return no
}

func malformed(code int, message string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: code, message: message, outcome: "malformed", detail: message}
}

func noSession() *refusal {
	return &refusal{status: http.StatusNotFound, code: jsonrpc.CodeNoSession, message: "Session not found"}
}

// refuse writes no and tells log and audit trail about it.
func (x *exchange) refuse(no *refusal) {
	x.report(x.r.Context(), no)
	h := x.w.Header()
	x.standardHeaders(h)
	h["Content-Type"] = []string{"application/json"}
	if len(no.challenge) > 0 {
		h["Www-Authenticate"] = no.challenge
	}
	if no.allow != "" {
		h["Allow"] = []string{no.allow}
	}
	if no.retry > 0 {
		h["Retry-After"] = []string{strconv.Itoa(int(no.retry / time.Second))}
	}
	if no.hangUp {
		h["Connection"] = []string{"close"}
	}
	x.w.WriteHeader(no.status)
	_, _ = x.w.Write(jsonrpc.Refusal(x.body.ID(), no.code, no.message, no.data)) // who has left needs no answer
}

func (x *exchange) report(ctx context.Context, no *refusal) {
	if no.outcome != "" {
		x.record(ctx, audit.CallRefused, no.outcome, no.detail)
	}
	level := slog.LevelDebug
	if no.status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{slog.String("request_id", x.reference), slog.Int("status", no.status), slog.String("answer", no.message)}
	if no.cause != nil {
		attrs = append(attrs, slog.Any("error", no.cause))
	}
	x.g.Log.LogAttrs(ctx, level, "call not served", attrs...)
}

// record adds a line to the audit trail about this request.
func (x *exchange) record(ctx context.Context, kind, outcome, detail string) {
	x.g.Trail.Record(ctx, x.event(kind, outcome, detail))
}

// note tells of a request that goes upstream: who calls what, and nothing of the arguments.
func (x *exchange) note() {
	subjects := []string{x.r.Method}
	if len(x.body.Messages) > 0 {
		subjects = subjects[:0]
	}
	for _, m := range x.body.Messages {
		if m.Kind == jsonrpc.Response {
			subjects = append(subjects, "an answer")
		} else {
			subjects = append(subjects, x.g.subject(m))
		}
	}
	x.g.Trail.Note(x.r.Context(), x.event(audit.CallAllowed, "", strings.Join(subjects, ", ")))
}

func (x *exchange) event(kind, outcome, detail string) bridge.AuditEvent {
	event := bridge.AuditEvent{Kind: kind, Outcome: outcome, Detail: detail}
	switch {
	case x.who.static:
		event.Detail = "static key " + x.g.Ring.Fingerprint(x.who.key.token)
		if detail != "" {
			event.Detail += ": " + detail
		}
	case x.who.grant.ID != "":
		event.PersonID, event.ClientID, event.GrantID = x.who.grant.Person.ID(), x.who.grant.ClientID, x.who.grant.ID
	}
	return event
}

// standardHeaders are on every answer: none is kept by a cache, shared by two callers (RS-57), or
// read as something else than it says.
func (x *exchange) standardHeaders(h http.Header) {
	h["Cache-Control"] = x.g.lines.private
	h["Vary"] = x.g.lines.vary
	h["X-Content-Type-Options"] = x.g.lines.noSniff
	if x.named != nil {
		h["X-Request-Id"] = x.named
	}
}

// afterwards is a context for what is done even when the client has left.
func (x *exchange) afterwards() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(x.r.Context()), 10*time.Second)
}
