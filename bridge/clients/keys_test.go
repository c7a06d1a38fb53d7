package clients_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

const keysURI = "https://keys.example.com/jwks.json"

func remote() bridge.Client {
	return bridge.Client{ID: "house", Kind: bridge.ClientConfigured, AuthMethod: bridge.AuthKey, KeysURI: keysURI}
}

// wantKeys wants so many keys for a kid.
func (h *house) wantKeys(t *testing.T, client bridge.Client, kid string, want int) {
	t.Helper()
	keys, err := h.Keys(t.Context(), client, kid)
	if err != nil || len(keys) != want {
		t.Errorf("kid %q: %d keys, %v, want %d", kid, len(keys), err, want)
	}
	for _, key := range keys {
		if !key.IsPublic() || kid != "" && key.KeyID != kid {
			t.Errorf("kid %q: key %q", kid, key.KeyID)
		}
	}
}

// AS-078: a jwks_uri is fetched when it is needed, and again for a kid nobody knows, once a minute.
func TestKeys_AS078_remote(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	host := h.world.Host(t, "keys.example.com")
	host.JSON(string(keys(keyEC, small)), "Cache-Control", "max-age=3600")
	h.wantKeys(t, remote(), "a", 1)
	h.wantKeys(t, remote(), "", 1)
	h.wantKeys(t, remote(), "b", 0)
	if host.Hits() != 1 {
		t.Errorf("%d fetches", host.Hits())
	}
	host.JSON(string(keys(keyEC, keyOK)), "Cache-Control", "max-age=3600")
	h.Advance(59 * time.Second)
	h.wantKeys(t, remote(), "b", 0)
	h.Advance(time.Second)
	h.wantKeys(t, remote(), "b", 1)
	h.wantKeys(t, remote(), "", 2)
	for range 100 {
		h.wantKeys(t, remote(), "c", 0)
	}
	if host.Hits() != 2 {
		t.Errorf("%d fetches", host.Hits())
	}
}

// CM-29: keys serve for a day when their host is down, and it is not asked at every request.
func TestKeys_CM29_down(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	host := h.world.Host(t, "keys.example.com")
	host.JSON(string(keys(keyEC)), "Cache-Control", "max-age=60")
	h.wantKeys(t, remote(), "a", 1)
	down(host)
	h.Advance(23 * time.Hour)
	for range 10 {
		h.wantKeys(t, remote(), "a", 1)
	}
	if host.Hits() != 2 {
		t.Errorf("%d fetches", host.Hits())
	}
	h.Advance(time.Hour)
	if _, err := h.Keys(t.Context(), remote(), "a"); !errors.Is(err, outbound.ErrUnreachable) || errors.Is(err, clients.ErrKeys) {
		t.Errorf("after a day: %v", err)
	}
	host.JSON(string(keys(keyEC)))
	h.wantKeys(t, remote(), "a", 1) // a failure is not remembered
}

// AS-106: whatever is behind a jwks_uri, it is guarded like a document, and no set is no keys.
func TestKeys_AS106_guarded(t *testing.T) {
	t.Parallel()
	answer := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	h := open(t, nil)
	h.world.Resolve("inner.example.com", "10.0.0.1")
	inner := remote()
	inner.KeysURI = "https://inner.example.com/keys"
	if _, err := h.Keys(t.Context(), inner, "a"); !errors.Is(err, clients.ErrKeys) {
		t.Errorf("inner address: %v", err)
	}
	if dials := h.world.Dials(); len(dials) > 0 {
		t.Errorf("dialled %v", dials)
	}
	host := h.world.Host(t, "keys.example.com")
	private := string(keys(strings.TrimSuffix(keyEC, "}") + `,"d":"x"}`))
	for id, handle := range map[string]http.HandlerFunc{
		"404":         answer(404, "application/json", string(keys(keyEC))),
		"HTML":        answer(200, "text/html", string(keys(keyEC))),
		"no set":      answer(200, "application/json", `[]`),
		"private key": answer(200, "application/json", private),
		"shared key":  answer(200, "application/json", string(keys(`{"kty":"oct","k":"x"}`))),
		"keys twice":  answer(200, "application/json", `{"keys":[],"keys":[]}`),
		"redirect":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, keysURI, http.StatusFound) },
	} {
		host.Serve(handle)
		if got, err := h.Keys(t.Context(), remote(), "a"); !errors.Is(err, clients.ErrKeys) || got != nil {
			t.Errorf("%s: %v, %v", id, got, err)
		}
	}
	host.Serve(answer(200, "application/jwk-set+json", string(keys(keyEC))))
	h.wantKeys(t, remote(), "a", 1)
}

