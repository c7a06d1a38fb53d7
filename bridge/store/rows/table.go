package rows

import (
	"errors"
	"fmt"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	// BroomDelay is how long after its due time an engine may drop a row by itself.
	BroomDelay = 24 * time.Hour
	// maxIDBytes is the longest id; every engine can index it.
	maxIDBytes = 768
)

// table is one kind of record: where indexes lead to it and when it goes.
type table[T any] struct {
	kind Kind
	// places returns where indexes lead to a record; nil when none does.
	places func(t *tx, record *T) []Place
	// due returns when Sweep removes a record, the zero time for not yet; nil when it never does.
	due func(record *T) time.Time
	// broom lets the engine drop a record BroomDelay after it was due, by the machine's clock, in
	// case nobody sweeps. Only for rows whose absence costs a person nothing.
	broom bool
}

func (tb table[T]) ref(id string) Ref { return Ref{tb.kind, id} }

// get returns a record and whether there is one.
func (tb table[T]) get(t *tx, id string) (record T, found bool, err error) {
	if id == "" {
		return record, false, nil
	}
	found, err = load(t, tb.ref(id), &record)
	if err != nil {
		return record, false, fmt.Errorf("%s: %w", tb.kind, err)
	}
	return record, found, nil
}

// read is decode for a record that an engine has returned: nil is none.
func (tb table[T]) read(key bridge.RowKey, id string, value []byte) (record T, found bool, err error) {
	if value == nil {
		return record, false, nil
	}
	if err := Decode(key, tb.ref(id), value, &record); err != nil {
		return record, false, fmt.Errorf("%s: %w", tb.kind, err)
	}
	return record, true, nil
}

// put stores record in the place of old, nil when nothing was stored before.
func (tb table[T]) put(t *tx, id string, old, record *T, now time.Time) error {
	row, err := tb.row(t, id, record, now)
	if err != nil {
		return err
	}
	row.Places, row.Before, row.Told = tb.all(t, record), tb.all(t, old), old != nil && tb.kind == KindGrant
	return t.Put(row)
}

// add is put for a record whose id was made for it.
func (tb table[T]) add(t *tx, id string, record *T, now time.Time) error {
	row, err := tb.row(t, id, record, now)
	if err != nil {
		return err
	}
	row.Places, row.New = tb.all(t, record), true
	return t.Put(row)
}

// putQuietly is put for a change that no copy of the record need know of.
func (tb table[T]) putQuietly(t *tx, id string, old, record *T, now time.Time) error {
	row, err := tb.row(t, id, record, now)
	if err != nil {
		return err
	}
	row.Places, row.Before = tb.all(t, record), tb.all(t, old)
	return t.Put(row)
}

// renew is putQuietly for a change that leaves the places of a record as they are.
func (tb table[T]) renew(t *tx, id string, record *T, now time.Time) error {
	row, err := tb.row(t, id, record, now)
	if err != nil {
		return err
	}
	row.Stays = true
	return t.Put(row)
}

func (tb table[T]) row(t *tx, id string, record *T, now time.Time) (Row, error) {
	switch {
	case id == "":
		return Row{}, errors.New("a " + string(tb.kind) + " without an id cannot be stored")
	case len(id) > maxIDBytes:
		return Row{}, errors.New("the id of a " + string(tb.kind) + " is too long to store")
	}
	value, err := Encode(t.key, tb.ref(id), record)
	if err != nil {
		return Row{}, fmt.Errorf("%s: %w", tb.kind, err)
	}
	return Row{Ref: tb.ref(id), Record: value, Broom: tb.sweptBy(record, now)}, nil
}

// remove deletes a record.
func (tb table[T]) remove(t *tx, id string, record *T) error {
	return t.Remove(tb.ref(id), tb.all(t, record))
}

// all is every place of a record.
func (tb table[T]) all(t *tx, record *T) []Place {
	if record == nil {
		return nil
	}
	var all []Place
	if tb.places != nil {
		all = tb.places(t, record)
	}
	if tb.due != nil {
		if due := tb.due(record); !due.IsZero() {
			all = append(all, Place{Index: IndexDue, At: due})
		}
	}
	return all
}

// sweptBy is a distance, for engines count it from the machine's clock.
func (tb table[T]) sweptBy(record *T, now time.Time) time.Duration {
	if !tb.broom {
		return 0
	}
	const longest = 10 * 365 * 24 * time.Hour
	due := tb.due(record)
	left := due.Sub(now)
	if due.IsZero() || left > longest {
		return 0
	}
	return max(left, 0) + BroomDelay
}

// describe is row for a record that was stored before. It returns the record, too.
func (tb table[T]) describe(t *tx, id string, value []byte, now time.Time) (Row, any, error) {
	record, found, err := tb.read(t.key, id, value)
	if err != nil || !found {
		return Row{}, nil, errors.Join(err, fmt.Errorf("a %s cannot be read", tb.kind))
	}
	return Row{Ref: tb.ref(id), Record: value, Places: tb.all(t, &record), Broom: tb.sweptBy(&record, now)}, &record, nil
}

// Describe returns the row of a record as it is stored, with its places: for copies and for checks.
// A record that does not belong to the row is an error.
func Describe(key bridge.RowKey, row Ref, record []byte, now time.Time) (Row, error) {
	described, _, err := examine(key, row, record, now)
	return described, err
}

// examine is Describe that also returns a pointer to what the record says.
func examine(key bridge.RowKey, row Ref, record []byte, now time.Time) (Row, any, error) {
	t := &tx{key: key}
	describe := map[Kind]func(*tx, string, []byte, time.Time) (Row, any, error){
		KindAudit: auditEvents.describe, KindClient: clients.describe, KindCode: codes.describe, KindConsent: consents.describe,
		KindCounter: counters.describe, KindFlow: flows.describe, KindGrant: grants.describe,
		KindIdentity: identities.describe, KindLink: links.describe,
		KindRevocation: revocations.describe, KindUsed: usedIDs.describe, KindMeta: describeMeta,
	}[row.Kind]
	if describe == nil {
		return Row{}, nil, fmt.Errorf("rows of kind %q are not known", row.Kind)
	}
	return describe(t, row.ID, record, now)
}

// describeMeta is describe for rows no index leads to.
func describeMeta(t *tx, id string, value []byte, _ time.Time) (Row, any, error) {
	row := Ref{KindMeta, id}
	var record any
	switch row {
	case deploymentRow:
		record = &bridge.Deployment{}
	case signingKeysRow:
		record = &keyList{}
	default:
		record = new(any)
	}
	return Row{Ref: row, Record: value}, record, Decode(t.key, row, value, record)
}
