package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// rsaBits is the length of a new RSA key, and the least that is taken (RFC 7518 §3.3).
const rsaBits = 2048

// key is an opened signing key. Its algorithm is bound to it: the kid never verifies under another one.
type key struct {
	bridge.SigningKey
	signer jose.Signer
	public jose.JSONWebKey
}

// published reports whether the key is in the JWKS and verifies at now.
func (k *key) published(now time.Time) bool { return k.RetiresAt.IsZero() || now.Before(k.RetiresAt) }

// newKey makes a key that waits to be called.
func newKey(ring *secret.Keyring, algorithm string, now time.Time) (bridge.SigningKey, error) {
	fail := func(err error) (bridge.SigningKey, error) {
		return bridge.SigningKey{}, fmt.Errorf("making a signing key: %w", err)
	}
	id, err := bridge.NewID(rand.Reader)
	if err != nil {
		return fail(err)
	}
	private, err := generate(algorithm)
	if err != nil {
		return fail(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fail(err)
	}
	public, err := json.Marshal(publicKey(private, id, algorithm))
	if err != nil {
		return fail(err)
	}
	return bridge.SigningKey{
		ID: id, Algorithm: algorithm, Private: ring.Seal(bridge.SealedSigningKey, id, der), Public: public, CreatedAt: now,
	}, nil
}

func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case bridge.SignES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case bridge.SignEdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case bridge.SignRS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("there is no algorithm %q", algorithm)
}

// fits reports whether a private key is of the one kind that goes with algorithm. The seal vouches
// for the key and not for the word beside it.
func fits(private crypto.Signer, algorithm string) bool {
	switch k := private.(type) {
	case *ecdsa.PrivateKey:
		return algorithm == bridge.SignES256 && k.Curve == elliptic.P256()
	case ed25519.PrivateKey:
		return algorithm == bridge.SignEdDSA
	case *rsa.PrivateKey:
		return algorithm == bridge.SignRS256 && k.N.BitLen() >= rsaBits
	}
	return false
}

func publicKey(private crypto.Signer, id, algorithm string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: private.Public(), KeyID: id, Algorithm: algorithm, Use: "sig"}
}

func openKey(stored bridge.SigningKey, ring *secret.Keyring) (*key, error) {
	fail := func(err error) (*key, error) { return nil, fmt.Errorf("signing key %s: %w", stored.ID, err) }
	der, err := ring.Open(bridge.SealedSigningKey, stored.ID, stored.Private)
	if err != nil {
		return fail(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return fail(errors.New("is damaged"))
	}
	private, ok := parsed.(crypto.Signer)
	if !ok || !fits(private, stored.Algorithm) {
		return fail(fmt.Errorf("is no key for %q", stored.Algorithm))
	}
	options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", stored.ID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(stored.Algorithm), Key: private}, options)
	if err != nil {
		return fail(err)
	}
	return &key{SigningKey: stored, signer: signer, public: publicKey(private, stored.ID, stored.Algorithm)}, nil
}

// acceptedAlgorithms is what a token may be signed with at all; which it must be, its key decides.
func acceptedAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256}
}
