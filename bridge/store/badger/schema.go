package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// schemaVersion is the layout of keys and records this program reads and writes.
const schemaVersion = 3

// schema is the one row that is stored in clear.
type schema struct {
	Version int    `json:"version"`
	RowKey  []byte `json:"row_key,omitzero"` // seals all others; wrapped under the master secret
}

// unlock accepts this program's layout, gives it to an empty store, and refuses anything else
// (OP-19). It returns the key of the rows, which another master secret does not open (OP-13).
func unlock(db *engine.DB, sealer bridge.Sealer, given []byte, mayBeNew bool) (key bridge.RowKey, err error) {
	err = db.Update(func(txn *engine.Txn) error {
		t := &tx{txn: txn}
		value, err := t.Get(schemaRow)
		if err != nil {
			return fmt.Errorf("reading the schema version: %w", err)
		}
		if value != nil {
			var stored schema
			if err := rows.Decode(nil, schemaRow, value, &stored); err != nil {
				return fmt.Errorf("reading the schema version: %w", err)
			}
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
		if !mayBeNew {
			return errEmpty
		}
		made := schema{Version: schemaVersion, RowKey: given}
		if given != nil {
			key, err = sealer.OpenRowKey(given)
		} else {
			key, made.RowKey, err = sealer.NewRowKey()
		}
		if err != nil {
			return err
		}
		if err := made.save(t); err != nil {
			return err
		}
		for key, c := range t.changes {
			if err := c.put(txn, key); err != nil {
				return err
			}
		}
		return nil
	})
	return key, err
}

func (s schema) save(t *tx) error {
	value, err := rows.Encode(nil, schemaRow, s)
	if err != nil {
		return err
	}
	return t.Put(rows.Row{Ref: schemaRow, Record: value})
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

// WrappedKey reads the key of the rows from the one row that is stored in clear.
func (e transactions) WrappedKey(ctx context.Context) ([]byte, error) {
	value, err := e.ReadRow(ctx, schemaRow)
	if err != nil {
		return nil, err
	}
	var stored schema
	err = rows.Decode(nil, schemaRow, value, &stored)
	return stored.RowKey, err
}

// Rewrap replaces it.
func (e transactions) Rewrap(ctx context.Context, from, to []byte) error {
	return e.s.writer.do(ctx, func(t *tx) error {
		value, err := t.Get(schemaRow)
		if err != nil {
			return err
		}
		var stored schema
		if err := rows.Decode(nil, schemaRow, value, &stored); err != nil {
			return err
		}
		if !bytes.Equal(stored.RowKey, from) {
			return bridge.ErrConflict
		}
		stored.RowKey = to
		return stored.save(t)
	})
}
