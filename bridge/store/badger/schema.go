package badger

import (
	"context"
	"errors"
	"fmt"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
)

// schemaVersion is the layout of keys and records this program reads and writes.
const schemaVersion = 2

// schema is the one row that is stored in clear.
type schema struct {
	Version int    `json:"version"`
	RowKey  []byte `json:"row_key,omitzero"` // seals all others; wrapped under the master secret
}

// unlock accepts this program's layout, gives it to an empty store, and refuses anything else
// (OP-19). It returns the key of the rows, which another master secret does not open (OP-13).
func unlock(db *engine.DB, sealer bridge.Sealer) (key bridge.RowKey, err error) {
	err = db.Update(func(txn *engine.Txn) error {
		t := &tx{txn: txn}
		var stored schema
		found, err := load(t, schemaKey, &stored)
		if err != nil {
			return fmt.Errorf("reading the schema version: %w", err)
		}
		if found {
			if err := stored.check(); err != nil {
				return err
			}
			if key, err = sealer.OpenRowKey(stored.RowKey); err != nil {
				return fmt.Errorf("%w: %w", ErrSealed, err)
			}
			return nil
		}
		for range t.suffixes("", "") {
			return errors.New("it holds data but no schema version: it is damaged or belongs to another program")
		}
		made := schema{Version: schemaVersion}
		if key, made.RowKey, err = sealer.NewRowKey(); err != nil {
			return err
		}
		if err := save(t, schemaKey, made); err != nil {
			return err
		}
		return t.apply()
	})
	return key, err
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
