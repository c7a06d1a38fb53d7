package postgres_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

// TestRefresh_inPlace: a refresh changes its row in place and no index, so that what refreshes leave behind is cleared by
// those that follow, and does not wait for a vacuum.
func TestRefresh_inPlace(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := openClosed(t, url)
	const grants, each = 5, 40
	for range grants {
		c := connect(t, s)
		for range each {
			rotation, err := c.rotate(t.Context(), s, c.token)
			must(t, err)
			if rotation.Outcome != bridge.RefreshRotated {
				t.Fatalf("refreshing came to %s", rotation.Outcome)
			}
			c.token = successorOf(c.token)
		}
	}
	must(t, s.Close()) // its connections say what they did when they end
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	var updated, inPlace int
	for late := time.Now().Add(patience); updated < grants*each; time.Sleep(10 * time.Millisecond) {
		must(t, conn.QueryRow(t.Context(), "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'grants'").Scan(&updated, &inPlace))
		if time.Now().After(late) {
			t.Fatalf("the server counts %d changes", updated)
		}
	}
	if elsewhere := updated - inPlace; elsewhere > 2*grants { // redeeming the code is one
		t.Errorf("%d of %d changes were not in place", elsewhere, updated)
	}
}

// TestSweep_churn: connections come and go for some days, and the tables with their indexes take no more than three times
// what they take when they are written anew. A vacuum a day stands for the server's own, which wakes up once a minute and not within a test.
// TEST_LONG makes it 12,000 connections.
func TestSweep_churn(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := openClosed(t, url)
	days, each := 6, 100
	if os.Getenv("TEST_LONG") != "" {
		each = 2000
	}
	now := time.Now()
	for day := range days {
		var all sync.WaitGroup
		for worker := range 16 {
			all.Go(func() {
				for n := worker; n < each; n += 16 {
					comeAndGo(t, s, n%10 > 0, now)
				}
			})
		}
		all.Wait()
		for tomorrow := now.AddDate(0, 0, day+2); ; {
			n, err := s.Sweep(t.Context(), tomorrow, 1000)
			must(t, err)
			if n == 0 {
				break
			}
		}
		sql(t, url, "vacuum")
	}
	size := func() int64 {
		stats, err := s.Stats(t.Context(), now)
		must(t, err)
		return stats.Disk.Bytes
	}
	churned := size()
	sql(t, url, "vacuum full")
	live := size()
	t.Logf("%d connections came, one of ten stayed: %d KiB of tables and indexes, %d when written anew", days*each, churned>>10, live>>10)
	if churned > 3*live {
		t.Errorf("%d bytes of tables and indexes for %d", churned, live)
	}
}

// comeAndGo connects, refreshes and, if it goes, ends what it has.
func comeAndGo(t *testing.T, s bridge.Store, goes bool, now time.Time) {
	c := storetest.NewConnection(s)
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	must(c.Issue(t.Context()))
	_, err := c.Redeem(t.Context())
	must(err)
	for range 5 {
		must(c.Rotate(t.Context()))
	}
	if goes {
		_, _, err = s.EndGrant(t.Context(), c.GrantID, bridge.EndRevokedByClient, now)
		must(err)
		must(s.FinishKeyRevocation(t.Context(), c.GrantID))
	}
}
