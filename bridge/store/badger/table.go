package badger

import (
	"errors"
	"fmt"
	"time"
)

// broomDelay is how long after its due time the engine may drop a row by itself.
const broomDelay = 24 * time.Hour

// table is one kind of record: where it is stored and which index rows follow it.
type table[T any] struct {
	kind string
	// index returns the index keys that lead to a record; nil when there are none.
	index func(t *tx, id string, record *T) []string
	// due returns when Sweep removes a record, the zero time for not yet; nil when it never does.
	due func(record *T) time.Time
	// broom lets the engine drop a record broomDelay after it was due, by the machine's clock, in
	// case nobody sweeps. Only for rows whose absence costs a person nothing.
	broom bool
}

func (tb table[T]) key(id string) string { return tb.kind + "/" + id }

// get returns a record and whether there is one.
func (tb table[T]) get(t *tx, id string) (record T, found bool, err error) {
	found, err = load(t, tb.key(id), &record)
	if err != nil {
		return record, false, fmt.Errorf("%s: %w", tb.kind, err)
	}
	return record, found, nil
}

// put stores record with its index rows. old is what was stored before, nil when nothing was.
func (tb table[T]) put(t *tx, id string, old, record *T, now time.Time) error {
	if id == "" {
		return errors.New("a " + tb.kind + " without an id cannot be stored")
	}
	value, err := encode(t.seal, tb.key(id), record)
	if err != nil {
		return fmt.Errorf("%s: %w", tb.kind, err)
	}
	ttl := tb.ttl(record, now)
	if err := t.put(tb.key(id), value, ttl); err != nil {
		return fmt.Errorf("%s: %w", tb.kind, err)
	}
	gone := map[string]bool{}
	for _, key := range tb.indexKeys(t, id, old) {
		gone[key] = true
	}
	for _, key := range tb.indexKeys(t, id, record) {
		if gone[key] {
			delete(gone, key)
			continue
		}
		if err := t.put(key, []byte(indexMark), ttl); err != nil {
			return fmt.Errorf("%s: %w", tb.kind, err)
		}
	}
	for key := range gone {
		t.remove(key)
	}
	return nil
}

// remove deletes a record and its index rows.
func (tb table[T]) remove(t *tx, id string, record *T) {
	t.remove(tb.key(id))
	for _, key := range tb.indexKeys(t, id, record) {
		t.remove(key)
	}
}

func (tb table[T]) indexKeys(t *tx, id string, record *T) []string {
	if record == nil {
		return nil
	}
	var keys []string
	if tb.index != nil {
		keys = tb.index(t, id, record)
	}
	if tb.due != nil {
		if due := tb.due(record); !due.IsZero() {
			keys = append(keys, indexDue+oldestFirst(due)+tb.key(id))
		}
	}
	return keys
}

// ttl counts from the machine's clock, so only the distance from now to the due time goes in.
func (tb table[T]) ttl(record *T, now time.Time) time.Duration {
	if !tb.broom {
		return 0
	}
	const longest = 10 * 365 * 24 * time.Hour
	due := tb.due(record)
	left := due.Sub(now)
	if due.IsZero() || left > longest {
		return 0
	}
	return max(left, 0) + broomDelay
}

// load reads the row under key into record and reports whether there is one.
func load(t *tx, key string, record any) (bool, error) {
	value, err := t.get(key)
	if err != nil || value == nil {
		return false, err
	}
	return true, decode(t.seal, key, value, record)
}

// save stores a single row that has no index.
func save(t *tx, key string, record any) error {
	value, err := encode(t.seal, key, record)
	if err != nil {
		return err
	}
	return t.put(key, value, 0)
}
