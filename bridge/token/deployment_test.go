package token_test

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clocktest"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

var grant = bridge.Grant{
	ID: "grant-1", Person: bridge.Person{Source: "trinity", Subject: "alice@example.com"}, ClientID: "client-1", Resource: resource,
}

// deployment is a store with keys, a secret and a clock. Replicas of it are opened with open.
type deployment struct {
	*clocktest.Clock
	store bridge.SigningKeyStore
	ring  *secret.Keyring

	mu     sync.Mutex
	events []bridge.AuditEvent
}

func newDeployment(t *testing.T, store bridge.SigningKeyStore) *deployment {
	t.Helper()
	return &deployment{store: store, ring: ring(t, "a-master-secret-"), Clock: clocktest.At(start)}
}

func ring(t *testing.T, word string) *secret.Keyring {
	t.Helper()
	ring, err := secret.NewKeyring([]byte(strings.Repeat(word, 4)))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// openBadger opens the real store.
func openBadger(t *testing.T) bridge.SigningKeyStore {
	t.Helper()
	store, err := badger.Open(badger.Options{Dir: t.TempDir(), Sealer: secrettest.Ring()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// policy is the default with an edit.
func policy(edit func(*token.KeyPolicy)) token.KeyPolicy {
	p := token.DefaultKeyPolicy()
	if edit != nil {
		edit(&p)
	}
	return p
}

func signs(algorithm string) token.KeyPolicy {
	return policy(func(p *token.KeyPolicy) { p.Algorithm = algorithm })
}

func (d *deployment) open(t *testing.T, p token.KeyPolicy) *token.Signer {
	t.Helper()
	signer, err := d.tryOpen(t, p, d.Now)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func (d *deployment) tryOpen(t *testing.T, p token.KeyPolicy, now func() time.Time) (*token.Signer, error) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	trail := audit.New(nil, log, d.Now) // it stores only when run
	trail.Also(func(event bridge.AuditEvent) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.events = append(d.events, event)
	})
	return token.OpenSigner(t.Context(), d.store, d.ring, issuer, now, token.WithKeyPolicy(p), token.WithTrail(trail, log))
}

// audited are kind and outcome of the events so far, which it forgets.
func (d *deployment) audited() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []string
	for _, event := range d.events {
		all = append(all, event.Kind+" "+event.Outcome)
	}
	d.events = nil
	return all
}

func (d *deployment) stored(t *testing.T) ([]bridge.SigningKey, int) {
	t.Helper()
	list, rev, err := d.store.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list, rev
}

// private opens the private part of a stored key.
func (d *deployment) private(t *testing.T, id string) crypto.Signer {
	t.Helper()
	list, _ := d.stored(t)
	for _, key := range list {
		if key.ID == id {
			der, err := d.ring.Open("signing key", id, key.Private)
			if err != nil {
				t.Fatal(err)
			}
			private, err := x509.ParsePKCS8PrivateKey(der)
			if err != nil {
				t.Fatal(err)
			}
			return private.(crypto.Signer)
		}
	}
	t.Fatalf("there is no key %s", id)
	return nil
}

func mint(t *testing.T, signer *token.Signer) secret.Token {
	t.Helper()
	minted, _, err := signer.Mint(grant, bridge.BaselineScopes(), bridge.Hash{}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return minted
}

func check(t *testing.T, signer *token.Signer, presented secret.Token, want bool) {
	t.Helper()
	if _, err := signer.Check(presented, resource); (err == nil) != want {
		t.Errorf("a token of key %s is good: %v (%v), want %v", kid(t, presented), err == nil, errors.Unwrap(err), want)
	}
}

// kid is the key that a token names.
func kid(t *testing.T, minted secret.Token) string {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(minted.Reveal(), []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Signatures[0].Protected.KeyID
}

// published are the members of the JWKS by kid, and the kids in its order.
func published(t *testing.T, signer *token.Signer) (map[string]map[string]any, []string) {
	t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(signer.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	byID, ids := map[string]map[string]any{}, []string{}
	for _, key := range set.Keys {
		id := key["kid"].(string)
		byID[id], ids = key, append(ids, id)
	}
	return byID, ids
}

func phases(t *testing.T, signer *token.Signer) []token.KeyPhase {
	t.Helper()
	keys, err := signer.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := []token.KeyPhase{}
	for _, key := range keys {
		all = append(all, key.Phase)
	}
	return all
}
