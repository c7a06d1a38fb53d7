package trinitytest

import (
	"io"
	"net/http"
)

// The transport of before 2025-03-26 is still alive on the same port: GET /sse opens a stream, which
// needs a key, and POST /messages speaks into it, which needs none (contract §4.1). A bridge must not
// forward either.

// openLegacy is GET /sse. Its session lives as long as the stream.
func (o *orchestrator) openLegacy(w http.ResponseWriter, r *http.Request, rules transportRules) {
	who, refusal := o.authenticate(r)
	if refusal != "" {
		writeText(w, http.StatusInternalServerError, "", "Error creating server")
		return
	}
	s, err := o.openSession(who, true)
	if err != nil {
		o.log.Error("simulated Trinity MCP server", "error", err)
		panic(http.ErrAbortHandler)
	}
	defer o.dropSession(s)
	rules.unbuffered = false
	rules.streamHeader(w.Header(), true)
	st, next, _ := s.attachStandalone()
	_, _ = io.WriteString(w, "event: endpoint\ndata: /messages?sessionId="+s.id+"\n\n")
	s.send(st, []byte(`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"SSE Connection established","level":"info"}}`), false)
	flush := http.NewResponseController(w)
	for {
		events, then, _, more := s.after(st, next)
		next = then
		for _, e := range events {
			_, _ = io.WriteString(w, "event: message\ndata: "+string(e.data)+"\n\n")
		}
		if flush.Flush() != nil {
			return
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// postLegacy is POST /messages: 202, and the answer comes on the stream.
func (o *orchestrator) postLegacy(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("sessionId")
	s := o.session(id, true)
	switch {
	case id == "":
		writeText(w, http.StatusBadRequest, "", "No sessionId")
		return
	case s == nil:
		writeText(w, http.StatusBadRequest, "", "No active transport")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	doc := readDocument(body)
	if !doc.readable || !doc.valid || doc.batch {
		writeText(w, http.StatusBadRequest, "", "Invalid message: "+string(body))
		return
	}
	m := doc.messages[0]
	x := exchange{session: s, who: s.opener, messages: doc.messages}
	x.init, x.opening = m.initialization()
	if m.isRequest() {
		o.spawn(r.Context(), x, s.expectStandalone(), m)
	}
	writeText(w, http.StatusAccepted, "", "Accepted")
}
