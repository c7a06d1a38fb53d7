package bridge

import "time"

// The algorithms that access tokens can be signed with (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	SignES256 = "ES256"
	SignEdDSA = "EdDSA"
	SignRS256 = "RS256"
)

// SigningAlgorithms lists them, the default first: ES256 is verified everywhere, and twenty times
// cheaper to sign with than RS256.
func SigningAlgorithms() []string { return []string{SignES256, SignEdDSA, SignRS256} }

// SigningKey is a key that signs access tokens. Private is a sealed PKCS #8 document bound to the
// key's id; Public is a JWK (RFC 7517).
type SigningKey struct {
	ID        string    `json:"id"`  // kid
	Algorithm string    `json:"alg"` // one of SigningAlgorithms
	Private   []byte    `json:"private"`
	Public    []byte    `json:"public"`
	CreatedAt time.Time `json:"created_at"`
	// SignsFrom is when it takes over. Zero while it is published and waits to be called.
	SignsFrom time.Time `json:"signs_from,omitzero"`
	// RetiresAt is when the last token it signed is dead and it leaves the JWKS. Zero while no other
	// key is to take over from it.
	RetiresAt time.Time `json:"retires_at,omitzero"`
	// TokenSeconds is the longest life of the tokens it signs. Zero means that nobody knows.
	TokenSeconds int64 `json:"token_seconds,omitzero"`
}
