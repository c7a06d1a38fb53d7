package jsonrpc

import (
	"bytes"
	"errors"
	"io"
)

// Events reads a stream of server-sent events and passes it on event by event, so that one of
// them can be exchanged. An event goes on as the bytes it came as, unless Rewrite changes what it
// carries; what is left at the end and is no whole event is dropped, as every parser does.
type Events struct {
	From io.Reader
	// Max is the most bytes of one event; more is ErrLargeEvent.
	Max int
	// Rewrite returns what an event is to carry in the place of data, or data itself; nothing drops the
	// event. Changed text must not hold line ends that are part of it.
	Rewrite func(data []byte) ([]byte, error)

	buf     []byte // what came and is no whole event yet
	scanned int    // how much of it holds no end of an event
	begun   bool   // bytes have come
	out     []byte // what may be read
	err     error  // what comes after out
}

// ErrLargeEvent is for an event that does not end in time.
var ErrLargeEvent = errors.New("an event is too large")

// Read reads what Rewrite made of whole events.
func (e *Events) Read(p []byte) (int, error) {
	for len(e.out) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		e.fill()
	}
	n := copy(p, e.out)
	e.out = e.out[n:]
	return n, nil
}

const eventRead = 16 << 10 // room for a read

// fill reads on and takes the events that are whole now.
func (e *Events) fill() {
	e.buf = append(e.buf, make([]byte, eventRead)...)
	n, err := e.From.Read(e.buf[len(e.buf)-eventRead:])
	e.buf = e.buf[:len(e.buf)-eventRead+n]
	e.err = err
	if !e.begun && len(e.buf) > 0 {
		if len(e.buf) < len(byteOrderMark) && err == nil && bytes.HasPrefix(byteOrderMark, e.buf) {
			return
		}
		e.begun = true
		e.buf = bytes.TrimPrefix(e.buf, byteOrderMark) // a parser drops it and sees the field behind it
	}
	taken := 0
	e.out = e.out[:0]
	for {
		end := eventEnd(e.buf, max(taken, e.scanned-3))
		if end < 0 {
			break
		}
		event, rewriteErr := e.event(e.buf[taken:end])
		if rewriteErr != nil {
			e.err = rewriteErr
			return
		}
		e.out = append(e.out, event...)
		taken, e.scanned = end, end
	}
	e.buf = append(e.buf[:0], e.buf[taken:]...)
	e.scanned = len(e.buf)
	if len(e.buf) > e.Max && e.err == nil {
		e.err = ErrLargeEvent
	}
}

var byteOrderMark = []byte("\xef\xbb\xbf") //nolint:gochecknoglobals // a constant that Go cannot spell as one

// eventEnd is the index behind the first empty line at or after from, or -1. from is at most three
// bytes behind what was looked through, which is as much as two line ends share.
func eventEnd(buf []byte, from int) int {
	for i := max(from, 0); i < len(buf); i++ {
		if buf[i] != '\n' && buf[i] != '\r' {
			continue
		}
		if i == 0 {
			return 1 // an empty line of its own
		}
		before := i - 1
		if buf[i] == '\n' && buf[before] == '\r' { // one line end of two bytes
			if before--; before < 0 {
				return i + 1
			}
		}
		if buf[before] == '\n' || buf[before] == '\r' {
			return i + 1
		}
	}
	return -1
}

// event returns an event as it goes on.
func (e *Events) event(event []byte) ([]byte, error) {
	lines := splitLines(event)
	var data []byte
	carries := 0
	for _, line := range lines {
		if value, ok := dataOf(line); ok {
			if carries > 0 {
				data = append(data, '\n')
			}
			carries++
			data = append(data, value...)
		}
	}
	if len(data) == 0 { // also the events that only give an id to go on from
		return event, nil
	}
	changed, err := e.Rewrite(data)
	if len(changed) == 0 {
		return nil, err
	}
	if err != nil || len(changed) == len(data) && &changed[0] == &data[0] {
		return event, err
	}
	out := make([]byte, 0, len(event)+len(changed)-len(data)+16)
	written := false
	for _, line := range lines {
		if _, ok := dataOf(line); !ok {
			out = append(append(out, line...), '\n')
			continue
		}
		if written {
			continue
		}
		written = true
		for text := range bytes.SplitSeq(changed, []byte{'\n'}) {
			out = append(append(append(out, "data: "...), text...), '\n')
		}
	}
	return out, nil
}

// splitLines cuts an event into its lines without their ends. The empty line at its end is one.
func splitLines(event []byte) [][]byte {
	var lines [][]byte
	for len(event) > 0 {
		end := bytes.IndexAny(event, "\r\n")
		if end < 0 {
			return append(lines, event)
		}
		lines = append(lines, event[:end])
		if event[end] == '\r' && end+1 < len(event) && event[end+1] == '\n' {
			end++
		}
		event = event[end+1:]
	}
	return lines
}

// dataOf is the value of a data line.
func dataOf(line []byte) ([]byte, bool) {
	value, ok := bytes.CutPrefix(line, []byte("data"))
	if !ok || len(value) > 0 && value[0] != ':' {
		return nil, false
	}
	return bytes.TrimPrefix(bytes.TrimPrefix(value, []byte(":")), []byte(" ")), true
}
