package signed_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/signed"
	"github.com/abilityai/trinity-bridge/bridge/signed/signedtest"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(key *ecdsa.PrivateKey, algorithm string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), Algorithm: algorithm}
}

// sign signs payload as it is, with header members added.
func sign(t *testing.T, key *ecdsa.PrivateKey, payload string, header map[string]any) string {
	t.Helper()
	compact, err := signedtest.Sign(jose.ES256, key, header, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func TestRead(t *testing.T) {
	t.Parallel()
	key, other := newKey(t), newKey(t)
	compact := sign(t, key, `{"a":"b"}`, map[string]any{"typ": "example+jwt", "kid": "k1"})
	token, err := signed.Read(compact)
	if err != nil || token.Type() != "example+jwt" || token.KeyID() != "k1" || token.Algorithm() != "ES256" {
		t.Fatalf("Read: %v, %q %q %q", err, token.Type(), token.KeyID(), token.Algorithm())
	}
	var claims map[string]string
	if err := token.Claims(&claims); err != nil || claims["a"] != "b" {
		t.Errorf("Claims: %v, %v", claims, err)
	}
	for name, tt := range map[string]struct {
		keys []jose.JSONWebKey
		want bool
	}{
		"its key":                       {[]jose.JSONWebKey{public(key, "")}, true},
		"one of several":                {[]jose.JSONWebKey{public(other, ""), public(key, "ES256")}, true},
		"another key":                   {[]jose.JSONWebKey{public(other, "")}, false},
		"its key for another algorithm": {[]jose.JSONWebKey{public(key, "ES384")}, false},
		"no key":                        {nil, false},
		"an empty key":                  {[]jose.JSONWebKey{{}}, false},
	} {
		if got := token.SignedBy(tt.keys...); got != tt.want {
			t.Errorf("SignedBy with %s: %v", name, got)
		}
	}
	if _, err := token.Key(); err == nil {
		t.Error("a key came from a token that brings none")
	}
	unsigned, err := signed.Read(compact[:strings.LastIndex(compact, ".")+1])
	if err == nil && unsigned.SignedBy(public(key, "")) {
		t.Error("a token without a signature is signed")
	}
	repeated, err := signed.Read(sign(t, key, `{"a":"b","a":"c"}`, nil))
	if err != nil {
		t.Fatal(err)
	}
	if repeated.Claims(&claims) == nil {
		t.Error("a claim that stands twice was read")
	}
}

// Ed25519 is read by either of its names (RFC 9864), and by no other key or text.
func TestRead_Ed25519(t *testing.T) {
	t.Parallel()
	key, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	for _, name := range []string{"EdDSA", "Ed25519"} {
		input := encode([]byte(`{"alg":"`+name+`"}`)) + "." + encode([]byte(`{"a":"b"}`))
		signature := ed25519.Sign(private, []byte(input))
		read := func(text string, signature []byte) signed.Token {
			token, err := signed.Read(text + "." + encode(signature))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return token
		}
		own := jose.JSONWebKey{Key: key}
		if !read(input, signature).SignedBy(own) {
			t.Errorf("%s is not signed by its key", name)
		}
		altered := encode([]byte(`{"alg":"`+name+`"}`)) + "." + encode([]byte(`{"a":"c"}`))
		if read(input, signature).SignedBy(public(newKey(t), "")) || read(altered, signature).SignedBy(own) ||
			read(input, signature[:63]).SignedBy(own) || read(input, nil).SignedBy(own) {
			t.Errorf("%s is signed by what did not sign it", name)
		}
		other := map[string]string{"EdDSA": "Ed25519", "Ed25519": "EdDSA"}[name]
		if read(input, signature).SignedBy(jose.JSONWebKey{Key: key, Algorithm: other}) {
			t.Errorf("%s is signed by a key for %s", name, other)
		}
	}
}

func TestRead_refuses(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	good := sign(t, key, `{}`, nil)
	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	for name, compact := range map[string]string{
		"nothing":             "",
		"no token":            "x.y.z",
		"alg none":            encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"a shared key":        encode([]byte(`{"alg":"HS256"}`)) + "." + parts[1] + "." + parts[2],
		"alg twice":           encode([]byte(`{"alg":"ES256","alg":"ES256"}`)) + "." + parts[1] + "." + parts[2],
		"no alg":              encode([]byte(`{}`)) + "." + parts[1] + "." + parts[2],
		"critical":            sign(t, key, `{}`, map[string]any{"crit": []string{"x"}, "x": 1}),
		"critical b64":        sign(t, key, `{}`, map[string]any{"b64": true, "crit": []string{"b64"}}),
		"a type of no text":   encode([]byte(`{"alg":"ES256","typ":1}`)) + "." + parts[1] + "." + parts[2],
		"too long":            sign(t, key, `{"a":"`+strings.Repeat("x", 9000)+`"}`, nil),
		"one part too many":   good + ".x",
		"the JSON serialized": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	} {
		if _, err := signed.Read(compact); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func TestReadKey(t *testing.T) {
	t.Parallel()
	private := jose.JSONWebKey{Key: newKey(t)}
	shown := private.Public()
	text, err := shown.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	with := func(edit map[string]any) string {
		edited := maps.Clone(members)
		maps.Copy(edited, edit)
		text, err := json.Marshal(edited)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	secret, err := private.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		jwk  string
		want error
	}{
		"public":                     {with(nil), nil},
		"for signatures":             {with(map[string]any{"use": "sig", "alg": "ES256"}), nil},
		"private":                    {string(secret), signed.ErrSecretKey},
		"public with a private part": {with(map[string]any{"p": "AQ"}), signed.ErrSecretKey},
		"shared":                     {`{"kty":"oct","k":"c2VjcmV0"}`, signed.ErrSecretKey},
		"for encryption":             {with(map[string]any{"use": "enc"}), signed.ErrUnfit},
		"for another algorithm":      {with(map[string]any{"alg": "HS256"}), signed.ErrUnfit},
		"not on its curve":           {with(map[string]any{"x": members["y"], "y": members["x"]}), signed.ErrUnfit},
		"RSA of 512 bits":            {`{"kty":"RSA","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 64)) + `"}`, signed.ErrUnfit},
		"of no kind":                 {`{}`, signed.ErrUnfit},
	} {
		if _, err := signed.ReadKey([]byte(tt.jwk)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	for name, jwk := range map[string]string{"nothing": "", "a text": `"x"`, "a member twice": `{"kty":"EC","kty":"EC"}`} {
		if _, err := signed.ReadKey([]byte(jwk)); err == nil || errors.Is(err, signed.ErrUnfit) || errors.Is(err, signed.ErrSecretKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAssertion(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) *signed.Seconds {
		s := signed.Seconds(now.Add(d).Unix())
		return &s
	}
	endless := signed.Seconds(1e300)
	good := signed.Assertion{Audience: []byte(`"us"`), ID: "1", IssuedAt: at(0), ExpiresAt: at(time.Minute)}
	for name, tt := range map[string]struct {
		edit func(*signed.Assertion)
		want bool
	}{
		"good":                  {func(*signed.Assertion) {}, true},
		"no iat":                {func(a *signed.Assertion) { a.IssuedAt = nil }, true},
		"no jti":                {func(a *signed.Assertion) { a.ID = "" }, false},
		"a jti without end":     {func(a *signed.Assertion) { a.ID = strings.Repeat("x", signed.MaxID+1) }, false},
		"no exp":                {func(a *signed.Assertion) { a.ExpiresAt = nil }, false},
		"at its end":            {func(a *signed.Assertion) { a.ExpiresAt = at(0) }, false},
		"five and a half":       {func(a *signed.Assertion) { a.ExpiresAt = at(5*time.Minute + bridge.Leeway) }, true},
		"longer":                {func(a *signed.Assertion) { a.ExpiresAt = at(5*time.Minute + bridge.Leeway + time.Second) }, false},
		"for ever":              {func(a *signed.Assertion) { a.ExpiresAt = &endless }, false},
		"issued in the future":  {func(a *signed.Assertion) { a.IssuedAt = at(bridge.Leeway + time.Second) }, false},
		"not before the future": {func(a *signed.Assertion) { a.NotBefore = at(bridge.Leeway + time.Second) }, false},
	} {
		a := good
		tt.edit(&a)
		if err := a.CheckTimes(now); (err == nil) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for audience, want := range map[string]bool{
		`"us"`: true, `["us"]`: true, `["us","them"]`: false, `["us","us"]`: false, `"them"`: false, `[]`: false, `null`: false, `1`: false, ``: false,
	} {
		a := good
		a.Audience = []byte(audience)
		if a.For("us") != want || a.For("") {
			t.Errorf("audience %s: %v", audience, a.For("us"))
		}
	}
	old := good
	old.IssuedAt = at(-5*time.Minute - bridge.Leeway - time.Second)
	none := good
	none.IssuedAt = nil
	if !good.Recent(now) || old.Recent(now) || none.Recent(now) {
		t.Error("Recent")
	}
}
