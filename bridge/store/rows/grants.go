package rows

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	// endedKept is how long an ended grant and its family stay to say so: about twice the longest
	// life a refresh token has by default.
	endedKept = 366 * 24 * time.Hour
	// consentKept is how long a consent stays that nobody gave again.
	consentKept = 396 * 24 * time.Hour
	// touchEvery is how exact a grant's last use is: finer would be a disk sync for every call.
	touchEvery = time.Minute
)

// grantRow is a stored grant with the family of its refresh tokens: one row, so that a refresh changes one.
type grantRow struct {
	bridge.Grant
	Family bridge.Family `json:"family,omitzero"`
	// Looked is when LapsedGrants looks whether the grant has lapsed, never after Lapses. That moves on with
	// every token, and its place in the index need not.
	Looked time.Time `json:"looked,omitzero"`
}

var grants = table[grantRow]{
	kind: KindGrant,
	places: func(t *tx, g *grantRow) []Place {
		places := []Place{
			{Index: IndexGrants, At: g.CreatedAt},
			{Index: IndexPersonGrants, Whose: t.foreign(g.Person.ID()), At: g.CreatedAt},
			{Index: IndexClientGrants, Whose: t.foreign(g.ClientID), At: g.CreatedAt},
		}
		if g.Status == bridge.GrantEnded {
			return places
		}
		if at := cmp.Or(g.Looked, g.Lapses); !at.IsZero() { // one that was written before there was Looked has none
			places = append(places, Place{Index: IndexLapses, At: at})
		}
		if g.Link != "" {
			places = append(places, Place{Index: IndexLinkGrants, Whose: t.foreign(g.Link)})
		}
		if g.Identity != "" {
			places = append(places, Place{Index: IndexIdentityGrants, Whose: t.foreign(g.Identity)})
		}
		return places
	},
	due: func(g *grantRow) time.Time {
		if g.Status != bridge.GrantEnded || g.Started {
			return time.Time{}
		}
		return g.EndedAt.Add(endedKept)
	},
}

var consents = table[bridge.Consent]{
	kind: KindConsent,
	due:  func(c *bridge.Consent) time.Time { return c.GivenAt.Add(consentKept) },
}

func (t *tx) consentID(personID, clientID, redirectURI, resource string) string {
	return t.foreign(personID, clientID, redirectURI, resource)
}

// putGrant stores a grant in the place of before, nil when there was none.
func putGrant(t *tx, before, grant *grantRow, now time.Time) error {
	grant.placeLapse()
	return grants.put(t, grant.ID, before, grant, now)
}

// addGrant is putGrant for a grant whose id was made for it.
func addGrant(t *tx, grant *grantRow, now time.Time) error {
	grant.placeLapse()
	return grants.add(t, grant.ID, grant, now)
}

// putGrantQuietly is putGrant for a change that no copy of the grant need know of.
func putGrantQuietly(t *tx, before, grant *grantRow, now time.Time) error {
	grant.placeLapse()
	if grant.Looked.Equal(before.Looked) {
		return grants.renew(t, grant.ID, grant, now) // nothing else that its places are made of changes quietly
	}
	return grants.putQuietly(t, grant.ID, before, grant, now)
}

func (g *grantRow) placeLapse() {
	if g.Looked.IsZero() || g.Lapses.Before(g.Looked) {
		g.Looked = g.Lapses
	}
}

// Grant returns a grant in any state.
func (s *Store) Grant(ctx context.Context, id string) (bridge.Grant, error) {
	grant, found, err := readOne(ctx, s, grants, id)
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	return grant.Grant, err
}

func mustGrant(t *tx, id string) (grantRow, error) {
	grant, found, err := grants.get(t, id)
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	return grant, err
}

// TouchGrant notes that a grant that has not ended was used. A minute after the last note it does
// so again; before, it costs a read.
func (s *Store) TouchGrant(ctx context.Context, id string, now time.Time) error {
	stale := func(g *bridge.Grant) bool {
		return g.Status != bridge.GrantEnded && now.Sub(g.LastUsedAt) >= touchEvery
	}
	seen, err := s.Grant(ctx, id)
	if err != nil || !stale(&seen) {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		grant, err := mustGrant(t, id)
		if err != nil || !stale(&grant.Grant) {
			return err
		}
		touched := grant
		touched.LastUsedAt = now
		return putGrantQuietly(t, &grant, &touched, now)
	})
}

// ended is what EndGrant came to.
type ended struct {
	grant bridge.Grant
	now   bool
}

// EndGrant ends a grant and queues its key for revocation.
func (s *Store) EndGrant(ctx context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Grant, bool, error) {
	result, err := write(ctx, s, func(t *tx) (ended, error) {
		grant, err := mustGrant(t, id)
		if err != nil {
			return ended{}, err
		}
		after, err := endGrant(t, grant, reason, now)
		return ended{after.Grant, grant.Status != bridge.GrantEnded}, err
	})
	return result.grant, result.now, err
}

// endGrant is the one way a grant ends: the grant forgets its sealed key, the key goes to the
// queue, and the identity session nobody needs now ends. An ended grant stays as it is; its family is as
// dead as it is.
func endGrant(t *tx, grant grantRow, reason bridge.EndReason, now time.Time) (grantRow, error) {
	if grant.Status == bridge.GrantEnded {
		return grant, nil
	}
	after := grant
	after.Status, after.EndedAt, after.EndReason = bridge.GrantEnded, now, reason
	after.Credential.Sealed = nil
	after.RevokedTokens = nil // all are dead now, and many grants may end in one write
	if grant.Credential.KeyID != "" {
		err := putRevocation(t, bridge.KeyRevocation{
			GrantID: grant.ID, PersonID: grant.Person.ID(), Credential: grant.Credential, DueAt: now,
		})
		if err != nil {
			return grantRow{}, err
		}
	}
	if err := putGrant(t, &grant, &after, now); err != nil {
		return grantRow{}, err
	}
	if reason.Forgets() {
		if err := forgetConsent(t, grant.Grant); err != nil {
			return grantRow{}, err
		}
	}
	return after, endUnusedIdentity(t, grant.Identity, now)
}

