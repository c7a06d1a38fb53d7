package postgres_test

import (
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
)

// TestReplicas_serverRestarts: while the server is away calls fail with no name of the domain's, watchers
// are told that anything may have changed, and all passes by itself.
func TestReplicas_serverRestarts(t *testing.T) {
	t.Parallel()
	own := postgrestest.Own(t)
	url := own.Database(t)
	s := open(t, url)
	defer func() { must(t, s.Close()) }()
	c := connect(t, s)
	heard := listenTo(s)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		must(t, own.Halt(signal))
		_, err := s.Grant(t.Context(), c.grantID)
		if err == nil || errors.Is(err, bridge.ErrNotFound) {
			t.Fatalf("without a server a grant came to %v", err)
		}
		if err := s.Ping(t.Context()); err == nil {
			t.Fatal("a store without a server answers")
		}
		heard.await(t, "")
		must(t, own.Run())
		late := time.Now().Add(patience)
		for {
			grant, err := s.Grant(t.Context(), c.grantID)
			if err == nil && grant.Live() && s.TouchGrant(t.Context(), c.grantID, time.Now().Add(time.Hour)) == nil {
				break
			}
			if time.Now().After(late) {
				t.Fatalf("the store did not recover: %v", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		heard.awaitFrom(t, c.grantID, func() {
			sql(t, url, "update grants set changed = pg_current_xact_id() where id = $1", []byte(c.grantID))
		})
	}
}

// TestReplicas_cutOff: a replica whose packets are lost serves nothing that others may have ended meanwhile. Each of its calls
// ends by itself, and all passes when packets come through again.
func TestReplicas_cutOff(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	w := startWire(t, url)
	t.Cleanup(func() { w.stuck.Store(false) })
	there, here := openClosed(t, url), openClosed(t, w.url)
	c := connect(t, here)
	heard := listenTo(here)
	w.stuck.Store(true)
	_, _, err := there.EndGrant(t.Context(), c.grantID, bridge.EndRevokedByOperator, time.Now())
	must(t, err)
	heard.await(t, "")
	var calls sync.WaitGroup
	for range 40 { // more than there are connections
		calls.Go(func() {
			if grant, err := here.Grant(t.Context(), c.grantID); err == nil || errors.Is(err, bridge.ErrNotFound) {
				t.Errorf("a replica that is cut off says of a grant: %s, %v", grant.Status, err)
			}
		})
	}
	calls.Wait()
	if err := here.Ping(t.Context()); err == nil {
		t.Error("it says that it can write")
	}
	w.stuck.Store(false)
	awaitPing(t, here, func(err error) bool { return err == nil })
	grant, err := here.Grant(t.Context(), c.grantID)
	must(t, err)
	if grant.Live() {
		t.Error("the grant lives")
	}
}

// TestStore_standby: a replica runs on and starts on a standby, says so and serves what is there; when the standby is promoted
// all passes by itself.
func TestStore_standby(t *testing.T) {
	t.Parallel()
	own := postgrestest.Own(t)
	url := own.Database(t)
	before := openClosed(t, url)
	c := connect(t, before)
	must(t, own.Halt(syscall.SIGINT))
	must(t, own.Demote())
	must(t, own.Run())
	stores := []*postgres.Store{before, openClosed(t, url)}
	for i, s := range stores {
		for late := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // some connections are of before
			err := s.Ping(t.Context())
			if errors.Is(err, bridge.ErrReadOnly) {
				break
			}
			if time.Now().After(late) {
				t.Fatalf("store %d: a ping came to %v, want ErrReadOnly", i, err)
			}
		}
		if grant, err := s.Grant(t.Context(), c.grantID); err != nil || !grant.Live() {
			t.Errorf("store %d: the grant is %s, %v", i, grant.Status, err)
		}
		if err := s.TouchGrant(t.Context(), c.grantID, time.Now().Add(time.Hour)); !errors.Is(err, bridge.ErrReadOnly) {
			t.Errorf("store %d: a write came to %v, want ErrReadOnly", i, err)
		}
	}
	sql(t, url, "select pg_promote()")
	for i, s := range stores {
		heard := listenTo(s)
		must(t, s.TouchGrant(t.Context(), c.grantID, time.Now().Add(time.Duration(i+1)*time.Hour)))
		heard.awaitFrom(t, c.grantID, func() {
			sql(t, url, "update grants set changed = pg_current_xact_id() where id = $1", []byte(c.grantID))
		})
	}
}

// TestStore_readOnly: a database that takes no writes is named so.
func TestStore_readOnly(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	closed(t, url)
	s, err := postgres.Open(t.Context(), postgres.Options{URL: url + "&default_transaction_read_only=on", Sealer: secrettest.Ring()})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	if err := s.Ping(t.Context()); !errors.Is(err, bridge.ErrReadOnly) {
		t.Errorf("got %v, want ErrReadOnly", err)
	}
	_, err = s.Deployment(t.Context())
	must(t, err)
	if err := register(t, s, "client", 10); !errors.Is(err, bridge.ErrReadOnly) {
		t.Errorf("a write came to %v, want ErrReadOnly", err)
	}
}
