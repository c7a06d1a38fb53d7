package postgres_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/token"
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
			next := rand.Text()
			rotation, err := s.RotateRefresh(t.Context(), bridge.RefreshUse{
				Token: c.refresh(c.token), ClientID: "client", Successor: bridge.HashOf(next), SealedSuccessor: []byte(next),
				Idle: time.Hour, AccessTokenLife: time.Hour, Rule: token.DefaultRefreshPolicy().Decide,
			}, time.Now())
			must(t, err)
			if rotation.Outcome != bridge.RefreshRotated {
				t.Fatalf("refreshing came to %s", rotation.Outcome)
			}
			c.token = next
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
