package badger

import (
	"context"
	"errors"
	"fmt"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
)

// schemaVersion is the layout of keys and records this program reads and writes.
const schemaVersion = 1

type schema struct {
	Version int `json:"version"`
}

// checkSchema accepts this program's layout, gives it to an empty store, and refuses anything else
// (OP-19).
func checkSchema(db *engine.DB) error {
	return db.Update(func(txn *engine.Txn) error {
		t := &tx{txn: txn}
		var stored schema
		found, err := load(t, schemaKey, &stored)
		if err != nil {
			return fmt.Errorf("reading the schema version: %w", err)
		}
		if found {
			return stored.check()
		}
		for range t.suffixes("", "") {
			return errors.New("it holds data but no schema version: it is damaged or belongs to another program")
		}
		if err := save(t, schemaKey, schema{Version: schemaVersion}); err != nil {
			return err
		}
		return t.apply()
	})
}

func (s schema) check() error {
	if s.Version > schemaVersion {
		return fmt.Errorf("it was written by a newer version of this program (schema %d, this one knows %d)", s.Version, schemaVersion)
	}
	if s.Version != schemaVersion {
		return fmt.Errorf("its schema %d is not known", s.Version)
	}
	return nil
}

// Deployment returns whom the store belongs to, bridge.ErrNotFound in a new store.
func (s *Store) Deployment(ctx context.Context) (bridge.Deployment, error) {
	return read(ctx, s, func(t *tx) (deployment bridge.Deployment, err error) {
		found, err := load(t, deploymentKey, &deployment)
		if err == nil && !found {
			err = bridge.ErrNotFound
		}
		return deployment, err
	})
}

// SaveDeployment stores whom the store belongs to.
func (s *Store) SaveDeployment(ctx context.Context, deployment bridge.Deployment) error {
	return s.writer.do(ctx, func(t *tx) error { return save(t, deploymentKey, deployment) })
}
