package trinitytest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// standaloneStream is the stream of messages that belong to no request: the one GET opens.
const standaloneStream = "_GET_stream"

const (
	keptEvents  = 1000 // per stream, for resumption
	keptStreams = 64   // finished streams per session, for resumption
)

// session is one MCP session. It belongs to whoever knows its id: no key is bound to it (contract §4.5).
type session struct {
	id     string
	legacy bool      // opened by GET /sse, and unknown to /mcp
	opener principal // decides which tools are listed and callable
	ctx    context.Context
	cancel context.CancelFunc
	now    func() time.Time
	rand   io.Reader

	mu       sync.Mutex
	streams  map[string]*stream
	finished []string                      // ids of finished streams, oldest first
	running  map[string]context.CancelFunc // by JSON-RPC request id
}

// stream is the events of one SSE answer. Its reader may come and go; the events stay for Last-Event-ID.
type stream struct {
	id       string
	events   []event
	dropped  int  // events forgotten, all before events[0]
	waiting  int  // requests whose answers are still to come
	finished bool // all answers are in
	attached bool // somebody is reading
	wake     chan struct{}
}

// event is one SSE event. Without data it only primes the reader with an id to resume from.
type event struct {
	id   string
	data []byte
}

// openSession makes a session for the owner of a good key. It outlives the request that opened it.
func (o *orchestrator) openSession(who principal, legacy bool) (*session, error) {
	id, err := newUUID(o.rand)
	if err != nil {
		return nil, err
	}
	s := &session{
		id: id, legacy: legacy, opener: who, now: o.now, rand: o.rand,
		// One answer is always outstanding, so the standalone stream never finishes.
		streams: map[string]*stream{standaloneStream: newStream(standaloneStream, 1)},
		running: make(map[string]context.CancelFunc),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions[s.id] = s
	return s, nil
}

func newStream(id string, requests int) *stream {
	return &stream{id: id, waiting: requests, wake: make(chan struct{})}
}

// end cuts every stream and call of the session.
func (s *session) end() { s.cancel() }

// openStream begins the stream that will carry the answers to a number of requests.
func (s *session) openStream(requests int) (*stream, error) {
	id, err := newUUID(s.rand)
	if err != nil {
		return nil, err
	}
	st := newStream(id, requests)
	st.attached = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[id] = st
	return st, nil
}

// send appends a message to a stream and wakes its reader. An answer counts towards the stream's end.
func (s *session) send(st *stream, data []byte, answer bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.events = append(st.events, event{id: s.eventID(st), data: data})
	if over := len(st.events) - keptEvents; over > 0 {
		st.events = slices.Delete(st.events, 0, over)
		st.dropped += over
	}
	if answer {
		st.waiting--
		if st.waiting == 0 {
			st.finished = true
			s.retire(st)
		}
	}
	close(st.wake)
	st.wake = make(chan struct{})
}

// retire forgets the oldest finished streams.
func (s *session) retire(st *stream) {
	s.finished = append(s.finished, st.id)
	if len(s.finished) > keptStreams {
		delete(s.streams, s.finished[0])
		s.finished = s.finished[1:]
	}
}

// eventID names the stream, so that an id says where to resume.
func (s *session) eventID(st *stream) string {
	var salt [2]byte
	_, _ = io.ReadFull(s.rand, salt[:]) // decoration: the counter below already makes the id unique
	return fmt.Sprintf("%s_%d_%04d_%x", st.id, s.now().UnixMilli(), st.dropped+len(st.events), salt)
}

// notify sends a notification on the standalone stream, where it waits if nobody reads.
func (s *session) notify(data []byte) {
	s.mu.Lock()
	st := s.streams[standaloneStream]
	s.mu.Unlock()
	s.send(st, data, false)
}

// expectStandalone announces that one more answer will go out on the standalone stream.
func (s *session) expectStandalone() *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[standaloneStream]
	st.waiting++
	return st
}

// attachStandalone takes the standalone stream from its present end; false if it is taken.
func (s *session) attachStandalone() (st *stream, next int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st = s.streams[standaloneStream]
	if st.attached {
		return nil, 0, false
	}
	st.attached = true
	return st, st.dropped + len(st.events), true
}

// attachAfter finds the stream of an event and takes it from the next event on. known is false for an id
// that this session never sent or has forgotten.
func (s *session) attachAfter(eventID string) (st *stream, next int, known, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, candidate := range s.streams {
		if !strings.HasPrefix(eventID, id+"_") {
			continue
		}
		i := slices.IndexFunc(candidate.events, func(e event) bool { return e.id == eventID })
		if i < 0 {
			return nil, 0, false, false
		}
		if candidate.attached {
			return nil, 0, true, false
		}
		candidate.attached = true
		return candidate, candidate.dropped + i + 1, true, true
	}
	return nil, 0, false, false
}

func (s *session) detach(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.attached = false
}

// after returns the events from next on, where to read on from, whether these were the last, and what
// closes when there are more.
func (s *session) after(st *stream, next int) (events []event, then int, last bool, more <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := max(next-st.dropped, 0)
	if from < len(st.events) {
		events = slices.Clone(st.events[from:])
	}
	return events, st.dropped + len(st.events), st.finished, st.wake
}

// begin registers a running request. Its context ends with the session or by notifications/cancelled, not
// with the connection that brought it.
func (s *session) begin(ctx context.Context, id jsontext.Value) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(s.ctx, cancel)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[string(id)] = cancel
	return ctx, func() {
		unhook()
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, string(id))
	}
}

func (s *session) cancelRequest(id jsontext.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel, ok := s.running[string(id)]; ok {
		cancel()
	}
}
