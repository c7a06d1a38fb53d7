package badger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// schemaVersion is the layout of keys and records this program reads and writes. It also stands in the head of the
// engine's list of tables, where programs of before have zero.
const schemaVersion = 5

// schemaKey is the key of that row in every layout there ever was, so that each knows the others.
const schemaKey = "meta/schema"

// schemaRow is what its record is written for.
var schemaRow = rows.Ref{Kind: rows.KindMeta, ID: "schema"}

// schema is the one row that is stored in clear.
type schema struct {
	Version int    `json:"version"`
	RowKey  []byte `json:"row_key,omitzero"` // seals all others; wrapped under the master secret
}

// unlock accepts this program's layout, gives it to an empty store, and refuses anything else
// (OP-19). It returns the key of the rows, which another master secret does not open (OP-13).
func unlock(db *engine.DB, opts Options, mayBeNew bool) (key bridge.RowKey, err error) {
	err = db.Update(func(txn *engine.Txn) error {
		t := &tx{txn: txn}
		stored, found, err := readSchema(t)
		if err != nil {
			return err
		}
		if found {
			if err := stored.check(); err != nil {
				return err
			}
			if key, err = opts.Sealer.OpenRowKey(stored.RowKey); err != nil {
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
		made := schema{Version: schemaVersion, RowKey: opts.RowKey}
		if opts.RowKey != nil {
			key, err = opts.Sealer.OpenRowKey(opts.RowKey)
		} else {
			key, made.RowKey, err = opts.Sealer.NewRowKey(opts.Base)
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

func readSchema(t *tx) (stored schema, found bool, err error) {
	value, err := t.get(schemaKey)
	if err == nil && value != nil {
		found, err = true, rows.Decode(nil, schemaRow, value, &stored)
	}
	if err != nil {
		err = fmt.Errorf("reading the schema version: %w", err)
	}
	return stored, found, err
}

func (s schema) save(t *tx) error {
	value, err := rows.Encode(nil, schemaRow, s)
	if err != nil {
		return err
	}
	return t.put(schemaKey, value, 0)
}

func (s schema) check() error { return checkVersion(s.Version) }

func checkVersion(version int) error {
	switch {
	case version > schemaVersion:
		return fmt.Errorf("it was written by a newer version of this program (schema %d, this one knows %d)", version, schemaVersion)
	case version < schemaVersion:
		return errOlder
	}
	return nil
}

var errOlder = errors.New("it was written by an older version of this program, and nothing in it was changed: with that version copy it to a database, " +
	"which keeps every connection, or make a backup, which this one restores; docs/storage.md says how")

// checkLayout refuses a folder of another version before the engine opens it (OP-19): what is in the engine's log it
// would write out as tables, which that version may take for damaged.
func checkLayout(dir string) error {
	version, ok := layoutOf(filepath.Join(dir, engine.ManifestFilename))
	if !ok {
		return nil // there is no list, or none of the engine's, which the engine will say
	}
	if err := checkVersion(int(version)); err != nil {
		return fmt.Errorf("opening the store in %s: %w", dir, err)
	}
	return nil
}

// layoutOf is the version in the head of a list of tables: the engine's name, and behind it ours.
func layoutOf(path string) (version uint16, ok bool) {
	const name = "Bdgr"
	head, err := readFrom(path, 0, int64(len(name)+2))
	if err != nil || string(head[:len(name)]) != name {
		return 0, false
	}
	return binary.BigEndian.Uint16(head[len(name):]), true
}

// WrappedKey reads the key of the rows from the one row that is stored in clear.
func (e transactions) WrappedKey(ctx context.Context) (key []byte, err error) {
	err = e.view(ctx, func(t *tx) error {
		stored, _, err := readSchema(t)
		key = stored.RowKey
		return err
	})
	return key, err
}

// Rewrap replaces it.
func (e transactions) Rewrap(ctx context.Context, from, to []byte) error {
	return e.s.writer.do(ctx, func(t *tx) error {
		stored, _, err := readSchema(t)
		if err != nil {
			return err
		}
		if !bytes.Equal(stored.RowKey, from) {
			return bridge.ErrConflict
		}
		stored.RowKey = to
		return stored.save(t)
	})
}
