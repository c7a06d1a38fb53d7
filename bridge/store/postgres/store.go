package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// Bounds at the server, and of the pool unless the URL names its own (pool_max_conns).
const (
	maxConns       = 16
	connectWithin  = 5 * time.Second
	openWithin     = 30 * time.Second
	parameterLimit = "5000" // ms, of a statement and of a wait for a lock
)

// ErrSealed says that the master secret is not the one the store was made with.
var ErrSealed = errors.New("the configured secret is not the one this store was made with: nothing in it can be opened, and nothing was changed")

// Options say where the database is and whom the store talks to.
type Options struct {
	URL    string        // postgres://user:password@host/database, as libpq reads it; never logged
	Sealer bridge.Sealer // wraps the key that every row is sealed under
	Base   string        // what many texts in rows begin with: the public URL. A new store takes it for good
	Logger *slog.Logger  // nil logs nothing
}

// Store is bridge.Store in one database.
type Store struct {
	rows.Store
	rows.Watchers
	pool   *pgxpool.Pool
	config *pgx.ConnConfig // of connections beside the pool
	how    access
	tables map[rows.Kind]*table
	names  []string // of the tables
	due    string
	log    *slog.Logger

	alone     *absence     // while the store is open for a copy
	unnoticed atomic.Bool  // somebody else took the database alone while this store could not say that it is there
	refused   atomic.Bool  // a write was, and since then none was made on trial
	anew      atomic.Int64 // when the connections were last made anew, in nanoseconds

	beat atomic.Int64 // the latest that was seen

	stop    context.CancelFunc // ends what runs beside the calls
	running sync.WaitGroup
}

var _ bridge.Store = (*Store)(nil)

// Open opens the store in a database. An empty database gets its tables; one with older tables is
// refused until Migrate has been run, one with newer tables, with a half copy or sealed under another
// master secret is refused, and so is a server that forgets what it has acknowledged.
func Open(ctx context.Context, opts Options) (*Store, error) { return openStore(ctx, opts, beside) }

func openStore(ctx context.Context, opts Options, how access) (*Store, error) {
	if opts.Sealer == nil {
		return nil, errors.New("opening the store: nothing seals its rows")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	config, err := connection(opts.URL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	key, err := unlock(ctx, config.ConnConfig, opts, how)
	if err != nil {
		return nil, fmt.Errorf("opening the store in the database: %w", err)
	}
	s := &Store{config: config.ConnConfig, how: how, tables: tables(), log: opts.Logger}
	config.AfterConnect = s.join
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("opening the store in the database: %w", err)
	}
	for _, table := range s.tables {
		s.names = append(s.names, table.table)
	}
	s.due = dueStatement(s.tables)
	s.Store = rows.New(transactions{s}, key, opts.Sealer)
	background, stop := context.WithCancel(context.WithoutCancel(ctx)) // until Close
	s.stop = stop
	if how != beside {
		err = s.beAlone(ctx, how)
	} else {
		err = s.beThere(ctx, func(e *ear) { s.listen(background, e) })
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store in the database: %w", err), s.Close())
	}
	return s, nil
}

// beThere tells others that the store is open, and begins to listen to them.
func (s *Store) beThere(ctx context.Context, listen func(*ear)) error {
	e, err := s.tune(ctx, connectWithin)
	if err == nil {
		if err = errors.Join(e.clock.check(), s.direct(ctx, e.conn)); err != nil {
			closeConn(ctx, e.conn)
		}
	} else if state(err) == readOnlyTransaction { // a standby, where nobody can listen until it is promoted
		err = nil
	}
	if err != nil {
		return err
	}
	s.running.Go(func() { listen(e) })
	return nil
}

// direct makes sure that two connections are two at the server: behind a pooler that gives them to each transaction anew
// nobody can listen, and of two replicas that asked for the same lock on the same connection both have it.
func (s *Store) direct(ctx context.Context, first *pgx.Conn) error {
	const which = "select pg_backend_pid()"
	var pid, another int
	if err := first.QueryRow(ctx, which).Scan(&pid); err != nil {
		return explain(err)
	}
	if err := s.pool.QueryRow(ctx, which).Scan(&another); err != nil {
		return explain(err)
	}
	if pid == another {
		return errPooled
	}
	return nil
}

// connection reads the URL. Its errors do not repeat it, for it may hold a password.
func connection(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	var file *fs.PathError
	if errors.As(err, &file) {
		return nil, fmt.Errorf("a file that the database's URL names: %w", file)
	}
	if err != nil {
		return nil, errors.New("the database's URL cannot be read: it looks like postgres://user:password@host:5432/database")
	}
	if !named(url, "pool_max_conns") { // pgx would take more on a machine of many processors
		config.MaxConns = maxConns
	}
	c := config.ConnConfig
	if c.ConnectTimeout == 0 || c.ConnectTimeout > connectWithin {
		c.ConnectTimeout = connectWithin
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "trinity-bridge"
	}
	c.AfterConnect = bounded(c.RuntimeParams)
	return config, nil
}

// bounded sets the bounds that the URL does not. It does so on the new connection, since a pooler refuses to be told
// of them with its beginning.
func bounded(given map[string]string) pgconn.AfterConnectFunc {
	var set strings.Builder
	for name, value := range map[string]string{
		"statement_timeout":                   parameterLimit,
		"lock_timeout":                        parameterLimit,
		"idle_in_transaction_session_timeout": "10000",
		// So that a replica whose machine is gone does not hold its locks for hours.
		"tcp_keepalives_idle":     "5",
		"tcp_keepalives_interval": "2",
		"tcp_keepalives_count":    "3",
	} {
		if given[name] == "" {
			set.WriteString("set " + name + " to " + value + ";")
		}
	}
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		_, err := conn.Exec(ctx, set.String()).ReadAll()
		return err
	}
}

