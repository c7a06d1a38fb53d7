package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
)

// older makes tables of this version what those of the first one were, as far as migrations take it back.
var older = []string{
	"alter table schema drop column beat", "alter table grants add column open_of_client bytea", "create table families (id bytea)", "create table refresh_tokens (id bytea)",
	"update schema set version = 1",
}

// migrated names the environment variable that makes the test binary do nothing but migrate the database it names.
const migrated = "STORE_TEST_MIGRATE"

func migrateMain(url string) int {
	if _, _, err := postgres.Migrate(context.Background(), url); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestMigrate_OP19(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	wantMigrated := func(from, to int) {
		t.Helper()
		before, after, err := postgres.Migrate(t.Context(), url)
		must(t, err)
		if before != from || after != to {
			t.Errorf("migrated from %d to %d, want %d to %d", before, after, from, to)
		}
	}
	wantMigrated(0, 6)
	wantMigrated(6, 6)
	s := open(t, url)
	made := connect(t, s)
	must(t, s.Close())
	script(t, url, older...)
	wantMigrated(1, 6)
	s = open(t, url)
	_, _, err := s.RefreshGrant(t.Context(), made.refresh(made.token), time.Now())
	must(t, errors.Join(err, s.Close()))
	script(t, url, older...)
	running, err := pgx.Connect(t.Context(), url) // as a replica of the older version
	must(t, err)
	_, err = running.Exec(t.Context(), present)
	must(t, err)
	if _, _, err := postgres.Migrate(t.Context(), url); !errors.Is(err, postgres.ErrInUse) {
		t.Errorf("migrating under a replica came to %v, want ErrInUse", err)
	}
	must(t, running.Close(t.Context()))
	wantMigrated(1, 6)
	sql(t, url, "update schema set version = 7")
	if _, _, err := postgres.Migrate(t.Context(), url); !errors.Is(err, postgres.ErrNewer) {
		t.Errorf("got %v, want ErrNewer", err)
	}
}

// tables is what there is in a database of ours, and its version.
func tables(t *testing.T, url string) (version int, columns string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	must(t, conn.QueryRow(t.Context(), `select (select version from schema), string_agg(table_name || '.' || column_name, ' ' order by table_name, column_name)
		from information_schema.columns where table_schema = 'public'`).Scan(&version, &columns))
	return version, columns
}

// wantWhole wants the tables of a version, whole, after a migration that was cut: those of before are refused by who starts,
// and those of after hold what was there.
func wantWhole(t *testing.T, url string, made connection, layouts map[int]string) (version int) {
	t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // until the server has noticed
		conn, err := pgx.Connect(t.Context(), url)
		must(t, err)
		var busy bool
		err = conn.QueryRow(t.Context(), "select exists (select from pg_stat_activity where datname = current_database() and application_name = 'trinity-bridge')").Scan(&busy)
		must(t, errors.Join(err, conn.Close(t.Context())))
		if !busy {
			break
		}
		if time.Now().After(late) {
			t.Fatal("the server does not notice that who migrates is gone")
		}
	}
	version, columns := tables(t, url)
	if columns != layouts[version] {
		t.Fatalf("a database of version %d has %s", version, columns)
	}
	s, err := postgres.Open(t.Context(), postgres.Options{URL: url, Sealer: secrettest.Ring()})
	if version == 1 {
		if err == nil {
			must(t, s.Close())
		}
		wantSaid(t, err, "run trinity-bridge store migrate")
		return version
	}
	must(t, err)
	_, _, err = s.RefreshGrant(t.Context(), made.refresh(made.token), time.Now())
	must(t, errors.Join(err, s.Close()))
	return version
}

// before makes a store with a connection in it and takes its tables back to the first version. It returns the layouts by
// version, and which one is the newest.
func before(t *testing.T, url string) (made connection, layouts map[int]string, now int) {
	t.Helper()
	s := open(t, url)
	made = connect(t, s)
	must(t, s.Close())
	layouts = map[int]string{}
	now, columns := tables(t, url)
	layouts[now] = columns
	script(t, url, older...)
	_, layouts[1] = tables(t, url)
	return made, layouts, now
}

