package token_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

const (
	issuer   = "https://connect.example.com"
	resource = issuer + "/mcp"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// keys is a key store in memory.
type keys struct {
	mu      sync.Mutex
	list    []bridge.SigningKey
	rev     int
	reads   int
	refusal error  // of writes
	ahead   func() // done once, just before the next write
}

func (k *keys) SigningKeys(context.Context) ([]bridge.SigningKey, int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads++
	return slices.Clone(k.list), k.rev, nil
}

func (k *keys) SwapSigningKeys(_ context.Context, list []bridge.SigningKey, rev int) error {
	if ahead := k.ahead; ahead != nil {
		k.ahead = nil
		ahead()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refusal != nil {
		return k.refusal
	}
	if rev != k.rev {
		return bridge.ErrConflict
	}
	k.list, k.rev = slices.Clone(list), rev+1
	return nil
}

func (k *keys) read() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reads
}

// forge is a second issuer that holds the same sealed key, so that a test can sign anything with it.
type forge struct {
	signer *token.Signer
	key    *ecdsa.PrivateKey
	kid    string
}

func newForge(t *testing.T, now func() time.Time) forge {
	t.Helper()
	ring, err := secret.NewKeyring([]byte(strings.Repeat("a-master-secret-", 4)))
	if err != nil {
		t.Fatal(err)
	}
	store := &keys{}
	signer, err := token.OpenSigner(t.Context(), store, ring, issuer, now)
	if err != nil {
		t.Fatal(err)
	}
	der, err := ring.Open("signing key", store.list[0].ID, store.list[0].Private)
	if err != nil {
		t.Fatal(err)
	}
	return forge{signer: signer, key: parseKey(t, der), kid: store.list[0].ID}
}

func (f forge) sign(t *testing.T, header, claims map[string]any) secret.Token {
	t.Helper()
	options := &jose.SignerOptions{}
	for name, value := range header {
		options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: f.key}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return f.compact(t, signer, payload)
}

func (f forge) compact(t *testing.T, signer jose.Signer, payload []byte) secret.Token {
	t.Helper()
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(compact)
}

func goodClaims() map[string]any {
	return map[string]any{
		"iss": issuer, "sub": "person-x", "aud": resource, "client_id": "client-x", "gid": "grant-x", "jti": "token-x",
		"scope": "trinity:read", "iat": start.Unix(), "exp": start.Add(time.Hour).Unix(),
	}
}

func TestSigner_mintAndCheck(t *testing.T) {
	t.Parallel()
	f := newForge(t, func() time.Time { return start })
	grant := bridge.Grant{
		ID: "grant-1", Person: bridge.Person{Source: "trinity", Subject: "alice@example.com"}, ClientID: "client-1", Resource: resource,
	}
	scopes := bridge.Scopes{bridge.ScopeRead, bridge.ScopeWrite}
	minted, _, err := f.signer.Mint(grant, scopes, bridge.Hash{}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.signer.Check(minted, resource)
	if err != nil {
		t.Fatal(err)
	}
	want := token.Access{
		ID: got.ID, PersonID: grant.Person.ID(), ClientID: "client-1", GrantID: "grant-1", Resource: resource,
		Scopes: scopes, IssuedAt: start, ExpiresAt: start.Add(time.Hour),
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("AS-085: checked token differs (-want +got):\n%s", diff)
	}
	header, _, _ := strings.Cut(minted.Reveal(), ".")
	raw, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil || !strings.Contains(string(raw), `"typ":"at+jwt"`) {
		t.Errorf("AS-085: header %s, want typ at+jwt", raw)
	}
	if strings.Contains(minted.Reveal(), "alice") || strings.Contains(want.PersonID, "alice") {
		t.Error("AS-087: the subject shows an address")
	}
}

func TestSigner_Check_refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id     string
		header map[string]any
		edit   map[string]any // nil value: member left out
	}{
		{"RS-03/another audience", nil, map[string]any{"aud": "https://other.example.com/mcp"}},
		{"RS-03/audience array with ours", nil, map[string]any{"aud": []string{resource, "https://other.example.com"}}},
		{"RS-03/audience array of one", nil, map[string]any{"aud": []string{resource}}},
		{"RS-20/no audience", nil, map[string]any{"aud": nil}},
		{"RS-04/issuer with slash", nil, map[string]any{"iss": issuer + "/"}},
		{"RS-04/another issuer", nil, map[string]any{"iss": "https://evil.example"}},
		{"I12/no issuer", nil, map[string]any{"iss": nil}},
		{"RS-07/expired by a second", nil, map[string]any{"exp": start.Add(-time.Second).Unix()}},
		{"RS-07/expires now", nil, map[string]any{"exp": start.Unix()}},
		{"RS-07/no expiry", nil, map[string]any{"exp": nil}},
		{"RS-07/not yet", nil, map[string]any{"nbf": start.Add(2 * time.Minute).Unix()}},
		{"RS-07/issued in the future", nil, map[string]any{"iat": start.Add(2 * time.Minute).Unix()}},
		{"I12/no issue time", nil, map[string]any{"iat": nil}},
		{"FB-14/expiry as text", nil, map[string]any{"exp": "9999999999"}},
		{"FB-14/expiry with fraction", nil, map[string]any{"exp": 9999999999.5}},
		{"RS-07/lives a year", nil, map[string]any{"exp": start.AddDate(1, 0, 0).Unix()}},
		{"I12/no subject", nil, map[string]any{"sub": nil}},
		{"I12/no client", nil, map[string]any{"client_id": nil}},
		{"I12/no grant", nil, map[string]any{"gid": nil}},
		{"I12/no id", nil, map[string]any{"jti": nil}},
		{"I12/no scope", nil, map[string]any{"scope": nil}},
		{"I12/foreign scope", nil, map[string]any{"scope": "trinity:read openid"}},
		{"EX-24/bound in no way we know", nil, map[string]any{"cnf": map[string]any{"x5t#S256": bridge.HashOf("certificate").String()}}},
		{"EX-24/bound to no key", nil, map[string]any{"cnf": map[string]any{"jkt": bridge.Hash{}.String()}}},
		{"EX-24/bound to what is no key", nil, map[string]any{"cnf": map[string]any{"jkt": "key"}}},
		{"EX-24/bound by a text", nil, map[string]any{"cnf": "key"}},
		{"RS-21/an ID token", map[string]any{"typ": "JWT"}, nil},
		{"RS-21/no type", map[string]any{"typ": nil}, nil},
		{"RS-19/unknown kid", map[string]any{"kid": "other"}, nil},
		{"RS-19/no kid", map[string]any{"kid": nil}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, func() time.Time { return start })
			header := merge(map[string]any{"typ": "at+jwt", "kid": f.kid}, tt.header)
			forged := f.sign(t, header, merge(goodClaims(), tt.edit))
			if _, err := f.signer.Check(forged, resource); bridge.AsError(err) == nil || bridge.AsError(err).Code != "invalid_token" {
				t.Errorf("Check = %v, want invalid_token", err)
			}
		})
	}
	t.Run("the same forge without an edit is good", func(t *testing.T) {
		t.Parallel()
		f := newForge(t, func() time.Time { return start })
		if _, err := f.signer.Check(f.sign(t, map[string]any{"typ": "at+jwt", "kid": f.kid}, goodClaims()), resource); err != nil {
			t.Error(err)
		}
	})
}

