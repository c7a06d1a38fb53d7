package rows

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// maxGrantsOf bounds what one transaction ends: nobody has so many.
const maxGrantsOf = 10_000

var links = table[bridge.Link]{
	kind: KindLink,
	places: func(t *tx, l *bridge.Link) []Place {
		places := []Place{{Index: IndexLinks, At: l.CreatedAt}}
		if l.Live() {
			places = append(places, Place{Index: IndexPersonLink, Whose: t.foreign(l.Person.ID())})
		}
		return places
	},
	due: func(l *bridge.Link) time.Time {
		if l.Live() {
			return time.Time{}
		}
		return l.EndedAt.Add(endedKept)
	},
}

// linking is what CreateLink came to.
type linking struct {
	outcome bridge.LinkOutcome
	link    bridge.Link
}

// CreateLink stores a live link unless the person has one.
func (s *Store) CreateLink(ctx context.Context, link bridge.Link, now time.Time) (bridge.LinkOutcome, bridge.Link, error) {
	if link.Person.IsZero() || !link.Live() {
		return "", bridge.Link{}, errors.New("storing a link: it is nobody's, or over")
	}
	made, err := write(ctx, s, func(t *tx) (linking, error) {
		_, exists, err := links.get(t, link.ID)
		if err != nil {
			return linking{}, err
		}
		if exists {
			return linking{}, bridge.ErrConflict
		}
		other, err := liveLink(t, link.Person.ID())
		switch {
		case err == nil:
			return linking{bridge.LinkExists, other}, nil
		case !errors.Is(err, bridge.ErrNotFound):
			return linking{}, err
		}
		return linking{bridge.LinkMade, link}, links.put(t, link.ID, nil, &link, now)
	})
	return made.outcome, made.link, err
}

// Link returns a link in any state.
func (s *Store) Link(ctx context.Context, id string) (bridge.Link, error) {
	link, found, err := readOne(ctx, s, links, id)
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	return link, err
}

// LinkOf returns the live link of a person.
func (s *Store) LinkOf(ctx context.Context, personID string) (bridge.Link, error) {
	return read(ctx, s, func(t *tx) (bridge.Link, error) { return liveLink(t, personID) })
}

func mustLink(t *tx, id string) (bridge.Link, error) {
	link, found, err := links.get(t, id)
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	return link, err
}

func liveLink(t *tx, personID string) (bridge.Link, error) {
	live, err := list(t, links, Scan{Index: IndexPersonLink, Whose: t.foreign(personID), Limit: 1})
	if err != nil || len(live) == 0 {
		return bridge.Link{}, cmp.Or(err, bridge.ErrNotFound)
	}
	return live[0], nil
}

// linkLive reports whether the link a grant is to come through still stands and is the same
// person's. A grant without a link needs none.
func linkLive(t *tx, grant *bridge.Grant) (bool, error) {
	if grant.Link == "" {
		return true, nil
	}
	link, found, err := links.get(t, grant.Link)
	return found && link.Live() && link.Person == grant.Person, err
}

// Links lists links newest first. bridge.ErrNotFound when after is no link.
func (s *Store) Links(ctx context.Context, after string, limit int) ([]bridge.Link, error) {
	return read(ctx, s, func(t *tx) ([]bridge.Link, error) {
		scan := Scan{Index: IndexLinks, Limit: limit}
		if after != "" {
			last, err := mustLink(t, after)
			if err != nil {
				return nil, err
			}
			scan.After = &Position{last.CreatedAt, last.ID}
		}
		return list(t, links, scan)
	})
}

// severed is what the end of a link or an identity session came to.
type severed[T any] struct {
	what   T
	grants []bridge.Grant
	now    bool
}

// EndLink ends a link with its grants and queues its key for revocation.
func (s *Store) EndLink(ctx context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Link, []bridge.Grant, bool, error) {
	result, err := write(ctx, s, func(t *tx) (severed[bridge.Link], error) {
		link, err := mustLink(t, id)
		if err != nil || !link.Live() {
			return severed[bridge.Link]{what: link}, err
		}
		after, err := endLink(t, link, reason, now)
		if err != nil {
			return severed[bridge.Link]{}, err
		}
		over, err := endGrantsOf(t, IndexLinkGrants, id, bridge.EndUnlinked, now)
		return severed[bridge.Link]{after, over, true}, err
	})
	return result.what, result.grants, result.now, err
}

// endLink ends a live link by itself.
func endLink(t *tx, link bridge.Link, reason bridge.EndReason, now time.Time) (bridge.Link, error) {
	after := link
	after.EndedAt, after.EndReason, after.Credential.Sealed = now, reason, nil
	if link.Credential.KeyID != "" {
		err := putRevocation(t, bridge.KeyRevocation{
			GrantID: link.ID, PersonID: link.Person.ID(), Credential: link.Credential, DueAt: now,
		})
		if err != nil {
			return bridge.Link{}, err
		}
	}
	return after, links.put(t, link.ID, &link, &after, now)
}

// endGrantsOf ends the grants an index leads to.
func endGrantsOf(t *tx, index Index, whose string, reason bridge.EndReason, now time.Time) ([]bridge.Grant, error) {
	of, err := openGrantsOf(t, index, whose)
	if err != nil {
		return nil, err
	}
	var over []bridge.Grant
	for _, grant := range of {
		ended, err := endGrant(t, grant, reason, now)
		if err != nil {
			return nil, err
		}
		over = append(over, ended.Grant)
	}
	return over, nil
}

// openGrantsOf gets the grants an index leads to that have not ended.
func openGrantsOf(t *tx, index Index, whose string) ([]grantRow, error) {
	found, err := t.Scan(Scan{Index: index, Whose: t.foreign(whose), Limit: maxGrantsOf})
	if err != nil {
		return nil, err
	}
	ahead := make([]Ref, len(found))
	for i, row := range found {
		ahead[i] = grants.ref(row.ID)
	}
	if err := t.Ahead(ahead...); err != nil {
		return nil, err
	}
	var of []grantRow
	for _, row := range found {
		grant, found, err := grants.get(t, row.ID)
		if err != nil {
			return nil, err
		}
		if found && grant.Status != bridge.GrantEnded { // others may have ended it since the scan
			of = append(of, grant)
		}
	}
	return of, nil
}
