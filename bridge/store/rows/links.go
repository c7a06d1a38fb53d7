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
	// maxGrantsOf bounds what one transaction looks at of a sign-in: none has so many.
	maxGrantsOf = 10_000
	// endedAtOnce is how many grants of a link one write ends: others wait for it, and an engine takes some
	// thousands. A person may have any number.
	endedAtOnce = 100
)

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
	found, err := s.engine.Find(ctx, scanLiveLink(s.foreign(personID)))
	if err != nil {
		return bridge.Link{}, err
	}
	live, err := decodeAll(s.key, links, found)
	return only(live, err)
}

func mustLink(t *tx, id string) (bridge.Link, error) {
	link, found, err := links.get(t, id)
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	return link, err
}

func liveLink(t *tx, personID string) (bridge.Link, error) {
	live, err := list(t, links, scanLiveLink(t.foreign(personID)))
	return only(live, err)
}

func scanLiveLink(whose string) Scan { return Scan{Index: IndexPersonLink, Whose: whose, Limit: 1} }

func only(live []bridge.Link, err error) (bridge.Link, error) {
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

// EndLink ends a link with its grants and queues its key for revocation. No grant comes through it once it has ended,
// so what is left of those it had only gets less.
func (s *Store) EndLink(ctx context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Link, []bridge.Grant, bool, error) {
	more := false
	result, err := write(ctx, s, func(t *tx) (severed[bridge.Link], error) {
		link, err := mustLink(t, id)
		if err != nil {
			return severed[bridge.Link]{}, err
		}
		result := severed[bridge.Link]{what: link, now: link.Live()}
		if result.now {
			if result.what, err = endLink(t, link, reason, now); err != nil {
				return severed[bridge.Link]{}, err
			}
		}
		if result.grants, more, err = unlink(t, id, now); err == nil && more {
			err = noteUnlinking(t, id, true)
		}
		return result, err
	})
	for err == nil && more {
		var some []bridge.Grant
		some, err = write(ctx, s, func(t *tx) (over []bridge.Grant, err error) {
			over, more, err = unlink(t, id, now)
			return over, err
		})
		result.grants = append(result.grants, some...)
	}
	return result.what, result.grants, result.now, err
}

// EndUnlinked ends grants that an EndLink has left behind, and forgets about links that have none.
func (s *Store) EndUnlinked(ctx context.Context, now time.Time) ([]bridge.Grant, error) {
	var unlinking []string
	if _, err := readMeta(ctx, s, unlinkingRow, &unlinking); err != nil {
		return nil, err
	}
	for _, id := range unlinking {
		over, err := write(ctx, s, func(t *tx) ([]bridge.Grant, error) {
			over, more, err := unlink(t, id, now)
			if err == nil && !more {
				err = noteUnlinking(t, id, false)
			}
			return over, err
		})
		if err != nil || len(over) > 0 {
			return over, err
		}
	}
	return nil, nil
}

// unlink ends some grants of a link that has ended and reports whether there may be more.
func unlink(t *tx, id string, now time.Time) (over []bridge.Grant, more bool, err error) {
	of, more, err := openGrantsOf(t, IndexLinkGrants, id, endedAtOnce)
	if err != nil {
		return nil, false, err
	}
	over, err = endGrants(t, of, bridge.EndUnlinked, now)
	return over, more, err
}

// noteUnlinking notes whether a link that has ended may have grants that have not.
func noteUnlinking(t *tx, id string, may bool) error {
	var all []string
	if _, err := load(t, unlinkingRow, &all); err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(other string) bool { return other == id })
	if may {
		all = append(all, id)
	}
	if len(all) == 0 {
		return t.Remove(unlinkingRow, nil)
	}
	return save(t, unlinkingRow, all)
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

// endGrants ends grants.
func endGrants(t *tx, of []grantRow, reason bridge.EndReason, now time.Time) ([]bridge.Grant, error) {
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

// openGrantsOf gets up to limit grants an index leads to that have not ended, and reports whether there may be more.
func openGrantsOf(t *tx, index Index, whose string, limit int) (of []grantRow, more bool, err error) {
	found, err := t.Scan(Scan{Index: index, Whose: t.foreign(whose), Limit: limit})
	if err != nil {
		return nil, false, err
	}
	ahead := make([]Ref, len(found))
	for i, row := range found {
		ahead[i] = grants.ref(row.ID)
	}
	if err := t.Ahead(ahead...); err != nil {
		return nil, false, err
	}
	for _, row := range found {
		grant, found, err := grants.get(t, row.ID)
		if err != nil {
			return nil, false, err
		}
		if found && grant.Status != bridge.GrantEnded { // others may have ended it since the scan
			of = append(of, grant)
		}
	}
	return of, len(found) == limit, nil
}
