package dpop_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/dpop"
	"github.com/abilityai/trinity-bridge/bridge/signed/signedtest"
)

const endpoint = "https://bridge.example.com/oauth/token"

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// once is a memory of what was used, until its time.
type once struct {
	mu      sync.Mutex
	used    map[string]time.Time
	failure error
}

func (o *once) UseOnce(_ context.Context, namespace, id string, expires, now time.Time) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failure != nil {
		return false, o.failure
	}
	if until, known := o.used[namespace+" "+id]; known && now.Before(until) || !now.Before(expires) {
		return false, nil
	}
	o.used[namespace+" "+id] = expires
	return true, nil
}

type fixture struct {
	checker *dpop.Checker
	once    *once
	now     time.Time
	key     *ecdsa.PrivateKey
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{once: &once{used: map[string]time.Time{}}, now: now}
	f.checker = &dpop.Checker{Once: f.once, Now: func() time.Time { return f.now }}
	var err error
	if f.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	return f
}

// claims are good ones, changed; a nil value takes one out.
func claims(change map[string]any) map[string]any {
	all := map[string]any{"jti": "1", "htm": "POST", "htu": endpoint, "iat": now.Unix()}
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

func (f *fixture) header(change map[string]any) map[string]any {
	all := map[string]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: f.key.Public()}}
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, header, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signedtest.Sign(algorithm, key, header, payload)
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func (f *fixture) proof(t *testing.T, change map[string]any) string {
	t.Helper()
	return sign(t, jose.ES256, f.key, f.header(nil), claims(change))
}

func (f *fixture) check(proofs ...string) (dpop.Proof, error) {
	return f.checker.Check(dpop.Request{Proofs: proofs, Method: "POST", URL: endpoint})
}

// wantCode wants the error to be one for the client with code, or none when code is "".
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	refused := bridge.AsError(err)
	if code == "" && err == nil || refused != nil && refused.Code == code && refused.HTTPStatus() == 400 {
		return
	}
	t.Errorf("error %v, want %q", err, code)
}

// EX-22: each algorithm that is announced is taken, and the key is told by its thumbprint (RFC 7638).
func TestCheck_EX22_algorithms(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]crypto.Signer{"ES256": f.key, "ES384": p384, "EdDSA": edKey, "PS256": rsaKey, "RS256": rsaKey}
	for algorithm := range keys {
		key := jose.JSONWebKey{Key: keys[algorithm].Public()}
		proof, err := f.check(sign(t, jose.SignatureAlgorithm(algorithm), keys[algorithm], f.header(map[string]any{"jwk": key}), claims(nil)))
		if err != nil {
			t.Errorf("%s: %v", algorithm, errors.Unwrap(err))
			continue
		}
		thumbprint, err := key.Thumbprint(crypto.SHA256)
		if err != nil || proof.Key != bridge.Hash(thumbprint) || proof.IsZero() {
			t.Errorf("%s: key %s", algorithm, proof.Key)
		}
	}
}

