package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

func pkcs8(t *testing.T, private crypto.Signer) []byte {
	t.Helper()
	return must(x509.MarshalPKCS8PrivateKey(private))
}

// signed makes a token with these claims and header fields.
func signed(t *testing.T, algorithm jose.SignatureAlgorithm, with any, kid string, embed bool) secret.Token {
	t.Helper()
	options := (&jose.SignerOptions{EmbedJWK: embed}).WithType("at+jwt").WithHeader("kid", kid)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: with}, options)
	if err != nil {
		t.Fatal(err)
	}
	return forge{}.compact(t, signer, must(json.Marshal(goodClaims())))
}

// RS-19, FB-08: three keys of three algorithms are published. A token is good when its key id, its
// algorithm and what really signed it belong together, and in no other combination.
func TestSigner_Check_RS19_confusion(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, &keys{})
	var signer *token.Signer
	for _, algorithm := range bridge.SigningAlgorithms() {
		signer = d.open(t, signs(algorithm))
		d.Advance(token.PublishedAhead)
	}
	d.Advance(-3 * token.PublishedAhead) // the forged tokens are of the start
	list, _ := d.stored(t)
	ours, stranger := map[jose.SignatureAlgorithm]crypto.Signer{}, map[jose.SignatureAlgorithm]crypto.Signer{}
	kids := map[jose.SignatureAlgorithm]string{}
	for _, key := range list {
		alg := jose.SignatureAlgorithm(key.Algorithm)
		ours[alg], kids[alg] = d.private(t, key.ID), key.ID
	}
	stranger[jose.ES256] = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	stranger[jose.RS256] = must(rsa.GenerateKey(rand.Reader, 2048))
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger[jose.EdDSA] = edwards
	if len(kids) != 3 {
		t.Fatalf("keys %v, want one of each algorithm", kids)
	}

	for owner, kid := range kids {
		t.Run(string(owner), func(t *testing.T) {
			t.Parallel()
			for algorithm := range kids {
				check(t, signer, signed(t, algorithm, ours[algorithm], kid, false), algorithm == owner)
				check(t, signer, signed(t, algorithm, stranger[algorithm], kid, false), false)
				check(t, signer, signed(t, algorithm, ours[algorithm], "", false), false)
			}
			public := must(x509.MarshalPKIXPublicKey(ours[owner].Public()))
			for name, mac := range map[string][]byte{
				"DER": public, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
				"JWK": must(json.Marshal(jose.JSONWebKey{Key: ours[owner].Public(), KeyID: kid, Algorithm: string(owner), Use: "sig"})),
			} {
				if _, err := signer.Check(signed(t, jose.HS256, mac, kid, false), resource); err == nil {
					t.Errorf("FB-08: HS256 with the public key as %s is good", name)
				}
			}
			// The same key under its kind's other algorithms, and the algorithm's word over another's signature.
			if owner == jose.RS256 {
				for _, algorithm := range []jose.SignatureAlgorithm{jose.RS384, jose.RS512, jose.PS256, jose.PS512} {
					if _, err := signer.Check(signed(t, algorithm, ours[owner], kid, false), resource); err == nil {
						t.Errorf("%s with the RS256 key is good", algorithm)
					}
				}
			}
			payload := base64.RawURLEncoding.EncodeToString(must(json.Marshal(goodClaims())))
			for _, word := range []string{"none", "None", "", "ES256", "EdDSA", "RS256", "ES256K", "ES384", "Ed25519"} {
				header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + word + `","typ":"at+jwt","kid":"` + kid + `"}`))
				for _, length := range []int{0, 64, 256} {
					forged := secret.New(header + "." + payload + "." + base64.RawURLEncoding.EncodeToString(make([]byte, length)))
					if _, err := signer.Check(forged, resource); err == nil {
						t.Errorf("algorithm %q with %d zero bytes is good", word, length)
					}
				}
			}
		})
	}
	t.Run("a key that the token brings along", func(t *testing.T) {
		t.Parallel()
		for algorithm, kid := range kids {
			check(t, signer, signed(t, algorithm, stranger[algorithm], kid, true), false)
		}
	})
	t.Run("a key that waits is as good as one that signs", func(t *testing.T) {
		t.Parallel() // for the replica that has called it a moment ago
		d := newDeployment(t, &keys{})
		signer := d.open(t, policy(nil))
		list, _ := d.stored(t)
		check(t, signer, signed(t, jose.ES256, d.private(t, list[1].ID), list[1].ID, false), true)
	})
	t.Run("a key that has retired", func(t *testing.T) {
		t.Parallel()
		d := newDeployment(t, &keys{})
		signer := d.open(t, policy(nil))
		list, _ := d.stored(t)
		d.Advance(token.PublishedAhead)
		if err := signer.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		claims := goodClaims()
		claims["exp"] = start.Add(20 * time.Hour).Unix()
		options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", list[0].ID)
		with := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: d.private(t, list[0].ID)}, options))
		forged := forge{}.compact(t, with, must(json.Marshal(claims)))
		check(t, signer, forged, true)
		d.Advance(2 * time.Hour)
		check(t, signer, forged, false)
		check(t, d.open(t, policy(nil)), forged, false)
	})
}
