package rows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// refreshKept is how long the hash of a refresh token stays after its family's absolute end. Until
// then every token the family ever had is known, so that a stolen old one still betrays itself.
const refreshKept = 24 * time.Hour

// family is a stored family. It is removed together with its grant.
type family struct {
	bridge.Family
	EndedAt time.Time `json:"ended_at,omitzero"` // its grant ended; it never comes back
}

// refreshToken says which grant a refresh token belongs to.
type refreshToken struct {
	GrantID string    `json:"grant_id"`
	EndsAt  time.Time `json:"ends_at"` // of its family
}

var (
	families      = table[family]{kind: KindFamily}
	refreshTokens = table[refreshToken]{
		kind: KindRefresh,
		due:  func(r *refreshToken) time.Time { return r.EndsAt.Add(refreshKept) },
	}
)

// beginFamily stores the family of a grant that has just become live.
func beginFamily(t *tx, grant bridge.Grant, use bridge.CodeUse, now time.Time) (family, error) {
	begun := family{Family: bridge.Family{
		GrantID: grant.ID, ClientID: grant.ClientID, Head: use.Refresh,
		CreatedAt: now, EndsAt: now.Add(use.RefreshAbsolute),
	}}
	if use.BindRefresh {
		begun.ProofKey = use.ProofKey
	}
	begun.IdleUntil = earlier(now.Add(use.RefreshIdle), begun.EndsAt)
	if err := putRefreshToken(t, use.Refresh, &begun, now); err != nil {
		return family{}, err
	}
	return begun, families.put(t, grant.ID, nil, &begun, now)
}

// putRefreshToken makes a new token known. A token is never given to a second family.
func putRefreshToken(t *tx, token bridge.Hash, of *family, now time.Time) error {
	if token.IsZero() {
		return errors.New("storing a refresh token: it has no hash")
	}
	_, exists, err := refreshTokens.get(t, token.String())
	if err != nil {
		return err
	}
	if exists {
		return fmt.Errorf("storing a refresh token: %w", bridge.ErrConflict)
	}
	return refreshTokens.put(t, token.String(), nil, &refreshToken{GrantID: of.GrantID, EndsAt: of.EndsAt}, now)
}

// endFamily marks the family of a grant that ends, if it has one.
func endFamily(t *tx, grantID string, now time.Time) error {
	stored, found, err := families.get(t, grantID)
	if err != nil || !found {
		return err
	}
	over := stored
	over.EndedAt, over.SealedSuccessor = now, nil
	return families.put(t, grantID, &stored, &over, now)
}

// holding is what a refresh token leads to.
type holding struct {
	grant  bridge.Grant
	family family
}

// holdingOf finds grant and family of a refresh token; bridge.ErrNotFound when it is not known.
func holdingOf(t *tx, token bridge.Hash, now time.Time) (holding, error) {
	if token.IsZero() {
		return holding{}, bridge.ErrNotFound
	}
	known, found, err := refreshTokens.get(t, token.String())
	if err != nil {
		return holding{}, err
	}
	if !found || !now.Before(refreshTokens.due(&known)) {
		return holding{}, bridge.ErrNotFound
	}
	if err := t.Ahead(grants.ref(known.GrantID), families.ref(known.GrantID)); err != nil {
		return holding{}, err
	}
	grant, err := mustGrant(t, known.GrantID)
	if err != nil {
		return holding{}, err
	}
	stored, found, err := families.get(t, known.GrantID)
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	return holding{grant, stored}, err
}

// RefreshGrant returns grant and family of a refresh token.
func (s *Store) RefreshGrant(ctx context.Context, token bridge.Hash, now time.Time) (bridge.Grant, bridge.Family, error) {
	h, err := read(ctx, s, func(t *tx) (holding, error) { return holdingOf(t, token, now) })
	return h.grant, h.family.Family, err
}

// RotateRefresh applies use.Rule to a refresh token. Unknown, another client's or key's, and ended
// come before the rule.
func (s *Store) RotateRefresh(ctx context.Context, use bridge.RefreshUse, now time.Time) (bridge.Rotation, error) {
	if use.Rule == nil {
		return bridge.Rotation{}, errors.New("rotating a refresh token: there is no rule")
	}
	return write(ctx, s, func(t *tx) (bridge.Rotation, error) {
		h, err := holdingOf(t, use.Token, now)
		switch {
		case errors.Is(err, bridge.ErrNotFound):
			return bridge.Rotation{Outcome: bridge.RefreshUnknown}, nil
		case err != nil:
			return bridge.Rotation{}, err
		case !h.family.Belongs(use.ClientID, use.ProofKey):
			return bridge.Rotation{Outcome: bridge.RefreshMismatch, Grant: h.grant}, nil
		case !h.grant.Live() || !h.family.EndedAt.IsZero():
			return bridge.Rotation{Outcome: bridge.RefreshEnded, Grant: h.grant}, nil
		}
		return present(t, h, use, now)
	})
}

// present applies what the rule says of a known token of a live grant.
func present(t *tx, h holding, use bridge.RefreshUse, now time.Time) (bridge.Rotation, error) {
	outcome := use.Rule(h.family.Family, use.Token, now)
	rotation := bridge.Rotation{Outcome: outcome, Grant: h.grant}
	var err error
	switch outcome {
	case bridge.RefreshRotated:
		rotation.Grant, err = rotate(t, h, use, now)
	case bridge.RefreshRepeated:
		rotation.SealedSuccessor, err = repeat(t, h, use, now)
	case bridge.RefreshReused:
		rotation.Grant, err = endGrant(t, h.grant, bridge.EndRefreshReused, now)
	case bridge.RefreshExpired:
	default:
		err = fmt.Errorf("rotating a refresh token: the rule gave %q, which is not its to give", outcome)
	}
	return rotation, err
}

// rotate makes the successor the head. Whatever the rule says, only the head can be rotated: a
// family has one live head (invariant I3).
func rotate(t *tx, h holding, use bridge.RefreshUse, now time.Time) (bridge.Grant, error) {
	if use.Token != h.family.Head {
		return bridge.Grant{}, errors.New("rotating a refresh token: it is not the head of its family")
	}
	next := h.family
	next.Head, next.Previous, next.SealedSuccessor = use.Successor, use.Token, use.SealedSuccessor
	next.RotatedAt, next.Repeats = now, 0
	if use.BindRefresh && next.ProofKey.IsZero() {
		next.ProofKey = use.ProofKey
	}
	next.IdleUntil = earlier(now.Add(use.Idle), next.EndsAt)
	if err := putRefreshToken(t, use.Successor, &next, now); err != nil {
		return bridge.Grant{}, err
	}
	if err := families.put(t, next.GrantID, &h.family, &next, now); err != nil {
		return bridge.Grant{}, err
	}
	grant := h.grant
	grant.Lapses = later(next.IdleUntil, now.Add(use.AccessTokenLife))
	return grant, grants.putQuietly(t, grant.ID, &h.grant, &grant, now)
}

// repeat counts that the head was given out again and returns it as it was sealed.
func repeat(t *tx, h holding, use bridge.RefreshUse, now time.Time) ([]byte, error) {
	if use.Token != h.family.Previous || len(h.family.SealedSuccessor) == 0 {
		return nil, errors.New("repeating a rotation: the token is not the predecessor of the head")
	}
	next := h.family
	next.Repeats++
	return next.SealedSuccessor, families.put(t, next.GrantID, &h.family, &next, now)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