// forgetConsent forgets the yes that a grant came of.
func forgetConsent(t *tx, grant bridge.Grant) error {
	id := t.consentID(grant.Person.ID(), grant.ClientID, grant.Redirect, grant.Resource)
	consent, found, err := consents.get(t, id)
	if err != nil || !found {
		return err
	}
	return consents.remove(t, id, &consent)
}

// RevokeToken marks one access token of a live grant as revoked until it expires. Tokens of a grant
// that is not live are dead already.
func (s *Store) RevokeToken(ctx context.Context, grantID, tokenID string, expires, now time.Time) error {
	if tokenID == "" {
		return errors.New("an access token without an id cannot be revoked alone")
	}
	return s.write(ctx, func(t *tx) error {
		grant, err := mustGrant(t, grantID)
		if err != nil || !grant.Live() || !now.Before(expires) {
			return err
		}
		after := grant
		after.RevokedTokens = map[string]time.Time{tokenID: expires}
		for id, until := range grant.RevokedTokens {
			if now.Before(until) && id != tokenID {
				after.RevokedTokens[id] = until
			}
		}
		return putGrant(t, &grant, &after, now)
	})
}

// Consent returns the remembered yes of a person.
func (s *Store) Consent(ctx context.Context, personID, clientID, redirectURI, resource string) (bridge.Consent, error) {
	consent, found, err := readOne(ctx, s, consents, s.foreign(personID, clientID, redirectURI, resource))
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	return consent, err
}

// Grants lists grants newest first. bridge.ErrNotFound when after is no grant.
func (s *Store) Grants(ctx context.Context, personID, clientID, after string, limit int) ([]bridge.Grant, error) {
	scan := Scan{Index: IndexGrants}
	switch {
	case personID != "":
		scan.Index, scan.Whose = IndexPersonGrants, s.foreign(personID)
	case clientID != "":
		scan.Index, scan.Whose = IndexClientGrants, s.foreign(clientID)
	}
	return read(ctx, s, func(t *tx) ([]bridge.Grant, error) {
		if after != "" {
			last, err := mustGrant(t, after)
			if err != nil {
				return nil, err
			}
			scan.After = &Position{last.CreatedAt, last.ID}
		}
		return grantsOf(t, scan, clientID, limit)
	})
}

// grantsOf walks on until the page is full, for not all that a person's index leads to are the client's.
func grantsOf(t *tx, scan Scan, clientID string, limit int) ([]bridge.Grant, error) {
	var page []bridge.Grant
	for len(page) < limit {
		scan.Limit = limit - len(page)
		some, err := list(t, grants, scan)
		if err != nil || len(some) == 0 {
			return page, err
		}
		page = slices.Grow(page, len(some))
		for _, grant := range some {
			if clientID == "" || grant.ClientID == clientID {
				page = append(page, grant.Grant)
			}
		}
		last := some[len(some)-1]
		scan.After = &Position{last.CreatedAt, last.ID}
	}
	return page, nil
}

// LapsedGrants returns grants that have not ended and whose Lapses has passed. Those it finds that have been
// given a token since they were placed it places where they lapse now.
func (s *Store) LapsedGrants(ctx context.Context, now time.Time, limit int) ([]bridge.Grant, error) {
	for {
		found, err := read(ctx, s, func(t *tx) ([]grantRow, error) {
			return list(t, grants, Scan{Index: IndexLapses, Until: now, Limit: limit})
		})
		if err != nil {
			return nil, err
		}
		var lapsed []bridge.Grant
		var early []grantRow
		for _, grant := range found {
			switch {
			case !now.Before(grant.Lapses):
				lapsed = append(lapsed, grant.Grant)
			case grant.Looked.Before(grant.Lapses):
				early = append(early, grant)
			} // else it lapses within this millisecond, for which the engine took it
		}
		if len(early) == 0 {
			return lapsed, nil
		}
		for some := range inParts(early, limit, grantRow.bytes) {
			if err := s.write(ctx, func(t *tx) error { return lookLater(t, some, now) }); err != nil {
				return nil, err
			}
		}
	}
}

// bytes is about how long a grant's row is. Its client says how many tokens it has revoked.
func (g grantRow) bytes() int {
	const plain, token = 2 << 10, 64
	return plain + token*len(g.RevokedTokens)
}

// lookLater places grants that have not lapsed where they will.
func lookLater(t *tx, early []grantRow, now time.Time) error {
	ahead := make([]Ref, len(early))
	for i, grant := range early {
		ahead[i] = grants.ref(grant.ID)
	}
	if err := t.Ahead(ahead...); err != nil {
		return err
	}
	for _, listed := range early {
		grant, found, err := grants.get(t, listed.ID)
		if err != nil {
			return err
		}
		if !found || grant.Status == bridge.GrantEnded {
			continue // since it was listed
		}
		moved := grant
		moved.Looked = grant.Lapses
		if err := putGrantQuietly(t, &grant, &moved, now); err != nil {
			return err
		}
	}
	return nil
}
