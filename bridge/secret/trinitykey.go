package secret

import (
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
)

const (
	maxKeyBytes = 8 << 10

	// Trinity makes its keys of a prefix and 32 random bytes in base64url.
	keyPrefix   = "trinity_mcp_"
	keyRawBytes = 32
)

// packedKey begins a key as it is sealed when that is its random bytes. No bearer value begins with such a byte.
const packedKey = '\x01'

var trinityKeyForm = regexp.MustCompile(`^trinity_mcp_[A-Za-z0-9_-]{20,}$`)

// ParseTrinityKey reads a trinity_mcp_ key. The error does not show it.
func ParseTrinityKey(text string) (Token, error) {
	if len(text) > maxKeyBytes || !trinityKeyForm.MatchString(text) {
		return Token{}, errors.New("is not a trinity_mcp_ key")
	}
	return New(text), nil
}

// pack is a token as it is sealed: a Trinity key, which each grant holds, by its random bytes; anything else as it is.
func (t Token) pack() []byte {
	coded, isKey := strings.CutPrefix(t.value, keyPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(coded)
	if !isKey || err != nil || len(raw) != keyRawBytes || strings.ContainsAny(coded, "\r\n") {
		return []byte(t.value)
	}
	return append([]byte{packedKey}, raw...)
}

// unpack reads what pack made.
func unpack(packed []byte) Token {
	if len(packed) == 1+keyRawBytes && packed[0] == packedKey {
		return New(keyPrefix + base64.RawURLEncoding.EncodeToString(packed[1:]))
	}
	return New(string(packed))
}
