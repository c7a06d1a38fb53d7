package secret

import (
	"errors"
	"regexp"
)

const maxKeyBytes = 8 << 10

var trinityKeyForm = regexp.MustCompile(`^trinity_mcp_[A-Za-z0-9_-]{20,}$`)

// ParseTrinityKey reads a trinity_mcp_ key. The error does not show it.
func ParseTrinityKey(text string) (Token, error) {
	if len(text) > maxKeyBytes || !trinityKeyForm.MatchString(text) {
		return Token{}, errors.New("is not a trinity_mcp_ key")
	}
	return New(text), nil
}
