package trinitytest

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// listen is GET /mcp: the standalone stream, or any stream from after an event that was seen.
func (o *orchestrator) listen(w http.ResponseWriter, r *http.Request, rules transportRules) {
	s, ok := o.namedSession(w, r, rules, "No sessionId")
	if !ok {
		return
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		rules.transportError(w, http.StatusNotAcceptable, codeServerError, "Not Acceptable: Client must accept text/event-stream")
		return
	}
	if version := r.Header.Get(versionHeader); version != "" && !slices.Contains(protocolVersions, version) {
		rules.transportError(w, http.StatusBadRequest, codeServerError, rules.refuseVersion(version))
		return
	}
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		st, next, ok := s.attachStandalone()
		if !ok {
			rules.transportError(w, http.StatusConflict, codeServerError, "Conflict: Only one SSE stream is allowed per session")
			return
		}
		o.stream(w, r, rules, s, st, next)
		return
	}
	st, next, known, ok := s.attachAfter(last)
	switch {
	case !known:
		rules.transportError(w, http.StatusBadRequest, codeServerError, "Invalid event ID format")
	case !ok:
		rules.transportError(w, http.StatusConflict, codeServerError, "Conflict: Stream already has an active connection")
	default:
		o.stream(w, r, rules, s, st, next)
	}
}

// namedSession finds the session of a GET or DELETE, or answers what the generation answers.
func (o *orchestrator) namedSession(w http.ResponseWriter, r *http.Request, rules transportRules, missing string) (*session, bool) {
	if rules.authenticateStreams {
		if _, refusal := o.authenticate(r); refusal != "" {
			rules.refuse(w, nil, refusal)
			return nil, false
		}
	}
	id := r.Header.Get(sessionHeader)
	s := o.session(id, false)
	switch {
	case s != nil:
		return s, true
	case rules.plainSessionErrors && id == "":
		writeText(w, http.StatusBadRequest, "", missing)
	case rules.plainSessionErrors:
		writeText(w, http.StatusBadRequest, "", "No active transport")
	case id == "":
		rules.noSession(w, nil)
	default:
		rules.unknownSession(w)
	}
	return nil, false
}

// end is DELETE /mcp.
func (o *orchestrator) end(w http.ResponseWriter, r *http.Request, rules transportRules) {
	s, ok := o.namedSession(w, r, rules, "Invalid or missing sessionId")
	if !ok {
		return
	}
	o.dropSession(s)
	writeText(w, http.StatusOK, rules.plainType(), "")
}

// stream writes a stream's events from next on until its last, the session's end or the reader's leave.
// The caller has attached the stream.
func (o *orchestrator) stream(w http.ResponseWriter, r *http.Request, rules transportRules, s *session, st *stream, next int) {
	defer s.detach(st)
	rules.streamHeader(w.Header(), r.Method == http.MethodGet)
	w.Header().Set(sessionHeader, s.id)
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	keepAlive := time.NewTicker(o.keepAlive)
	defer keepAlive.Stop()
	for {
		events, then, last, more := s.after(st, next)
		next = then
		for _, e := range events {
			if _, err := w.Write(e.frame()); err != nil {
				return
			}
		}
		if last {
			return
		}
		if flush.Flush() != nil {
			return
		}
		select {
		case <-more:
		case <-keepAlive.C:
			if _, err := io.WriteString(w, ": keepalive\n\n"); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// frame is the event on the wire.
func (e event) frame() []byte {
	if e.data == nil {
		return []byte("id: " + e.id + "\ndata: \n\n")
	}
	return []byte("event: message\nid: " + e.id + "\ndata: " + string(e.data) + "\n\n")
}
