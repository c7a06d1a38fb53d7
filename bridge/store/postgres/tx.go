package postgres

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// channel is where replicas hear of changed grants.
const channel = "trinity_bridge_grants"

// tx is rows.Tx on one connection. It begins with its first statement.
type tx struct {
	ctx    context.Context //nolint:containedctx // it lives as long as one transaction
	conn   *pgx.Conn
	tables map[rows.Kind]*table
	due    string
	begin  string
	write  bool
	begun  bool

	seen    map[rows.Ref]seen
	changed []rows.Ref // in the order of their first change
	changes map[rows.Ref]change
	told    []string // grants of which copies kept elsewhere are no longer good
}

// seen is a row as it was found.
type seen struct {
	record []byte // nil when there is none
}

// change is a row to be put, or to be removed.
type change struct {
	row  rows.Row
	gone bool
}

// batch is a message of statements that begins the transaction when none has.
func (t *tx) batch() *pgx.Batch {
	b := &pgx.Batch{}
	if !t.begun {
		b.Queue(t.begin)
	}
	return b
}

// send runs a batch and hands its results, from the first of the caller's own, to read.
func (t *tx) send(b *pgx.Batch, read func(pgx.BatchResults) error) (err error) {
	results := t.conn.SendBatch(t.ctx, b)
	defer func() {
		if closed := results.Close(); err == nil {
			err = closed
		}
	}()
	if !t.begun {
		t.begun = true // whatever comes of it has to be rolled back
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	return read(results)
}

// Get returns the record of a row, or nil when there is none.
func (t *tx) Get(row rows.Ref) ([]byte, error) {
	if c, ok := t.changes[row]; ok {
		if c.gone {
			return nil, nil
		}
		return c.row.Record, nil
	}
	if _, ok := t.seen[row]; !ok {
		if err := t.Ahead(row); err != nil {
			return nil, err
		}
	}
	return t.seen[row].record, nil
}

// Ahead fetches rows, and locks them in a write unless they are shared, with one message.
func (t *tx) Ahead(all ...rows.Ref) error {
	b := t.batch()
	var asked []rows.Ref
	for _, row := range all {
		if _, known := t.seen[row]; known || row.ID == "" {
			continue
		}
		table, ok := t.tables[row.Kind]
		if !ok {
			return fmt.Errorf("rows of kind %q are not stored", row.Kind)
		}
		statement := table.get
		if t.write && !table.shared {
			statement = table.lock
		}
		b.Queue(statement, []byte(row.ID))
		asked = append(asked, row)
	}
	if len(asked) == 0 {
		return nil
	}
	return t.send(b, func(results pgx.BatchResults) error {
		for _, row := range asked {
			record, err := one(results)
			if err != nil {
				return err
			}
			t.seen[row] = seen{record}
		}
		return nil
	})
}

// one reads the record of the next result, nil when it has no row.
func one(results pgx.BatchResults) ([]byte, error) {
	found, err := results.Query()
	if err != nil {
		return nil, err
	}
	records, err := pgx.CollectRows(found, pgx.RowTo[[]byte])
	if err != nil || len(records) == 0 {
		return nil, err
	}
	return records[0], nil
}

// Put keeps a row for the commit.
func (t *tx) Put(row rows.Row) error {
	if _, ok := t.tables[row.Kind]; !ok {
		return fmt.Errorf("rows of kind %q are not stored", row.Kind)
	}
	if before, again := t.changes[row.Ref]; again && row.Stays {
		row.Places, row.Stays = before.row.Places, before.row.Stays
	}
	t.change(row.Ref, change{row: row})
	if row.Told {
		t.told = append(t.told, row.ID)
	}
	return nil
}

// Remove keeps a removal for the commit; the row's columns are its places.
func (t *tx) Remove(row rows.Ref, _ []rows.Place) error {
	t.change(row, change{gone: true})
	return nil
}

func (t *tx) change(row rows.Ref, c change) {
	if _, again := t.changes[row]; !again {
		t.changed = append(t.changed, row)
	}
	t.changes[row] = c
}

// Scan returns the rows an index leads to.
func (t *tx) Scan(scan rows.Scan) ([]rows.Found, error) {
	if scan.Limit <= 0 {
		return nil, nil
	}
	statement, args := t.tables[scan.Index.Kind].scan(scan)
	b := t.batch()
	b.Queue(statement, args...)
	var found []rows.Found
	err := t.send(b, func(results pgx.BatchResults) error {
		all, err := results.Query()
		found, err = collect(all, err)
		return err
	})
	return t.asChanged(scan.Index.Kind, found), err
}

// collect reads what a scan found.
func collect(all pgx.Rows, err error) ([]rows.Found, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(all, func(row pgx.CollectableRow) (rows.Found, error) {
		var id, record []byte
		err := row.Scan(&id, &record)
		return rows.Found{ID: string(id), Record: record}, err
	})
}

// asChanged puts what this write has changed in the place of what was found.
func (t *tx) asChanged(kind rows.Kind, found []rows.Found) []rows.Found {
	kept := found[:0]
	for _, f := range found {
		c, ok := t.changes[rows.Ref{Kind: kind, ID: f.ID}]
		switch {
		case !ok:
			kept = append(kept, f)
		case !c.gone:
			kept = append(kept, rows.Found{ID: f.ID, Record: c.row.Record})
		}
	}
	return kept
}

// Due returns rows that are due.
func (t *tx) Due(now time.Time, limit int) ([]rows.Due, error) {
	if limit <= 0 {
		return nil, nil
	}
	b := t.batch()
	b.Queue(t.due, rows.Nanoseconds(now), limit)
	var due []rows.Due
	err := t.send(b, func(results pgx.BatchResults) error {
		all, err := results.Query()
		if err != nil {
			return err
		}
		due, err = pgx.CollectRows(all, func(row pgx.CollectableRow) (rows.Due, error) {
			var kind string
			var id []byte
			var at int64
			err := row.Scan(&kind, &id, &at)
			return rows.Due{Ref: rows.Ref{Kind: rows.Kind(kind), ID: string(id)}, At: time.Unix(0, at)}, err
		})
		return err
	})
	return due, err
}

// settle locks the shared rows that are about to be changed. Whoever redeems a code reads its client, which may be
// everybody's, and hardly ever changes it: under a lock all of them would wait for each other's commits. When one
// was changed since it was read the write runs again.
func (t *tx) settle() error {
	b := t.batch()
	var shared []rows.Ref
	for _, row := range t.changed {
		if table := t.tables[row.Kind]; table.shared && t.seen[row].record != nil {
			b.Queue(table.lock, []byte(row.ID))
			shared = append(shared, row)
		}
	}
	if len(shared) == 0 {
		return nil
	}
	return t.send(b, func(results pgx.BatchResults) error {
		for _, row := range shared {
			record, err := one(results)
			if err != nil {
				return err
			}
			if !bytes.Equal(record, t.seen[row].record) {
				return errOvertaken
			}
		}
		return nil
	})
}

// commit sends what was changed and commits it, in one message.
func (t *tx) commit() error {
	if !t.begun && len(t.changed) == 0 {
		return nil
	}
	if err := t.settle(); err != nil {
		return err
	}
	b := t.batch()
	for _, row := range t.changed {
		table, c := t.tables[row.Kind], t.changes[row]
		found, known := t.seen[row]
		switch {
		case c.gone:
			b.Queue(table.remove, []byte(row.ID))
		case c.row.Stays:
			b.Queue(table.renew, []byte(row.ID), c.row.Record)
		case c.row.New, known && found.record == nil:
			b.Queue(table.insert, table.arguments(c.row)...)
		case !known:
			b.Queue(table.upsert, table.arguments(c.row)...)
		default:
			b.Queue(table.update, table.arguments(c.row)...)
		}
	}
	for _, id := range t.told {
		b.Queue("select pg_notify('"+channel+"', $1)", id)
	}
	b.Queue("commit")
	statements := len(t.changed) + len(t.told)
	return t.send(b, func(results pgx.BatchResults) error {
		for range statements {
			if _, err := results.Exec(); err != nil {
				return err
			}
		}
		done, err := results.Exec()
		if err == nil && done.String() != "COMMIT" {
			err = fmt.Errorf("the commit came to %s", done)
		}
		if err == nil {
			t.begun = false
		}
		return err
	})
}
