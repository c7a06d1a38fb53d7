package rows

import (
	"bytes"
	"cmp"
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

// seenGrant is a grant as RefreshGrant found it, or as it was refreshed last. Its slices and maps are shared with whoever
// was given it: nobody changes them.
type seenGrant struct {
	record []byte
	grant  grantRow
}

// RefreshGrant returns grant and family of a refresh token.
func (s *Store) RefreshGrant(ctx context.Context, token bridge.RefreshToken, now time.Time) (bridge.Grant, bridge.Family, error) {
	grant, err := s.seeGrant(ctx, token.GrantID)
	if err == nil && !grant.knows(token, now) {
		err = bridge.ErrNotFound
	}
	if err != nil {
		return bridge.Grant{}, bridge.Family{}, err
	}
	return grant.Grant, grant.Family, nil
}

// seeGrant reads a grant, and keeps it for the refresh that follows.
func (s *Store) seeGrant(ctx context.Context, id string) (grantRow, error) {
	if id == "" {
		return grantRow{}, cmp.Or(ctx.Err(), bridge.ErrNotFound)
	}
	record, err := s.engine.ReadRow(ctx, grants.ref(id))
	if err != nil {
		return grantRow{}, err
	}
	if seen, ok := s.seen.Get(id); ok && bytes.Equal(seen.record, record) {
		return seen.grant, nil
	}
	grant, found, err := grants.read(s.key, id, record)
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	if err == nil {
		s.seen.Add(id, seenGrant{record, grant})
	}
	return grant, err
}

// RotateRefresh applies use.Rule to a refresh token. Unknown, another client's or key's, and ended
// come before the rule.
func (s *Store) RotateRefresh(ctx context.Context, use bridge.RefreshUse, now time.Time) (bridge.Rotation, error) {
	if use.Rule == nil {
		return bridge.Rotation{}, errors.New("rotating a refresh token: there is no rule")
	}
	if rotation, done, err := s.rotateSeen(ctx, use, now); done || err != nil {
		return rotation, err
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

// rotateSeen is RotateRefresh for a token that gives out a successor, while its grant is as it was seen a moment ago: the
// grant is stored in the place of just that, and nobody is kept off meanwhile. Everything else it leaves to a
// transaction, and so does whoever was overtaken.
func (s *Store) rotateSeen(ctx context.Context, use bridge.RefreshUse, now time.Time) (rotation bridge.Rotation, done bool, err error) {
	seen, ok := s.seen.Get(use.Token.GrantID)
	if !ok || !seen.grant.knows(use.Token, now) || !seen.grant.Family.Belongs(use.ClientID, use.ProofKey) || !seen.grant.Live() {
		return rotation, false, nil
	}
	after := seen.grant
	rotation, err = advance(&after, use, now)
	after.placeLapse()
	if err != nil || !rotation.Outcome.Advances() || !after.Looked.Equal(seen.grant.Looked) {
		return rotation, false, nil
	}
	row, err := grants.row(&tx{key: s.key}, after.ID, &after, now)
	if err != nil {
		return rotation, false, err
	}
	row.Stays = true // nothing else that its places are made of has changed
	done, err = s.engine.Swap(ctx, seen.record, row)
	if done && err == nil {
		s.seen.Add(after.ID, seenGrant{row.Record, after})
	}
	return rotation, done, err
}

// present applies what the rule says of a known token of a live grant.
func present(t *tx, grant grantRow, use bridge.RefreshUse, now time.Time) (bridge.Rotation, error) {
	after := grant
	rotation, err := advance(&after, use, now)
	switch {
	case err != nil:
	case rotation.Outcome.Advances():
		err = putGrantQuietly(t, &grant, &after, now)
	case rotation.Outcome == bridge.RefreshReused:
		after, err = endGrant(t, grant, bridge.EndRefreshReused, now)
	}
	rotation.Grant = after.Grant
	return rotation, err
}

// advance asks the rule and changes the grant's family if a successor is given out.
func advance(grant *grantRow, use bridge.RefreshUse, now time.Time) (rotation bridge.Rotation, err error) {
	rotation.Outcome = use.Rule(grant.Family, use, now)
	switch rotation.Outcome {
	case bridge.RefreshRotated:
		err = rotate(grant, use, now)
	case bridge.RefreshRepeated:
		err = repeat(&grant.Family, use)
	case bridge.RefreshReused, bridge.RefreshExpired:
	default:
		err = fmt.Errorf("rotating a refresh token: the rule gave %q, which is not its to give", rotation.Outcome)
	}
	rotation.Grant = grant.Grant
	return rotation, err
}

// rotate makes the successor the head. Whatever the rule says, only the head can be rotated: a
// family has one live head (invariant I3).
func rotate(grant *grantRow, use bridge.RefreshUse, now time.Time) error {
	family := &grant.Family
	switch {
	case !family.IsHead(use.Token.Hash):
		return errors.New("rotating a refresh token: it is not the head of its family")
	case use.Successor.IsZero(), family.IsHead(use.Successor):
		return fmt.Errorf("rotating a refresh token: its successor is not new: %w", bridge.ErrConflict)
	}
	family.Head, family.RotatedAt, family.Repeats = use.Successor, now, 0
	if use.BindRefresh && family.ProofKey.IsZero() {
		family.ProofKey = use.ProofKey
	}
	family.IdleUntil = earlier(now.Add(use.Idle), family.EndsAt)
	grant.Lapses = later(family.IdleUntil, now.Add(use.AccessTokenLife))
	return nil
}

// repeat counts that the head is given out again.
func repeat(family *bridge.Family, use bridge.RefreshUse) error {
	if family.IsHead(use.Token.Hash) || !family.IsHead(use.Successor) {
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