// durable makes a new connection one whose commits are on disk when they are acknowledged, also after the server was told
// otherwise: what is set for a connection stays.
func durable(ctx context.Context, conn *pgx.Conn) error {
	var fsync, commit string
	err := conn.QueryRow(ctx, `select current_setting('fsync'),
		set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), false)`).Scan(&fsync, &commit)
	if err == nil && fsync != "on" {
		err = errors.New("the server runs with fsync off: it would forget what it has acknowledged")
	}
	return err
}

// unlock accepts the database, gives tables to an empty one, and returns the key of the rows, which
// another master secret does not open (OP-13).
func unlock(ctx context.Context, config *pgx.ConnConfig, opts Options, how access) (key bridge.RowKey, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoConnection, err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := durable(ctx, conn); err != nil {
		return nil, explain(err)
	}
	stored, err := readSchema(ctx, conn)
	if err != nil {
		return nil, explain(err)
	}
	if stored.version == 0 {
		if _, err := migrate(ctx, conn); err != nil {
			return nil, err
		}
		if stored, err = readSchema(ctx, conn); err != nil {
			return nil, explain(err)
		}
	}
	if err := stored.acceptable(how); err != nil {
		return nil, err
	}
	if stored.rowKey == nil {
		if stored.rowKey, err = makeKey(ctx, conn, opts); err != nil {
			return nil, err
		}
	}
	if key, err = opts.Sealer.OpenRowKey(stored.rowKey); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSealed, err)
	}
	return key, nil
}

// makeKey stores a new row key unless another replica was faster, and returns the stored one.
func makeKey(ctx context.Context, conn *pgx.Conn, opts Options) (wrapped []byte, err error) {
	_, made, err := opts.Sealer.NewRowKey(opts.Base)
	if err != nil {
		return nil, err
	}
	err = conn.QueryRow(ctx, "update schema set row_key = coalesce(row_key, $1) returning row_key", made).Scan(&wrapped)
	return wrapped, explain(err)
}

// Close waits for the calls that go on and closes the connections. Closing again does nothing. It fails when a store
// that was to be alone was not so to the end.
func (s *Store) Close() error {
	s.stop()
	s.running.Wait()
	s.pool.Close()
	if a := s.alone; a != nil {
		s.alone = nil
		return a.close()
	}
	return nil
}

// named reports whether a URL or a list of key=value pairs sets a parameter itself.
func named(url, parameter string) bool { return strings.Contains(url, parameter+"=") }
