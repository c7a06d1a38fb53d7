package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schemaVersion is the layout of tables that this program reads and writes: that of the last migration.
const schemaVersion = 6

// migrationLock keeps others from changing the tables at the same time.
const migrationLock = "select pg_advisory_xact_lock(hashtextextended(current_schema() || ' trinity-bridge schema', 0))"

// The table of one row that says what the others are.
const schemaTable = `create table if not exists schema (
	one boolean primary key default true check (one),
	version integer not null,
	row_key bytea,
	copying boolean not null default false
)`

// schema is that row. RowKey is nil in a database that has not been opened yet.
type schema struct {
	version int
	rowKey  []byte
	copying bool // a copy into this database has not come to its end
	beat    int64
}

// Migrate brings the tables of a database to this program's layout, all migrations or none, and returns
// the versions before and after. A database without any gets them. ErrNewer when it has newer ones.
func Migrate(ctx context.Context, url string) (before, after int, err error) {
	config, err := connection(url)
	if err != nil {
		return 0, 0, err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errNoConnection, err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if before, err = migrate(ctx, conn); err != nil {
		return before, before, err
	}
	return before, schemaVersion, nil
}

func migrate(ctx context.Context, conn *pgx.Conn) (before int, err error) {
	committing := false
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, migrationLock); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "set local statement_timeout to 0"); err != nil { // large tables take their time
			return err
		}
		if _, err := tx.Exec(ctx, schemaTable); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, "select version from schema").Scan(&before)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			if _, err := tx.Exec(ctx, "insert into schema (version) values (0)"); err != nil {
				return err
			}
		case err != nil:
			return err
		case before > schemaVersion:
			return newer(before)
		case before < schemaVersion:
			// Tables that change under a replica of an older version are not what it takes them for.
			absent, err := eventually(ctx, func() (absent bool, err error) {
				err = tx.QueryRow(ctx, nobodyLock).Scan(&absent)
				return absent, err
			})
			if err != nil {
				return err
			}
			if !absent {
				return fmt.Errorf("the database is %w by replicas of an older version: stop them first", ErrInUse)
			}
		}
		for version := before + 1; version <= schemaVersion; version++ {
			text, err := migration(version)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("migration %d: %w", version, err)
			}
		}
		_, err = tx.Exec(ctx, "update schema set version = $1", schemaVersion)
		committing = err == nil
		return err
	})
	if err != nil {
		outcome := "nothing was changed"
		if committing && unknown(err) {
			outcome = "all of it was done or nothing, run it again"
		}
		return before, fmt.Errorf("bringing the tables to schema %d (%s): %w", schemaVersion, outcome, explain(err))
	}
	return before, nil
}

// migration is the text of a migration; its file's name begins with its number.
func migration(version int) (string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if n, err := strconv.Atoi(number); err == nil && n == version {
			text, err := migrations.ReadFile(name)
			return string(text), err
		}
	}
	return "", fmt.Errorf("there is no migration %d", version)
}

// ErrNewer says that the tables were written by a newer version of this program (OP-19).
var ErrNewer = errors.New("its tables were made by a newer version of this program")

func newer(version int) error {
	return fmt.Errorf("%w (schema %d, this one knows %d)", ErrNewer, version, schemaVersion)
}

// readSchema returns version 0 for a database without tables of ours.
func readSchema(ctx context.Context, conn *pgx.Conn) (s schema, err error) {
	err = conn.QueryRow(ctx, "select version, row_key, copying from schema").Scan(&s.version, &s.rowKey, &s.copying)
	if state(err) == undefinedTable || errors.Is(err, pgx.ErrNoRows) {
		return schema{}, nil
	}
	return s, err
}

// check says what keeps a store from being opened on these tables.
func (s schema) check() error {
	switch {
	case s.version > schemaVersion:
		return newer(s.version)
	case s.version < schemaVersion:
		return fmt.Errorf("its tables are of an older version of this program (schema %d, this one needs %d): run trinity-bridge store migrate", s.version, schemaVersion)
	case s.copying:
		return errors.New("a copy into it, or a restore, was not finished, so that it holds a part of a store: run it again, into an empty database")
	}
	return nil
}