func TestCheck_EX23_refuses(t *testing.T) {
	t.Parallel()
	f, other := newFixture(t), newFixture(t)
	good := f.proof(t, nil)
	parts := strings.Split(good, ".")
	raw := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1] + "." + parts[2]
	}
	private, err := json.Marshal(jose.JSONWebKey{Key: f.key})
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte(strings.Repeat("k", 32))
	shared := jose.JSONWebKey{Key: secret}
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	tests := []struct {
		name   string
		proofs []string
	}{
		{"none", nil},
		{"an empty one", []string{""}},
		{"two", []string{good, f.proof(t, map[string]any{"jti": "2"})}},
		{"the same twice", []string{good, good}},
		{"two in one line", []string{good + ", " + good}},
		{"no JWT", []string{"proof"}},
		{"no type", []string{sign(t, jose.ES256, f.key, f.header(map[string]any{"typ": nil}), claims(nil))}},
		{"another type", []string{sign(t, jose.ES256, f.key, f.header(map[string]any{"typ": "jwt"}), claims(nil))}},
		{"an access token's type", []string{sign(t, jose.ES256, f.key, f.header(map[string]any{"typ": "at+jwt"}), claims(nil))}},
		{"alg none", []string{raw(`{"alg":"none","typ":"dpop+jwt"}`)}},
		{"no alg", []string{raw(`{"typ":"dpop+jwt"}`)}},
		{"HS256 with a shared key", []string{sign(t, jose.HS256, secret, f.header(map[string]any{"jwk": shared}), claims(nil))}},
		{"HS256 with the public key", []string{sign(t, jose.HS256, secret, f.header(nil), claims(nil))}},
		{"no key", []string{sign(t, jose.ES256, f.key, f.header(map[string]any{"jwk": nil}), claims(nil))}},
		{"a private key", []string{sign(t, jose.ES256, f.key, f.header(map[string]any{"jwk": json.RawMessage(private)}), claims(nil))}},
		{"another key", []string{sign(t, jose.ES256, f.key, other.header(nil), claims(nil))}},
		{"critical headers", []string{sign(t, jose.ES256, f.key, f.header(map[string]any{"crit": []string{"x"}, "x": 1}), claims(nil))}},
		{"another payload", []string{parts[0] + "." + strings.Split(f.proof(t, map[string]any{"jti": "2"}), ".")[1] + "." + parts[2]}},
		{"no signature", []string{parts[0] + "." + parts[1] + "."}},
		{"no jti", []string{f.proof(t, map[string]any{"jti": nil})}},
		{"an empty jti", []string{f.proof(t, map[string]any{"jti": ""})}},
		{"a jti without end", []string{f.proof(t, map[string]any{"jti": strings.Repeat("x", 300)})}},
		{"a jti of no text", []string{f.proof(t, map[string]any{"jti": 1})}},
		{"no htm", []string{f.proof(t, map[string]any{"htm": nil})}},
		{"another method", []string{f.proof(t, map[string]any{"htm": "GET"})}},
		{"the method in lower case", []string{f.proof(t, map[string]any{"htm": "post"})}},
		{"no htu", []string{f.proof(t, map[string]any{"htu": nil})}},
		{"another htu", []string{f.proof(t, map[string]any{"htu": "https://bridge.example.com/mcp"})}},
		{"no iat", []string{f.proof(t, map[string]any{"iat": nil})}},
		{"iat of no number", []string{f.proof(t, map[string]any{"iat": "now"})}},
		{"old", []string{f.proof(t, map[string]any{"iat": at(-5 * time.Minute)})}},
		{"ancient", []string{f.proof(t, map[string]any{"iat": -1e300})}},
		{"of the future", []string{f.proof(t, map[string]any{"iat": at(5*time.Minute + time.Second)})}},
		{"of the far future", []string{f.proof(t, map[string]any{"iat": 1e300})}},
	}
	for _, tt := range tests {
		t.Run("EX-23/"+tt.name, func(t *testing.T) {
			t.Parallel()
			proof, err := f.check(tt.proofs...)
			wantCode(t, err, dpop.ErrorProof)
			if !proof.IsZero() {
				t.Error("a proof came with the error")
			}
		})
	}
	for _, iat := range []time.Duration{-5*time.Minute + time.Second, 5 * time.Minute} {
		if _, err := f.check(f.proof(t, map[string]any{"iat": at(iat)})); err != nil {
			t.Errorf("EX-23: %s from now: %v", iat, errors.Unwrap(err))
		}
	}
}

func TestCheck_EX23_token(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token := bridge.HashOf("access token")
	for name, tt := range map[string]struct {
		ath  any
		want string
	}{
		"its token":     {token.String(), ""},
		"no ath":        {nil, dpop.ErrorProof},
		"an empty ath":  {"", dpop.ErrorProof},
		"another token": {bridge.HashOf("another").String(), dpop.ErrorProof},
		"padded":        {token.String() + "=", dpop.ErrorProof},
		"of no text":    {1, dpop.ErrorProof},
	} {
		_, err := f.checker.Check(dpop.Request{
			Proofs: []string{f.proof(t, map[string]any{"ath": tt.ath})}, Method: "POST", URL: endpoint, Token: token,
		})
		t.Run(name, func(t *testing.T) { wantCode(t, err, tt.want) })
	}
}

