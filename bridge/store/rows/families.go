package rows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// refreshKept is how long refresh tokens are known after their family's absolute end. Until then every
// token the family ever had is, so that a stolen old one still betrays itself.
const refreshKept = 24 * time.Hour

// beginFamily gives a grant that becomes live its family.
func beginFamily(of *grantRow, use bridge.CodeUse, now time.Time) error {
	if use.Refresh.Hash.IsZero() || use.Refresh.Shared.IsZero() {
		return errors.New("beginning a family: its token has no hash")
	}
	begun := bridge.Family{
		GrantID: of.ID, ClientID: of.ClientID, Shared: use.Refresh.Shared, Head: use.Refresh.Hash,
		CreatedAt: now, EndsAt: now.Add(use.RefreshAbsolute),
	}
	if use.BindRefresh {
		begun.ProofKey = use.ProofKey
	}
	begun.IdleUntil = earlier(now.Add(use.RefreshIdle), begun.EndsAt)
	of.Family = begun
	return nil
}

// knows reports whether a token is one of the grant's family.
func (g *grantRow) knows(token bridge.RefreshToken, now time.Time) bool {
	return g.Family.Knows(token) && now.Before(g.Family.EndsAt.Add(refreshKept))
}

// RefreshGrant returns grant and family of a refresh token.
func (s *Store) RefreshGrant(ctx context.Context, token bridge.RefreshToken, now time.Time) (bridge.Grant, bridge.Family, error) {
	grant, found, err := readOne(ctx, s, grants, token.GrantID)
	if err == nil && (!found || !grant.knows(token, now)) {
		err = bridge.ErrNotFound
	}
	if err != nil {
		return bridge.Grant{}, bridge.Family{}, err
	}
	return grant.Grant, grant.Family, nil
}

// RotateRefresh applies use.Rule to a refresh token. Unknown, another client's or key's, and ended
// come before the rule.
func (s *Store) RotateRefresh(ctx context.Context, use bridge.RefreshUse, now time.Time) (bridge.Rotation, error) {
	if use.Rule == nil {
		return bridge.Rotation{}, errors.New("rotating a refresh token: there is no rule")
	}
	return write(ctx, s, func(t *tx) (bridge.Rotation, error) {
		grant, found, err := grants.get(t, use.Token.GrantID)
		switch {
		case err != nil:
			return bridge.Rotation{}, err
		case !found || !grant.knows(use.Token, now):
			return bridge.Rotation{Outcome: bridge.RefreshUnknown}, nil
		case !grant.Family.Belongs(use.ClientID, use.ProofKey):
			return bridge.Rotation{Outcome: bridge.RefreshMismatch, Grant: grant.Grant}, nil
		case !grant.Live():
			return bridge.Rotation{Outcome: bridge.RefreshEnded, Grant: grant.Grant}, nil
		}
		return present(t, grant, use, now)
	})
}

// present applies what the rule says of a known token of a live grant.
func present(t *tx, grant grantRow, use bridge.RefreshUse, now time.Time) (bridge.Rotation, error) {
	after, rotation := grant, bridge.Rotation{Outcome: use.Rule(grant.Family, use.Token.Hash, now)}
	var err error
	switch rotation.Outcome {
	case bridge.RefreshRotated:
		if err = rotate(&after, use, now); err == nil {
			err = putGrantQuietly(t, &grant, &after, now)
		}
	case bridge.RefreshRepeated:
		if err = repeat(&after.Family, use); err == nil {
			rotation.SealedSuccessor = after.Family.SealedSuccessor
			err = putGrantQuietly(t, &grant, &after, now)
		}
	case bridge.RefreshReused:
		after, err = endGrant(t, grant, bridge.EndRefreshReused, now)
	case bridge.RefreshExpired:
	default:
		err = fmt.Errorf("rotating a refresh token: the rule gave %q, which is not its to give", rotation.Outcome)
	}
	rotation.Grant = after.Grant
	return rotation, err
}

// rotate makes the successor the head. Whatever the rule says, only the head can be rotated: a
// family has one live head (invariant I3).
func rotate(grant *grantRow, use bridge.RefreshUse, now time.Time) error {
	family := &grant.Family
	switch {
	case use.Token.Hash != family.Head:
		return errors.New("rotating a refresh token: it is not the head of its family")
	case use.Successor.IsZero(), use.Successor == family.Head, use.Successor == family.Previous:
		return fmt.Errorf("rotating a refresh token: its successor is not new: %w", bridge.ErrConflict)
	}
	family.Head, family.Previous, family.SealedSuccessor = use.Successor, use.Token.Hash, use.SealedSuccessor
	family.RotatedAt, family.Repeats = now, 0
	if use.BindRefresh && family.ProofKey.IsZero() {
		family.ProofKey = use.ProofKey
	}
	family.IdleUntil = earlier(now.Add(use.Idle), family.EndsAt)
	grant.Lapses = later(family.IdleUntil, now.Add(use.AccessTokenLife))
	return nil
}

// repeat counts that the head is given out again.
func repeat(family *bridge.Family, use bridge.RefreshUse) error {
	if use.Token.Hash != family.Previous || len(family.SealedSuccessor) == 0 {
		return errors.New("repeating a rotation: the token is not the predecessor of the head")
	}
	family.Repeats++
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
