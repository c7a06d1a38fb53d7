package outbound_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

func TestNamed_Get(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RequestURI() {
		case "/keys?of=us":
			_, _ = w.Write([]byte(`{"keys":[]}`))
		case "/large":
			_, _ = w.Write([]byte(strings.Repeat("x", 2000)))
		case "/moved":
			http.Redirect(w, r, "/keys?of=us", http.StatusFound)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	named, err := outbound.NewNamed([]string{server.URL + "/keys?of=us", server.URL + "/large", server.URL + "/moved"}, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) (*outbound.Answer, error) {
		return named.Get(t.Context(), outbound.Fetch{URL: server.URL + path, MaxBytes: 1000})
	}
	if answer, err := get("/keys?of=us"); err != nil || answer.Status != http.StatusOK || string(answer.Body) != `{"keys":[]}` {
		t.Errorf("a named address: %+v, %v", answer, err)
	}
	if answer, err := get("/moved"); err != nil || answer.Status != http.StatusFound {
		t.Errorf("a redirect is followed: %+v, %v", answer, err)
	}
	if _, err := get("/large"); !errors.Is(err, outbound.ErrUnreachable) {
		t.Errorf("too large: %v", err)
	}
	if _, err := get("/keys"); !errors.Is(err, outbound.ErrForbidden) {
		t.Errorf("another address: %v", err)
	}
	if _, err := outbound.NewNamed([]string{"http://[::1"}, time.Second); err == nil {
		t.Error("no address at all")
	}
}
