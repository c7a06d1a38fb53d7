package bridge

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"
)

// Leeway is how far another clock may be off before the times that it writes are refused.
const Leeway = 30 * time.Second

// Hash is the SHA-256 of a bearer value. Stores see nothing else of codes, refresh tokens,
// client secrets and browser bindings.
type Hash [sha256.Size]byte

// HashOf returns the SHA-256 of value.
func HashOf(value string) Hash {
	var usual [1 << 10]byte // holds an access token of usual length, so that it need not be copied to the heap
	return sha256.Sum256(append(usual[:0], value...))
}

// String is the unpadded base64url form, used in store keys.
func (h Hash) String() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// IsZero reports whether h was never set. A zero hash matches nothing.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes the base64url form.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the base64url form.
func (h *Hash) UnmarshalText(text []byte) error {
	raw, err := base64.RawURLEncoding.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("reading a hash: %w", err)
	}
	if len(raw) != len(h) {
		return errors.New("reading a hash: wrong length")
	}
	copy(h[:], raw)
	return nil
}

// IDBytes is how many random bytes an identifier is made of.
const IDBytes = 16

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewID returns a random identifier of 128 bits: 26 lower-case base32 characters. Identifiers
// name things and open nothing.
func NewID(rand io.Reader) (string, error) {
	var raw [IDBytes]byte
	if _, err := io.ReadFull(rand, raw[:]); err != nil {
		return "", fmt.Errorf("reading randomness for an identifier: %w", err)
	}
	return IDOf(raw), nil
}

// IDOf is the identifier of these bits.
func IDOf(raw [IDBytes]byte) string { return idEncoding.EncodeToString(raw[:]) }

// BitsOf are those of an identifier that NewID made; false for any other text.
func BitsOf(id string) (raw [IDBytes]byte, ok bool) {
	if len(id) != idEncoding.EncodedLen(IDBytes) {
		return raw, false
	}
	n, err := idEncoding.Decode(raw[:], []byte(id))
	return raw, err == nil && n == IDBytes && IDOf(raw) == id // else there are bits left over
}
