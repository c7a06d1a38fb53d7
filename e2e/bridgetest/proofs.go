package bridgetest

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Prover is a key of a client that shows by DPoP proofs that it holds it (RFC 9449).
type Prover struct {
	*Key
	b *Bridge
}

// NewProver makes a key for proofs.
func (b *Bridge) NewProver(t *testing.T, algorithm string) *Prover {
	t.Helper()
	return &Prover{Key: NewKey(t, algorithm), b: b}
}

// Thumbprint is the key's jkt.
func (p *Prover) Thumbprint(t *testing.T) string {
	t.Helper()
	key := p.Public()
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// Header is the header of a proof.
func (p *Prover) Header() map[string]any {
	key := p.Public()
	key.KeyID = ""
	return map[string]any{"typ": "dpop+jwt", "jwk": key}
}

// Claims are those of a good proof for a path of the bridge, beside an access token unless that is "".
func (p *Prover) Claims(method, path, token string) map[string]any {
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": p.b.URL + path, "iat": p.b.Clock.Now().Unix()}
	if token != "" {
		claims["ath"] = bridge.HashOf(token).String()
	}
	return claims
}

// Proof is a proof for a path of the bridge with claims changed; a nil value takes one out.
func (p *Prover) Proof(t *testing.T, method, path, token string, change map[string]any) string {
	t.Helper()
	claims := p.Claims(method, path, token)
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return SignWith(t, p.Algorithm, p.private, "", claims, p.Header())
}

// Token posts to the token endpoint with a proof and wants tokens.
func (p *Prover) Token(t *testing.T, form url.Values) Tokens {
	t.Helper()
	return p.b.Token(t, form, "DPoP", p.Proof(t, http.MethodPost, "/oauth/token", "", nil))
}

// Call posts a JSON-RPC body to the MCP endpoint with a bound token and a proof.
func (p *Prover) Call(t *testing.T, token, body string, header ...string) Answer {
	t.Helper()
	proof := p.Proof(t, http.MethodPost, "/mcp", token, nil)
	return p.b.Call(t, "", body, append([]string{"Authorization", "DPoP " + token, "DPoP", proof}, header...)...)
}
