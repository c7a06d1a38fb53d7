package badger

import (
	"errors"
	"fmt"
	"iter"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// tx is rows.Tx. Reads see what is committed, what the writes before this one in the same batch have
// changed, and this one's own changes (but scans do not see those). Changes are kept aside until the
// write has succeeded: a refusal leaves no trace.
type tx struct {
	txn     *engine.Txn
	changes map[string]change
	told    []string // grants of which copies kept elsewhere are no longer good
	next    position // what this write's batch will be
}

// change is one row to be put, or removed when value is nil.
type change struct {
	value []byte
	ttl   time.Duration // 0: stays until removed
}

// Get returns the record of a row, or nil when there is none.
func (t *tx) Get(row rows.Ref) ([]byte, error) { return t.get(rowKey(row)) }

// Ahead does nothing: the engine has no round trips to save.
func (t *tx) Ahead(...rows.Ref) error { return nil }

// Put stores a row and its places.
func (t *tx) Put(row rows.Row) error {
	if err := t.put(rowKey(row.Ref), row.Record, row.Broom); err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, place := range row.Before {
		gone[placeKey(place, row.Ref)] = true
	}
	for _, place := range row.Places {
		key := placeKey(place, row.Ref)
		if gone[key] {
			delete(gone, key)
			continue
		}
		if err := t.put(key, []byte(indexMark), row.Broom); err != nil {
			return err
		}
	}
	for key := range gone {
		t.change(key, change{})
	}
	if row.Told {
		t.told = append(t.told, row.ID)
	}
	return nil
}

// Remove deletes a row and its places.
func (t *tx) Remove(row rows.Ref, places []rows.Place) error {
	t.change(rowKey(row), change{})
	for _, place := range places {
		t.change(placeKey(place, row), change{})
	}
	return nil
}

// Scan returns the rows an index leads to. Places whose row the engine's broom has taken are passed over.
func (t *tx) Scan(scan rows.Scan) ([]rows.Found, error) {
	from, last := "", ""
	if scan.After != nil {
		from = positionKey(scan.Index, *scan.After) + "\x00"
	}
	if !scan.Until.IsZero() {
		last = rows.OldestFirstKey(scan.Until)
	}
	var found []rows.Found
	for suffix := range t.suffixes(indexPrefix(scan.Index, scan.Whose), from) {
		if len(found) >= scan.Limit || last != "" && suffix[:rows.TimeBytes] > last {
			break
		}
		id := suffix
		if scan.Index.Order != rows.ByID {
			id = suffix[rows.TimeBytes:]
		}
		record, err := t.Get(rows.Ref{Kind: scan.Index.Kind, ID: id})
		if err != nil {
			return nil, err
		}
		if record != nil {
			found = append(found, rows.Found{ID: id, Record: record})
		}
	}
	return found, nil
}

// Due returns rows that are due.
func (t *tx) Due(now time.Time, limit int) ([]rows.Due, error) {
	var due []rows.Due
	last := rows.OldestFirstKey(now)
	for suffix := range t.suffixes(indexPrefix(rows.IndexDue, ""), "") {
		if len(due) >= limit || suffix[:rows.TimeBytes] > last {
			break
		}
		row, _ := refOf(suffix[rows.TimeBytes:])
		due = append(due, rows.Due{Ref: row, At: rows.TimeOfKey(suffix)})
	}
	return due, nil
}

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
