package signed

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Checking a signature costs with the square of an RSA key's length.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

var (
	// ErrSecretKey says that a key shows what must never be shown.
	ErrSecretKey = errors.New("the key is a private or shared one")
	// ErrUnfit says that a key is of a kind, size or use that checks no token here.
	ErrUnfit = errors.New("the key is of a kind that is not served")
)

// ReadKey reads a public key (RFC 7517 §4). Any error but ErrSecretKey and ErrUnfit means that it is
// no JWK at all.
func ReadKey(jwk []byte) (jose.JSONWebKey, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(jwk, &members); err != nil {
		return jose.JSONWebKey{}, errors.New("the key cannot be read")
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, shown := members[private]; shown {
			return jose.JSONWebKey{}, ErrSecretKey
		}
	}
	var key jose.JSONWebKey
	if key.UnmarshalJSON(jwk) != nil || !serves(key) {
		return jose.JSONWebKey{}, ErrUnfit
	}
	return key, nil
}

func serves(key jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" || key.Algorithm != "" && !slices.Contains(bridge.AssertionAlgorithms(), key.Algorithm) {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSABits && public.N.BitLen() <= maxRSABits
	case *ecdsa.PublicKey:
		return public.Curve.Params().BitSize == 256 || public.Curve.Params().BitSize == 384
	case ed25519.PublicKey:
		return true
	}
	return false
}

// fits binds a key to the algorithms it is for, so that the header does not choose (RFC 8725 §3.1).
func fits(key jose.JSONWebKey, algorithm string) bool {
	if key.Algorithm != "" && key.Algorithm != algorithm {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return algorithm == "RS256" || algorithm == "PS256"
	case *ecdsa.PublicKey:
		return algorithm == map[int]string{256: "ES256", 384: "ES384"}[public.Curve.Params().BitSize]
	case ed25519.PublicKey:
		return algorithm == "EdDSA" || algorithm == algEd25519
	}
	return false
}
