package postgres_test

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/logtest"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
)

// closed opens a store and closes it, so that the database has its tables and its key.
func closed(t *testing.T, url string) {
	t.Helper()
	s := open(t, url)
	must(t, s.SaveDeployment(t.Context(), bridge.Deployment{ID: "id"}))
	must(t, s.Close())
}

// sql runs a statement as the database's owner would.
func sql(t *testing.T, url, statement string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), statement, args...)
	must(t, err)
}

func wantSaid(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got %q, which does not say %q", err, word)
		}
	}
}

func TestOpen_OP19_schema(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, statement, says string }{
		{"newer", "update schema set version = 7", "made by a newer version of this program (schema 7, this one knows 6)"},
		{"older", "update schema set version = -1", "run trinity-bridge store migrate"},
		{"half a copy", "update schema set copying = true", "was not finished"},
		{"another table of that name", "alter table schema drop column row_key", "does not exist"},
		{"a key nobody wrapped", `update schema set row_key = '\x00'`, postgres.ErrSealed.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url := server.Database(t)
			closed(t, url)
			sql(t, url, tt.statement)
			for range 2 {
				_, err := postgres.Open(t.Context(), postgres.Options{URL: url, Sealer: secrettest.Ring()})
				wantSaid(t, err, tt.says)
			}
		})
	}
}

func TestOpen_OP13_anotherMasterSecret(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	closed(t, url)
	ring, err := secret.NewKeyring(slices.Repeat([]byte("x"), secret.MinMasterBytes))
	must(t, err)
	if _, err := postgres.Open(t.Context(), postgres.Options{URL: url, Sealer: ring}); !errors.Is(err, postgres.ErrSealed) {
		t.Fatalf("got %v, want ErrSealed", err)
	}
	s := open(t, url)
	got, err := s.Deployment(t.Context())
	must(t, err)
	if got.ID != "id" {
		t.Errorf("the deployment is %+v", got)
	}
	must(t, s.Close())
}

// TestOpen_manyAtOnce: replicas that start together on an empty database make one store.
func TestOpen_manyAtOnce(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	results := make(chan error, 8)
	for range cap(results) {
		go func() {
			s, err := postgres.Open(context.Background(), postgres.Options{URL: url, Sealer: secrettest.Ring()})
			if err == nil {
				_, err = s.Hit(context.Background(), "key", 100, time.Hour, time.Now())
				err = errors.Join(err, s.Close())
			}
			results <- err
		}()
	}
	for range cap(results) {
		must(t, <-results)
	}
	s := open(t, url)
	count, err := s.Peek(t.Context(), "key", 100, time.Now())
	must(t, err)
	if count.N != 8 {
		t.Errorf("%d hits were counted, want 8: they do not share a key", count.N)
	}
	must(t, s.Close())
}

func TestOpen_OP03_durable(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s, err := postgres.Open(t.Context(), postgres.Options{URL: url + "&synchronous_commit=off", Sealer: secrettest.Ring()})
	must(t, err)
	must(t, s.Close())
}

// TestStore_OP03_reloaded: a server that is told to acknowledge what is not on disk does so to nobody here.
func TestStore_OP03_reloaded(t *testing.T) {
	t.Parallel()
	own := postgrestest.Own(t)
	url := own.Database(t)
	s := openClosed(t, url)
	connect(t, s)
	script(t, url, "create table seen (how text)", `create function note() returns trigger language plpgsql as
		$$ begin insert into seen values (current_setting('synchronous_commit')); return new; end $$`,
		"create trigger note before insert on flows for each row execute function note()", "alter system set synchronous_commit to off", "select pg_reload_conf()")
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	how := ""
	for late := time.Now().Add(patience); how != "off" && time.Now().Before(late); time.Sleep(10 * time.Millisecond) { // until it has heard
		must(t, conn.QueryRow(t.Context(), "select current_setting('synchronous_commit')").Scan(&how))
	}
	connect(t, s)
	var durable bool
	must(t, conn.QueryRow(t.Context(), "select bool_and(how = 'on') from seen").Scan(&durable))
	if how != "off" || !durable {
		t.Errorf("the server's setting is %q, what was acknowledged was on disk: %t", how, durable)
	}
}

