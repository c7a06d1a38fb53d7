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

var trinityKeyForm = regexp.MustCompile(`^trinity_mcp_[A-Za-z0-9_-]{20,}$`)

// ParseTrinityKey reads a trinity_mcp_ key. The error does not show it.
func ParseTrinityKey(text string) (Token, error) {
	if len(text) > maxKeyBytes || !trinityKeyForm.MatchString(text) {
		return Token{}, errors.New("is not a trinity_mcp_ key")
	}
	return New(text), nil
}

// trinityKey returns the random bytes of a Trinity key, and whether the token is one.
func (t Token) trinityKey() ([]byte, bool) {
	coded, isKey := strings.CutPrefix(t.value, keyPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(coded)
	return raw, isKey && err == nil && len(raw) == keyRawBytes && !strings.ContainsAny(coded, "\r\n")
}

func trinityKeyOf(raw []byte) Token {
	return New(keyPrefix + base64.RawURLEncoding.EncodeToString(raw))
}

// isOldKey reports whether a sealed text is a key as programs of before sealed it: with a byte before its random ones with
// which no bearer value begins.
func isOldKey(plain []byte) bool { return len(plain) == 1+keyRawBytes && plain[0] == '\x01' }
