package token

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	strict "github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	// maxBytes bounds a token before anything is parsed.
	maxBytes = 4096
	maxLife  = 24 * time.Hour
)

// Access is what an access token says (RFC 9068 §2.2).
type Access struct {
	ID        string        // jti
	PersonID  string        // sub: opaque and stable
	ClientID  string        // client_id
	GrantID   string        // gid: our own claim
	Resource  string        // aud: exactly one
	Scopes    bridge.Scopes // scope
	ProofKey  bridge.Hash   // cnf: thumbprint of the key that whoever shows it must hold; zero: of none
	IssuedAt  time.Time     // iat
	ExpiresAt time.Time     // exp
}

// Use is what the token says of its grant.
func (a Access) Use() bridge.TokenUse {
	return bridge.TokenUse{ID: a.ID, ClientID: a.ClientID, PersonID: a.PersonID, Resource: a.Resource}
}

// claims are read strictly, so that a token cannot be read in two ways: an audience that is an
// array, a time that is no whole number and a member that stands twice are all refused.
type claims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	ClientID  string `json:"client_id"`
	Grant     string `json:"gid"`
	Scope     string `json:"scope"`
	ID        string `json:"jti"`
	IssuedAt  *int64 `json:"iat"` // seconds
	ExpiresAt *int64 `json:"exp"`
	NotBefore *int64 `json:"nbf,omitempty"`

	Confirmation *Confirmation `json:"cnf,omitempty"`
}

// Confirmation is the claim that binds a token to a key (RFC 7800 §3.1).
type Confirmation struct {
	Thumbprint bridge.Hash `json:"jkt"` // RFC 9449 §6.1
}

// Confirmation is the claim of the token, nil for one that is bound to no key.
func (a Access) Confirmation() *Confirmation {
	if a.ProofKey.IsZero() {
		return nil
	}
	return &Confirmation{Thumbprint: a.ProofKey}
}

// Type is how the token is presented (RFC 6749 §7.1).
func (a Access) Type() string {
	if a.ProofKey.IsZero() {
		return "Bearer"
	}
	return "DPoP"
}

// JWKS is the public key set document (RFC 7517 §5), from memory.
func (s *Signer) JWKS() []byte { return s.keys.Load().jwks(s.now()) }

