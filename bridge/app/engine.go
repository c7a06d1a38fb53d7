package app

import (
	"context"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
)

// openEngine opens the database that replicas share where one is named, else the folder.
func (b *Bridge) openEngine(ctx context.Context) (bridge.Store, error) {
	if b.config.Store != "" {
		return postgres.Open(ctx, b.databaseOptions())
	}
	return badger.Open(b.storeOptions())
}
