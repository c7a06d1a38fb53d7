package trinity

import (
	"context"
	"errors"
	"fmt"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Adopt puts a key that was made elsewhere into grant: the account and principal Trinity says it
// is, and the key itself, sealed. The grant gets no key id, so that its end leaves the key alone:
// it is the operator's.
//
// The error wraps bridge.ErrNotFound when Trinity definitely refuses the key or its account, or
// when the key is of a kind that no calls are made with; any other means that nothing was learnt.
func (c *Credentials) Adopt(ctx context.Context, grant bridge.Grant, key secret.Token) (bridge.Grant, error) {
	principal, err := c.api.Validate(ctx, key)
	if err != nil {
		return bridge.Grant{}, adopting(err)
	}
	if grant.ActingAs, err = actingAs(principal); err != nil {
		return bridge.Grant{}, adopting(err)
	}
	account, err := c.api.Me(ctx, key) // validating does not notice a suspended owner (contract 3.4)
	if errors.Is(err, ErrForbidden) {
		account, err = bridge.Account{Username: principal.Username}, nil // fenced off asking for itself
	}
	if err == nil && account.Username != principal.Username {
		err = fmt.Errorf("%w: two names for the owner of one key", ErrUnavailable)
	}
	if err != nil {
		return bridge.Grant{}, adopting(err)
	}
	grant.Account = account
	grant.Credential = bridge.Credential{KeyName: principal.KeyName, Sealed: c.ring.SealToken(sealKey, grant.ID, key)}
	return grant, nil
}

var errNotForCalls = errors.New("the key's scope is none that calls are made with")

func adopting(err error) error {
	if errors.Is(err, ErrUnauthorized) || errors.Is(err, errNotForCalls) {
		return fmt.Errorf("adopting a key: %w: %w", bridge.ErrNotFound, err)
	}
	return fmt.Errorf("adopting a key: %w", err)
}

// actingAs reads a key's scope, which is free text at Trinity: what is not known reaches nothing
// (contract 3.4).
func actingAs(p Principal) (bridge.ActingAs, error) {
	switch kind := bridge.ActingKind(p.Scope); {
	case kind == bridge.ActAsUser, kind == bridge.ActAsSystem:
		return bridge.ActingAs{Kind: kind}, nil
	case kind == bridge.ActAsAgent && plainName(p.Agent):
		return bridge.ActingAs{Kind: kind, Agent: p.Agent}, nil
	}
	return bridge.ActingAs{}, errNotForCalls
}
