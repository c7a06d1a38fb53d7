package badger

import (
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

var grants = table[bridge.Grant]{
	kind: "grant",
	index: func(t *tx, id string, g *bridge.Grant) []string {
		when := newestFirst(g.CreatedAt)
		keys := []string{
			indexGrants + when + id,
			indexPersonGrants + t.foreign(g.Person.ID()) + when + id,
			indexClientGrants + t.foreign(g.ClientID) + when + id,
		}
		if g.Status == bridge.GrantEnded {
			return keys
		}
		keys = append(keys, indexOpenGrants+t.foreign(g.ClientID)+id)
		if !g.Lapses.IsZero() {
			keys = append(keys, indexLapses+oldestFirst(g.Lapses)+id)
		}
		if g.Link != "" {
			keys = append(keys, indexLinkGrants+t.foreign(g.Link)+id)
		}
		if g.Identity != "" {
			keys = append(keys, indexIdentGrants+t.foreign(g.Identity)+id)
		}
		return keys
	},
	due: func(g *bridge.Grant) time.Time {
		if g.Status != bridge.GrantEnded || g.Started {
			return time.Time{}
		}
		return g.EndedAt.Add(endedKept)
	},
}

var consents = table[bridge.Consent]{
	kind: "consent",
	due:  func(c *bridge.Consent) time.Time { return c.GivenAt.Add(consentKept) },
}

func (t *tx) consentID(personID, clientID, redirectURI, resource string) string {
	return t.foreign(personID, clientID, redirectURI, resource)
}

// Grant returns a grant in any state.
func (s *Store) Grant(ctx context.Context, id string) (bridge.Grant, error) {
	return read(ctx, s, func(t *tx) (bridge.Grant, error) { return mustGrant(t, id) })
}

func mustGrant(t *tx, id string) (bridge.Grant, error) {
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
	return s.writer.do(ctx, func(t *tx) error {
		grant, err := mustGrant(t, id)
		if err != nil || !stale(&grant) {
			return err
		}
		touched := grant
		touched.LastUsedAt = now
		return grants.put(t, id, &grant, &touched, now)
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
		return ended{after, grant.Status != bridge.GrantEnded}, err
	})
	return result.grant, result.now, err
}

// endGrant is the one way a grant ends: the grant forgets its sealed key, the key goes to the
// queue, the family is marked, and so is the identity session nobody needs now. An ended grant
// stays as it is.
func endGrant(t *tx, grant bridge.Grant, reason bridge.EndReason, now time.Time) (bridge.Grant, error) {
	if grant.Status == bridge.GrantEnded {
		return grant, nil
	}
	after := grant
	after.Status, after.EndedAt, after.EndReason = bridge.GrantEnded, now, reason
	after.Credential.Sealed = nil
	if grant.Credential.KeyID != "" {
		err := putRevocation(t, bridge.KeyRevocation{
			GrantID: grant.ID, PersonID: grant.Person.ID(), Credential: grant.Credential, DueAt: now,
		})
		if err != nil {
			return bridge.Grant{}, err
		}
	}
	if err := endFamily(t, grant.ID, now); err != nil {
		return bridge.Grant{}, err
	}
	if err := grants.put(t, grant.ID, &grant, &after, now); err != nil {
		return bridge.Grant{}, err
	}
	return after, endUnusedIdentity(t, grant.Identity, now)
}

// RevokeToken marks one access token of a live grant as revoked until it expires. Tokens of a grant
// that is not live are dead already.
func (s *Store) RevokeToken(ctx context.Context, grantID, tokenID string, expires, now time.Time) error {
	if tokenID == "" {
		return errors.New("an access token without an id cannot be revoked alone")
	}
	return s.writer.do(ctx, func(t *tx) error {
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
		return grants.put(t, grantID, &grant, &after, now)
	})
}

// Consent returns the remembered yes of a person.
func (s *Store) Consent(ctx context.Context, personID, clientID, redirectURI, resource string) (bridge.Consent, error) {
	return read(ctx, s, func(t *tx) (bridge.Consent, error) {
		consent, found, err := consents.get(t, t.consentID(personID, clientID, redirectURI, resource))
		if err == nil && !found {
			err = bridge.ErrNotFound
		}
		return consent, err
	})
}

// Grants lists grants newest first. bridge.ErrNotFound when after is no grant.
func (s *Store) Grants(ctx context.Context, personID, clientID, after string, limit int) ([]bridge.Grant, error) {
	return read(ctx, s, func(t *tx) ([]bridge.Grant, error) {
		from := ""
		if after != "" {
			last, err := mustGrant(t, after)
			if err != nil {
				return nil, err
			}
			from = newestFirst(last.CreatedAt) + after + "\x00"
		}
		index := indexGrants
		switch {
		case personID != "":
			index = indexPersonGrants + t.foreign(personID)
		case clientID != "":
			index = indexClientGrants + t.foreign(clientID)
		}
		var page []bridge.Grant
		for suffix := range t.suffixes(index, from) {
			if len(page) >= limit {
				break
			}
			grant, found, err := grants.get(t, suffix[timeBytes:])
			if err != nil {
				return nil, err
			}
			if found && (clientID == "" || grant.ClientID == clientID) {
				page = append(page, grant)
			}
		}
		return slices.Clip(page), nil
	})
}

// LapsedGrants returns grants that have not ended and whose Lapses has passed, the longest lapsed
// first.
func (s *Store) LapsedGrants(ctx context.Context, now time.Time, limit int) ([]bridge.Grant, error) {
	return read(ctx, s, func(t *tx) ([]bridge.Grant, error) {
		return listDue(t, grants, indexLapses, now, limit)
	})
}
