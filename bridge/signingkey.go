package bridge

import "time"

// SigningKey is a key that signs access tokens. Private is a sealed PKCS #8 document bound to the
// key's id; Public is a JWK (RFC 7517).
type SigningKey struct {
	ID        string    `json:"id"`  // kid
	Algorithm string    `json:"alg"` // "ES256"
	Private   []byte    `json:"private"`
	Public    []byte    `json:"public"`
	CreatedAt time.Time `json:"created_at"`
	SignsFrom time.Time `json:"signs_from"`
	// RetiresAt is when the last token it signed is dead and it leaves the JWKS. Zero means not retired.
	RetiresAt time.Time `json:"retires_at,omitzero"`
}
