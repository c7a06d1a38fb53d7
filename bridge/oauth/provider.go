package oauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

const jagType = "oauth-id-jag+jwt"

// ProviderKeys finds keys a provider may have signed with: clients.Registry.Keys.
type ProviderKeys interface {
	Keys(ctx context.Context, client bridge.Client, kid string) ([]jose.JSONWebKey, error)
}

// jag is an identity assertion that was read and not yet believed.
type jag struct {
	signed *jose.JSONWebSignature
	header jose.Header
	claims jagClaims
	all    map[string]jsontext.Value
}

type jagClaims struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"`
	Audience  jsontext.Value `json:"aud"`
	ClientID  string         `json:"client_id"`
	Resource  jsontext.Value `json:"resource"`
	Scope     string         `json:"scope"`
	ID        string         `json:"jti"`
	ExpiresAt *float64       `json:"exp"`
	NotBefore *float64       `json:"nbf"`
	IssuedAt  *float64       `json:"iat"`
}

func readJAG(compact string) (jag, error) {
	if len(compact) > maxAssertionBytes {
		return jag{}, errors.New("it is too long")
	}
	var algorithms []jose.SignatureAlgorithm
	for _, algorithm := range bridge.AssertionAlgorithms() {
		algorithms = append(algorithms, jose.SignatureAlgorithm(algorithm))
	}
	signed, err := jose.ParseSignedCompact(compact, algorithms)
	if err != nil {
		return jag{}, errors.New("it is not a signed token of an accepted algorithm")
	}
	read := jag{signed: signed, header: signed.Signatures[0].Protected}
	if typ, _ := read.header.ExtraHeaders[jose.HeaderType].(string); !strings.EqualFold(typ, jagType) {
		return jag{}, errors.New("it is another type of token") // EX-03
	}
	payload := signed.UnsafePayloadWithoutVerification()
	if json.Unmarshal(payload, &read.claims) != nil || json.Unmarshal(payload, &read.all) != nil {
		return jag{}, errors.New("its claims cannot be read")
	}
	return read, nil
}

// issuedBy reports whether the assertion says that it is the provider's, and its tenant's (EX-04).
func (j jag) issuedBy(p clients.Provider) bool {
	if j.claims.Issuer != p.Issuer || p.Issuer == "" {
		return false
	}
	if p.TenantClaim == "" {
		return true
	}
	var tenant string
	return json.Unmarshal(j.all[p.TenantClaim], &tenant) == nil && tenant == p.Tenant && tenant != ""
}

// check says what is wrong with the claims for a client at the issuer, now (ID-JAG §4.4.1).
func (j jag) check(issuer, clientID string, now time.Time) error {
	c := j.claims
	switch {
	case c.Subject == "":
		return errors.New("it is about nobody")
	case !slices.Equal(oneOrMore(c.Audience), []string{issuer}):
		return errors.New("its audience is not this issuer alone") // EX-05
	case c.ClientID == "" || c.ClientID != clientID:
		return errors.New("it was made for another client") // EX-06
	case c.ID == "" || len(c.ID) > maxAssertionID:
		return errors.New("it has no usable jti")
	case c.ExpiresAt == nil || !now.Before(timeOf(*c.ExpiresAt)):
		return errors.New("it has expired or never does") // EX-08
	case timeOf(*c.ExpiresAt).After(now.Add(assertionLife + token.Leeway)):
		return fmt.Errorf("it is good for more than %s", assertionLife)
	case c.IssuedAt == nil || timeOf(*c.IssuedAt).Before(now.Add(-assertionLife-token.Leeway)):
		return errors.New("it does not say that it was issued just now")
	case timeOf(*c.IssuedAt).After(now.Add(token.Leeway)),
		c.NotBefore != nil && timeOf(*c.NotBefore).After(now.Add(token.Leeway)):
		return errors.New("it is not yet valid")
	}
	return nil
}

// checkSignature says whether the provider signed it, with an algorithm of its own (EX-03). An error
// that is no errSignature means that the keys cannot be had.
func (j jag) checkSignature(ctx context.Context, p clients.Provider, from ProviderKeys) error {
	if !slices.Contains(p.Algorithms, j.header.Algorithm) {
		return fmt.Errorf("%w: not with the provider's algorithm", errSignature)
	}
	keys, err := from.Keys(ctx, p.Keys, j.header.KeyID)
	if errors.Is(err, clients.ErrKeys) {
		return fmt.Errorf("%w: %w", errSignature, err)
	}
	if err != nil {
		return err
	}
	for _, key := range keys {
		if !fits(key, j.header.Algorithm) {
			continue
		}
		if _, err := j.signed.Verify(key.Key); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: with no key of the provider", errSignature)
}

var errSignature = errors.New("it is not signed as it should be")

// oneOrMore reads a claim that is a text or a list of texts; anything else is nothing.
func oneOrMore(value jsontext.Value) []string {
	var one string
	if json.Unmarshal(value, &one) == nil {
		return []string{one}
	}
	var several []string
	if json.Unmarshal(value, &several) != nil {
		return nil
	}
	return several
}
