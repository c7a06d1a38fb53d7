package oauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

const (
	assertionType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	maxAssertionBytes = 8 << 10
	maxAssertionID    = 256
	// assertionLife is how far ahead the end of an assertion may be: each one is remembered so long.
	assertionLife = 5 * time.Minute
	// latestSecond keeps a time claim within what a time can be made of.
	latestSecond = 1 << 40
)

// assertion is a client assertion that was read and not yet believed.
type assertion struct {
	signed *jose.JSONWebSignature
	header jose.Header
	claims assertionClaims
}

// assertionClaims are read strictly: a member that stands twice refuses the assertion. Times may
// have a fraction (RFC 7519 §2).
type assertionClaims struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"`
	Audience  jsontext.Value `json:"aud"`
	ID        string         `json:"jti"`
	ExpiresAt *float64       `json:"exp"`
	NotBefore *float64       `json:"nbf"`
	IssuedAt  *float64       `json:"iat"`
}

// readAssertion reads an assertion of one of the accepted algorithms.
func readAssertion(compact string) (assertion, error) {
	if len(compact) > maxAssertionBytes {
		return assertion{}, errors.New("the assertion is too long")
	}
	var algorithms []jose.SignatureAlgorithm
	for _, algorithm := range bridge.AssertionAlgorithms() {
		algorithms = append(algorithms, jose.SignatureAlgorithm(algorithm))
	}
	signed, err := jose.ParseSignedCompact(compact, algorithms)
	if err != nil {
		return assertion{}, errors.New("the assertion is not a signed token of an accepted algorithm")
	}
	read := assertion{signed: signed, header: signed.Signatures[0].Protected}
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &read.claims); err != nil {
		return assertion{}, errors.New("the claims of the assertion cannot be read")
	}
	// Absent or the general word is what clients send; another type of token is no assertion (AS-079).
	switch typ, _ := read.header.ExtraHeaders[jose.HeaderType].(string); strings.ToLower(typ) {
	case "", "jwt", "client-authentication+jwt":
		return read, nil
	}
	return assertion{}, errors.New("the token is of another type")
}

// offeredAssertion are the credentials of a request with an assertion. Its subject says who asks;
// client_id may be left out, and must not say another (RFC 7521 §4.2).
func offeredAssertion(id, compact, kind string) (credentials, error) {
	if compact == "" || kind != assertionType {
		return credentials{}, unproven(errors.New("assertion and its type do not go together"))
	}
	read, err := readAssertion(compact)
	if err != nil {
		return credentials{}, unproven(err)
	}
	if subject := read.claims.Subject; subject == "" || id != "" && id != subject {
		return credentials{}, unproven(errors.New("the assertion is about another client"))
	}
	return credentials{id: read.claims.Subject, assertion: &read}, nil
}

// byAssertion returns the client that signed the assertion (RFC 7523 §3, AS-078).
func (a Authenticator) byAssertion(ctx context.Context, offered credentials) (bridge.Client, error) {
	presented := *offered.assertion
	client, err := a.clients.Client(ctx, offered.id)
	switch {
	case errors.Is(err, clients.ErrUnknown):
		return bridge.Client{}, unproven(err)
	case err != nil:
		return bridge.Client{}, err
	case client.Blocked:
		return bridge.Client{}, unproven(errors.New("the client is blocked"))
	case client.AuthMethod != bridge.AuthKey:
		return bridge.Client{}, unproven(errors.New("the client does not authenticate by assertion")) // AS-081
	}
	if err := a.checkClaims(client, presented.claims); err != nil {
		return bridge.Client{}, unproven(err)
	}
	if err := a.checkSignature(ctx, client, presented); err != nil {
		return bridge.Client{}, err
	}
	// Last, so that nobody but the client can use up its ids.
	first, err := a.replays.UseOnce(ctx, "client-assertion "+client.ID, presented.claims.ID, timeOf(*presented.claims.ExpiresAt), a.now())
	if err != nil {
		return bridge.Client{}, err
	}
	if !first {
		return bridge.Client{}, unproven(errors.New("the assertion was used before"))
	}
	return client, nil
}

func (a Authenticator) checkClaims(client bridge.Client, c assertionClaims) error {
	now := a.now()
	switch {
	case c.Issuer != client.ID || c.Subject != client.ID:
		return errors.New("issuer and subject of the assertion are not the client")
	case !a.addressed(client, c.Audience):
		return errors.New("the audience of the assertion is not this issuer alone")
	case c.ID == "" || len(c.ID) > maxAssertionID:
		return errors.New("the assertion has no usable jti")
	case c.ExpiresAt == nil || !now.Before(timeOf(*c.ExpiresAt)):
		return errors.New("the assertion has expired or never does")
	case timeOf(*c.ExpiresAt).After(now.Add(assertionLife + token.Leeway)):
		return fmt.Errorf("the assertion is good for more than %s", assertionLife)
	case c.NotBefore != nil && timeOf(*c.NotBefore).After(now.Add(token.Leeway)),
		c.IssuedAt != nil && timeOf(*c.IssuedAt).After(now.Add(token.Leeway)):
		return errors.New("the assertion is not yet valid")
	}
	return nil
}

// addressed reports whether the assertion is meant for us: its sole audience is the issuer (AS-079),
// since a hostile server can have a client name our token endpoint but not our issuer.
//
// One thing is let pass: a client that would be served without any proof, because its document
// offers the method none as well, may name the token endpoint. ChatGPT does so, uses the stronger
// method wherever it is advertised, and would otherwise be the one client turned away (B45).
func (a Authenticator) addressed(client bridge.Client, audience jsontext.Value) bool {
	var one string
	if json.Unmarshal(audience, &one) != nil {
		var several []string
		if json.Unmarshal(audience, &several) != nil || len(several) != 1 {
			return false
		}
		one = several[0]
	}
	return one == a.issuer || client.OffersNone && one == a.tokenEndpoint
}

func (a Authenticator) checkSignature(ctx context.Context, client bridge.Client, presented assertion) error {
	algorithm := presented.header.Algorithm
	if client.SigningAlg != "" && client.SigningAlg != algorithm {
		return unproven(errors.New("the assertion is not signed with the client's algorithm"))
	}
	keys, err := a.clients.Keys(ctx, client, presented.header.KeyID)
	if errors.Is(err, clients.ErrKeys) {
		return unproven(err)
	}
	if err != nil {
		return err
	}
	for _, key := range keys {
		if !fits(key, algorithm) {
			continue
		}
		if _, err := presented.signed.Verify(key.Key); err == nil {
			return nil
		}
	}
	return unproven(errors.New("the assertion is signed with no key of the client"))
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
		return algorithm == "EdDSA"
	}
	return false
}

func timeOf(seconds float64) time.Time {
	return time.Unix(int64(max(min(seconds, latestSecond), 0)), 0)
}

// unproven is the one answer for every client that did not prove who it is. Why is for the log.
func unproven(cause error) error {
	return &bridge.Error{
		Code: "invalid_client", Description: "The client is not known or did not authenticate",
		Status: http.StatusUnauthorized, Cause: cause,
	}
}
