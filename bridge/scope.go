package bridge

import (
	"slices"
	"strings"
)

// Scope is one of the few, coarse permissions a grant can carry (decision 7).
type Scope string

// The scopes, each containing the one before it. offline_access is accepted in requests and
// stands for nothing: refresh tokens follow the client's grant types (SEP-2207).
const (
	ScopeRead          Scope = "trinity:read"
	ScopeWrite         Scope = "trinity:write"
	ScopeAdmin         Scope = "trinity:admin"
	ScopeOfflineAccess Scope = "offline_access"
)

// Scopes is a set of scopes in the order read, write, admin.
type Scopes []Scope

// AllScopes are the scopes a grant can carry, weakest first.
func AllScopes() Scopes { return Scopes{ScopeRead, ScopeWrite, ScopeAdmin} }

// BaselineScopes are what challenge and protected resource metadata ask for.
func BaselineScopes() Scopes { return Scopes{ScopeRead, ScopeWrite} }

// ParseScopes splits a scope parameter (RFC 6749 §3.3) on any white space and returns the known
// scopes in canonical order. Unknown ones are dropped and counted (AS-034): clients send whole
// catalogues, leading blanks and offline_access, and must not fail for it.
func ParseScopes(parameter string) (known Scopes, unknown int) {
	fields := strings.Fields(parameter)
	for _, scope := range AllScopes() {
		if slices.Contains(fields, string(scope)) {
			known = append(known, scope)
		}
	}
	for _, field := range fields {
		if s := Scope(field); s != ScopeOfflineAccess && !slices.Contains(AllScopes(), s) {
			unknown++
		}
	}
	return known, unknown
}

// String is the space-separated form of the wire.
func (s Scopes) String() string {
	words := make([]string, len(s))
	for i, scope := range s {
		words[i] = string(scope)
	}
	return strings.Join(words, " ")
}

// Allows reports whether the set holds needed or a scope that contains it. A scope outside the
// three is never allowed.
func (s Scopes) Allows(needed Scope) bool {
	want := slices.Index(AllScopes(), needed)
	if want < 0 {
		return false
	}
	for _, scope := range s {
		if slices.Index(AllScopes(), scope) >= want {
			return true
		}
	}
	return false
}

// Contains reports whether every scope of other is in the set by name.
func (s Scopes) Contains(other Scopes) bool {
	for _, scope := range other {
		if !slices.Contains(s, scope) {
			return false
		}
	}
	return true
}

// Union returns the scopes of both sets in canonical order.
func (s Scopes) Union(other Scopes) Scopes {
	var both Scopes
	for _, scope := range AllScopes() {
		if slices.Contains(s, scope) || slices.Contains(other, scope) {
			both = append(both, scope)
		}
	}
	return both
}

// Intersect returns the scopes named in both sets in canonical order.
func (s Scopes) Intersect(other Scopes) Scopes {
	if slices.Equal(s, other) { // a token and its grant, as a rule
		return slices.Clip(s)
	}
	var both Scopes
	for _, scope := range AllScopes() {
		if slices.Contains(s, scope) && slices.Contains(other, scope) {
			both = append(both, scope)
		}
	}
	return both
}