// A document with its keys inside rotates them by changing, and what is stored follows.
func TestKeys_AS078_inline(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	host := h.world.Host(t, "app.example.com")
	signing := with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(keyEC)}
	host.JSON(string(described(signing)), "Cache-Control", "max-age=86400")
	client := h.wantDescribed(t, "Example App")
	if err := h.Keep(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	h.wantKeys(t, client, "a", 1)
	h.wantKeys(t, client, "b", 0)
	signing["jwks"] = keys(keyOK)
	host.JSON(string(described(signing)))
	h.wantKeys(t, client, "b", 0) // too soon
	h.Advance(time.Minute)
	h.wantKeys(t, client, "b", 1)
	known, err := h.Client(t.Context(), documentID)
	if err != nil {
		t.Fatal(err)
	}
	h.wantKeys(t, known, "b", 1)
	h.Advance(time.Minute)
	h.wantKeys(t, known, "a", 0)
	down(host)
	h.Advance(time.Hour)
	h.wantKeys(t, known, "b", 1)
	if _, err := h.Keys(t.Context(), known, "c"); !errors.Is(err, outbound.ErrUnreachable) || errors.Is(err, clients.ErrKeys) {
		t.Errorf("unknown kid and host down: %v", err)
	}
	host.Serve(http.NotFound)
	h.Advance(time.Hour)
	if _, err := h.Keys(t.Context(), known, "c"); !errors.Is(err, clients.ErrKeys) {
		t.Errorf("unknown kid and document gone: %v", err)
	}
}

// AS-117, AS-121: a registration brings its keys along or has none; no host is asked for its sake.
func TestRegister_keys(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	redirects := []string{"https://app.example.com/cb"}
	client, secret, err := h.Register(t.Context(), clients.Metadata{RedirectURIs: redirects, AuthMethod: "private_key_jwt", JWKS: []byte(keys(keyEC)), SigningAlg: "ES256"})
	if err != nil || client.AuthMethod != bridge.AuthKey || !secret.IsZero() || client.SigningAlg != "ES256" {
		t.Fatalf("%+v, %v", client, err)
	}
	h.wantKeys(t, client, "a", 1)
	h.wantKeys(t, client, "b", 0)
	for id, m := range map[string]clients.Metadata{
		"no keys":     {},
		"jwks_uri":    {JWKSURI: keysURI},
		"both":        {JWKS: []byte(keys(keyEC)), JWKSURI: keysURI},
		"private key": {JWKS: []byte(keys(strings.TrimSuffix(keyEC, "}") + `,"d":"x"}`))},
		"weak key":    {JWKS: []byte(keys(small))},
		"algorithm":   {JWKS: []byte(keys(keyEC)), SigningAlg: "none"},
	} {
		m.RedirectURIs, m.AuthMethod = redirects, "private_key_jwt"
		if _, _, err := h.Register(t.Context(), m); bridge.AsError(err) == nil || bridge.AsError(err).Code != "invalid_client_metadata" {
			t.Errorf("%s: %v", id, err)
		}
	}
	if lookups := h.world.Lookups(); len(lookups) > 0 {
		t.Errorf("looked up %v", lookups)
	}
}
