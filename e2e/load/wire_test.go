//go:build load

package load_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// wire is one connection to the bridge, written and read by the goroutine that waits: the goroutines and timers of an
// http.Client are no part of what a refresh takes.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	host string
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
	return &wire{conn: conn, in: bufio.NewReader(conn), host: at.Host}
}

// refresh sends a refresh and returns the answer's status and its tokens.
func (w *wire) refresh(t *testing.T, clientID, token string) (status int, tokens bridgetest.Tokens) {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {clientID}}.Encode()
	_, err := fmt.Fprintf(w.conn, "POST /oauth/token HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", w.host, len(form), form)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(w.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err == nil {
		err = answer.Body.Close()
	}
	if err == nil && answer.StatusCode == http.StatusOK {
		err = json.Unmarshal(body, &tokens)
	}
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, tokens
}
