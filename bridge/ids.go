package bridge

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
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
	raw, err := readHash(text, len(h))
	copy(h[:], raw)
	return err
}

// readHash reads the base64url form of a hash of one of these lengths.
func readHash(text []byte, lengths ...int) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(string(text))
	if err != nil {
		return nil, fmt.Errorf("reading a hash: %w", err)
	}
	if !slices.Contains(lengths, len(raw)) {
		return nil, errors.New("reading a hash: wrong length")
	}
	return raw, nil
}

// How many bytes an identifier is made of: one that NewID makes, and one of a grant that came of a consent.
const (
	IDBytes      = 16
	GrantIDBytes = 10

	grantTimeBytes = 6
)

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewID returns a random identifier of 128 bits: 26 lower-case base32 characters. Identifiers
// name things and open nothing.
func NewID(rand io.Reader) (string, error) {
	raw := make([]byte, IDBytes)
	if _, err := io.ReadFull(rand, raw); err != nil {
		return "", fmt.Errorf("reading randomness for an identifier: %w", err)
	}
	return IDOf(raw), nil
}

// GrantID is the identifier of the grant that comes of a flow: the milliseconds of when it was created, and as many random
// bits as keep those of one millisecond apart, which are the flow's. Such identifiers sort by time, so that stores need
// not keep the time beside them.
func GrantID(created time.Time, flowID string) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(max(0, created.UnixMilli())))[8-grantTimeBytes:]
	random := HashOf(flowID)
	return IDOf(append(raw, random[:GrantIDBytes-grantTimeBytes]...))
}

// GrantTime is when the grant of an identifier was created, to the millisecond; false for one that GrantID did not make.
func GrantTime(id string) (time.Time, bool) {
	raw := BytesOf(id)
	if len(raw) != GrantIDBytes {
		return time.Time{}, false
	}
	millis := binary.BigEndian.Uint64(append(make([]byte, 8-grantTimeBytes, 8), raw[:grantTimeBytes]...))
	return time.UnixMilli(int64(millis)).UTC(), true //nolint:gosec // of 48 bits
}

// IDOf is the identifier of these bytes.
func IDOf(raw []byte) string { return idEncoding.EncodeToString(raw) }

// BytesOf are those of an identifier as NewID or GrantID makes them; nil for any other text.
func BytesOf(id string) []byte {
	if len(id) != idEncoding.EncodedLen(IDBytes) && len(id) != idEncoding.EncodedLen(GrantIDBytes) {
		return nil
	}
	raw, err := idEncoding.DecodeString(id)
	if err != nil {
		return nil
	}
	// Where bits are left over another text has the same bytes. Keys are made of ids all the time: this stays on the stack.
	var again [2 * IDBytes]byte
	if idEncoding.Encode(again[:], raw); string(again[:len(id)]) != id {
		return nil
	}
	return raw
}
