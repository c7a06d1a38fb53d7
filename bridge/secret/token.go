package secret

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"

	"github.com/abilityai/trinity-bridge/bridge"
)

const redacted = "[redacted]"

// Token is a bearer value in the clear. It prints as [redacted] in every verb, in JSON and in
// slog; Reveal is the only way to the value and is called where it leaves on the wire.
type Token struct{ value string }

// New wraps a value.
func New(value string) Token { return Token{value: value} }

// Random returns prefix followed by 256 random bits as 43 base64url characters.
func Random(rand io.Reader, prefix string) (Token, error) {
	var raw [32]byte
	if _, err := io.ReadFull(rand, raw[:]); err != nil {
		return Token{}, fmt.Errorf("reading randomness for a secret: %w", err)
	}
	return Token{value: prefix + base64.RawURLEncoding.EncodeToString(raw[:])}, nil
}

// Reveal returns the value.
func (t Token) Reveal() string { return t.value }

// IsZero reports whether there is no value.
func (t Token) IsZero() bool { return t.value == "" }

// Hash is what a store may know of the token. The hash of no value is the zero hash, which
// matches nothing.
func (t Token) Hash() bridge.Hash {
	if t.value == "" {
		return bridge.Hash{}
	}
	return bridge.HashOf(t.value)
}

// String returns [redacted].
func (t Token) String() string { return redacted }

// GoString returns [redacted].
func (t Token) GoString() string { return redacted }

// Format writes [redacted] whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText writes [redacted]: a token never gets into a document by reflection.
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue writes [redacted].
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }
