package rows

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// identityKept is how long an ended identity session stays to say so.
const identityKept = 24 * time.Hour

var identities = table[bridge.IdentitySession]{
	kind: KindIdentity,
	places: func(t *tx, i *bridge.IdentitySession) []Place {
		if !i.EndedAt.IsZero() {
			return nil
		}
		issuer := t.foreign(i.Person.Source)
		places := []Place{{Index: IndexSubjects, Whose: issuer + t.foreign(i.Person.Subject)}}
		if i.SID != "" {
			places = append(places, Place{Index: IndexSIDs, Whose: issuer + t.foreign(i.SID)})
		}
		return places
	},
	due: func(i *bridge.IdentitySession) time.Time {
		if i.EndedAt.IsZero() {
			return time.Time{}
		}
		return i.EndedAt.Add(identityKept)
	},
}

// checkIssuedIdentity refuses a grant and an identity session that do not belong together.
func checkIssuedIdentity(grant *bridge.Grant, identity *bridge.IdentitySession) error {
	switch {
	case identity == nil && grant.Identity == "":
		return nil
	case identity == nil || identity.ID == "" || grant.Identity != identity.ID:
		return errors.New("issuing a code: its grant came from another identity session")
	case identity.Person != grant.Person:
		return errors.New("issuing a code: its identity session is another person's")
	case !identity.EndedAt.IsZero():
		return errors.New("issuing a code: its identity session is over")
	}
	return nil
}

// Identity returns an identity session in any state.
func (s *Store) Identity(ctx context.Context, id string) (bridge.IdentitySession, error) {
	identity, found, err := readOne(ctx, s, identities, id)
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	return identity, err
}

func mustIdentity(t *tx, id string) (bridge.IdentitySession, error) {
	identity, found, err := identities.get(t, id)
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	return identity, err
}

// OpenIdentities returns the sessions of a subject, or of a sid where no subject is named.
func (s *Store) OpenIdentities(ctx context.Context, issuer, subject, sid string) ([]bridge.IdentitySession, error) {
	return read(ctx, s, func(t *tx) ([]bridge.IdentitySession, error) {
		scan := Scan{Index: IndexSubjects, Whose: t.foreign(issuer) + t.foreign(subject), Limit: maxGrantsOf}
		if subject == "" {
			scan.Index, scan.Whose = IndexSIDs, t.foreign(issuer)+t.foreign(sid)
		}
		open, err := list(t, identities, scan)
		return slices.DeleteFunc(open, func(i bridge.IdentitySession) bool { return sid != "" && i.SID != sid }), err
	})
}

// UpdateIdentity applies change to an open session and cuts its grants down to its admission.
func (s *Store) UpdateIdentity(
	ctx context.Context, id string, now time.Time, change func(*bridge.IdentitySession) error,
) (bridge.IdentitySession, []bridge.Grant, error) {
	result, err := write(ctx, s, func(t *tx) (severed[bridge.IdentitySession], error) {
		before, err := mustIdentity(t, id)
		if err == nil && !before.EndedAt.IsZero() {
			err = bridge.ErrNotFound
		}
		if err != nil {
			return severed[bridge.IdentitySession]{}, err
		}
		after := before
		if err := change(&after); err != nil {
			return severed[bridge.IdentitySession]{}, err
		}
		if err := before.CheckUpdate(&after); err != nil {
			return severed[bridge.IdentitySession]{}, err
		}
		if err := identities.put(t, id, &before, &after, now); err != nil {
			return severed[bridge.IdentitySession]{}, err
		}
		over, err := narrowGrants(t, after, now)
		if err != nil {
			return severed[bridge.IdentitySession]{}, err
		}
		after, err = mustIdentity(t, id) // the end of its last grant ends it
		return severed[bridge.IdentitySession]{what: after, grants: over}, err
	})
	return result.what, result.grants, err
}

// narrowGrants cuts the grants of a session down to its admission and returns those that ended by it.
func narrowGrants(t *tx, identity bridge.IdentitySession, now time.Time) ([]bridge.Grant, error) {
	of, _, err := openGrantsOf(t, IndexIdentityGrants, identity.ID, maxGrantsOf)
	if err != nil {
		return nil, err
	}
	var over []bridge.Grant
	for _, grant := range of {
		narrowed := grant
		if narrowed.Narrow(identity.Admission) {
			if err := putGrant(t, &grant, &narrowed, now); err != nil {
				return nil, err
			}
			continue
		}
		ended, err := endGrant(t, grant, bridge.EndNotAdmitted, now)
		if err != nil {
			return nil, err
		}
		over = append(over, ended.Grant)
	}
	return over, nil
}

// EndIdentity ends a session with its grants.
func (s *Store) EndIdentity(
	ctx context.Context, id string, reason bridge.EndReason, now time.Time,
) (bridge.IdentitySession, []bridge.Grant, bool, error) {
	result, err := write(ctx, s, func(t *tx) (severed[bridge.IdentitySession], error) {
		before, err := mustIdentity(t, id)
		if err != nil || !before.EndedAt.IsZero() {
			return severed[bridge.IdentitySession]{what: before}, err
		}
		after := before.End(reason, now) // before its grants, so that the last of them finds it over
		if err := identities.put(t, id, &before, &after, now); err != nil {
			return severed[bridge.IdentitySession]{}, err
		}
		of, _, err := openGrantsOf(t, IndexIdentityGrants, id, maxGrantsOf)
		if err != nil {
			return severed[bridge.IdentitySession]{}, err
		}
		over, err := endGrants(t, of, reason, now)
		return severed[bridge.IdentitySession]{after, over, true}, err
	})
	return result.what, result.grants, result.now, err
}

// endUnusedIdentity ends the session of a grant that has just ended unless another grant came from
// it as well: nobody is to hold a provider's refresh token for nothing.
func endUnusedIdentity(t *tx, id string, now time.Time) error {
	if id == "" {
		return nil
	}
	// First, so that of two grants that end at once one finds the other ended.
	before, found, err := identities.get(t, id)
	if err != nil || !found || !before.EndedAt.IsZero() {
		return err
	}
	from, err := list(t, grants, Scan{Index: IndexIdentityGrants, Whose: t.foreign(id), Limit: maxGrantsOf})
	if err != nil || slices.ContainsFunc(from, func(g grantRow) bool { return g.Status != bridge.GrantEnded }) {
		return err
	}
	after := before.End(bridge.EndGrantsOver, now)
	return identities.put(t, id, &before, &after, now)
}
