package badger

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var links = table[bridge.Link]{
	kind: "link",
	index: func(t *tx, id string, l *bridge.Link) []string {
		keys := []string{indexLinks + newestFirst(l.CreatedAt) + id}
		if l.Live() {
			keys = append(keys, indexPersonLink+t.foreign(l.Person.ID())+id)
		}
		return keys
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
	return read(ctx, s, func(t *tx) (bridge.Link, error) { return mustLink(t, id) })
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
	for id := range t.suffixes(indexPersonLink+t.foreign(personID), "") {
		return mustLink(t, id)
	}
	return bridge.Link{}, bridge.ErrNotFound
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
		from := ""
		if after != "" {
			last, err := mustLink(t, after)
			if err != nil {
				return nil, err
			}
			from = newestFirst(last.CreatedAt) + after + "\x00"
		}
		var page []bridge.Link
		for suffix := range t.suffixes(indexLinks, from) {
			if len(page) >= limit {
				break
			}
			link, err := mustLink(t, suffix[timeBytes:])
			if err != nil {
				return nil, err
			}
			page = append(page, link)
		}
		return slices.Clip(page), nil
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
		after := link
		after.EndedAt, after.EndReason, after.Credential.Sealed = now, reason, nil
		if link.Credential.KeyID != "" {
			err := putRevocation(t, bridge.KeyRevocation{
				GrantID: link.ID, PersonID: link.Person.ID(), Credential: link.Credential, DueAt: now,
			})
			if err != nil {
				return severed[bridge.Link]{}, err
			}
		}
		if err := links.put(t, id, &link, &after, now); err != nil {
			return severed[bridge.Link]{}, err
		}
		over, err := endGrantsOf(t, indexLinkGrants+t.foreign(id), bridge.EndUnlinked, now)
		return severed[bridge.Link]{after, over, true}, err
	})
	return result.what, result.grants, result.now, err
}

// endGrantsOf ends the grants an index leads to.
func endGrantsOf(t *tx, index string, reason bridge.EndReason, now time.Time) ([]bridge.Grant, error) {
	var over []bridge.Grant
	for _, id := range slices.Collect(t.suffixes(index, "")) {
		grant, err := mustGrant(t, id)
		if err != nil {
			return nil, err
		}
		ended, err := endGrant(t, grant, reason, now)
		if err != nil {
			return nil, err
		}
		over = append(over, ended)
	}
	return over, nil
}
