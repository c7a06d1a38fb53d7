package rows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// StartGrant stores a live grant, or brings the stored one up to date. When nothing is new it
// costs a read.
func (s *Store) StartGrant(ctx context.Context, grant bridge.Grant, now time.Time) (bridge.Grant, error) {
	if grant.Status != bridge.GrantLive || grant.Refresh {
		return bridge.Grant{}, fmt.Errorf("starting a grant: it is %q or comes with a refresh family", grant.Status)
	}
	grant.Started = true
	seen, err := s.Grant(ctx, grant.ID)
	switch {
	case err != nil && !errors.Is(err, bridge.ErrNotFound):
		return bridge.Grant{}, err
	case err == nil:
		if after, fresh, err := restart(seen, grant); err != nil || !fresh {
			return after, err
		}
	}
	return write(ctx, s, func(t *tx) (bridge.Grant, error) {
		before, found, err := grants.get(t, grant.ID)
		if err != nil {
			return bridge.Grant{}, err
		}
		if !found {
			live, err := linkLive(t, &grant)
			if err != nil {
				return bridge.Grant{}, err
			}
			if !live {
				return bridge.Grant{}, fmt.Errorf("starting a grant: its link has ended: %w", bridge.ErrNotFound)
			}
			return grant, putGrant(t, nil, &grantRow{Grant: grant}, now)
		}
		again, fresh, err := restart(before.Grant, grant)
		if err != nil || !fresh {
			return again, err
		}
		after := before
		after.Grant = again
		return again, putGrant(t, &before, &after, now)
	})
}

// restart is what becomes of a stored grant that is started again, and whether that is anything new.
func restart(stored, given bridge.Grant) (after bridge.Grant, fresh bool, err error) {
	if stored.ClientID != given.ClientID || stored.Person != given.Person {
		return bridge.Grant{}, false, fmt.Errorf("starting a grant: the id is another's: %w", bridge.ErrConflict)
	}
	if !stored.Live() {
		return stored, false, nil
	}
	after = stored
	after.ClientName, after.Resource, after.Scopes, after.Asked = given.ClientName, given.Resource, given.Scopes, given.Asked
	fresh = stored.ClientName != after.ClientName || stored.Resource != after.Resource ||
		!slices.Equal(stored.Scopes, after.Scopes) || !slices.Equal(stored.Asked, after.Asked)
	return after, fresh, nil
}
