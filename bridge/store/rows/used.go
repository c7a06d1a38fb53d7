package rows

import (
	"context"
	"time"
)

// usedID says that something was used that may be used once, until ExpiresAt.
type usedID struct {
	ExpiresAt time.Time `json:"expires_at"`
}

// The broom is safe here: what comes after its expiry is refused before the row is asked for.
var usedIDs = table[usedID]{
	kind:  KindUsed,
	due:   func(u *usedID) time.Time { return u.ExpiresAt },
	broom: true,
}

// UseOnce stores that id was used, unless it was before. Namespace and id are hashed apart, so that
// no two pairs meet.
func (s *Store) UseOnce(ctx context.Context, namespace, id string, expires, now time.Time) (bool, error) {
	if !now.Before(expires) {
		return false, nil
	}
	key := s.foreign(namespace, id)
	return write(ctx, s, func(t *tx) (bool, error) {
		_, found, err := usedIDs.get(t, key)
		if err != nil || found {
			return false, err
		}
		return true, usedIDs.put(t, key, nil, &usedID{ExpiresAt: expires}, now)
	})
}
