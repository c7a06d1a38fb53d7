package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sessionServer is an upstream with sessions that remembers which call ran in which.
type sessionServer struct {
	mu      sync.Mutex
	opened  int
	ended   []string
	told    []string // messages that are no requests of a client
	calls   []string // "session id"
	release chan struct{}
}

func (s *sessionServer) serve(w http.ResponseWriter, r *http.Request, body string) {
	id := r.Header.Get("Mcp-Session-Id")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == http.MethodDelete:
		s.ended = append(s.ended, id)
	case strings.Contains(body, `"initialize"`):
		s.opened++
		w.Header().Set("Mcp-Session-Id", fmt.Sprintf("s-%d", s.opened))
		events(w, `data: {"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"s","version":"1"}}}`+"\n\n")
	case id == "":
		w.WriteHeader(http.StatusBadRequest)
	case strings.Contains(body, `"tools/call"`):
		s.calls = append(s.calls, id)
		s.mu.Unlock()
		s.answer(w, r, id)
		s.mu.Lock()
	default:
		s.told = append(s.told, body)
		w.WriteHeader(http.StatusAccepted)
	}
}

func (s *sessionServer) answer(w http.ResponseWriter, r *http.Request, id string) {
	events(w, "id: 1\ndata: \n\n"+
		`data: {"jsonrpc":"2.0","id":"ask","method":"sampling/createMessage","params":{}}`+"\n\n"+
		`data: {"jsonrpc":"2.0","id":2,"method":"ping"}`+"\n\n"+
		`data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1}}`+"\n\n"+
		`data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"quiet"}}`+"\n\n"+
		`data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"loud"}}`+"\n\n")
	select {
	case <-s.release:
	case <-r.Context().Done():
		return
	}
	events(w, `data: {"jsonrpc":"2.0","id":9,"result":{"session":"`+id+`"}}`+"\n\n")
}

func (s *sessionServer) seen() (opened int, calls, ended, told []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened, slices.Clone(s.calls), slices.Clone(s.ended), slices.Clone(s.told)
}

func startSessions(t *testing.T) (*world, *sessionServer) {
	t.Helper()
	w := start(t)
	s := &sessionServer{release: make(chan struct{}, 100)}
	w.upstream.sessionsOnly()
	w.upstream.answer(s.serve)
	return w, s
}
