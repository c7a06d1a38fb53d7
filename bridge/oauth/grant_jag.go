package oauth

import (
	"context"
	"errors"
	"slices"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/signed"
)

// badAssertion is the one answer for an assertion that opens nothing (RFC 7521 §4.1, EX-13). Why is
// for the log.
func badAssertion(cause error) error {
	return &bridge.Error{Code: "invalid_grant", Description: "The assertion is not valid for this request", Cause: cause}
}

// identity serves the identity assertion grant (RFC 7523 §2.1 with ID-JAG §4.4): a provider the
// operator trusts says who asks, and the person was linked to a Trinity key beforehand, and is let in
// by the rules of their identity source where there is one. There is no
// refresh token (EX-12). As with machine, one live grant stands behind all tokens of a client, a
// person and a key.
func (t *Token) identity(ctx context.Context, request *tokenRequest) (tokenAnswer, string, error) {
	client := request.client
	switch {
	case client.Public():
		return nil, "", unproven(errors.New("a public client brought an identity assertion")) // EX-06
	case !slices.ContainsFunc(t.Providers, func(p clients.Provider) bool { return slices.Contains(p.Clients, client.ID) }):
		return nil, "", errNotAllowed
	}
	compact := request.form.get("assertion")
	if compact == "" {
		return nil, "", bridge.Refuse(invalidRequest, "assertion is missing")
	}
	presented, provider, err := t.believe(ctx, client, compact)
	if err != nil {
		return nil, "", err
	}
	person := provider.Person(presented.claims.Subject)
	known, err := t.resolve(ctx, presented, provider, person)
	if err != nil {
		return nil, "", err
	}
	if request.resource.URL != "" && request.resource.URL != presented.resource.URL {
		return nil, "", bridge.Refuse("invalid_target", "The assertion is for another resource")
	}
	most := provider.Scopes.Intersect(presented.resource.Scopes)
	wanted := bridge.Grant{Person: person, ClientID: client.ID, ClientName: client.Name, Link: known.Link, Profile: presented.resource.Profile}
	if known.Admission != nil {
		most = most.Intersect(known.Admission.Ceiling)
		wanted.Ceiling, wanted.Profiles = known.Admission.Ceiling, known.Admission.Profiles
	}
	if len(client.Scopes) > 0 {
		most = most.Intersect(client.Scopes)
	}
	scopes, err := jagScope(request.form.get("scope"), presented.claims.Scope, most)
	if err != nil {
		return nil, "", err
	}
	wanted.ID = t.startedID("identity", known.Key, client.ID+"\x00"+person.ID(), presented.resource)
	wanted.Scopes, wanted.Resource = most, presented.resource.URL
	grant, err := t.standingGrant(ctx, wanted, known.Key)
	if errors.Is(err, errEnded) {
		return nil, grant.ID, badAssertion(err)
	}
	if err != nil {
		return nil, grant.ID, err
	}
	// Last, so that only an assertion that gets a token is used up (EX-09).
	first, err := t.Replays.UseOnce(ctx, "id-jag "+provider.Issuer, presented.claims.ID, presented.claims.ExpiresAt.Time(), t.Now())
	if err != nil {
		return nil, grant.ID, err
	}
	if !first {
		return nil, grant.ID, badAssertion(errors.New("it was used before"))
	}
	return t.issue(ctx, request, grant, scopes, secret.Token{})
}

// People resolves somebody an identity assertion is about: through the same links and by the same
// rules as everybody who signs in.
type People interface {
	// Resolve returns what is known of a person; bridge.ErrNotFound when the rules of their identity
	// source do not let them in.
	Resolve(ctx context.Context, person bridge.Person, claims admission.Claims) (Known, error)
}

// Known is what is known of a person.
type Known struct {
	Link      string       // "" when there is none
	Key       secret.Token // the link's
	Admission *bridge.Admission
}

// resolve finds the key of the person an assertion is about: their link's, or the one the operator
// wrote down for them beside the provider.
func (t *Token) resolve(ctx context.Context, presented jag, provider clients.Provider, person bridge.Person) (Known, error) {
	claims := admission.Claims{}
	if err := presented.Claims(&claims); err != nil {
		return Known{}, badAssertion(err)
	}
	known, err := t.People.Resolve(ctx, person, claims)
	if errors.Is(err, bridge.ErrNotFound) {
		return Known{}, badAssertion(err)
	}
	if err != nil {
		return Known{}, err
	}
	if known.Link == "" {
		key, written := provider.Key(presented.claims.Subject)
		if !written {
			return Known{}, badAssertion(errors.New("the person it is about is linked to no key"))
		}
		known.Key = key
	}
	if known.Admission != nil && !known.Admission.Opens(presented.resource.Profile) {
		return Known{}, badAssertion(errors.New("the resource is not open to the person"))
	}
	return known, nil
}

// believe checks an assertion whole but for its use.
func (t *Token) believe(ctx context.Context, client bridge.Client, compact string) (jag, clients.Provider, error) {
	refuse := func(cause error) (jag, clients.Provider, error) {
		return jag{}, clients.Provider{}, badAssertion(cause)
	}
	presented, err := readJAG(compact)
	if err != nil {
		return refuse(err)
	}
	at := slices.IndexFunc(t.Providers, presented.issuedBy)
	if at < 0 || !slices.Contains(t.Providers[at].Clients, client.ID) {
		return refuse(errors.New("its issuer is not trusted for this client")) // EX-04
	}
	provider := t.Providers[at]
	if err := presented.check(t.Issuer, client.ID, t.Now()); err != nil {
		return refuse(err)
	}
	if presented.resource, err = namedResource(signed.Words(presented.claims.Resource), t.Resources); err != nil || presented.resource.URL == "" {
		return refuse(errors.New("it is for another resource")) // EX-07
	}
	err = presented.checkSignature(ctx, provider, t.ProviderKeys)
	if errors.Is(err, errSignature) {
		return refuse(err)
	}
	if err != nil {
		return jag{}, clients.Provider{}, err
	}
	return presented, provider, nil
}

// jagScope is what was asked for, the assertion says and the operator lets (EX-10).
func jagScope(parameter, said string, most bridge.Scopes) (bridge.Scopes, error) {
	allowed, _ := bridge.ParseScopes(said)
	allowed = allowed.Intersect(most)
	asked, unknown := bridge.ParseScopes(parameter)
	if len(asked) > 0 || unknown > 0 {
		allowed = allowed.Intersect(asked)
	}
	if len(allowed) == 0 {
		return nil, bridge.Refuse("invalid_scope", "None of the scopes is allowed for this assertion")
	}
	return allowed, nil
}
