package gateway

import (
	"net/http"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	maxCredential = 8 << 10 // bytes
	// Trinity's keys: the prefix and 32 bytes as base64url (contract 3.1).
	staticPrefix = "trinity_mcp_"
	staticRandom = 43
)

// credential reads the one place a credential may be in (OAuth 2.1 §5.1.1). The zero Token means
// that none was sent; other authentication schemes count as none. proven reports that it came by the
// DPoP scheme, which goes with a proof and is there only while DPoP is on.
func (e *endpoint) credential(h http.Header) (presented secret.Token, proven bool, no *refusal) {
	lines := h["Authorization"]
	switch {
	case len(lines) > 1 || len(h["Proxy-Authorization"]) > 0 || len(lines) == 1 && strings.Contains(lines[0], ","):
		return secret.Token{}, false, &refusal{
			status: http.StatusBadRequest, code: jsonrpc.CodeInvalidRequest, message: "Send one credential in one Authorization header",
			challenge: e.challenges.badRequest, outcome: "invalid_request", detail: "more than one credential",
		}
	case len(lines) == 0:
		return secret.Token{}, false, nil
	}
	scheme, value, _ := strings.Cut(lines[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		if e.g.Proofs == nil || !strings.EqualFold(scheme, "DPoP") {
			return secret.Token{}, false, nil
		}
		proven = true
	}
	if value == "" || len(value) > maxCredential {
		return secret.Token{}, proven, e.invalidToken("invalid_token", "not of a token's length")
	}
	return secret.New(value), proven, nil
}

// token68 is the form of a bearer token (RFC 9110 §11.2).
func token68(value string) bool {
	value = strings.TrimRight(value, "=")
	if value == "" {
		return false
	}
	for i := range len(value) {
		if c := value[i]; !base64URL(c) && c != '.' && c != '~' && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

// isStaticKey reports whether a credential has exactly the shape of a Trinity key. Only then it goes
// the key's path, and then it goes no other (RS-01, ST-01).
func isStaticKey(presented secret.Token) bool {
	random, ok := strings.CutPrefix(presented.Reveal(), staticPrefix)
	if !ok || len(random) != staticRandom {
		return false
	}
	for i := range len(random) {
		if !base64URL(random[i]) {
			return false
		}
	}
	return true
}

// base64URL is asked for every byte of every token: the two words have a bit for each character.
func base64URL(c byte) bool {
	const (
		low  = 1<<'-' | (1<<10-1)<<'0'
		high = 1<<('_'-64) | (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64)
	)
	if c < 64 {
		return uint64(low)>>c&1 != 0
	}
	return c < 128 && uint64(high)>>(c-64)&1 != 0
}
