package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

const (
	acquireWithin = 5 * time.Second  // a connection
	doneWithin    = 10 * time.Second // a transaction; statements have their own, shorter bound at the server
	writeTries    = 20
)

const (
	beginRead  = "begin isolation level repeatable read read only"
	beginWrite = "begin isolation level read committed" // where the server takes no writes it says so
)

// transactions is rows.Engine.
type transactions struct{ s *Store }

// Read runs a closure on one snapshot.
func (e transactions) Read(ctx context.Context, run func(rows.Tx) error) error {
	return e.s.retry(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		t := e.s.newTx(ctx, conn.Conn(), beginRead)
		defer t.end()
		return run(t)
	})
}

// ReadRow returns the record of one row with one statement.
func (e transactions) ReadRow(ctx context.Context, row rows.Ref) (record []byte, err error) {
	table, ok := e.s.tables[row.Kind]
	if !ok {
		return nil, fmt.Errorf("rows of kind %q are not stored", row.Kind)
	}
	err = e.s.retry(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		found, err := conn.Query(ctx, table.get, []byte(row.ID))
		if err != nil {
			return err
		}
		records, err := pgx.CollectRows(found, pgx.RowTo[[]byte])
		if err == nil && len(records) > 0 {
			record = records[0]
		}
		return err
	})
	return record, err
}

// Find returns the rows an index leads to, with one statement.
func (e transactions) Find(ctx context.Context, scan rows.Scan) (found []rows.Found, err error) {
	statement, args := e.s.tables[scan.Index.Kind].scan(scan)
	err = e.s.retry(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		all, err := conn.Query(ctx, statement, args...)
		found, err = collect(all, err)
		return err
	})
	return found, err
}

// Swap stores a row with one statement, a transaction of its own: it waits for whoever holds the row it replaces, and
// then looks again. Beginning, locking and committing cost the server and the way there more than the change.
func (e transactions) Swap(ctx context.Context, before []byte, row rows.Row) (done bool, err error) {
	table, ok := e.s.tables[row.Kind]
	if !ok {
		return false, fmt.Errorf("rows of kind %q are not stored", row.Kind)
	}
	statement, args := table.make, table.arguments(row)
	switch {
	case row.Stays:
		statement, args = table.swapRecord, []any{[]byte(row.ID), row.Record, before}
	case before != nil:
		statement, args = table.swap, append(args, before)
	}
	err = e.s.retry(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		tag, err := conn.Exec(ctx, statement, args...)
		done = tag.RowsAffected() > 0
		return err
	})
	e.s.wrote(err)
	return done, err
}

// Write runs a closure and commits what it changed.
func (e transactions) Write(ctx context.Context, run func(rows.Tx) error) error {
	err := e.s.retry(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		t := e.s.newTx(ctx, conn.Conn(), beginWrite)
		t.write = true
		defer t.end()
		if err := run(t); err != nil {
			return err
		}
		err := t.commit()
		if err == nil || unknown(err) {
			e.s.Tell(t.told...) // before anybody is answered, and also when it is not known what was stored
		}
		return err
	})
	e.s.wrote(err)
	return err
}

func (s *Store) newTx(ctx context.Context, conn *pgx.Conn, begin string) *tx {
	return &tx{
		ctx: ctx, conn: conn, tables: s.tables, due: s.due, begin: begin,
		seen: map[rows.Ref]seen{}, changes: map[rows.Ref]change{},
	}
}

// end rolls back what was not committed. Where that fails the connection is not used again.
func (t *tx) end() {
	if !t.begun || t.conn.IsClosed() {
		return
	}
	if _, err := t.conn.Exec(t.ctx, "rollback"); err != nil {
		_ = t.conn.Close(t.ctx)
	}
}

// retry runs work on a connection, again while it lost against another transaction or never reached the
// server. A caller that goes away after the beginning is waited for: what may have happened must not be
// reported as what did not, and a connection is not broken off for it.
func (s *Store) retry(ctx context.Context, work func(context.Context, *pgxpool.Conn) error) error {
	var err error
	for try := range writeTries {
		if try > 0 {
			pause(ctx, apart(try))
		}
		if err = s.once(ctx, work); err == nil || !again(err) {
			break
		}
	}
	return explain(err)
}

func (s *Store) once(ctx context.Context, work func(context.Context, *pgxpool.Conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.unnoticed.Load() {
		return errCopied
	}
	waiting, cancel := context.WithTimeout(ctx, acquireWithin)
	conn, err := s.pool.Acquire(waiting)
	cancel()
	if gone := ctx.Err(); gone != nil {
		if err == nil {
			conn.Release()
		}
		return gone
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNoConnection, err)
	}
	defer conn.Release()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), doneWithin)
	defer cancel()
	return work(bounded, conn)
}

// apart is a wait that parts those who met.
func apart(try int) time.Duration {
	most := time.Duration(min(try, 8)) * 2 * time.Millisecond
	return time.Duration(time.Now().UnixNano()) % most
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
