package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Each open store holds the lock of presence shared; a copy needs it alone.
const (
	presence     = "hashtextextended(current_schema() || ' trinity-bridge presence', 0)"
	presenceLock = "select pg_try_advisory_lock_shared(" + presence + ")"
	absenceLock  = "select pg_try_advisory_lock(" + presence + ")"
	nobodyLock   = "select pg_try_advisory_xact_lock(" + presence + ")" // for one transaction
	nobodyElse   = "select count(*) < 2 from pg_locks where locktype = 'advisory' and granted" +
		" and database = (select oid from pg_database where datname = current_database())" +
		" and (classid::bigint << 32 | objid::bigint) = " + presence
)

// ErrInUse says that a bridge has the database open, or that a copy is going on.
var ErrInUse = errors.New("in use")

// access is with whom a store shares its database.
type access int

const (
	beside  access = iota // other replicas
	alone                 // nobody
	filling               // nobody, and what is in it is half a copy, by us
)

// Alone opens a database for a copy from it: no bridge may be running on it, and none starts to serve
// from it until the store is closed.
func Alone(ctx context.Context, opts Options) (*Store, error) { return openStore(ctx, opts, alone) }

// Fill opens an empty database for a copy to it, under the wrapped row key of the store that is copied.
// It is marked, and not opened by any bridge, until Filled is called.
func Fill(ctx context.Context, opts Options, rowKey []byte) (*Store, error) {
	config, err := connection(opts.URL)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoConnection, err)
	}
	defer closeConn(ctx, conn)
	stored, err := readSchema(ctx, conn)
	if err != nil {
		return nil, explain(err)
	}
	if stored.rowKey != nil {
		return nil, errors.New("the database to copy to holds a store, or a part of one: it has to be empty")
	}
	if _, err := migrate(ctx, conn); err != nil {
		return nil, err
	}
	marked, err := conn.Exec(ctx, "update schema set copying = true, row_key = $1 where row_key is null", rowKey)
	if err == nil && marked.RowsAffected() != 1 {
		err = errors.New("somebody else has begun to use the database to copy to")
	}
	if err != nil {
		return nil, explain(err)
	}
	return openStore(ctx, opts, filling)
}

// Filled takes the mark off: the copy is whole.
func (s *Store) Filled(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, "update schema set copying = false")
	return explain(err)
}

// WrappedKey reads the key of the rows.
func (e transactions) WrappedKey(ctx context.Context) (wrapped []byte, err error) {
	err = e.s.retry(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, "select row_key from schema").Scan(&wrapped)
	})
	return wrapped, err
}

// Rewrap replaces it.
func (e transactions) Rewrap(ctx context.Context, from, to []byte) error {
	return e.s.retry(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		done, err := conn.Exec(ctx, "update schema set row_key = $2 where row_key = $1", from, to)
		if err == nil && done.RowsAffected() != 1 {
			err = bridge.ErrConflict
		}
		return err
	})
}

// noticed is how soon a replica that lost the connection on which it said that it is there has made another one, and
// found that it is not wanted.
const noticed = pollEvery + 2*answerWithin

// beAlone takes the lock of absence on a connection of its own, which Close gives back.
func (s *Store) beAlone(ctx context.Context, how access) (err error) {
	conn, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoConnection, err)
	}
	s.alone = &absence{conn, context.WithoutCancel(ctx)}
	if _, err := conn.Exec(ctx, "set idle_session_timeout = 0"); err != nil {
		return explain(err)
	}
	absent, err := eventually(ctx, func() (absent bool, err error) {
		err = ask(ctx, conn, absenceLock, &absent)
		return absent, err
	})
	if err != nil {
		return err
	}
	if !absent {
		return fmt.Errorf("the database is %w by a running bridge", ErrInUse)
	}
	if how == alone {
		pause(ctx, noticed) // what is filled nobody has open
	}
	return ctx.Err()
}

// Others reports whether more than this store, which is open, is open on the database.
func (s *Store) Others(ctx context.Context) (bool, error) {
	none, err := eventually(ctx, func() (none bool, err error) {
		err = s.retry(ctx, func(ctx context.Context, conn *pgxpool.Conn) error { return conn.QueryRow(ctx, nobodyElse).Scan(&none) })
		return none, err
	})
	return !none, err
}

// goneWithin is how long a server may take to notice that a store was closed. To everybody else it is open until then.
const goneWithin = 2 * time.Second

// eventually asks until the answer is yes, or has been no for goneWithin.
func eventually(ctx context.Context, ask func() (yes bool, err error)) (yes bool, err error) {
	for end := time.Now().Add(goneWithin); ; pause(ctx, goneWithin/40) {
		yes, err = ask()
		if yes || err != nil || ctx.Err() != nil || time.Now().After(end) {
			return yes, err
		}
	}
}

// absence is a connection that keeps bridges away.
type absence struct {
	conn *pgx.Conn
	ctx  context.Context //nolint:containedctx // of whoever opened it, for the goodbye
}

func (a *absence) close() error {
	var kept bool
	err := ask(a.ctx, a.conn, "select true", &kept)
	closeConn(a.ctx, a.conn)
	if err != nil {
		return fmt.Errorf("others were not kept from the database to the end: %w", err)
	}
	return nil
}

// acceptable is schema.check for whoever opens it.
func (s schema) acceptable(how access) error {
	if how == filling {
		s.copying = false
	}
	return s.check()
}
