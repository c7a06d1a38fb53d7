package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
)

// awaitPoll waits until every replica has looked at the database once more.
func awaitPoll(t *testing.T, url, grantID string, replicas []*postgres.Store) {
	t.Helper()
	for _, s := range replicas {
		heard := listenTo(s)
		heard.awaitFrom(t, grantID, func() {
			sql(t, url, "update grants set changed = pg_current_xact_id() where id = $1", []byte(grantID))
		})
	}
}

func putBack(err error) bool {
	return err != nil && strings.Contains(err.Error(), "was put back to an earlier state")
}

// TestReplicas_OP14_putBack: replicas under which the database is put back to an earlier state serve nothing of it, not even
// for a moment, and go on when the later one is there again.
func TestReplicas_OP14_putBack(t *testing.T) {
	t.Parallel()
	own := postgrestest.Own(t)
	url := own.Database(t)
	s := open(t, url)
	revoked, stays := connect(t, s), connect(t, s)
	must(t, s.Close())
	must(t, errors.Join(own.Halt(syscall.SIGINT), own.Keep("older"), own.Run()))

	replicas := openThree(t, url)
	_, _, err := replicas[0].EndGrant(t.Context(), revoked.grantID, bridge.EndRevokedByOperator, time.Now())
	must(t, err)
	sql(t, url, "update schema set beat = beat + 1000") // a while later
	awaitPoll(t, url, stays.grantID, replicas)
	must(t, errors.Join(own.Halt(syscall.SIGQUIT), own.Keep("later"), own.PutBack("older"), own.Run()))
	for i, s := range replicas {
		awaitPing(t, s, func(err error) bool {
			if grant, err := s.Grant(t.Context(), revoked.grantID); err == nil {
				t.Errorf("replica %d: a grant that was revoked is %s again", i, grant.Status)
			}
			j := &journal{connection: revoked}
			if err := j.refresh(t.Context(), s); err != nil || j.acknowledged > 0 {
				t.Errorf("replica %d: a refresh token that was revoked is taken, %v", i, err)
			}
			return putBack(err)
		})
	}

	must(t, errors.Join(own.Halt(syscall.SIGQUIT), own.PutBack("later"), own.Run()))
	for i, s := range replicas {
		awaitPing(t, s, func(err error) bool { return err == nil })
		if grant, err := s.Grant(t.Context(), revoked.grantID); err != nil || grant.Live() {
			t.Errorf("replica %d: the grant is %s, %v", i, grant.Status, err)
		}
	}
	sql(t, url, "update schema set beat = beat - 6") // what a failover may lack
	awaitPoll(t, url, stays.grantID, replicas)
	for _, s := range replicas {
		must(t, s.Ping(t.Context()))
	}
	sql(t, url, "update schema set beat = beat - 1") // and under open connections
	for _, s := range replicas {
		awaitPing(t, s, putBack)
	}
}

// TestReplicas_OP14_beat: who leads counts.
func TestReplicas_OP14_beat(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := openClosed(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	var leads sync.WaitGroup
	leads.Go(func() { s.Lead(ctx, func(ctx context.Context) { <-ctx.Done() }) })
	defer leads.Wait()
	defer cancel()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	beat := 0
	for late := time.Now().Add(patience); beat == 0; time.Sleep(100 * time.Millisecond) {
		must(t, conn.QueryRow(t.Context(), "select beat from schema").Scan(&beat))
		if time.Now().After(late) {
			t.Fatal("no beat is counted")
		}
	}
}

// TestReplicas_OP01_failover: the server dies under load, and its synchronous standby takes over. Nothing that was acknowledged is
// lost, and nobody takes the standby for a database that was put back, though beats are counted as fast as they can be.
func TestReplicas_OP01_failover(t *testing.T) {
	t.Parallel()
	primary := postgrestest.Own(t)
	database := primary.Database(t)
	standby := primary.Standby(t)
	both, err := url.Parse(database)
	must(t, err)
	both.Host = primary.Addr() + "," + standby.Addr()
	replicas := openThree(t, both.String()+"&target_session_attrs=read-write")
	journals := make([]*journal, 6)
	for i := range journals {
		journals[i] = &journal{connection: connect(t, replicas[0])}
	}
	var all sync.WaitGroup
	all.Go(func() { beats(database) })
	var over atomic.Bool
	for i, j := range journals {
		all.Go(func() {
			for n := i; !over.Load(); n++ {
				if err := j.refresh(t.Context(), replicas[n%len(replicas)]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	time.Sleep(time.Second) // of load
	must(t, primary.Halt(syscall.SIGQUIT))
	sql(t, standby.URL("postgres"), "select pg_promote()")
	for _, s := range replicas {
		awaitPing(t, s, func(err error) bool {
			if putBack(err) {
				t.Fatal(err)
			}
			return err == nil
		})
	}
	over.Store(true)
	all.Wait()
	acknowledged := 0
	for i, j := range journals {
		acknowledged += j.acknowledged
		before := j.acknowledged
		must(t, j.refresh(t.Context(), replicas[i%len(replicas)]))
		if j.acknowledged == before {
			t.Errorf("family %d does not go on", i)
		}
	}
	t.Logf("%d refreshes acknowledged", acknowledged)
}

// beats counts them until the server is gone.
func beats(database string) {
	conn, err := pgx.Connect(context.Background(), database)
	for err == nil {
		_, err = conn.Exec(context.Background(), "update schema set beat = beat + 1")
	}
}
