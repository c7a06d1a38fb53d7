package bridge

import (
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// Family is all refresh tokens of one grant. Only the head is good; its predecessor is good for
// getting the head again, for a short while (TK-14, TK-15).
type Family struct {
	GrantID   string    `json:"grant_id"`
	ClientID  string    `json:"client_id"`
	Shared    TokenHash `json:"shared"`             // of what all its tokens have in common
	ProofKey  Hash      `json:"proof_key,omitzero"` // thumbprint of the key its tokens are bound to (RFC 9449 §5); zero: to none
	Head      TokenHash `json:"head"`
	RotatedAt time.Time `json:"rotated_at,omitzero"`
	Repeats   int       `json:"repeats,omitzero"` // how often the head was given out again
	CreatedAt time.Time `json:"created_at"`
	IdleUntil time.Time `json:"idle_until"`
	EndsAt    time.Time `json:"ends_at"` // absolute
}

// Belongs reports whether the family's tokens are the client's and, where they are bound to a key,
// whether key is that one.
func (f *Family) Belongs(clientID string, key Hash) bool {
	return clientID != "" && clientID == f.ClientID && (f.ProofKey.IsZero() || f.ProofKey == key)
}

// Knows reports whether a token is one that the family gave out, the newest or any before: nobody else has what
// they all share.
func (f *Family) Knows(token RefreshToken) bool {
	return !f.Shared.IsZero() && f.Shared == token.Shared && !token.Hash.IsZero()
}

// IsHead reports whether a hash is that of the newest token. The token whose successor's hash is that is its predecessor.
func (f *Family) IsHead(hash TokenHash) bool { return !hash.IsZero() && hash == f.Head }

// RefreshToken is what a store is told of a refresh token, which says itself where to look for it.
type RefreshToken struct {
	GrantID string
	Shared  TokenHash // of what it shares with all tokens of its family
	Hash    TokenHash // of all but the id of the grant
}

// TokenHash is the first half of the SHA-256 of what a refresh token says. To be taken for a token, another value has to
// have this one's hash: finding one takes 2^128 guesses, as many as what tokens share has values. That two values with
// the same hash can be found in 2^64 is of no use to anybody, since the bridge makes all tokens. So half a hash is as
// good as a whole one, and there are two in each grant.
type TokenHash [sha256.Size / 2]byte

// TokenHashOf returns the hash of a value.
func TokenHashOf(value string) TokenHash { return HashOf(value).OfToken() }

// OfToken is what a store keeps of the hash of a refresh token.
func (h Hash) OfToken() TokenHash { return TokenHash(h[:]) }

// String is the unpadded base64url form.
func (h TokenHash) String() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// IsZero reports whether h was never set. A zero hash matches nothing.
func (h TokenHash) IsZero() bool { return h == TokenHash{} }

// MarshalText writes the base64url form.
func (h TokenHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the base64url form, or that of a whole Hash, which stores kept before.
func (h *TokenHash) UnmarshalText(text []byte) error {
	raw, err := readHash(text, len(h), len(Hash{}))
	copy(h[:], raw)
	return err
}

// RefreshOutcome is what presenting a refresh token comes to.
type RefreshOutcome string

// The outcomes of RotateRefresh.
const (
	RefreshRotated  RefreshOutcome = "rotated"  // the successor is the new head
	RefreshRepeated RefreshOutcome = "repeated" // the predecessor again: the successor is the head already
	RefreshReused   RefreshOutcome = "reused"   // family and grant are ended (RFC 9700 §4.14.2)
	RefreshExpired  RefreshOutcome = "expired"
	RefreshEnded    RefreshOutcome = "ended"    // the grant ended before
	RefreshMismatch RefreshOutcome = "mismatch" // another client's token, or another key's; nothing changed (TK-13)
	RefreshUnknown  RefreshOutcome = "unknown"
)

// Advances reports whether a successor is given out, new or again.
func (o RefreshOutcome) Advances() bool { return o == RefreshRotated || o == RefreshRepeated }

// RefreshRule decides what presenting a known token of the family means. It is a pure function;
// token.RefreshPolicy makes one. It is never asked about a foreign client or an ended grant.
type RefreshRule func(family Family, use RefreshUse, now time.Time) RefreshOutcome

// RefreshUse is a request to rotate. The caller has authenticated the client, validated scope and
// resource against the grant, and made the successor of the presented token: there is one, whoever makes it and
// however often.
type RefreshUse struct {
	Token           RefreshToken
	ClientID        string
	ProofKey        Hash          // as in CodeUse
	BindRefresh     bool          // as in CodeUse; a family that is bound stays so
	Successor       TokenHash     // RefreshToken.Hash of it; it is of the same grant and shares the same
	Idle            time.Duration // how long the successor may lie unused
	AccessTokenLife time.Duration
	Rule            RefreshRule
}

// Rotation is the answer of RotateRefresh. Grant is set unless the outcome is RefreshUnknown.
type Rotation struct {
	Outcome RefreshOutcome
	Grant   Grant
}
