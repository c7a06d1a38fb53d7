package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
)

// wire stands between a store and its server, and changes what the server says once it is armed, or cuts a connection.
type wire struct {
	url   string
	armed atomic.Pointer[func(answer []byte) (instead []byte)]
	cut   atomic.Pointer[cut]
	stuck atomic.Bool // nothing comes through, and nobody is told
}

// cut ends a connection at a message to the server, which hears it still or does not.
type cut struct {
	after atomic.Int64
	heard bool
}

// cutAt cuts the connection that comes to its n-th message from now on.
func (w *wire) cutAt(n int, heard bool) {
	c := &cut{heard: heard}
	c.after.Store(int64(n))
	w.cut.Store(c)
}

// startWire is a wire to the server of a database.
func startWire(t *testing.T, database string) *wire {
	t.Helper()
	u, err := url.Parse(database)
	must(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	w, server := &wire{}, u.Host
	u.Host = listener.Addr().String()
	w.url = u.String()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go w.carry(client, server)
		}
	}()
	return w
}

func (w *wire) carry(client net.Conn, address string) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go w.ask(server, client)
	buffer := make([]byte, 1<<20)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		w.hold()
		change := w.armed.Load()
		if change != nil && bytes.Contains(buffer[:n], []byte("COMMIT\x00")) && w.armed.CompareAndSwap(change, nil) {
			_, _ = client.Write((*change)(buffer[:n]))
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// hold waits until something comes through again.
func (w *wire) hold() {
	for w.stuck.Load() {
		time.Sleep(5 * time.Millisecond)
	}
}

// ask carries what a client says to the server.
func (w *wire) ask(server, client net.Conn) {
	defer func() { _ = server.Close() }()
	buffer := make([]byte, 1<<20)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		w.hold()
		c := w.cut.Load()
		over := c != nil && c.after.Add(-1) == 0
		if over {
			_ = client.Close()
		}
		if !over || c.heard {
			_, err = server.Write(buffer[:n])
		}
		if over || err != nil {
			return
		}
	}
}

// TestWrite_OP02_lostAnswer: a commit whose answer did not come may have been made. It is not tried again, it is called
// neither made nor refused, and nobody goes on by a copy from before it.
func TestWrite_OP02_lostAnswer(t *testing.T) {
	t.Parallel()
	fatal, err := (&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "terminating connection"}).Encode(nil)
	must(t, err)
	for name, instead := range map[string]func([]byte) []byte{
		"the connection is cut":         func([]byte) []byte { return nil },
		"half of the answer comes":      func(answer []byte) []byte { return answer[:len(answer)-8] },
		"the server says that it stops": func([]byte) []byte { return fatal },
		"it stops behind the commit":    func(answer []byte) []byte { return append(bytes.Clone(answer[:len(answer)-6]), fatal...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWire(t, server.Database(t))
			s, err := postgres.Open(t.Context(), postgres.Options{URL: w.url, Sealer: secrettest.Ring()})
			must(t, err)
			defer func() { must(t, s.Close()) }()
			c := connect(t, s)
			var told atomic.Int32
			defer s.WatchGrants(func(id string) {
				if id == c.grantID {
					told.Add(1)
				}
			})()
			w.armed.Store(&instead)
			_, _, err = s.EndGrant(t.Context(), c.grantID, bridge.EndRevokedByOperator, time.Now())
			if err == nil || errors.Is(err, bridge.ErrConflict) || errors.Is(err, bridge.ErrNotFound) || errors.Is(err, bridge.ErrReadOnly) {
				t.Errorf("ending came to %v", err)
			}
			if told.Load() == 0 {
				t.Error("copies of the grant were not forgotten before the answer")
			}
			if w.armed.Load() != nil {
				t.Fatal("no commit was answered")
			}
			grant, err := s.Grant(t.Context(), c.grantID)
			must(t, err)
			if grant.Live() {
				t.Error("the server has committed, and the grant lives")
			}
			if queue, err := s.DueKeyRevocations(t.Context(), time.Now(), 10); err != nil || len(queue) != 1 {
				t.Errorf("%d keys to revoke, %v", len(queue), err)
			}
		})
	}
}
