package token

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// A refresh token is a prefix and, in base64url, three parts: the bytes of its grant's id, random ones that all tokens of
// its family share, and random ones of its own. The first says where to look for it. Who knows the second has held a token
// of the family, so that an old one betrays itself though nothing of it is stored. The third is what makes it good: random
// in the first token of a family, and in each other one made of the token before.
// Grants of before have longer ids.
const (
	refreshPrefix    = "tbr_"
	sharedBytes      = 16
	ownBytes         = len(bridge.Hash{})
	successorPurpose = "refresh successor"
)

// Key makes keyed hashes: that of a bridge.Store.
type Key interface {
	MAC(purpose, value string) bridge.Hash
}

// Refresh is a refresh token in clear, or the zero value for what is none.
type Refresh struct {
	grantID string
	shared  [sharedBytes]byte
	own     [ownBytes]byte
}

// NewRefresh makes the first token of a family, of no grant yet.
func NewRefresh(rand io.Reader) (Refresh, error) {
	var r Refresh
	for _, part := range [][]byte{r.shared[:], r.own[:]} {
		if _, err := io.ReadFull(rand, part); err != nil {
			return Refresh{}, fmt.Errorf("reading randomness for a refresh token: %w", err)
		}
	}
	return r, nil
}

// Next is the token's successor: always the same one, so that it need not be stored to be given out again, and known only
// to who has both the token and the key (0005).
func (r Refresh) Next(key Key) Refresh {
	r.own = key.MAC(successorPurpose, r.grantID+string(r.shared[:])+string(r.own[:]))
	return r
}

// Of is the token as one of a grant, whose id bridge.GrantID or, before, bridge.NewID made.
func (r Refresh) Of(grantID string) Refresh {
	r.grantID = grantID
	return r
}

// ParseRefresh reads a token that a client presents; the zero value when nobody here made it.
func ParseRefresh(presented secret.Token) Refresh {
	text, ours := strings.CutPrefix(presented.Reveal(), refreshPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	idBytes := len(raw) - sharedBytes - ownBytes
	if !ours || err != nil || idBytes != bridge.GrantIDBytes && idBytes != bridge.IDBytes || len(text) != base64.RawURLEncoding.EncodedLen(len(raw)) {
		return Refresh{}
	}
	return Refresh{
		grantID: bridge.IDOf(raw[:idBytes]),
		shared:  [sharedBytes]byte(raw[idBytes:]),
		own:     [ownBytes]byte(raw[idBytes+sharedBytes:]),
	}
}

// Token is what the client gets; none when the token is of no grant.
func (r Refresh) Token() secret.Token {
	id := bridge.BytesOf(r.grantID)
	if id == nil {
		return secret.Token{}
	}
	raw := slices.Concat(id, r.shared[:], r.own[:])
	return secret.New(refreshPrefix + base64.RawURLEncoding.EncodeToString(raw))
}

// Told is what a store may know of the token; the zero value matches nothing.
func (r Refresh) Told() bridge.RefreshToken {
	if r == (Refresh{}) {
		return bridge.RefreshToken{}
	}
	return bridge.RefreshToken{
		GrantID: r.grantID,
		Shared:  bridge.TokenHashOf(string(r.shared[:])),
		Hash:    bridge.TokenHashOf(string(r.shared[:]) + string(r.own[:])),
	}
}

// Format writes [redacted] whatever the verb.
func (r Refresh) Format(f fmt.State, verb rune) { r.Token().Format(f, verb) }

// MarshalText writes [redacted].
func (r Refresh) MarshalText() ([]byte, error) { return r.Token().MarshalText() }

// LogValue writes [redacted].
func (r Refresh) LogValue() slog.Value { return r.Token().LogValue() }