// Mint signs an access token for a live grant: scopes narrows the grant's when the client asked
// for less (RFC 6749 §6). A proofKey that is not zero binds the token to it.
func (s *Signer) Mint(grant bridge.Grant, scopes bridge.Scopes, proofKey bridge.Hash, life time.Duration) (secret.Token, Access, error) {
	id, err := bridge.NewID(rand.Reader)
	if err != nil {
		return secret.Token{}, Access{}, err
	}
	at := s.now()
	now := at.Truncate(time.Second)
	access := Access{
		ID: id, PersonID: grant.Person.ID(), ClientID: grant.ClientID, GrantID: grant.ID,
		Resource: grant.Resource, Scopes: scopes, ProofKey: proofKey, IssuedAt: now, ExpiresAt: now.Add(life),
	}
	issued, expires := access.IssuedAt.Unix(), access.ExpiresAt.Unix()
	payload, err := json.Marshal(claims{
		Issuer: s.issuer, Subject: access.PersonID, Audience: access.Resource, ClientID: access.ClientID,
		Grant: access.GrantID, Scope: scopes.String(), ID: id,
		IssuedAt: &issued, ExpiresAt: &expires, Confirmation: access.Confirmation(),
	})
	if err != nil {
		return secret.Token{}, Access{}, fmt.Errorf("encoding an access token: %w", err)
	}
	signed, err := s.keys.Load().signing(at).signer.Sign(payload)
	if err != nil {
		return secret.Token{}, Access{}, fmt.Errorf("signing an access token: %w", err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		return secret.Token{}, Access{}, fmt.Errorf("signing an access token: %w", err)
	}
	return secret.New(compact), access, nil
}

// Check reads an access token that is presented at resource. The error is an *bridge.Error with
// code invalid_token whose cause says which check failed; the client is told only that much.
//
// Check does not know whether the grant still lives: ask the store.
func (s *Signer) Check(presented secret.Token, resource string) (Access, error) {
	access, err := s.Read(presented)
	if err != nil {
		return Access{}, err
	}
	if err := access.At(resource); err != nil {
		return Access{}, err
	}
	return access, nil
}

// At is nil for a token of resource, and the error of Check for any other one.
func (a Access) At(resource string) error {
	if a.Resource != resource {
		return invalid(errors.New("the audience is another resource"))
	}
	return nil
}

// Read is Check for any resource of this issuer: the caller asks Access.At, or takes tokens for all of them as
// revocation does.
func (s *Signer) Read(presented secret.Token) (Access, error) {
	body, err := s.verify(presented.Reveal())
	if err != nil {
		return Access{}, invalid(err)
	}
	var c claims
	if err := strict.Unmarshal(body, &c); err != nil {
		return Access{}, invalid(errors.New("the claims cannot be read"))
	}
	access, err := s.accept(c)
	if err != nil {
		return Access{}, invalid(err)
	}
	return access, nil
}

func (s *Signer) verify(compact string) ([]byte, error) {
	if compact == "" || len(compact) > maxBytes {
		return nil, errors.New("not of a token's length")
	}
	parsed, err := jose.ParseSignedCompact(compact, acceptedAlgorithms())
	if err != nil {
		return nil, errors.New("not a signed token of an accepted algorithm")
	}
	header := parsed.Signatures[0].Protected
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "at+jwt" {
		return nil, errors.New("the type is not at+jwt") // RFC 9068 §4
	}
	k := s.verifying(header.KeyID)
	if k == nil || k.Algorithm != header.Algorithm {
		return nil, errors.New("signed with no key of ours")
	}
	body, err := parsed.Verify(k.public.Key)
	if err != nil {
		return nil, errors.New("the signature is wrong")
	}
	return body, nil
}

func (s *Signer) accept(c claims) (Access, error) {
	now := s.now()
	switch {
	case c.Issuer != s.issuer:
		return Access{}, errors.New("another issuer")
	case c.Subject == "" || c.ClientID == "" || c.Grant == "" || c.ID == "" || c.Audience == "":
		return Access{}, errors.New("a claim is missing")
	case c.IssuedAt == nil || c.ExpiresAt == nil:
		return Access{}, errors.New("a time is missing")
	}
	issued, expires := time.Unix(*c.IssuedAt, 0), time.Unix(*c.ExpiresAt, 0)
	switch {
	case !now.Before(expires):
		return Access{}, errors.New("expired")
	case issued.After(now.Add(bridge.Leeway)) || c.NotBefore != nil && time.Unix(*c.NotBefore, 0).After(now.Add(bridge.Leeway)):
		return Access{}, errors.New("not yet valid")
	case expires.Sub(issued) > maxLife:
		return Access{}, errors.New("lives too long")
	}
	scopes, unknown := bridge.ParseScopes(c.Scope)
	if unknown > 0 || len(scopes) == 0 {
		return Access{}, errors.New("the scope is not one of ours")
	}
	var proofKey bridge.Hash
	if c.Confirmation != nil {
		// A token that is bound in a way we do not know must not pass for one that is not bound.
		if proofKey = c.Confirmation.Thumbprint; proofKey.IsZero() {
			return Access{}, errors.New("bound to no key that is named")
		}
	}
	return Access{
		ID: c.ID, PersonID: c.Subject, ClientID: c.ClientID, GrantID: c.Grant,
		Resource: c.Audience, Scopes: scopes, ProofKey: proofKey, IssuedAt: issued, ExpiresAt: expires,
	}, nil
}

func invalid(cause error) error {
	return &bridge.Error{
		Code: "invalid_token", Description: "The access token is not valid here",
		Status: http.StatusUnauthorized, Cause: cause,
	}
}
