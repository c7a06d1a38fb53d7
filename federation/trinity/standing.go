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

// Standing asks Trinity what the key of a grant is worth now. Only Trinity's definite word makes
// it dead or changed; whatever else goes wrong is StandingUnknown. Questions about one grant at
// the same moment are one question.
func (c *Credentials) Standing(ctx context.Context, grant bridge.Grant) bridge.Standing {
	key, err := c.Open(grant)
	if err != nil {
		c.log.ErrorContext(ctx, "the key of a grant cannot be opened", "grant_id", grant.ID, "error", err)
		return bridge.StandingUnknown
	}
	return c.once(ctx, "grant "+grant.ID, func(ctx context.Context) (bridge.Standing, error) {
		account, err := c.api.Me(ctx, key)
		if err == nil && account.Username != grant.Account.Username {
			return bridge.StandingChanged, nil
		}
		return standingOf(err), err
	})
}

// StandingOfKey asks Trinity what a key somebody presented is worth now. A key whose scope is
// fenced off asking for itself is judged by its being active.
func (c *Credentials) StandingOfKey(ctx context.Context, key secret.Token) bridge.Standing {
	return c.once(ctx, "key "+key.Hash().String(), func(ctx context.Context) (bridge.Standing, error) {
		_, err := c.api.Me(ctx, key)
		if errors.Is(err, ErrForbidden) {
			_, err = c.api.Validate(ctx, key)
		}
		return standingOf(err), err
	})
}

// once asks unless the same is being asked already. The question outlives the one who asked
// first, for others wait for it too.
func (c *Credentials) once(ctx context.Context, what string, ask func(context.Context) (bridge.Standing, error)) bridge.Standing {
	answer := c.asked.DoChan(what, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), standingTimeout)
		defer cancel()
		standing, err := ask(ctx)
		if standing == bridge.StandingUnknown {
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

func standingOf(err error) bridge.Standing {
	switch {
	case err == nil:
		return bridge.StandingGood
	case errors.Is(err, ErrUnauthorized):
		return bridge.StandingDead
	}
	return bridge.StandingUnknown
}
