package bridgetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge/signed/signedtest"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/strangers"
)

// Document is a client ID metadata document.
type Document map[string]any

// NewDocument is a good document of a public client at id, with members changed; a nil value takes
// one out.
func NewDocument(id string, members Document) Document {
	d := Document{
		"client_id": id, "client_name": "Example App", "redirect_uris": []string{Redirect},
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "token_endpoint_auth_method": "none",
	}
	maps.Copy(d, members)
	maps.DeleteFunc(d, func(_ string, value any) bool { return value == nil })
	return d
}

// Text is the document as it is served.
func (d Document) Text(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// WithPinned starts with these documents pinned.
func WithPinned(t *testing.T, documents ...Document) Option {
	t.Helper()
	folder := t.TempDir()
	for i, d := range documents {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.json", i)), []byte(d.Text(t)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(s *settings) { s.flags.PinnedDocuments = folder }
}

// documentsAddress is an address of this machine that is not the bridge's, which never asks itself.
const documentsAddress = "127.0.0.2"

// DocumentHost is a host that serves documents over TLS, for a bridge started with Settings.
type DocumentHost struct {
	*strangers.Host
	URL      string // of the host, without a path
	Settings Option
}

// NewDocumentHost starts a host whose certificate a private authority has signed.
func NewDocumentHost(t *testing.T) *DocumentHost {
	t.Helper()
	authority := strangers.NewAuthority(t)
	host := strangers.NewHost(documentsAddress)
	server := httptest.NewUnstartedServer(host)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", documentsAddress+":0")
	if err != nil {
		t.Fatal(err)
	}
	_ = server.Listener.Close()
	server.Listener, server.TLS = listener, authority.Config(t, documentsAddress)
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(authority.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return &DocumentHost{
		Host: host, URL: "https://" + listener.Addr().String(),
		Settings: func(s *settings) {
			s.flags.DocumentPolicy, s.flags.DocumentNetworks = "open", documentsAddress
			s.flags.DocumentCA, s.flags.DocumentPorts = ca, port
		},
	}
}

// Key is a private key of a client.
type Key struct {
	ID        string
	Algorithm string
	private   crypto.Signer
}

// NewKey makes a key for an algorithm.
func NewKey(t *testing.T, algorithm string) *Key {
	t.Helper()
	key := &Key{ID: "key-" + algorithm + strconv.FormatInt(time.Now().UnixNano(), 36), Algorithm: algorithm}
	var err error
	switch algorithm {
	case "ES256":
		key.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key.private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		key.private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA", algEd25519:
		_, key.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		key.private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Public is the key's JWK.
func (k *Key) Public() jose.JSONWebKey { return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.ID} }

// JWKS is a set of the keys.
func JWKS(keys ...*Key) map[string]any {
	var set []jose.JSONWebKey
	for _, key := range keys {
		set = append(set, key.Public())
	}
	return map[string]any{"keys": set}
}

// Sign signs claims; header adds to what the token's header has.
func (k *Key) Sign(t *testing.T, claims map[string]any, header map[string]any) string {
	t.Helper()
	return SignWith(t, k.Algorithm, k.private, k.ID, claims, header)
}

// SignWith signs claims with any key.
func SignWith(t *testing.T, algorithm string, key any, kid string, claims, header map[string]any) string {
	t.Helper()
	if algorithm == algEd25519 {
		return signEd25519(t, key, kid, claims, header)
	}
	all := map[string]any{}
	if kid != "" {
		all["kid"] = kid
	}
	maps.Copy(all, header)
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signedtest.Sign(jose.SignatureAlgorithm(algorithm), key, all, payload)
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// algEd25519 is the name of RFC 9864 for what go-jose knows as EdDSA only.
const algEd25519 = "Ed25519"

func signEd25519(t *testing.T, key any, kid string, claims, header map[string]any) string {
	t.Helper()
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		t.Fatalf("a %T does not sign with %s", key, algEd25519)
	}
	all := map[string]any{"alg": algEd25519}
	if kid != "" {
		all["kid"] = kid
	}
	maps.Copy(all, header)
	part := func(members map[string]any) string {
		text, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	input := part(all) + "." + part(claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(input)))
}

// Private is the key itself, to sign what its owner would not.
func Private(k *Key) crypto.Signer { return k.private }
