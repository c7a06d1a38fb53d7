package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
)

// TestAlone_nobodyElse: while a copy is made from a database nobody opens it, and what would be lost in the copy is
// written by nobody.
func TestAlone_nobodyElse(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	closed(t, url)
	opts := postgres.Options{URL: url, Sealer: secrettest.Ring()}
	alone, err := postgres.Alone(t.Context(), opts)
	must(t, err)
	s, err := postgres.Open(t.Context(), opts)
	if err == nil {
		must(t, s.Close())
	}
	if !errors.Is(err, postgres.ErrInUse) {
		t.Errorf("opening beside a copy came to %v, want ErrInUse", err)
	}
	must(t, alone.Close())
	openClosed(t, url)
}

// present says that a replica is there.
const present = "select pg_advisory_lock_shared(hashtextextended(current_schema() || ' trinity-bridge presence', 0))"

// TestAlone_closedAMomentAgo: the server takes a moment to notice that a store was closed, and who comes next waits for it.
func TestAlone_closedAMomentAgo(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := openClosed(t, url)
	lingering := func() {
		conn, err := pgx.Connect(t.Context(), url)
		must(t, err)
		_, err = conn.Exec(t.Context(), present)
		must(t, err)
		go func() {
			time.Sleep(300 * time.Millisecond)
			_ = conn.Close(context.Background())
		}()
	}
	lingering()
	others, err := s.Others(t.Context())
	must(t, err)
	if others {
		t.Error("who has gone is taken for another replica")
	}
	must(t, s.Close())
	lingering()
	alone, err := postgres.Alone(t.Context(), postgres.Options{URL: url, Sealer: secrettest.Ring()})
	must(t, err)
	must(t, alone.Close())
}

// TestAlone_unnoticed: a replica whose word that it is there was lost serves nobody while a copy is made.
func TestAlone_unnoticed(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := openClosed(t, url)
	c := connect(t, s)
	var alone *postgres.Store
	for late := time.Now().Add(patience); alone == nil && time.Now().Before(late); {
		sql(t, url, "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())")
		var err error
		alone, err = postgres.Alone(t.Context(), postgres.Options{URL: url, Sealer: secrettest.Ring()})
		if err != nil && !errors.Is(err, postgres.ErrInUse) {
			t.Fatal(err)
		}
	}
	_, _, err := s.EndGrant(t.Context(), c.grantID, bridge.EndRevokedByOperator, time.Now())
	if !errors.Is(err, postgres.ErrInUse) || !errors.Is(s.Ping(t.Context()), postgres.ErrInUse) {
		t.Errorf("writing beside a copy came to %v, want ErrInUse", err)
	}
	must(t, alone.Close())
	for late := time.Now().Add(patience); s.Ping(t.Context()) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the store does not come back")
		}
	}
}

// TestAlone_toTheEnd: a copy during which a bridge could have started is none.
func TestAlone_toTheEnd(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	closed(t, url)
	sql(t, url, "do $$ begin execute 'alter database ' || current_database() || ' set idle_session_timeout = 1000'; end $$")
	opts := postgres.Options{URL: url, Sealer: secrettest.Ring()}
	alone, err := postgres.Alone(t.Context(), opts) // which takes longer than an idle connection lives
	must(t, err)
	must(t, alone.Close())
	alone, err = postgres.Alone(t.Context(), opts)
	must(t, err)
	sql(t, url, "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())")
	wantSaid(t, alone.Close(), "not kept from the database to the end")
	must(t, alone.Close())
}

// TestAlone_halfACopy: a part of a store is not copied on as if it were whole.
func TestAlone_halfACopy(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	closed(t, url)
	sql(t, url, "update schema set copying = true")
	s, err := postgres.Alone(t.Context(), postgres.Options{URL: url, Sealer: secrettest.Ring()})
	if err == nil {
		must(t, s.Close())
	}
	wantSaid(t, err, "was not finished")
}
