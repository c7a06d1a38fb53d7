package badger

import (
	"errors"
	"fmt"
	"iter"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
)

// tx is what one read or one write sees. Reads see what is committed, what the writes before this
// one in the same batch have changed, and this one's own changes (but scans do not see those).
// Changes are kept aside until the write has succeeded: a refusal leaves no trace.
type tx struct {
	txn     *engine.Txn
	seal    bridge.RowKey // nil only while the row that holds it is read or written
	changes map[string]change
}

// change is one row to be put, or removed when value is nil.
type change struct {
	value []byte
	ttl   time.Duration // 0: stays until removed
}

// get returns the value of a row, or nil when there is none.
func (t *tx) get(key string) ([]byte, error) {
	if c, ok := t.changes[key]; ok {
		return c.value, nil
	}
	item, err := t.txn.Get([]byte(key))
	if errors.Is(err, engine.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading from the store: %w", err)
	}
	value, err := item.ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("reading from the store: %w", err)
	}
	return value, nil
}

func (t *tx) put(key string, value []byte, ttl time.Duration) error {
	if len(key) > maxKeyBytes {
		return fmt.Errorf("a key of %d bytes is too long to store", len(key))
	}
	t.change(key, change{value: value, ttl: ttl})
	return nil
}

func (t *tx) remove(key string) { t.change(key, change{}) }

func (t *tx) change(key string, c change) {
	if t.changes == nil {
		t.changes = map[string]change{}
	}
	t.changes[key] = c
}

// suffixes yields, in order, what follows prefix in the keys that begin with it, from the first
// one not below prefix+from.
func (t *tx) suffixes(prefix, from string) iter.Seq[string] {
	return func(yield func(string) bool) {
		it := t.txn.NewIterator(engine.IteratorOptions{Prefix: []byte(prefix)})
		defer it.Close()
		for it.Seek([]byte(prefix + from)); it.Valid(); it.Next() {
			if !yield(string(it.Item().Key()[len(prefix):])) {
				return
			}
		}
	}
}

// apply hands the changes to the engine's transaction.
func (t *tx) apply() error {
	for key, c := range t.changes {
		var err error
		if c.value == nil {
			err = t.txn.Delete([]byte(key))
		} else {
			entry := engine.NewEntry([]byte(key), c.value)
			if c.ttl > 0 {
				entry = entry.WithTTL(c.ttl)
			}
			err = t.txn.SetEntry(entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
