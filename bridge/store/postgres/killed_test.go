package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

// journal is what the client of one family was told.
type journal struct {
	connection
	acknowledged, failed int
}

// rotate presents a token, and looks at it first as the token endpoint does.
func (c connection) rotate(ctx context.Context, s bridge.Store, presented string) (bridge.Rotation, error) {
	now := time.Now()
	if _, _, err := s.RefreshGrant(ctx, c.refresh(presented), now); err != nil {
		return bridge.Rotation{}, err
	}
	return s.RotateRefresh(ctx, c.use(presented), now)
}

// successorOf is the one successor of a token.
func successorOf(presented string) string { return bridge.HashOf(presented).String() }

func (c connection) use(presented string) bridge.RefreshUse {
	return bridge.RefreshUse{
		Token: c.refresh(presented), ClientID: "client", Successor: c.refresh(successorOf(presented)).Hash,
		Idle: time.Hour, AccessTokenLife: time.Hour, Rule: token.DefaultRefreshPolicy().Decide,
	}
}

// refresh presents the token that was acknowledged last, and takes what is given for it.
func (j *journal) refresh(ctx context.Context, s *postgres.Store) error {
	rotation, err := j.rotate(ctx, s, j.token)
	switch {
	case err != nil:
		j.failed++
		if errors.Is(err, bridge.ErrConflict) || errors.Is(err, bridge.ErrNotFound) || errors.Is(err, bridge.ErrReadOnly) {
			return fmt.Errorf("a connection that was ended came to %w", err)
		}
		return nil
	case rotation.Outcome.Advances():
		j.token = successorOf(j.token)
	default:
		return fmt.Errorf("after %d refreshes and %d errors a token that was acknowledged came to %s", j.acknowledged, j.failed, rotation.Outcome)
	}
	j.acknowledged++
	return nil
}

// TestReplicas_OP01_connectionsEnded: the server ends connections at any moment of a refresh. What was acknowledged stays,
// and what was not is neither spent for nothing nor spent twice. TEST_LONG makes it 3,000 connections.
func TestReplicas_OP01_connectionsEnded(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	replicas := []*postgres.Store{openClosed(t, url), openClosed(t, url), openClosed(t, url)}
	kills := 300
	if os.Getenv("TEST_LONG") != "" {
		kills = 3_000
	}
	journals := make([]*journal, 6)
	for i := range journals {
		journals[i] = &journal{connection: connect(t, replicas[0])}
	}
	var done atomic.Bool
	var all sync.WaitGroup
	for i, j := range journals {
		all.Go(func() {
			for n := i; !done.Load(); n++ {
				if err := j.refresh(t.Context(), replicas[n%len(replicas)]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	ended := endConnections(t, url, kills)
	done.Store(true)
	all.Wait()
	acknowledged, failed := 0, 0
	for _, j := range journals {
		acknowledged, failed = acknowledged+j.acknowledged, failed+j.failed
		for before, late := j.acknowledged, time.Now().Add(patience); j.acknowledged == before; {
			must(t, j.refresh(t.Context(), replicas[0]))
			if time.Now().After(late) {
				t.Fatal("a family does not come back")
			}
		}
	}
	t.Logf("%d connections ended, %d refreshes acknowledged, %d failed", ended, acknowledged, failed)
	if failed == 0 {
		t.Error("no refresh noticed")
	}
}

// endConnections ends so many connections of a database, one at a time, each after a moment that is no multiple of
// anything.
func endConnections(t *testing.T, url string, n int) (ended int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	for late := time.Now().Add(patience); ended < n && time.Now().Before(late); {
		moment, err := rand.Int(rand.Reader, big.NewInt(int64(4*time.Millisecond)))
		must(t, err)
		time.Sleep(time.Duration(moment.Int64()))
		done, err := conn.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' order by random() limit 1`)
		must(t, err)
		ended += int(done.RowsAffected())
	}
	return ended
}