func TestSigner_Check_algorithms(t *testing.T) {
	t.Parallel()
	f := newForge(t, func() time.Time { return start })
	payload, err := json.Marshal(goodClaims())
	if err != nil {
		t.Fatal(err)
	}
	hmacSigner, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: f.signer.JWKS()},
		(&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", f.kid))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	strange := forge{key: stranger}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt","kid":"`+f.kid+`"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(payload) + "."
	good := f.sign(t, map[string]any{"typ": "at+jwt", "kid": f.kid}, goodClaims()).Reveal()
	tests := map[string]secret.Token{
		"FB-08/HS256 with the public key": f.compact(t, hmacSigner, payload),
		"RS-19/none":                      secret.New(none),
		"RS-19/another key":               strange.sign(t, map[string]any{"typ": "at+jwt", "kid": f.kid}, goodClaims()),
		"RS-19/changed payload":           secret.New(strings.Replace(good, ".", ".e", 1)),
		"RS-18/empty":                     secret.New(""),
		"RS-21/a static key":              secret.New("trinity_mcp_" + strings.Repeat("a", 43)),
		"RS-11/huge":                      secret.New(strings.Repeat("a.", 1_000_000)),
		"RS-19/member twice": f.compact(t, must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: f.key},
			(&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", f.kid))),
			[]byte(strings.Replace(string(payload), `"gid":`, `"gid":"other","gid":`, 1))),
	}
	for id, presented := range tests {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			if _, err := f.signer.Check(presented, resource); bridge.AsError(err) == nil {
				t.Errorf("Check = %v, want a refusal", err)
			}
		})
	}
}

// TK-07: a key made before a restart still verifies, under the same secret only.
func TestOpenSigner_TK07_restart(t *testing.T) {
	t.Parallel()
	ring, err := secret.NewKeyring([]byte(strings.Repeat("a-master-secret-", 4)))
	if err != nil {
		t.Fatal(err)
	}
	store := &keys{}
	now := func() time.Time { return start }
	first, err := token.OpenSigner(t.Context(), store, ring, issuer, now)
	if err != nil {
		t.Fatal(err)
	}
	minted, _, err := first.Mint(bridge.Grant{ID: "g", ClientID: "c", Resource: resource}, bridge.BaselineScopes(), bridge.Hash{}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	second, err := token.OpenSigner(t.Context(), store, ring, issuer, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Check(minted, resource); err != nil {
		t.Error(err)
	}
	other, err := secret.NewKeyring([]byte(strings.Repeat("another-master-", 4)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.OpenSigner(t.Context(), store, other, issuer, now); err == nil {
		t.Error("OP-13: a wrong secret opened the signing key")
	}
}
