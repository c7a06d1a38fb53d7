package outbound

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	directHeaderBytes = 64 << 10 // of an answer's header
	directAtOnce      = 64 << 10 // a body up to here leaves in one write with its header
	directInterim     = 8        // answers of status 1xx before the real one
	directIdle        = 512      // connections kept
)

var errDirectRequest = errors.New("a request that this transport does not send")

// Direct is a transport for many requests to one host by HTTP/1.1 without TLS. It writes a request
// and reads its answer in the caller's goroutine, where http.Transport hands both through two more:
// a third of what a small call costs. Answers are read by net/http's own parser.
//
// It takes requests whose header says all there is to say but Host and Content-Length, and whose
// ContentLength is known. A request is sent once: only one of which not a byte could be written, for
// its connection was closed while idle, is tried on another. The zero value is ready.
type Direct struct {
	// IdleFor is how long a connection is kept without use; it should be less than the server's.
	// Zero keeps none.
	IdleFor time.Duration

	mu    sync.Mutex
	idle  []*directConn // the one used last is at the end
	timer *time.Timer   // runs while there are idle ones
}

// directConn is a connection with its buffers.
type directConn struct {
	net.Conn
	host  string // it leads to, as requests name it
	in    *bufio.Reader
	left  int64 // bytes of a header that may still come
	out   []byte
	since time.Time // it was last used
}

