package trinity

import (
	"context"
	"errors"
	"fmt"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	walkPage  = 100 // of grants or links read at once
	walkPages = 10  // in one round
	walkTries = 3   // of one account when Trinity does not answer
)

// orphanWalk goes once through all accounts that a key is held for, after each start: with that key it
// looks for others of the account. It goes on over many rounds.
type orphanWalk struct {
	afterGrant, afterLink string
	links, done           bool
	seen                  map[string]int // accounts, and how often Trinity was asked
}

// findOrphans does a part of the walk: a number of rows, and so many accounts. It returns how many keys it
// revoked.
func (c *Custodian) findOrphans(ctx context.Context) (revoked int, err error) {
	asked := 0
	for range walkPages {
		if c.walk.done || ctx.Err() != nil {
			return revoked, nil
		}
		page, err := c.walk.page(ctx, c.store)
		if err != nil {
			return revoked, err
		}
		for _, owner := range page.owners {
			if asked == custodyBatch {
				return revoked, nil // this page again: its first accounts are seen by then
			}
			n, now, err := c.orphansOf(ctx, owner)
			revoked += n
			if now {
				asked++
			}
			if err != nil || n == custodyBatch {
				return revoked, err // this page again
			}
		}
		c.walk.turn(page)
	}
	return revoked, nil
}

// keyOwner is a row with a key of its own.
type keyOwner struct {
	row, username string
	sealed        []byte
}

type walkedPage struct {
	owners []keyOwner
	last   string // "" when there is nothing more
}

// page reads the next grants, or the next links after the last grant.
func (w *orphanWalk) page(ctx context.Context, store CustodianStore) (page walkedPage, err error) {
	if !w.links {
		grants, err := store.Grants(ctx, "", "", w.afterGrant, walkPage)
		for _, grant := range grants {
			page.last = grant.ID
			if grant.Live() && grant.Credential.KeyID != "" {
				page.owners = append(page.owners, keyOwner{grant.ID, grant.Account.Username, grant.Credential.Sealed})
			}
		}
		return page, notFoundIsEnd(err)
	}
	links, err := store.Links(ctx, w.afterLink, walkPage)
	for _, link := range links {
		page.last = link.ID
		if link.Live() && link.Made == bridge.LinkByCode {
			page.owners = append(page.owners, keyOwner{link.ID, link.Account.Username, link.Credential.Sealed})
		}
	}
	return page, notFoundIsEnd(err)
}

// notFoundIsEnd: the row a page was to begin behind has been swept meanwhile. What is behind it is older
// than a year, and was looked at after every start.
func notFoundIsEnd(err error) error {
	if errors.Is(err, bridge.ErrNotFound) {
		return nil
	}
	return err
}

// turn goes on behind a page.
func (w *orphanWalk) turn(page walkedPage) {
	switch {
	case page.last == "" && w.links:
		w.done, w.seen = true, nil
	case page.last == "":
		w.links = true
	case w.links:
		w.afterLink = page.last
	default:
		w.afterGrant = page.last
	}
}

// orphansOf looks for orphans of an account, once, and reports whether Trinity was asked.
func (c *Custodian) orphansOf(ctx context.Context, owner keyOwner) (revoked int, asked bool, err error) {
	tries := c.walk.seen[owner.username]
	if owner.username == "" || tries >= walkTries {
		return 0, false, nil
	}
	c.walk.seen[owner.username] = walkTries
	var key secret.Token
	if key, err = c.ring.OpenToken(sealKey, owner.row, owner.sealed); err != nil {
		return 0, false, nil //nolint:nilerr // calls with it say so
	}
	revoked, err = c.orphans.revoke(ctx, key, owner.username)
	switch {
	case errors.Is(err, ErrForbidden):
		c.log.InfoContext(ctx, "Trinity does not let keys see others: keys nobody knows of are found when their owner signs in the next time")
		c.walk.done = true
	case errors.Is(err, ErrUnauthorized): // the key is dead, which its next call finds out
	case errors.Is(err, outbound.ErrUnreachable):
		c.walk.seen[owner.username] = tries + 1
		return revoked, true, fmt.Errorf("looking for keys nobody knows of: %w", err)
	case err != nil:
		c.trouble(ctx, "the keys of an account could not be looked at", err)
	case revoked == custodyBatch: // and more, perhaps
		c.walk.seen[owner.username] = tries
	}
	return revoked, true, nil
}