// TestStore_OP19_replaced: a database whose tables are changed under a replica, or become half a copy, is not served from, be it
// with new connections or with those there are.
func TestStore_OP19_replaced(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := openClosed(t, url)
	c := connect(t, s)
	for change, says := range map[string]string{
		"version = 7": "made by a newer version", "version = 5": "of an older version", "copying = true": "was not finished",
	} {
		for _, cut := range []bool{false, true} {
			sql(t, url, "update schema set "+change)
			if cut {
				sql(t, url, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
			}
			awaitPing(t, s, func(err error) bool { return err != nil && strings.Contains(err.Error(), says) })
			if _, err := s.Grant(t.Context(), c.grantID); err == nil {
				t.Errorf("with %s a grant is read", change)
			}
			sql(t, url, "update schema set version = 6, copying = false")
			awaitPing(t, s, func(err error) bool { return err == nil })
		}
	}
}

// TestOpen_unreadable: no error repeats the password.
func TestOpen_unreadable(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://bridge:canary%zz@127.0.0.1:1/x", "postgres://bridge:canary@127.0.0.1:notaport/x", "mysql://bridge:canary@127.0.0.1/x",
		"postgres://bridge:canary@127.0.0.1:1/x", "postgres://bridge:canary@127.0.0.1:1/x?sslmode=perhaps",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := postgres.Open(ctx, postgres.Options{URL: url, Sealer: secrettest.Ring()})
		cancel()
		if err == nil {
			t.Fatalf("%s was opened", url)
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	_, err := postgres.Open(t.Context(), postgres.Options{
		URL: "postgres://bridge:canary@127.0.0.1:1/x?sslmode=verify-full&sslrootcert=/there/is/none", Sealer: secrettest.Ring(),
	})
	wantSaid(t, err, "a file that the database's URL names: open /there/is/none: no such file")
	_, err = postgres.Open(t.Context(), postgres.Options{})
	wantSaid(t, err, "nothing seals its rows")
}

// TestOpen_pooler: behind a pooler that gives each session a connection all is as without one, with its bounds; behind one
// that gives each transaction another the store says so, whoever used the connections before.
func TestOpen_pooler(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := open(t, server.Pooler(t, url, "session"))
	heard := listenTo(s)
	c := connect(t, s)
	sql(t, url, "select pg_notify('trinity_bridge_grants', 'by notification')")
	heard.await(t, "by notification")
	_, _, err := s.EndGrant(t.Context(), c.grantID, bridge.EndRevokedByOperator, time.Now())
	must(t, err)
	must(t, s.Close())
	pooled := server.Pooler(t, url, "transaction")
	for range 3 {
		s, err := postgres.Open(t.Context(), postgres.Options{URL: pooled, Sealer: secrettest.Ring()})
		if err == nil {
			must(t, s.Close())
		}
		wantSaid(t, err, "behind a pooler that gives each transaction another connection")
	}
}

// TestOpen_severalServers: of several servers the one that takes writes is used.
func TestOpen_severalServers(t *testing.T) {
	t.Parallel()
	readOnly := postgrestest.Own(t, "default_transaction_read_only=on")
	at, err := url.Parse(server.Database(t))
	must(t, err)
	sql(t, readOnly.URL("postgres")+"&default_transaction_read_only=off", "create database "+strings.TrimPrefix(at.Path, "/"))
	at.Host = "127.0.0.1:1," + readOnly.Addr() + "," + at.Host
	connect(t, openClosed(t, at.String()+"&target_session_attrs=read-write"))
}

// TestOpen_OP16_clocks: a replica whose clock is not that of the others does not start, and one whose clock goes wrong
// while it runs says so. The server's clock is moved by a function that stands before its own.
func TestOpen_OP16_clocks(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	closed(t, url)
	move := func(by string) {
		sql(t, url, "create or replace function public.clock_timestamp() returns timestamptz language sql as $$ select pg_catalog.clock_timestamp() + interval '"+by+"' $$")
	}
	var log logtest.Buffer
	opts := postgres.Options{URL: url + "&search_path=public,pg_catalog", Sealer: secrettest.Ring(), Logger: slog.New(slog.NewJSONHandler(&log, nil))}
	for by, says := range map[string]string{"90 s": "behind the database's", "-90 s": "ahead of the database's"} {
		move(by)
		s, err := postgres.Open(t.Context(), opts)
		if err == nil {
			must(t, s.Close())
		}
		wantSaid(t, err, says)
	}
	move("20 s")
	s, err := postgres.Open(t.Context(), opts)
	must(t, err)
	move("90 s")
	for late := time.Now().Add(patience); !strings.Contains(log.String(), "behind the database's"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("nobody says that the clock is wrong: %s", log.String())
		}
	}
	must(t, s.Close())
}

// TestStore_Close_leavesNoGoroutine is not parallel: the others' goroutines are not its own.
func TestStore_Close_leavesNoGoroutine(t *testing.T) {
	url := server.Database(t)
	before := goleak.IgnoreCurrent()
	s := open(t, url)
	must(t, s.SaveDeployment(t.Context(), bridge.Deployment{ID: "id"}))
	ctx, cancel := context.WithCancel(t.Context())
	var led atomic.Bool
	s.Lead(ctx, func(ctx context.Context) {
		led.Store(true)
		cancel()
		<-ctx.Done()
	})
	must(t, s.Close())
	goleak.VerifyNone(t, before)
	if !led.Load() {
		t.Error("nobody led")
	}
}

// TestStore_OP10_atRest looks through every row of every table for anything that came in.
func TestStore_OP10_atRest(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := open(t, url)
	defer func() { must(t, s.Close()) }()
	c := connect(t, s)
	_, err := s.Hit(t.Context(), "mailbox alice@example.com", 5, time.Hour, time.Now())
	must(t, err)
	must(t, s.AppendAudit(t.Context(), []bridge.AuditEvent{{At: time.Now(), PersonID: "trinity:alice", Detail: "alice@example.com"}}))
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	names, err := conn.Query(t.Context(), "select tablename::text from pg_tables where schemaname = 'public'")
	must(t, err)
	tables, err := pgx.CollectRows(names, pgx.RowTo[string])
	must(t, err)
	if len(tables) < 13 {
		t.Fatalf("there are only the tables %v", tables)
	}
	for _, table := range tables {
		found, err := conn.Query(t.Context(), "select t::text from "+table+" t")
		must(t, err)
		texts, err := pgx.CollectRows(found, pgx.RowTo[string])
		must(t, err)
		for _, text := range texts {
			for _, word := range []string{"mailbox", "alice", "example", c.code, c.token} {
				if strings.Contains(text, word) || strings.Contains(text, hex.EncodeToString([]byte(word))) {
					t.Errorf("%s shows %q", table, word)
				}
			}
		}
	}
}