// TestMigrate_OP19_cut: a migration whose connection is lost at any message has been made or has not, and the next one
// makes it.
func TestMigrate_OP19_cut(t *testing.T) {
	t.Parallel()
	for _, heard := range []bool{false, true} { // the server hears the message, and its answer is lost
		t.Run(fmt.Sprintf("heard %t", heard), func(t *testing.T) {
			t.Parallel()
			url := server.Database(t)
			made, layouts, now := before(t, url)
			w := startWire(t, url)
			cut := map[int]int{} // by the version afterwards
			for n := 1; ; n++ {
				w.cutAt(n, heard)
				_, _, err := postgres.Migrate(t.Context(), w.url)
				if err == nil {
					break
				}
				version := wantWhole(t, url, made, layouts)
				cut[version]++
				if version != 1 {
					wantSaid(t, err, "run it again")
					script(t, url, older...)
				}
			}
			if wantWhole(t, url, made, layouts) == 1 || cut[1] < 5 || heard && cut[now] == 0 {
				t.Errorf("cut so often, by the version afterwards: %v", cut)
			}
		})
	}
}

// TestMigrate_OP19_killed: whoever migrates, or the server, dies when the tables are changed already. While that goes on nobody
// starts.
func TestMigrate_OP19_killed(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, own *postgrestest.Server, url string, migrating *exec.Cmd){
		"the program is killed": func(t *testing.T, _ *postgrestest.Server, _ string, migrating *exec.Cmd) {
			t.Helper()
			must(t, migrating.Process.Kill())
		},
		"its connection is ended": func(t *testing.T, _ *postgrestest.Server, url string, _ *exec.Cmd) {
			t.Helper()
			sql(t, url, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'trinity-bridge'")
		},
		"the server dies": func(t *testing.T, own *postgrestest.Server, _ string, _ *exec.Cmd) {
			t.Helper()
			must(t, own.Halt(syscall.SIGQUIT))
			must(t, own.Run())
		},
	}
	for name, cut := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := postgrestest.Own(t)
			url := own.Database(t)
			made, layouts, _ := before(t, url)

			holding, err := pgx.Connect(t.Context(), url) // the table that the last migration changes
			must(t, err)
			defer func() { _ = holding.Close(context.Background()) }()
			_, err = holding.Exec(t.Context(), "begin; lock table grants in access share mode")
			must(t, err)
			var said strings.Builder
			migrating := exec.CommandContext(t.Context(), os.Args[0])
			migrating.Env, migrating.Stderr = append(os.Environ(), migrated+"="+url), &said
			must(t, migrating.Start())
			waits := false
			for late := time.Now().Add(patience); !waits && time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
				must(t, holding.QueryRow(t.Context(), "select exists (select from pg_locks where not granted and relation = 'grants'::regclass)").Scan(&waits))
			}
			_, err = postgres.Open(t.Context(), postgres.Options{URL: url, Sealer: secrettest.Ring()})
			wantSaid(t, err, "run trinity-bridge store migrate")
			cut(t, own, url, migrating)
			if err := migrating.Wait(); err == nil || !waits {
				t.Fatalf("migrating came to %v, waited %t: %s", err, waits, said.String())
			}
			must(t, holding.Close(t.Context()))
			if version := wantWhole(t, url, made, layouts); version != 1 {
				t.Errorf("a migration that was cut before its end has made version %d", version)
			}
			_, _, err = postgres.Migrate(t.Context(), url)
			must(t, err)
			wantWhole(t, url, made, layouts)
		})
	}
}

// TestMigrate_takesItsTime: a migration may take longer than a statement of a program that serves.
func TestMigrate_takesItsTime(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	closed(t, url)
	script(t, url, older...)
	script(t, url, "create function slow() returns event_trigger language plpgsql as $$ begin perform pg_sleep(0.5); end $$", "create event trigger slow on ddl_command_end execute function slow()")
	_, _, err := postgres.Migrate(t.Context(), url+"&statement_timeout=300")
	must(t, err)
}