// EX-28, EX-23: which spellings of an address are the endpoint's.
func TestCheck_EX28_address(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tests := []struct {
		htu, endpoint string
		want          bool
	}{
		{endpoint, endpoint, true},
		{"HTTPS://Bridge.Example.COM/oauth/token", endpoint, true},
		{"https://bridge.example.com:443/oauth/token", endpoint, true},
		{endpoint + "?a=b", endpoint, true},
		{endpoint + "#part", endpoint, true},
		{"https://bridge.example.com/oauth/t%6Fken", endpoint, true},
		{"https://bridge.example.com", "https://bridge.example.com/", true},
		{"http://127.0.0.1:8420/mcp", "http://127.0.0.1:8420/mcp", true},
		{"http://[::1]:80/mcp", "http://[::1]/mcp", true},

		{endpoint + "/", endpoint, false},
		{"https://bridge.example.com/mcp", "https://bridge.example.com/mcp/", false},
		{"https://bridge.example.com/oauth//token", endpoint, false},
		{"https://bridge.example.com/OAuth/token", endpoint, false},
		{"https://bridge.example.com/oauth%2Ftoken", endpoint, false},
		{"https://bridge.example.com/x/../oauth/token", endpoint, false},
		{"http://bridge.example.com/oauth/token", endpoint, false},
		{"https://bridge.example.com:8443/oauth/token", endpoint, false},
		{"https://bridge.example.com.:443/oauth/token", endpoint, false},
		{"https://bridge.example.com@evil.example/oauth/token", endpoint, false},
		{"https://user@bridge.example.com/oauth/token", endpoint, false},
		{"https://bridge.example.com\\@evil.example/oauth/token", endpoint, false},
		{"//bridge.example.com/oauth/token", endpoint, false},
		{"/oauth/token", endpoint, false},
		{"http://127.0.0.1:8420/mcp", "http://localhost:8420/mcp", false},
		{"", endpoint, false},
		{"https:bridge.example.com/oauth/token", endpoint, false},
		{" " + endpoint, endpoint, false},
	}
	for _, tt := range tests {
		_, err := f.checker.Check(dpop.Request{Proofs: []string{f.proof(t, map[string]any{"htu": tt.htu})}, Method: "POST", URL: tt.endpoint})
		if (err == nil) != tt.want {
			t.Errorf("%q for %q: %v, want %v", tt.htu, tt.endpoint, err, tt.want)
		}
	}
}

func TestUse_EX25(t *testing.T) {
	t.Parallel()
	f, other := newFixture(t), newFixture(t)
	proof, err := f.check(f.proof(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, f.checker.Use(t.Context(), proof), "")
	wantCode(t, f.checker.Use(t.Context(), proof), dpop.ErrorProof)
	same, err := f.check(f.proof(t, map[string]any{"iat": now.Add(time.Minute).Unix()})) // the jti counts
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, f.checker.Use(t.Context(), same), dpop.ErrorProof)
	foreign, err := f.check(sign(t, jose.ES256, other.key, other.header(nil), claims(nil)))
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, f.checker.Use(t.Context(), foreign), "") // nobody uses up another's jti

	f.now = now.Add(5*time.Minute - time.Second)
	again, err := f.check(f.proof(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, f.checker.Use(t.Context(), again), dpop.ErrorProof) // remembered as long as it is recent

	f.once.failure = bridge.ErrReadOnly
	fresh, err := f.check(f.proof(t, map[string]any{"jti": "3"}))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.checker.Use(t.Context(), fresh); !errors.Is(err, bridge.ErrReadOnly) || bridge.AsError(err) != nil {
		t.Errorf("a store that does not write: %v", err)
	}
}

func TestNonces_EX26(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if nonce := f.checker.Nonce(); nonce != "" {
		t.Errorf("nonce %q without nonces", nonce)
	}
	clock := func() time.Time { return f.now }
	current, before := []byte(strings.Repeat("n", 32)), []byte(strings.Repeat("o", 32))
	f.checker.Nonces = dpop.NewNonces([][]byte{current, before}, clock)
	foreign := dpop.NewNonces([][]byte{[]byte(strings.Repeat("f", 32))}, clock)
	older := dpop.NewNonces([][]byte{before}, clock)
	nonce := f.checker.Nonce()
	check := func(nonce any) error {
		_, err := f.check(f.proof(t, map[string]any{"nonce": nonce, "iat": f.now.Unix()}))
		return err
	}
	wantCode(t, check(nil), dpop.ErrorNonce)
	wantCode(t, check(""), dpop.ErrorNonce)
	wantCode(t, check("nonce"), dpop.ErrorNonce)
	wantCode(t, check(nonce[:len(nonce)-1]), dpop.ErrorNonce)
	wantCode(t, check(nonce+"A"), dpop.ErrorNonce)
	wantCode(t, check(foreign.Current()), dpop.ErrorNonce)
	wantCode(t, check(1), dpop.ErrorProof)
	wantCode(t, check(nonce), "")
	wantCode(t, check(older.Current()), "") // a secret that is being replaced
	f.now = now.Add(30 * time.Second)
	if f.checker.Nonce() != nonce {
		t.Error("another nonce within a minute")
	}
	f.now = now.Add(time.Minute)
	if f.checker.Nonce() == nonce {
		t.Error("the same nonce a minute later")
	}
	f.now = now.Add(5*time.Minute - time.Second)
	wantCode(t, check(nonce), "")
	f.now = now.Add(5 * time.Minute)
	wantCode(t, check(nonce), dpop.ErrorNonce)
	f.now = now.Add(-time.Minute) // another replica is ahead
	wantCode(t, check(nonce), dpop.ErrorNonce)
	f.now = now.Add(-59 * time.Second)
	wantCode(t, check(nonce), "")
}
