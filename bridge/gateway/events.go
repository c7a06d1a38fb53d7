package gateway

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

// comment is an SSE comment line: every parser skips it, also between the lines of an event.
const comment = ": ok\n"

// stream is a sink for server-sent events. Each chunk leaves at once. While the upstream is silent
// it sends comments, so that nothing on the way cuts an idle stream or keeps its first bytes back
// (RS-52): the first one soon, for headers are not sent before.
type stream struct {
	mu sync.Mutex
	writer
	prime, keepAlive time.Duration
	timer            *time.Timer
	begun            bool
	over             bool
	last             time.Time // when something was last sent
	lineEnd          bool      // what the upstream sent so far ends with a whole line
	eventEnd         bool      // … and with a whole event
}

// copyEvents relays a stream of events.
func (x *exchange) copyEvents(from io.Reader) {
	limits := x.g.Limits
	s := &stream{
		writer: writer{w: x.w, control: x.control, stall: limits.ReaderStall},
		prime:  limits.Prime, keepAlive: limits.KeepAlive, lineEnd: true, eventEnd: true,
	}
	s.start()
	defer s.end()
	x.copyAnswer(from, s)
	if x.only().Method == methodListen && (x.ended() != nil || x.carried != nil) {
		s.finish(x.body.ID())
	}
}

func (s *stream) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(s.prime, s.beat)
}

// end stops the comments. Nothing touches the ResponseWriter after it.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.timer.Stop()
	s.done()
}

// send writes chunk and flushes it. The last one is left for net/http to send with the end of the
// answer, which follows at once.
func (s *stream) send(chunk []byte, last bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(chunk) > 1 {
		s.eventEnd = bytes.HasSuffix(chunk, []byte("\n\n")) || bytes.HasSuffix(chunk, []byte("\n\r\n"))
	} else {
		s.eventEnd = s.lineEnd && chunk[0] == '\n'
	}
	s.lineEnd = chunk[len(chunk)-1] == '\n'
	return s.write(chunk, !last)
}

func (s *stream) write(chunk []byte, flush bool) error {
	now := time.Now()
	if err := s.extend(now); err != nil {
		return err
	}
	if _, err := s.w.Write(chunk); err != nil {
		return err
	}
	s.begun, s.last = true, now
	if flush {
		return s.control.Flush()
	}
	return nil
}

// beat sends a comment when the stream has been silent. A failure is noticed by the next event.
func (s *stream) beat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if s.lineEnd && (!s.begun || time.Since(s.last) >= s.keepAlive) {
		_ = s.write([]byte(comment), true)
	}
	s.timer.Reset(s.keepAlive)
}

// finish ends a subscriptions/listen as the protocol has it: with its result (GW-37). In the middle
// of an event there is nothing left to do but to stop.
func (s *stream) finish(id jsonrpc.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.eventEnd {
		return
	}
	event := fmt.Appendf(nil, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"resultType\":\"complete\","+
		"\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":%s}}}\n\n", id, id)
	_ = s.write(event, false) // who has left needs no answer
}
