package rows

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Store is bridge.Store but for what each engine does its own way: Ping, Close and telling of
// changed grants.
type Store struct {
	engine Engine
	key    bridge.RowKey
	sealer bridge.Sealer
	// audited counts audit events from a random number on, so that replicas never name two of one instant alike.
	audited *atomic.Uint64
	lately  *lru.Cache[string, []byte]    // records of flows, as they were read or stored last: see UpdateFlow
	seen    *lru.Cache[string, seenGrant] // see RotateRefresh
}

// latelyKept bounds the memory of flows, and that of grants: a kilobyte or two each as a rule, and for the moment between a read and the
// change that follows it.
const latelyKept = 256

// New makes a store of an engine whose rows are sealed under key, which sealer has unwrapped.
func New(engine Engine, key bridge.RowKey, sealer bridge.Sealer) Store {
	var audited atomic.Uint64
	var from [8]byte
	_, _ = rand.Read(from[:])                            // never fails
	audited.Store(binary.BigEndian.Uint64(from[:]) >> 1) // and never begins again at zero
	lately, err := lru.New[string, []byte](latelyKept)
	seen, seenErr := lru.New[string, seenGrant](latelyKept)
	if err = errors.Join(err, seenErr); err != nil { // only for a size below one
		panic(err)
	}
	return Store{engine, key, sealer, &audited, lately, seen}
}

// WrappedKey is the store's row key under the master secret: what a copy takes over.
func (s *Store) WrappedKey(ctx context.Context) ([]byte, error) { return s.engine.WrappedKey(ctx) }

// MAC is the keyed hash of a value under the store's row key.
func (s *Store) MAC(purpose, value string) bridge.Hash { return s.key.MAC(purpose, value) }

// The rows of KindMeta.
var (
	deploymentRow    = Ref{KindMeta, "deployment"}
	signingKeysRow   = Ref{KindMeta, "signing-keys"}
	verdictsRow      = Ref{KindMeta, "verdicts"}
	unusedClientsRow = Ref{KindMeta, "unused-clients"}
	unlinkingRow     = Ref{KindMeta, "unlinking"} // the links that have ended while grants of theirs may not have
)

// read runs a read and returns what it found, or nothing but its error.
func read[T any](ctx context.Context, s *Store, run func(*tx) (T, error)) (T, error) {
	return result(ctx, s.read, run)
}

// write runs a write and returns what it came to, or nothing but its error.
func write[T any](ctx context.Context, s *Store, run func(*tx) (T, error)) (T, error) {
	return result(ctx, s.write, run)
}

func (s *Store) read(ctx context.Context, run func(*tx) error) error {
	return s.engine.Read(ctx, func(t Tx) error { return run(&tx{Tx: t, key: s.key}) })
}

func (s *Store) write(ctx context.Context, run func(*tx) error) error {
	return s.engine.Write(ctx, func(t Tx) error { return run(&tx{Tx: t, key: s.key}) })
}

// foreign is tx.foreign outside of a transaction.
func (s *Store) foreign(values ...string) string { return foreign(s.key, values...) }

func result[T any](ctx context.Context, in func(context.Context, func(*tx) error) error, run func(*tx) (T, error)) (T, error) {
	var result, none T
	err := in(ctx, func(t *tx) (err error) {
		result, err = run(t)
		return err
	})
	if err != nil {
		return none, err
	}
	return result, nil
}

// readOne returns one record and whether there is one.
func readOne[T any](ctx context.Context, s *Store, records table[T], id string) (record T, found bool, err error) {
	if id == "" {
		return record, false, ctx.Err()
	}
	value, err := s.engine.ReadRow(ctx, records.ref(id))
	if err != nil {
		return record, false, err
	}
	return records.read(s.key, id, value)
}

// readMeta reads a row of KindMeta and reports whether there is one.
func readMeta(ctx context.Context, s *Store, row Ref, record any) (bool, error) {
	value, err := s.engine.ReadRow(ctx, row)
	if err != nil || value == nil {
		return false, err
	}
	if err := Decode(s.key, row, value, record); err != nil {
		return false, fmt.Errorf("%s: %w", row.ID, err)
	}
	return true, nil
}

// Deployment returns whom the store belongs to, bridge.ErrNotFound in a new store.
func (s *Store) Deployment(ctx context.Context) (deployment bridge.Deployment, err error) {
	found, err := readMeta(ctx, s, deploymentRow, &deployment)
	if err == nil && !found {
		err = bridge.ErrNotFound
	}
	return deployment, err
}

// SaveDeployment stores whom the store belongs to.
func (s *Store) SaveDeployment(ctx context.Context, deployment bridge.Deployment) error {
	return s.write(ctx, func(t *tx) error {
		var stored bridge.Deployment
		found, err := load(t, deploymentRow, &stored)
		if err == nil && found && stored.ID != deployment.ID {
			err = bridge.ErrConflict
		}
		if err != nil {
			return err
		}
		return save(t, deploymentRow, deployment)
	})
}
