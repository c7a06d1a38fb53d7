package postgres_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
)

// clerk makes a role that may do nothing but what the owner of one database may, and returns that database's URL for it.
func clerk(t *testing.T, own *postgrestest.Server) (owner, role string) {
	t.Helper()
	owner = own.Database(t)
	u, err := url.Parse(owner)
	must(t, err)
	name := "clerk_of_" + strings.TrimPrefix(u.Path, "/")
	sql(t, owner, "create role "+name+" login; do $$ begin execute 'alter database ' || current_database() || ' owner to "+name+"'; end $$")
	u.User = url.User(name)
	return owner, u.String()
}

// TestReplicas_rightsLost: replicas that may not write any more say so, lose nothing and serve what is there. When they may
// again all passes by itself.
func TestReplicas_rightsLost(t *testing.T) {
	t.Parallel()
	own := postgrestest.Own(t)
	const (
		readOnly    = "do $$ begin execute 'alter database ' || current_database() || ' set default_transaction_read_only to %s'; end $$;"
		disconnects = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
		everything  = " insert, update, delete on all tables in schema public"
	)
	tests := []struct {
		name         string
		lost, gotten []string // statements
		writes       bool     // refreshing is not what was lost
	}{
		{"no right to write", []string{"revoke" + everything + " from current_user"}, []string{"grant" + everything + " to current_user"}, false},
		{"no right to update", []string{"revoke update on grants from current_user"}, []string{"grant update on grants to current_user"}, false},
		{"no right to insert", []string{"revoke insert on flows from current_user"}, []string{"grant insert on flows to current_user"}, true},
		{"no right to delete", []string{"revoke delete on used from current_user"}, []string{"grant delete on used to current_user"}, true},
		{"a database that is read only", []string{strings.ReplaceAll(readOnly, "%s", "on"), disconnects}, []string{
			"set default_transaction_read_only to off", strings.ReplaceAll(readOnly, "%s", "off"),
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, role := clerk(t, own)
			replicas := openThree(t, role)
			j := &journal{connection: connect(t, replicas[0])}
			must(t, j.refresh(t.Context(), replicas[0]))
			for range 2 {
				script(t, role, tt.lost...)
				for i, s := range replicas {
					awaitPing(t, s, func(err error) bool { return errors.Is(err, bridge.ErrReadOnly) })
					if grant, err := s.Grant(t.Context(), j.grantID); err != nil || !grant.Live() {
						t.Errorf("replica %d: the grant is %s, %v", i, grant.Status, err)
					}
					err := s.TouchGrant(t.Context(), j.grantID, time.Now().Add(time.Hour))
					if tt.writes && err != nil || !tt.writes && !errors.Is(err, bridge.ErrReadOnly) {
						t.Errorf("replica %d: a write came to %v", i, err)
					}
				}
				script(t, role, tt.gotten...)
				for i, s := range replicas {
					awaitPing(t, s, func(err error) bool { return err == nil })
					before := j.acknowledged
					must(t, j.refresh(t.Context(), s))
					if j.acknowledged == before {
						t.Errorf("replica %d does not write, and its ping says that it does", i)
					}
				}
			}
		})
	}
}

// TestStore_OP05_databaseFull: a database without room is one that takes no writes, from the first write that it refused
// until one is taken again.
func TestStore_OP05_databaseFull(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	closed(t, url)
	s := openClosed(t, url)
	c := connect(t, s)
	script(t, url, `create function no_room() returns trigger language plpgsql as
		$$ begin raise exception using errcode = '53100', message = 'could not extend file "base/1/1": No space left on device'; end $$`,
		"create trigger no_room before insert on flows execute function no_room()", "create trigger no_room before insert on audit execute function no_room()")
	must(t, s.Ping(t.Context()))
	_, err := issue(t.Context(), s)
	if !errors.Is(err, bridge.ErrReadOnly) {
		t.Errorf("a write without room came to %v", err)
	}
	must(t, s.TouchGrant(t.Context(), c.grantID, time.Now())) // which needs none
	for range 2 {
		if err := s.Ping(t.Context()); !errors.Is(err, bridge.ErrReadOnly) {
			t.Errorf("a ping came to %v", err)
		}
	}
	script(t, url, "drop trigger no_room on flows", "drop trigger no_room on audit")
	must(t, s.Ping(t.Context()))
	connect(t, s)
	if trail, err := s.AuditTrail(t.Context(), "", 10); err != nil || len(trail) > 0 {
		t.Errorf("there are %d events, %v", len(trail), err)
	}
}

// script runs statements one after the other on one connection.
func script(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	for _, statement := range statements {
		if _, err = conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// awaitPing waits until a store says of itself what is wanted.
func awaitPing(t *testing.T, s *postgres.Store, wanted func(error) bool) {
	t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := s.Ping(t.Context())
		if wanted(err) {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("a ping comes to %v", err)
		}
	}
}
