//go:build load

package load_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// wire is one connection to the bridge, written and read by the goroutine that waits: the goroutines and timers of an
// http.Client are no part of what a refresh takes, nor is what it takes to understand any answer there may be.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	head string // of a request, up to its length
	out  []byte // of the request before, to be used again
	body []byte // of the answer before
}

func dial(t *testing.T, b *bridgetest.Bridge) *wire {
	t.Helper()
	at, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{
		conn: conn, in: bufio.NewReader(conn),
		head: "POST /oauth/token HTTP/1.1\r\nHost: " + at.Host + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ",
	}
}

// refresh sends a refresh and returns the answer's status and the refresh token in it.
func (w *wire) refresh(t *testing.T, clientID, token string) (status int, successor string) {
	t.Helper()
	clientID, token = url.QueryEscape(clientID), url.QueryEscape(token)
	const grant, ofToken, ofClient = "grant_type=refresh_token", "&refresh_token=", "&client_id="
	w.out = strconv.AppendInt(append(w.out[:0], w.head...), int64(len(grant+ofToken+ofClient)+len(token)+len(clientID)), 10)
	for _, part := range []string{"\r\n\r\n", grant, ofToken, token, ofClient, clientID} {
		w.out = append(w.out, part...)
	}
	_, err := w.conn.Write(w.out)
	if err == nil {
		status, err = w.answer()
	}
	if err == nil && status == http.StatusOK {
		successor, err = tokenIn(w.body)
	}
	if err != nil {
		t.Fatal(err)
	}
	return status, successor
}

// answer reads an answer whole. One that does not say how long it is is an error.
func (w *wire) answer() (status int, err error) {
	line, err := w.line()
	if err != nil {
		return 0, err
	}
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	if status, err = strconv.Atoi(string(code)); err != nil || string(version) != "HTTP/1.1" {
		return 0, fmt.Errorf("no status line: %q", line)
	}
	length := -1
	for {
		if line, err = w.line(); err != nil {
			return 0, err
		}
		if len(line) == 0 {
			break
		}
		if said, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(said)); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, fmt.Errorf("an answer of status %d without its length", status)
	}
	w.body = append(w.body[:0], make([]byte, length)...)
	_, err = io.ReadFull(w.in, w.body)
	return status, err
}

// line reads a line of an answer's head; it is good until the next is read.
func (w *wire) line() ([]byte, error) {
	line, err := w.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// tokenIn is the refresh token in a JSON answer, whose characters JSON writes as they are.
func tokenIn(body []byte) (string, error) {
	_, rest, _ := bytes.Cut(body, []byte(`"refresh_token":"`))
	token, _, ok := bytes.Cut(rest, []byte(`"`))
	if !ok || len(token) == 0 {
		return "", fmt.Errorf("no refresh token in %d bytes", len(body))
	}
	return string(token), nil
}
