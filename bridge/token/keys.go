package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// algorithm is what access tokens are signed with: verified everywhere, and twenty times cheaper
// to sign with than RS256.
const algorithm = jose.ES256

// OpenSigner loads the signing keys from the store, making the first one in a new store, and
// returns a Signer for issuer.
func OpenSigner(ctx context.Context, store bridge.SigningKeyStore, ring *secret.Keyring, issuer string, now func() time.Time) (*Signer, error) {
	stored, rev, err := store.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	if len(stored) == 0 {
		first, err := newKey(ring, now())
		if err != nil {
			return nil, err
		}
		err = store.SwapSigningKeys(ctx, []bridge.SigningKey{first}, rev)
		switch {
		case errors.Is(err, bridge.ErrConflict): // another replica was first: use its key
			return OpenSigner(ctx, store, ring, issuer, now)
		case err != nil:
			return nil, fmt.Errorf("storing the first signing key: %w", err)
		}
		stored = []bridge.SigningKey{first}
	}
	return newSigner(stored, ring, issuer, now)
}

func newKey(ring *secret.Keyring, now time.Time) (bridge.SigningKey, error) {
	id, err := bridge.NewID(rand.Reader)
	if err != nil {
		return bridge.SigningKey{}, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return bridge.SigningKey{}, fmt.Errorf("making a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return bridge.SigningKey{}, fmt.Errorf("encoding a signing key: %w", err)
	}
	public, err := json.Marshal(jose.JSONWebKey{Key: private.Public(), KeyID: id, Algorithm: string(algorithm), Use: "sig"})
	if err != nil {
		return bridge.SigningKey{}, fmt.Errorf("encoding a public key: %w", err)
	}
	return bridge.SigningKey{
		ID: id, Algorithm: string(algorithm), Private: ring.Seal("signing key", id, der), Public: public,
		CreatedAt: now, SignsFrom: now,
	}, nil
}

// verifier is a public key bound to its algorithm: a kid never verifies under another one.
type verifier struct {
	algorithm jose.SignatureAlgorithm
	key       crypto.PublicKey
}

func openKey(stored bridge.SigningKey, ring *secret.Keyring) (jose.Signer, verifier, jose.JSONWebKey, error) {
	fail := func(err error) (jose.Signer, verifier, jose.JSONWebKey, error) {
		return nil, verifier{}, jose.JSONWebKey{}, fmt.Errorf("signing key %s: %w", stored.ID, err)
	}
	der, err := ring.Open("signing key", stored.ID, stored.Private)
	if err != nil {
		return fail(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return fail(errors.New("is damaged"))
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return fail(errors.New("is of no known kind"))
	}
	alg := jose.SignatureAlgorithm(stored.Algorithm)
	options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", stored.ID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: private}, options)
	if err != nil {
		return fail(err)
	}
	public := jose.JSONWebKey{Key: private.Public(), KeyID: stored.ID, Algorithm: stored.Algorithm, Use: "sig"}
	return signer, verifier{algorithm: alg, key: private.Public()}, public, nil
}
