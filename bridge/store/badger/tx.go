package badger

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// tx is rows.Tx. Reads see what is committed, what the writes before this one have changed, whose commit
// may still be under way, and this one's own changes (but scans do not see those). Changes are kept
// aside until the write has succeeded: a refusal leaves no trace.
type tx struct {
	txn     *engine.Txn
	below   []layer // what lies over txn, the newest first
	changes layer
	told    []string // grants of which copies kept elsewhere are no longer good
	next    position // what this write's batch will be
	reads   *reads   // of a write that is run ahead
}

// Get returns the record of a row, or nil when there is none.
func (t *tx) Get(row rows.Ref) ([]byte, error) { return t.get(rowKey(row)) }

// Ahead does nothing: the engine has no round trips to save.
func (t *tx) Ahead(...rows.Ref) error { return nil }

// Put stores a row and its places.
func (t *tx) Put(row rows.Row) error {
	if row.New {
		if there, err := t.Get(row.Ref); err != nil || there != nil {
			return cmp.Or(err, bridge.ErrConflict)
		}
	}
	own := rowKey(row.Ref)
	if err := t.put(own, row.Record, row.Broom); err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, place := range row.Before {
		if !slices.Contains(row.Places, place) { // as most are: what stays needs no key
			gone[placeKey(place, row.Ref)] = true
		}
	}
	delete(gone, own)
	for _, place := range row.Places {
		if slices.Contains(row.Before, place) {
			continue
		}
		key := placeKey(place, row.Ref)
		if gone[key] || key == own {
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
		from = placePart(scan.Index, scan.After.At, rows.Ref{Kind: scan.Index.Kind, ID: scan.After.ID}) + "\x00"
	}
	if !scan.Until.IsZero() {
		last = timeKey(scan.Until)
	}
	var found []rows.Found
	for suffix, row := range t.walk(scan.Index, scan.Whose, from) {
		if len(found) >= scan.Limit || last != "" && suffix[:timeBytes] > last {
			break
		}
		part, _ := idIn(scan.Index, suffix)
		record, err := t.found(partKey(scan.Index.Kind, part), row)
		if err != nil {
			return nil, err
		}
		if id, ok := idOf(part); ok && record != nil {
			found = append(found, rows.Found{ID: id, Record: record})
		}
	}
	return found, nil
}

// found is get of a row that a walk may have come upon already.
func (t *tx) found(key string, row *engine.Item) ([]byte, error) {
	if row == nil || len(t.changes) > 0 {
		return t.get(key)
	}
	return valueOf(row)
}

// walk yields, in order, what follows whose an index is in the keys of its places, from one on; and with it the row itself
// where that is its own place, until the next one is asked for.
func (t *tx) walk(index rows.Index, whose, from string) iter.Seq2[string, *engine.Item] {
	places := t.suffixes(indexPrefix(index, whose), from)
	if index != rows.IndexGrants && index != (rows.Index{Kind: rows.KindGrant}) {
		return func(yield func(string, *engine.Item) bool) {
			for place := range places {
				if !yield(place, nil) {
					return
				}
			}
		}
	}
	return merged(t.items(firstByte(timedGrant), from), places)
}

// merged yields rows in their own places and places of others, all in order.
func merged(own iter.Seq2[string, *engine.Item], others iter.Seq[string]) iter.Seq2[string, *engine.Item] {
	return func(yield func(string, *engine.Item) bool) {
		next, stop := iter.Pull(others)
		defer stop()
		other, more := next()
		for one, row := range own {
			for ; more && other < one; other, more = next() {
				if !yield(other, nil) {
					return
				}
			}
			if !yield(one, row) {
				return
			}
		}
		for ; more; other, more = next() {
			if !yield(other, nil) {
				return
			}
		}
	}
}

// Due returns rows that are due.
func (t *tx) Due(now time.Time, limit int) ([]rows.Due, error) {
	var due []rows.Due
	last := timeKey(now)
	for suffix := range t.suffixes(indexPrefix(rows.IndexDue, ""), "") {
		if len(due) >= limit || suffix[:timeBytes] > last {
			break
		}
		if row, ok := refOf(suffix[timeBytes:]); ok {
			due = append(due, rows.Due{Ref: row, At: timeOf(suffix)})
		}
	}
	return due, nil
}

func (t *tx) get(key string) ([]byte, error) {
	if c, ok := t.changes[key]; ok {
		return c.value, nil
	}
	if t.reads != nil {
		t.reads.keys = append(t.reads.keys, key)
	}
	for _, l := range t.below {
		if c, ok := l[key]; ok {
			return c.value, nil
		}
	}
	item, err := t.txn.Get([]byte(key))
	if errors.Is(err, engine.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading from the store: %w", err)
	}
	return valueOf(item)
}

func valueOf(item *engine.Item) ([]byte, error) {
	value, err := item.ValueCopy([]byte{}) // not nil where it is empty
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
		t.changes = layer{}
	}
	t.changes[key] = c
}

// iterator walks through what is committed.
func (t *tx) iterator(options engine.IteratorOptions) *engine.Iterator {
	if t.reads != nil {
		t.reads.walked = true
	}
	return t.txn.NewIterator(options)
}

// suffixes yields, in order, what follows prefix in the keys that begin with it, from the first
// one not below prefix+from.
func (t *tx) suffixes(prefix, from string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for suffix := range t.items(prefix, from) {
			if !yield(suffix) {
				return
			}
		}
	}
}

// items is suffixes, with what is committed under each key until the next one is asked for: nil where a write before this one
// has put it.
func (t *tx) items(prefix, from string) iter.Seq2[string, *engine.Item] {
	changed, removed := t.changedBelow(prefix, prefix+from)
	return func(yield func(string, *engine.Item) bool) {
		it := t.iterator(engine.IteratorOptions{Prefix: []byte(prefix)})
		defer it.Close()
		for it.Seek([]byte(prefix + from)); it.Valid(); it.Next() {
			item := it.Item()
			key := string(item.Key())
			for len(changed) > 0 && changed[0] < key {
				if !yield(changed[0][len(prefix):], nil) {
					return
				}
				changed = changed[1:]
			}
			if len(changed) > 0 && changed[0] == key {
				changed, item = changed[1:], nil
			}
			if !removed[key] && !yield(key[len(prefix):], item) {
				return
			}
		}
		for _, key := range changed {
			if !yield(key[len(prefix):], nil) {
				return
			}
		}
	}
}

// changedBelow returns the keys with a prefix, from one on, that the writes before this one have put, in order, and
// those they have removed.
func (t *tx) changedBelow(prefix, from string) (changed []string, removed map[string]bool) {
	for i, l := range t.below {
		for key, c := range l {
			if !strings.HasPrefix(key, prefix) || key < from || slices.ContainsFunc(t.below[:i], func(newer layer) bool { _, ok := newer[key]; return ok }) {
				continue
			}
			if c.value != nil {
				changed = append(changed, key)
				continue
			}
			if removed == nil {
				removed = map[string]bool{}
			}
			removed[key] = true
		}
	}
	slices.Sort(changed)
	return changed, removed
}
