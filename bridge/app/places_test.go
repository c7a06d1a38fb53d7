package app

import (
	"bufio"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// OP-36: whoever comes when all places are taken is told at once, whoever has one is served, and places that are
// given back are taken again.
func TestPlaces_OP36(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := withPlaces(inner, reservedFiles+4, false)
	server := &http.Server{ConnState: func(_ net.Conn, state http.ConnState) { p.changed(state) }, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})}
	go func() { _ = server.Serve(p) }()
	t.Cleanup(func() { _ = server.Close() })

	first, second := dial(t, inner), dial(t, inner)
	for _, conn := range []net.Conn{first, second} {
		wantStatus(t, conn, http.StatusNoContent)
	}
	third := dial(t, inner)
	answer := wantStatus(t, third, http.StatusServiceUnavailable)
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.Header.Get("Retry-After") == "" || len(body) == 0 {
		t.Errorf("whoever finds no place is told %v %q, %v", answer.Header, body, err)
	}
	wantStatus(t, first, http.StatusNoContent)

	_ = second.Close()
	for p.taken.Load() != 1 {
		time.Sleep(time.Millisecond)
	}
	wantStatus(t, dial(t, inner), http.StatusNoContent)
}

// OP-36: nothing is said to whoever has not asked yet. A client that reads an answer before it has sent its request
// takes it for none, and closes the connection.
func TestPlaces_OP36_answersWhoAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := withPlaces(nil, 0, false)
		meet := func() net.Conn {
			here, there := net.Pipe()
			p.away.Add(1)
			go p.turnAway(there)
			return here
		}
		client, stranger := meet(), meet()
		if err := client.SetReadDeadline(time.Now().Add(turnAwayTime / 2)); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("before the request it reads %d bytes, %v", n, err)
		}
		if err := client.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, client, http.StatusServiceUnavailable)
		if said, err := io.ReadAll(stranger); err != nil || len(said) > 0 {
			t.Errorf("whoever asked for nothing is told %q, %v", said, err)
		}
		synctest.Wait()
		if away := p.away.Load(); away != 0 {
			t.Errorf("%d are being turned away still", away)
		}
	})
}

func TestPlaces_fewFiles(t *testing.T) {
	t.Parallel()
	for files, want := range map[uint64]int64{0: 1, reservedFiles: 1, 256: 80, 1 << 20: mostPlaces, math.MaxUint64: mostPlaces} {
		if got := withPlaces(nil, files, false).most; got != want {
			t.Errorf("with %d files there are %d places, want %d", files, got, want)
		}
	}
}

func dial(t *testing.T, listener net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func wantStatus(t *testing.T, conn net.Conn, want int) *http.Response {
	t.Helper()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: bridge.example.com\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != want {
		t.Errorf("answered %d, want %d", answer.StatusCode, want)
	}
	return answer
}
