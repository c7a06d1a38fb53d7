package gateway

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

var errOversized = errors.New("a message of the upstream is larger than any client should be made to hold")

// messages is an answer of the upstream as it is read, held to what one message may be (RS-48). The
// bridge keeps nothing of an answer, so these bounds are for the client, which holds a message until
// it is whole, and for streams that can get no comment in the middle of a line.
//
// How long an answer is in all, and how fast it comes, has no bound: a reader that takes less than
// the upstream sends slows it down.
type messages struct {
	io.ReadCloser
	events bool  // a stream of events; otherwise all of it is one message
	limit  int64 // bytes of a message
	size   int64 // bytes of the message that is being read
	line   int64 // … and of its last line, without line end
	// since is when the last bytes came of a line or document that is not whole yet, or 0.
	since atomic.Int64
}

// Read reads on, and fails in the middle of a message that is too large.
func (m *messages) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.measure(p[:n])
	if m.size > m.limit {
		return n, errOversized
	}
	if m.events && m.line == 0 {
		m.since.Store(0)
	} else {
		m.since.Store(time.Now().UnixNano())
	}
	return n, err
}

// measure follows the lines. An empty one ends an event; a carriage return before a line feed counts
// for nothing.
func (m *messages) measure(chunk []byte) {
	m.size += int64(len(chunk))
	for m.events {
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			m.line += lineBytes(chunk)
			return
		}
		m.line += lineBytes(chunk[:i])
		chunk = chunk[i+1:]
		if m.line == 0 {
			m.size = int64(len(chunk))
		}
		m.line = 0
	}
}

func lineBytes(line []byte) int64 {
	return int64(len(bytes.TrimRight(line, "\r")))
}

// stuckFor is how long the rest of what was begun has been missing.
func (m *messages) stuckFor(now time.Time) time.Duration {
	if since := m.since.Load(); since != 0 {
		return now.Sub(time.Unix(0, since))
	}
	return 0
}
