package trinity

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Principals are the agents, and the platform itself, that the operator lets some people act as: a
// key for each, which stays the operator's. It is read from the configuration and never stored, so
// that taking it out there takes it from everybody.
type Principals struct {
	Keys   map[bridge.ActingAs]secret.Token
	Policy admission.Policy // who may, of those who sign in by Trinity's e-mail code
}

// Offered lists what a person who has signed in may act as besides themselves.
func (p *Principals) Offered(signIn bridge.SignIn) []bridge.ActingAs {
	allowed := p.ofPerson(signIn.Person)
	if signIn.Identity != nil {
		allowed = signIn.Identity.Admission.ActAs
	}
	return slices.DeleteFunc(slices.Clone(allowed), func(as bridge.ActingAs) bool {
		_, ok := p.key(as)
		return !ok
	})
}

// ofPerson is what somebody may act as whom Trinity's e-mail code has signed in. Their address is the
// username: people can change the other one themselves.
func (p *Principals) ofPerson(person bridge.Person) []bridge.ActingAs {
	if p == nil || person.Source != bridge.SourceTrinity {
		return nil
	}
	verdict := p.Policy.Decide(admission.Claims{"sub": person.Subject, "email": person.Subject, p.Policy.Verified: true})
	return verdict.ActAs
}

// key is the operator's key of a principal.
func (p *Principals) key(as bridge.ActingAs) (secret.Token, bool) {
	if p == nil {
		return secret.Token{}, false
	}
	key, ok := p.Keys[as.Principal()]
	return key, ok
}

// Offered lists what a person who has signed in may act as besides themselves.
func (c *Credentials) Offered(signIn bridge.SignIn) []bridge.ActingAs {
	return c.principals.Offered(signIn)
}

// Lend makes sure that the operator's key of a principal resolves to exactly it, and returns the
// principal with its owner. The error wraps bridge.ErrNotFound when the key is definitely another's.
func (c *Credentials) Lend(ctx context.Context, as bridge.ActingAs) (bridge.ActingAs, error) {
	doing := "lending " + as.String()
	key, ok := c.principals.key(as)
	if !ok {
		return bridge.ActingAs{}, fmt.Errorf("%s: no such principal: %w", doing, bridge.ErrNotFound)
	}
	ctx, cancel := flow.Asking(ctx, lendSpare)
	defer cancel()
	principal, err := c.api.Validate(ctx, key)
	if err != nil {
		return bridge.ActingAs{}, lending(doing, err)
	}
	lent := bridge.ActingAs{Kind: as.Kind, Agent: as.Agent, Owner: principal.Username}
	standing, err := c.compare(ctx, key, claim{username: lent.Owner, as: as.Principal()})
	if err != nil {
		return bridge.ActingAs{}, lending(doing, err)
	}
	if standing != bridge.StandingGood {
		return bridge.ActingAs{}, fmt.Errorf("%s: the operator's key is %s: %w", doing, standing, bridge.ErrNotFound)
	}
	return lent, nil
}

func lending(doing string, err error) error {
	if errors.Is(err, ErrUnauthorized) {
		return fmt.Errorf("%s: %w: %w", doing, bridge.ErrNotFound, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// standingOfLent is what a grant is worth that acts as somebody else: the person has to be in good
// standing themselves, still allowed to, and the operator's key has to resolve to that principal.
func (c *Credentials) standingOfLent(ctx context.Context, grant bridge.Grant) (bridge.Standing, error) {
	own, err := c.own(grant)
	if err != nil {
		return bridge.StandingUnknown, err
	}
	key, ok := c.principals.key(grant.ActingAs)
	if !ok {
		return bridge.StandingWithdrawn, nil
	}
	// What a provider's rules say comes with the identity session (Grant.Narrow).
	if grant.Identity == "" && !slices.Contains(c.principals.ofPerson(grant.Person), grant.ActingAs.Principal()) {
		return bridge.StandingWithdrawn, nil
	}
	standing, err := c.compare(ctx, own, claim{
		username: grant.Account.Username, role: grant.Account.Role, as: bridge.ActingAs{Kind: bridge.ActAsUser},
	})
	if standing != bridge.StandingGood {
		return standing, err
	}
	return c.compare(ctx, key, claim{username: grant.ActingAs.Owner, as: grant.ActingAs.Principal()})
}
