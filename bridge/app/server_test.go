package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A server that stops waits for the requests under way, and for no connection that has brought none.
func TestServer_shutdown(t *testing.T) {
	t.Parallel()
	const whole = "GET / HTTP/1.1\r\nHost: bridge.example.com\r\n\r\n"
	for _, tt := range []struct {
		name, say string
		takes     time.Duration
		status    int // of the answer; 0 is none
	}{
		{name: "nothing was said"},
		{name: "half a request", say: whole[:20]},
		{name: "a request is under way", say: whole, takes: 4 * time.Second, status: http.StatusNoContent},
		{name: "a request was answered", say: whole, status: http.StatusNoContent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &Bridge{log: slog.New(slog.DiscardHandler)}
				s := b.server(t.Context(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					time.Sleep(tt.takes)
					w.WriteHeader(http.StatusNoContent)
				}))
				here, there := net.Pipe()
				go func() { _ = s.Serve(newOne(there)) }()
				answered := make(chan int, 1)
				go func() { answered <- status(here) }()
				if tt.say != "" {
					if _, err := io.WriteString(here, tt.say); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				began := time.Now()
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > tt.takes+time.Second {
					t.Errorf("it stops after %s", took)
				}
				if got := <-answered; got != tt.status {
					t.Errorf("answered %d, want %d", got, tt.status)
				}
			})
		})
	}
}

// Somebody who is let in at the last moment is not waited for either.
func TestServer_lateComer(t *testing.T) {
	t.Parallel()
	s := (&Bridge{log: slog.New(slog.DiscardHandler)}).server(t.Context(), http.NotFoundHandler())
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.closeSilent() // Shutdown does so behind its back
	here, there := net.Pipe()
	s.changed(there, http.StateNew)
	if _, err := here.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// one is a listener on which one connection comes in.
type one struct {
	conns  chan net.Conn
	closed context.Context //nolint:containedctx // it ends with the listener
	close  context.CancelFunc
}

func newOne(conn net.Conn) one {
	l := one{conns: make(chan net.Conn, 1)}
	l.conns <- conn
	l.closed, l.close = context.WithCancel(context.Background())
	return l
}

func (l one) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed.Done():
		return nil, net.ErrClosed
	}
}

func (l one) Close() error {
	l.close()
	return nil
}

func (l one) Addr() net.Addr { return &net.TCPAddr{} }

func status(conn net.Conn) int {
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
