package trinity

import (
	"context"
	"errors"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// standingTimeout bounds how long a call or refresh waits for Trinity's word on a key.
const standingTimeout = 5 * time.Second

// Standing asks Trinity what a grant is worth now: is its key active, and would Trinity build exactly
// the principal the grant says (contract 3.4, 4.2), for an account with the role it had at least. Only
// Trinity's definite word speaks against a grant; whatever else goes wrong is StandingUnknown, and
// StandingOverdue once it has gone on for longer than the grace. Questions about one grant at the
// same moment are one question.
func (c *Credentials) Standing(ctx context.Context, grant bridge.Grant) bridge.Standing {
	about := "grant " + grant.ID
	return c.once(ctx, about, func(ctx context.Context) (bridge.Standing, error) {
		standing, err := c.standing(ctx, grant)
		return c.doubts.judge(about, standing, c.now()), err
	})
}

func (c *Credentials) standing(ctx context.Context, grant bridge.Grant) (bridge.Standing, error) {
	if grant.ActingAs.Lent() {
		return c.standingOfLent(ctx, grant)
	}
	key, err := c.own(grant)
	if err != nil {
		return bridge.StandingUnknown, err
	}
	return c.compare(ctx, key, claim{username: grant.Account.Username, role: grant.Account.Role, as: grant.ActingAs})
}

// claim is what a key has to answer for.
type claim struct {
	username string
	role     bridge.Role // at least; "" for any
	as       bridge.ActingAs
}

// compare is examine for whoever needs no more than the standing.
func (c *Credentials) compare(ctx context.Context, key secret.Token, want claim) (bridge.Standing, error) {
	standing, _, err := c.examine(ctx, key, want)
	return standing, err
}

// examine asks both routes that know something of a key: users/me applies every check but does not
// tell the key's scope, validate tells it but does not see a suspended owner. With StandingGood comes the
// account as Trinity describes it, or none where the key may not ask for itself.
func (c *Credentials) examine(ctx context.Context, key secret.Token, want claim) (bridge.Standing, bridge.Account, error) {
	account, refused := c.api.Me(ctx, key)
	fenced := errors.Is(refused, ErrForbidden) && want.role == "" // it may not ask for itself, and need not
	if refused != nil && !errors.Is(refused, ErrUnauthorized) && !fenced {
		return bridge.StandingUnknown, bridge.Account{}, refused
	}
	principal, err := c.api.Validate(ctx, key)
	if errors.Is(err, ErrUnauthorized) || err != nil && errors.Is(refused, ErrUnauthorized) { // that much is definite
		return bridge.StandingDead, bridge.Account{}, nil
	}
	if err != nil {
		return bridge.StandingUnknown, bridge.Account{}, err
	}
	acting, unfit := actingAs(principal)
	switch {
	case errors.Is(refused, ErrUnauthorized):
		return bridge.StandingSuspended, bridge.Account{}, nil
	case principal.Username != want.username || !fenced && account.Username != want.username:
		return bridge.StandingChanged, bridge.Account{}, nil
	case unfit != nil || acting != want.as:
		return bridge.StandingRescoped, bridge.Account{}, nil
	case account.Role == "" && want.role != "":
		return bridge.StandingUnknown, bridge.Account{}, errNoRole
	case !account.Role.AtLeast(want.role):
		return bridge.StandingLowered, bridge.Account{}, nil
	}
	return bridge.StandingGood, account, nil
}

var errNoRole = errors.New("no role in the account's answer")

// StandingOfKey asks Trinity what a key somebody presented is worth now. One of a scope that no
// calls are made with is worth nothing here, however active it is.
func (c *Credentials) StandingOfKey(ctx context.Context, key secret.Token) bridge.Standing {
	return c.once(ctx, "key "+key.Hash().String(), func(ctx context.Context) (bridge.Standing, error) {
		_, err := c.api.Me(ctx, key)
		if err != nil && !errors.Is(err, ErrForbidden) {
			return standingOf(err)
		}
		principal, err := c.api.Validate(ctx, key)
		if err != nil {
			return standingOf(err)
		}
		if _, err := actingAs(principal); err != nil {
			return bridge.StandingRescoped, nil
		}
		return bridge.StandingGood, nil
	})
}

// once asks unless the same is being asked already. The question outlives the one who asked
// first, for others wait for it too.
func (c *Credentials) once(ctx context.Context, what string, ask func(context.Context) (bridge.Standing, error)) bridge.Standing {
	answer := c.asked.DoChan(what, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), standingTimeout)
		defer cancel()
		standing, err := ask(ctx)
		if err != nil {
			c.log.WarnContext(ctx, "Trinity did not say whether a key is good", "request_id", audit.RequestID(ctx), "error", err)
		}
		return standing, nil
	})
	select {
	case result := <-answer:
		if standing, ok := result.Val.(bridge.Standing); ok {
			return standing
		}
	case <-ctx.Done():
	}
	return bridge.StandingUnknown
}

// standingOf is what a refusal says of a key. The error comes back where it says nothing.
func standingOf(err error) (bridge.Standing, error) {
	if errors.Is(err, ErrUnauthorized) {
		return bridge.StandingDead, nil
	}
	return bridge.StandingUnknown, err
}