// Read reads no more than left.
func (c *directConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the header of an answer is larger than %d bytes", directHeaderBytes)
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// RoundTrip sends a request and reads the header of its answer.
func (d *Direct) RoundTrip(req *http.Request) (*http.Response, error) {
	body := req.Body
	for {
		conn, err := d.take(req)
		if err != nil {
			return nil, err
		}
		res, err := d.exchange(conn, req, body)
		if err == nil {
			return res, nil
		}
		_ = conn.Close() // of no use any more
		var unsent unsentError
		if !errors.As(err, &unsent) || conn.since.IsZero() || req.Context().Err() != nil || body != nil && req.GetBody == nil {
			return nil, err
		}
		if body != nil {
			if body, err = req.GetBody(); err != nil {
				return nil, fmt.Errorf("reading again what is to be sent: %w", err)
			}
		}
	}
}

// unsentError says that not a byte of a request has left.
type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

func (d *Direct) exchange(conn *directConn, req *http.Request, body io.ReadCloser) (*http.Response, error) {
	large := req.ContentLength > directAtOnce
	if body != nil && !large {
		defer func() { _ = body.Close() }() // has nothing to say after it was read
	}
	if err := conn.compose(req, body, large); err != nil {
		return nil, err
	}
	forget := context.AfterFunc(req.Context(), func() { _ = conn.Close() })
	n, err := conn.Write(conn.out)
	if err != nil && n == 0 {
		forget()
		return nil, unsentError{err}
	}
	answer := &directBody{d: d, conn: conn, forget: forget, keep: err == nil}
	if large {
		answer.sent = conn.sendBody(body)
	}
	res, failed := conn.receive(req) // what a server says before it stops listening is worth more than that it did
	if failed != nil {
		forget()
		return nil, errors.Join(err, failed)
	}
	answer.keep = answer.keep && !res.Close
	answer.ReadCloser = res.Body
	if res.Body == http.NoBody {
		answer.end(true)
	} else {
		res.Body = answer
	}
	return res, nil
}

// compose puts together what leaves in the first write: all of a small request, or the header.
func (c *directConn) compose(req *http.Request, body io.Reader, large bool) error {
	var err error
	if c.out, err = appendRequest(c.out[:0], req); err != nil || large {
		return err
	}
	start, n := len(c.out), int(req.ContentLength)
	if n == 0 {
		return nil
	}
	c.out = slices.Grow(c.out, n)[:start+n]
	if _, err := io.ReadFull(body, c.out[start:]); err != nil {
		return fmt.Errorf("reading what is to be sent: %w", err)
	}
	return nil
}

// sendBody sends a large body while the answer may come already.
func (c *directConn) sendBody(body io.ReadCloser) <-chan struct{} {
	sent := make(chan struct{})
	go func() {
		_, err := io.Copy(c.Conn, body)
		_ = body.Close() // has nothing to say after it was read
		if err == nil {
			close(sent)
		}
	}()
	return sent
}

// receive reads the header of the answer.
func (c *directConn) receive(req *http.Request) (*http.Response, error) {
	c.left = directHeaderBytes
	for range directInterim {
		res, err := http.ReadResponse(c.in, req)
		if err != nil {
			return nil, fmt.Errorf("reading an answer: %w", err)
		}
		if res.StatusCode >= http.StatusOK {
			c.left = math.MaxInt64
			return res, nil
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}
	return nil, errors.New("reading an answer: it does not come to its end status")
}

// appendRequest appends the request's line and header. Names and values were checked by whoever read
// them; that no line ends early is checked again, for everything rests on it.
func appendRequest(to []byte, req *http.Request) ([]byte, error) {
	if req.URL.Scheme != "http" || req.ContentLength < 0 || req.ContentLength > 0 && req.Body == nil {
		return nil, errDirectRequest
	}
	uri := req.URL.RequestURI()
	if !oneLine(uri) || !oneLine(req.Host) {
		return nil, errDirectRequest
	}
	to = append(to, req.Method...)
	to = append(to, ' ')
	to = append(to, uri...)
	to = append(to, " HTTP/1.1\r\nHost: "...)
	to = append(to, req.Host...)
	for name, lines := range req.Header {
		for _, line := range lines {
			if !oneLine(name) || !oneLine(line) {
				return nil, errDirectRequest
			}
			to = append(to, "\r\n"...)
			to = append(to, name...)
			to = append(to, ": "...)
			to = append(to, line...)
		}
	}
	if req.ContentLength > 0 || req.Method == http.MethodPost {
		to = append(to, "\r\nContent-Length: "...)
		to = strconv.AppendInt(to, req.ContentLength, 10)
	}
	return append(to, "\r\n\r\n"...), nil
}

func oneLine(text string) bool {
	for i := range len(text) {
		if c := text[i]; c == '\r' || c == '\n' || c == 0 {
			return false
		}
	}
	return true
}

// directBody is the body of an answer. At its end the connection can serve another request.
type directBody struct {
	io.ReadCloser
	d      *Direct
	conn   *directConn
	forget func() bool
	sent   <-chan struct{} // nil when the whole request left before the answer came
	keep   bool
	once   sync.Once
}

// Read reads on.
func (b *directBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end(errors.Is(err, io.EOF))
	}
	return n, err
}

// Close gives the connection up when the answer was not read to its end.
func (b *directBody) Close() error {
	b.end(false)
	return nil
}

func (b *directBody) end(whole bool) {
	b.once.Do(func() {
		forgotten := b.forget()
		if b.sent != nil {
			select {
			case <-b.sent:
			default:
				whole = false
			}
		}
		if !whole || !forgotten || !b.keep || b.conn.in.Buffered() > 0 {
			_ = b.conn.Close() // of no use any more
			return
		}
		b.d.put(b.conn)
	})
}

// take returns an idle connection that is still open, or a new one.
func (d *Direct) take(req *http.Request) (*directConn, error) {
	for {
		d.mu.Lock()
		last := len(d.idle) - 1
		if last < 0 {
			d.mu.Unlock()
			return dial(req)
		}
		conn := d.idle[last]
		d.idle[last] = nil
		d.idle = d.idle[:last]
		d.mu.Unlock()
		if conn.host == req.URL.Host && time.Since(conn.since) < d.IdleFor && open(conn.Conn) {
			return conn, nil
		}
		_ = conn.Close() // of no use any more
	}
}

func dial(req *http.Request) (*directConn, error) {
	address := req.URL.Host
	if req.URL.Port() == "" {
		address = net.JoinHostPort(req.URL.Hostname(), "80")
	}
	conn, err := newDialer().DialContext(req.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &directConn{Conn: conn, host: req.URL.Host}
	c.in = bufio.NewReader(c)
	return c, nil
}

// put keeps a connection for the next request.
func (d *Direct) put(conn *directConn) {
	if cap(conn.out) > 4*directAtOnce {
		conn.out = nil
	}
	conn.since = time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) >= directIdle || d.IdleFor <= 0 {
		_ = conn.Close() // there are enough
		return
	}
	d.idle = append(d.idle, conn)
	if d.timer == nil {
		d.timer = time.AfterFunc(d.IdleFor, d.sweep)
	}
}

// sweep closes the connections that were idle for too long: those at the front.
func (d *Direct) sweep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := 0
	for old < len(d.idle) && time.Since(d.idle[old].since) >= d.IdleFor {
		_ = d.idle[old].Close() // nobody waits for it
		old++
	}
	kept := copy(d.idle, d.idle[old:])
	clear(d.idle[kept:])
	if d.idle = d.idle[:kept]; kept == 0 {
		d.timer = nil
		return
	}
	d.timer.Reset(d.IdleFor - time.Since(d.idle[0].since))
}

// CloseIdleConnections closes the connections that serve no request at the moment.
func (d *Direct) CloseIdleConnections() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.idle {
		_ = conn.Close() // nobody waits for it
	}
	d.idle = nil
}
