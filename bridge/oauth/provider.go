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
	"github.com/abilityai/trinity-bridge/bridge/signed"
)

const jagType = "oauth-id-jag+jwt"

// ProviderKeys finds keys a provider may have signed with: clients.Registry.Keys.
type ProviderKeys interface {
	Keys(ctx context.Context, client bridge.Client, kid string) ([]jose.JSONWebKey, error)
}

// jag is an identity assertion that was read and not yet believed.
type jag struct {
	signed.Token
	claims jagClaims
	all    map[string]jsontext.Value
	// resource is the one the assertion is for, once that was checked.
	resource bridge.Resource
}

type jagClaims struct {
	signed.Assertion
	ClientID string         `json:"client_id"`
	Resource jsontext.Value `json:"resource"`
	Scope    string         `json:"scope"`
}

func readJAG(compact string) (jag, error) {
	token, err := signed.Read(compact)
	if err != nil {
		return jag{}, err
	}
	if !strings.EqualFold(token.Type(), jagType) {
		return jag{}, errors.New("it is another type of token") // EX-03
	}
	read := jag{Token: token}
	return read, errors.Join(token.Claims(&read.claims), token.Claims(&read.all))
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
	case !c.For(issuer):
		return errors.New("its audience is not this issuer alone") // EX-05
	case c.ClientID == "" || c.ClientID != clientID:
		return errors.New("it was made for another client") // EX-06
	case !c.Recent(now):
		return errors.New("it does not say that it was issued just now") // EX-08
	}
	return c.CheckTimes(now)
}

// checkSignature says whether the provider signed it, with an algorithm of its own (EX-03). An error
// that is no errSignature means that the keys cannot be had.
func (j jag) checkSignature(ctx context.Context, p clients.Provider, from ProviderKeys) error {
	if !slices.Contains(p.Algorithms, j.Algorithm()) {
		return fmt.Errorf("%w: not with the provider's algorithm", errSignature)
	}
	keys, err := from.Keys(ctx, p.Keys, j.KeyID())
	if errors.Is(err, clients.ErrKeys) {
		return fmt.Errorf("%w: %w", errSignature, err)
	}
	if err != nil {
		return err
	}
	if !j.SignedBy(keys...) {
		return fmt.Errorf("%w: with no key of the provider", errSignature)
	}
	return nil
}

var errSignature = errors.New("it is not signed as it should be")
