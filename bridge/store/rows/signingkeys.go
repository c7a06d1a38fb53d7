package rows

import (
	"context"

	"github.com/abilityai/trinity-bridge/bridge"
)

// keyList is the signing keys as they are stored.
type keyList struct {
	Revision int                 `json:"revision"`
	Keys     []bridge.SigningKey `json:"keys"`
}

// SigningKeys returns the keys and the revision of their list.
func (s *Store) SigningKeys(ctx context.Context) ([]bridge.SigningKey, int, error) {
	var list keyList
	_, err := readMeta(ctx, s, signingKeysRow, &list)
	return list.Keys, list.Revision, err
}

// SwapSigningKeys replaces the list if its revision is still rev, else bridge.ErrConflict.
func (s *Store) SwapSigningKeys(ctx context.Context, keys []bridge.SigningKey, rev int) error {
	return s.write(ctx, func(t *tx) error {
		var list keyList
		if _, err := load(t, signingKeysRow, &list); err != nil {
			return err
		}
		if list.Revision != rev {
			return bridge.ErrConflict
		}
		return save(t, signingKeysRow, keyList{Revision: rev + 1, Keys: keys})
	})
}
