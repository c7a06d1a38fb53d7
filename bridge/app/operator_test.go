package app

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Of two bridges on one data folder commands reach the one that came last, also when the other one stops.
func TestOperator_withdrawsItsOwnWord(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first, second := &operator{token: secret.New("first")}, &operator{token: secret.New("second")}
	for _, o := range []*operator{first, second} {
		if err := o.announce(data, "127.0.0.1:1"); err != nil {
			t.Fatal(err)
		}
	}
	first.withdraw()
	if word, err := os.ReadFile(filepath.Join(data, operatorFile)); err != nil || string(word) != `{"address":"127.0.0.1:1","token":"second"}` {
		t.Errorf("the word of the one that runs: %q, %v", word, err)
	}
	second.withdraw()
	if _, err := os.Stat(filepath.Join(data, operatorFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the word of one that runs no more: %v", err)
	}
}

// A bridge that was killed leaves its word behind. Who listens at its address by then is told no key and no token, and is
// not taken for it.
func TestOperator_somebodyElseAnswers(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	killed := &operator{token: secret.New("token-of-the-killed-one")}
	other := &operator{token: secret.New("token-of-another-one")}
	if err := other.mount(); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.Write(&told)
		if r.URL.Path == "/proof" {
			other.handler.ServeHTTP(w, r) // as well as somebody can who does not know the token
			return
		}
		_, _ = w.Write([]byte("[]"))
	}))
	t.Cleanup(listener.Close)
	if err := killed.announce(data, strings.TrimPrefix(listener.URL, "http://")); err != nil {
		t.Fatal(err)
	}
	_, imported := ImportLinks(t.Context(), data, []LinkRow{{Line: 2, Source: "company", Subject: "u1", Username: "alice", Key: "trinity_mcp_canary"}}, true)
	for what, err := range map[string]error{"importing": imported, "health": Health(t.Context(), data)} {
		if !errors.Is(err, errNotRunning) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if said := told.String(); strings.Contains(said, "canary") || strings.Contains(said, "token-of") {
		t.Errorf("it was told:\n%s", said)
	}
}
