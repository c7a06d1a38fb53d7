package trinitytest

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	sessionHeader  = "Mcp-Session-Id"
	versionHeader  = "Mcp-Protocol-Version"
	newestProtocol = "2025-11-25"
)

// protocolVersions is newest first, the order in which an error lists them.
var protocolVersions = []string{newestProtocol, "2025-06-18", "2025-03-26", "2024-11-05", "2024-10-07"}

// post is one POST /mcp: first the proxy's view (who, which session), then the transport's (is this a
// request it can answer).
func (o *orchestrator) post(w http.ResponseWriter, r *http.Request, rules transportRules) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	doc := readDocument(body)
	id := r.Header.Get(sessionHeader)
	var init initializeParams
	opening := false
	if id == "" && doc.readable && !doc.batch {
		init, opening = doc.messages[0].initialization()
	}
	var who principal
	if opening || rules.authenticatePOST {
		var refusal string
		if who, refusal = o.authenticate(r); refusal != "" {
			rules.refuse(w, doc.id, refusal)
			return
		}
	}
	s := o.session(id, false)
	switch {
	case id != "" && s == nil:
		rules.unknownSession(w)
		return
	case id == "" && !doc.readable:
		rules.proxyError(w, http.StatusBadRequest, nil, codeServerError, noSession400)
		return
	case id == "" && !opening:
		rules.noSession(w, doc.id)
		return
	}
	if !rules.acceptable(w, r, doc, opening) {
		return
	}
	if s == nil {
		if s, err = o.openSession(who, false); err != nil {
			o.log.Error("simulated Trinity MCP server", "error", err)
			panic(http.ErrAbortHandler)
		}
	}
	if !rules.authenticatePOST {
		who = s.opener
	}
	o.run(w, r, rules, exchange{session: s, who: who, messages: doc.messages, init: init, opening: opening})
}

// acceptable is the transport's own gate. Order matters: it is what a client sees when two things are wrong.
func (r transportRules) acceptable(w http.ResponseWriter, req *http.Request, doc document, opening bool) bool {
	accept := strings.Join(req.Header.Values("Accept"), ", ")
	initializes := slices.ContainsFunc(doc.messages, func(m message) bool { return m.method == "initialize" })
	version := req.Header.Get(versionHeader)
	switch {
	case !strings.Contains(accept, "application/json") || !strings.Contains(accept, "text/event-stream"):
		r.transportError(w, http.StatusNotAcceptable, codeServerError,
			"Not Acceptable: Client must accept both application/json and text/event-stream")
	case !strings.Contains(req.Header.Get("Content-Type"), "application/json"):
		r.transportError(w, http.StatusUnsupportedMediaType, codeServerError,
			"Unsupported Media Type: Content-Type must be application/json")
	case !doc.valid:
		r.transportError(w, http.StatusBadRequest, codeParseError, r.parseError)
	case initializes && !opening:
		r.transportError(w, http.StatusBadRequest, codeInvalidRequest, "Invalid Request: Server already initialized")
	case !opening && version != "" && !slices.Contains(protocolVersions, version):
		r.transportError(w, http.StatusBadRequest, codeServerError, r.refuseVersion(version))
	default:
		return true
	}
	return false
}

// exchange is one accepted POST.
type exchange struct {
	session  *session
	who      principal
	messages []message
	init     initializeParams
	opening  bool
}

// run answers a POST: 202 if it held no request, else one event stream with all the answers.
func (o *orchestrator) run(w http.ResponseWriter, r *http.Request, rules transportRules, x exchange) {
	requests := 0
	for _, m := range x.messages {
		switch {
		case m.isRequest():
			requests++
		case m.method == "notifications/cancelled":
			x.session.cancelRequest(cancelledID(m))
		}
	}
	if requests == 0 {
		writeText(w, http.StatusAccepted, rules.plainType(), "")
		return
	}
	st, err := x.session.openStream(requests)
	if err != nil {
		o.log.Error("simulated Trinity MCP server", "error", err)
		panic(http.ErrAbortHandler)
	}
	if x.primed(r, rules) {
		x.session.send(st, nil, false)
	}
	for _, m := range x.messages {
		if m.isRequest() {
			o.spawn(r.Context(), x, st, m)
		}
	}
	o.stream(w, r, rules, x.session, st, 0)
}

// primed reports whether the answer opens with an empty event to resume from, as 2025-11-25 has it.
func (x exchange) primed(r *http.Request, rules transportRules) bool {
	if x.opening {
		return rules.primeInitialize && x.init.ProtocolVersion >= newestProtocol
	}
	return r.Header.Get(versionHeader) >= newestProtocol
}

func cancelledID(m message) jsontext.Value {
	var p struct {
		RequestID jsontext.Value `json:"requestId"`
	}
	if unmarshal(m.params, &p) != nil {
		return nil
	}
	return p.RequestID
}

// spawn answers one request on its own time: if the caller's connection drops, the work goes on and its
// events wait for a resumption.
func (o *orchestrator) spawn(ctx context.Context, x exchange, st *stream, m message) {
	o.mu.Lock()
	calls := o.calls
	o.mu.Unlock()
	if !calls.enter() {
		return
	}
	ctx, done := x.session.begin(ctx, m.id)
	go func() {
		defer calls.leave()
		defer done()
		data := o.answer(ctx, call{exchange: x, message: m, progress: func(n []byte) { x.session.send(st, n, false) }})
		if ctx.Err() == nil { // a cancelled request is never answered
			x.session.send(st, data, true)
		}
	}()
}
