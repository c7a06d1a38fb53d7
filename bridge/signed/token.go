package signed

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	maxBytes = 8 << 10
	// algEd25519 is the name of RFC 9864, which go-jose does not know, for what it knows as EdDSA.
	algEd25519 = "Ed25519"
)

// Token is a signed token that was read and not yet believed.
type Token struct {
	parsed *jose.JSONWebSignature
	header header
	input  string // what was signed (RFC 7515 §5.1)
}

// header is the protected header, read strictly: a member that stands twice refuses the token.
type header struct {
	Type      string         `json:"typ"`
	Algorithm string         `json:"alg"`
	KeyID     string         `json:"kid"`
	Key       jsontext.Value `json:"jwk"`
	Critical  jsontext.Value `json:"crit"`
}

// Read reads a token that is signed with one of bridge.AssertionAlgorithms.
func Read(compact string) (Token, error) {
	if len(compact) > maxBytes {
		return Token{}, errors.New("it is too long")
	}
	var algorithms []jose.SignatureAlgorithm
	for _, algorithm := range bridge.AssertionAlgorithms() {
		algorithms = append(algorithms, jose.SignatureAlgorithm(algorithm))
	}
	parsed, err := jose.ParseSignedCompact(compact, algorithms)
	if err != nil {
		return Token{}, errors.New("it is not a signed token of an accepted algorithm")
	}
	read := Token{parsed: parsed, input: compact[:strings.LastIndexByte(compact, '.')]}
	protected, _, _ := strings.Cut(compact, ".")
	text, err := base64.RawURLEncoding.DecodeString(protected)
	if err != nil || json.Unmarshal(text, &read.header) != nil {
		return Token{}, errors.New("its header cannot be read")
	}
	if read.header.Critical != nil { // we understand no extension (RFC 7515 §4.1.11)
		return Token{}, errors.New("it has critical headers")
	}
	return read, nil
}

// Type is the typ of the header as it stands there.
func (t Token) Type() string { return t.header.Type }

// Algorithm is one of bridge.AssertionAlgorithms.
func (t Token) Algorithm() string { return t.header.Algorithm }

// KeyID is the kid of the header, "" when there is none.
func (t Token) KeyID() string { return t.header.KeyID }

// Key is the public key that the token brings along (RFC 7515 §4.1.3). That it signed the token says
// nothing about whose it is.
func (t Token) Key() (jose.JSONWebKey, error) {
	if t.header.Key == nil {
		return jose.JSONWebKey{}, errors.New("it brings no key")
	}
	return ReadKey(t.header.Key)
}

// Claims reads the claims strictly into a struct or map.
func (t Token) Claims(into any) error {
	if json.Unmarshal(t.parsed.UnsafePayloadWithoutVerification(), into) != nil {
		return errors.New("its claims cannot be read")
	}
	return nil
}

// SignedBy reports whether one of the keys signed the token, with an algorithm that the key is for.
func (t Token) SignedBy(keys ...jose.JSONWebKey) bool {
	for _, key := range keys {
		if !fits(key, t.header.Algorithm) {
			continue
		}
		if t.verify(key) {
			return true
		}
	}
	return false
}

func (t Token) verify(key jose.JSONWebKey) bool {
	if t.header.Algorithm != algEd25519 {
		_, err := t.parsed.Verify(key.Key)
		return err == nil
	}
	public, ok := key.Key.(ed25519.PublicKey)
	return ok && ed25519.Verify(public, []byte(t.input), t.parsed.Signatures[0].Signature)
}
