package app

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	reservedFiles = 96     // for the store, its tables, the operator and those who are turned away
	mostPlaces    = 10_000 // connections; an open stream takes about 50 KiB
	turningAway   = 16     // connections that are told so at once; more are closed without a word
	turnAwayTime  = time.Second
	firstRead     = 1 << 10 // bytes of a request that show that there is one
)

// full is what whoever finds no place is told.
const full = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nCache-Control: no-store\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 33\r\nConnection: close\r\n\r\n" +
	"Too many connections. Try again\r\n"

// places is a listener that leaves the program files to work with. Without it strangers could hold all
// files it may open, and it would neither answer anybody nor reach its store and Trinity (OP-36).
type places struct {
	net.Listener
	most   int64
	silent bool // it cannot say why: what it writes would have to be encrypted
	taken  atomic.Int64
	away   atomic.Int64
}

// withPlaces has one connection in two left for what a call needs upstream.
func withPlaces(listener net.Listener, files uint64, silent bool) *places {
	most := int64(1)
	if files > reservedFiles {
		most = max(most, min(int64((files-reservedFiles)/2), mostPlaces)) //nolint:gosec // halved, so it fits
	}
	return &places{Listener: listener, most: most, silent: silent}
}

// openFiles is how many files the program may open.
func openFiles() (uint64, error) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return limit.Cur, err
}

// Accept returns the next connection that has a place.
func (p *places) Accept() (net.Conn, error) {
	for {
		conn, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if p.taken.Add(1) <= p.most {
			return conn, nil
		}
		p.taken.Add(-1)
		if p.away.Add(1) > turningAway || p.silent {
			_ = conn.Close()
			p.away.Add(-1)
			continue
		}
		go p.turnAway(conn)
	}
}

// changed gives the place of a connection back when the server is done with it.
func (p *places) changed(state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		p.taken.Add(-1)
	}
}

// turnAway says that there is no place, to whoever asks: a client that reads an answer before it has sent its request
// drops both. Then it waits a moment for the other side to read it: closed at once, the connection would be reset by
// what it sends.
func (p *places) turnAway(conn net.Conn) {
	defer p.away.Add(-1)
	defer func() { _ = conn.Close() }()
	if conn.SetDeadline(time.Now().Add(turnAwayTime)) != nil {
		return
	}
	if _, err := conn.Read(make([]byte, firstRead)); err != nil {
		return
	}
	if _, err := io.WriteString(conn, full); err != nil {
		return
	}
	if half, ok := conn.(*net.TCPConn); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, conn) // until they close or the time is over
	}
}
