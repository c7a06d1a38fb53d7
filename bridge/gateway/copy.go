package gateway

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/audit"
)

const bufferBytes = 32 << 10 // all that is ever held of an answer

// sink is where an answer goes. send may be slow, and fails once the client is gone.
type sink interface {
	send(chunk []byte, last bool) error
}

// copyDocument relays a JSON document; sized: its length was told.
func (x *exchange) copyDocument(from io.Reader, sized bool) {
	out := &document{writer: writer{w: x.w, control: x.control, stall: x.g.Limits.ReaderStall}, sized: sized}
	defer out.done()
	x.copyAnswer(from, out)
}

// copyAnswer reads an answer to its end and sends it on, without the key. When the client has left
// it reads on all the same, for in the older revisions the work goes on (package comment); whoever
// wants it to end cancels what goes on upstream.
//
// An answer that breaks off upstream is broken off here too: ended properly, it would look complete.
func (x *exchange) copyAnswer(from io.Reader, to sink) {
	buf, ok := x.g.buffers.Get().(*[bufferBytes]byte)
	if !ok {
		return
	}
	defer x.g.buffers.Put(buf)
	r := redactor{secret: x.who.key.bytes}
	defer func() { x.reportEcho(r.found) }()
	gone, unread := false, int64(0)
	for {
		n, err := from.Read(buf[r.held:])
		chunk := r.clean(buf[:r.held+n], err != nil)
		if !gone && len(chunk) > 0 {
			gone = to.send(chunk, err != nil) != nil
		}
		if gone {
			unread += int64(n)
		}
		if gone && (x.endsWithClient() || unread > x.g.Limits.UnreadBytes) {
			return
		}
		r.keep(buf[:])
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			x.brokenOff(err, gone)
			return
		}
	}
}

// brokenOff ends an answer whose rest will not come.
func (x *exchange) brokenOff(err error, gone bool) {
	level, cause := slog.LevelWarn, x.ended()
	if cause != nil {
		err = cause
	}
	if cause != nil && !errors.Is(cause, errStuck) {
		level = slog.LevelDebug
	}
	x.g.Log.LogAttrs(x.r.Context(), level, "an answer was broken off", slog.String("request_id", x.reference), slog.Any("error", err))
	if cause != nil && x.listens() { // such a stream may end at any time
		return
	}
	if !gone {
		panic(http.ErrAbortHandler) // the one way to tell net/http to cut the connection
	}
}

// reportEcho raises the alarm when the upstream sent the key back: it should be looked at, and the
// key replaced.
func (x *exchange) reportEcho(found int) {
	if found == 0 {
		return
	}
	ctx, cancel := x.afterwards()
	defer cancel()
	x.g.Log.ErrorContext(ctx, "the upstream sent a Trinity key back; it was redacted", "request_id", x.reference, "times", found)
	x.record(ctx, audit.CredentialEchoed, "redacted", fmt.Sprintf("%d times", found))
}

// writer sends to the client and gives up on one that takes nothing for too long.
type writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	set     time.Time // when the write deadline was last moved
}

// extend moves the write deadline, if it was not moved just before.
func (w *writer) extend(now time.Time) error {
	if now.Sub(w.set) < w.stall/4 {
		return nil
	}
	w.set = now
	return w.control.SetWriteDeadline(now.Add(w.stall))
}

// done takes the deadline back: the connection serves other requests after this one.
func (w *writer) done() {
	if !w.set.IsZero() {
		_ = w.control.SetWriteDeadline(time.Time{}) // a broken connection has no further requests
	}
}

// document is a sink that leaves it to net/http when to send, but for the end of a document whose
// length is known: nothing comes after it, and what the call leaves to clear up can wait.
type document struct {
	writer
	sized, sent bool
}

// send writes chunk. The first one goes into net/http's own buffers and needs no deadline.
func (d *document) send(chunk []byte, last bool) error {
	if d.sent || !last {
		if err := d.extend(time.Now()); err != nil {
			return err
		}
	}
	d.sent = true
	if _, err := d.w.Write(chunk); err != nil || !last || !d.sized {
		return err
	}
	return d.control.Flush()
}
