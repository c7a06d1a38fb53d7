package bridgetest

import (
	"iter"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/app"
)

// All is a whole list.
func All[T any](list iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for one, err := range list {
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// Revoke ends grants as the operator's command does, and returns them.
func (b *Bridge) Revoke(t *testing.T, ids ...string) []app.ListedGrant {
	t.Helper()
	var ended []app.ListedGrant
	err := app.RevokeGrants(t.Context(), b.Data, ids, func(grant app.ListedGrant) { ended = append(ended, grant) })
	if err != nil {
		t.Fatal(err)
	}
	return ended
}
