package trinitytest

import (
	"net/http"
	"slices"
	"strings"
)

// caller is who an authenticated request acts as.
type caller struct {
	user user
	key  *apiKey // nil when a person's JWT was presented
	jwt  string
}

// authenticate is the backend's common gate: a JWT or an active MCP key, of an account that is not
// suspended (contract §1.8, §2). It answers 401 itself.
func (b *backend) authenticate(w http.ResponseWriter, r *http.Request) (caller, bool) {
	token, ok := bearerToken(r)
	if !ok {
		unauthorized(w, "Not authenticated")
		return caller{}, false
	}
	c, ok := b.state.identify(token)
	if !ok || c.user.Suspended {
		unauthorized(w, "Could not validate credentials")
		return caller{}, false
	}
	return c, true
}

// operator is authenticate for a route outside the narrow fences of connector, delegate and ops keys
// (contract §3.4).
func (b *backend) operator(w http.ResponseWriter, r *http.Request) (caller, bool) {
	c, ok := b.authenticate(w, r)
	if !ok {
		return caller{}, false
	}
	if c.key != nil && !slices.Contains(operatorScopes, c.key.Scope) {
		detail(w, http.StatusForbidden, "This API key's scope does not reach this route")
		return caller{}, false
	}
	return c, true
}

// operatorScopes see the operator tools (contract §4.7).
var operatorScopes = []string{scopeUser, scopeAgent, scopeSystem}

func unauthorized(w http.ResponseWriter, text string) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	detail(w, http.StatusUnauthorized, text)
}

// bearerToken reads the scheme in any case, as FastAPI does. The MCP side is stricter.
func bearerToken(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, strings.EqualFold(scheme, "bearer") && token != ""
}

// identify resolves a token to its account, suspended or not.
func (s *state) identify(token string) (caller, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.activeKey(token); k != nil {
		owner := s.keyOwner(*k)
		if owner == nil {
			return caller{}, false
		}
		key := *k
		return caller{user: *owner, key: &key}, true
	}
	u, ok := s.session(token)
	return caller{user: u, jwt: token}, ok
}
