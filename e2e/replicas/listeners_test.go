//go:build replicas

package replicas

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// deafened is revoked while the connections on which replicas listen, and the one of who leads, are cut all the time.
func deafened(t *testing.T, p *bridgetest.Processes, client bridgetest.Client) {
	const cutEach = 300 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	cut := make(chan int)
	go func() {
		total := 0
		defer func() { cut <- total }()
		conn, err := pgx.Connect(ctx, p.Config.Store)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close(context.Background()) }()
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(cutEach):
			}
			gone, err := conn.Exec(ctx, "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())")
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			total += int(gone.RowsAffected())
		}
	}()
	revoked(t, p, client, 8) // Trinity sends no more codes than these in one test
	cancel()
	if n := <-cut; n == 0 {
		t.Error("no connection was cut")
	} else {
		t.Logf("%d connections cut meanwhile", n)
	}
}
