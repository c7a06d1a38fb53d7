package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/abilityai/trinity-bridge/bridge"
)

// mayWrite asks whether the server takes writes at all, and those of this role to each of the tables.
const mayWrite = `select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean,
	(select bool_and(has_table_privilege(name, 'select') and has_table_privilege(name, 'insert')
		and has_table_privilege(name, 'update') and has_table_privilege(name, 'delete')) from unnest($1::text[]) name)`

// trialBytes is what a trial writes: more than the pages of a table have room for.
const trialBytes = 32 << 10

// Ping reports whether the store takes writes: bridge.ErrReadOnly when the database is a standby or read only, when the
// role has lost a right, and when the last write found no room and there still is none.
func (s *Store) Ping(ctx context.Context) error {
	err := s.retry(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		var readOnly, allowed bool
		err := conn.QueryRow(ctx, mayWrite, s.names).Scan(&readOnly, &allowed)
		switch {
		case err != nil:
			return err
		case readOnly:
			return fmt.Errorf("%w: %w", bridge.ErrReadOnly, errReadOnly)
		case !allowed:
			return fmt.Errorf("%w: the role may not read and write all of its tables", bridge.ErrReadOnly)
		}
		return nil
	})
	if err == nil && s.refused.Load() {
		if err = s.retry(ctx, try); err == nil {
			s.refused.Store(false)
		}
	}
	s.wrote(err)
	return err
}

// try writes a row and takes it back. What it wrote cannot be compressed.
func try(ctx context.Context, conn *pgxpool.Conn) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	row := make([]byte, trialBytes)
	_, _ = rand.Read(row) // never fails
	_, err = tx.Exec(ctx, "insert into audit (id, record) values ($1, $2)", row[:16], row)
	return errors.Join(err, tx.Rollback(ctx))
}

// wrote takes what a write came to, or a question for whether it could be made. One that was made says nothing of the
// next one, which may need more room: Ping finds out when writes are taken again, as who is not ready is sent none.
func (s *Store) wrote(err error) {
	if errors.Is(err, bridge.ErrReadOnly) {
		s.refused.Store(true)
	}
	if state(err) == readOnlyTransaction || errors.Is(err, errReadOnly) {
		s.renew()
	}
}

// renewEvery is how often at the most the connections are made anew.
const renewEvery = time.Second

// renew makes the connections of the pool anew: they are read only for good that were made while the database's setting
// was so, and those to a server that is a standby now do not find the one that is none.
func (s *Store) renew() {
	now, last := time.Now().UnixNano(), s.anew.Load()
	if now-last > int64(renewEvery) && s.anew.CompareAndSwap(last, now) {
		s.pool.Reset()
	}
}
