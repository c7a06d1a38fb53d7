package gateway

import "bytes"

// redactor takes a secret out of a stream of chunks, wherever the chunks are cut (RS-23). What it
// puts in its place is as long, so that a Content-Length stays true.
//
// The caller reads into buf[held:], calls clean on all that is there, sends what it gets and calls
// keep. Only bytes that may be the beginning of the secret wait for the next chunk, so an event that
// ends with its line end never waits.
type redactor struct {
	secret []byte
	held   int // bytes at the front of the buffer that were not sent yet
	tail   int // where in the last chunk they began
	found  int
}

// clean redacts chunk in place and returns what may be sent. At the end of the stream nothing is held back.
func (r *redactor) clean(chunk []byte, end bool) []byte {
	for at := 0; ; {
		i := bytes.Index(chunk[at:], r.secret)
		if i < 0 {
			break
		}
		at += i
		copy(chunk[at:], bytes.Repeat([]byte("*"), len(r.secret)))
		copy(chunk[at:at+len(r.secret)], "[redacted]")
		at += len(r.secret)
		r.found++
	}
	r.tail = len(chunk)
	if !end {
		r.tail -= r.beginning(chunk)
	}
	r.held = len(chunk) - r.tail
	return chunk[:r.tail]
}

// keep moves what was held back to the front of buf, where chunk was.
func (r *redactor) keep(buf []byte) { copy(buf, buf[r.tail:r.tail+r.held]) }

// beginning is the length of the longest end of chunk that the secret begins with.
func (r *redactor) beginning(chunk []byte) int {
	end := chunk[max(0, len(chunk)-len(r.secret)+1):]
	for {
		i := bytes.IndexByte(end, r.secret[0])
		if i < 0 {
			return 0
		}
		if end = end[i:]; bytes.HasPrefix(r.secret, end) {
			return len(end)
		}
		end = end[1:]
	}
}
