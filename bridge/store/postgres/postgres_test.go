package postgres_test

import (
	"os"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
)

var server *postgrestest.Server // nil where none is installed

func TestMain(m *testing.M) {
	if url := os.Getenv(migrated); url != "" {
		os.Exit(migrateMain(url))
	}
	os.Exit(postgrestest.Main(m, func(s *postgrestest.Server) { server = s }))
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) func(bridge.Sealer) (bridge.Store, error) {
		url := server.Database(t)
		return func(sealer bridge.Sealer) (bridge.Store, error) {
			return postgres.Open(t.Context(), postgres.Options{URL: url, Sealer: sealer, Base: storetest.Base})
		}
	})
}

// open opens a store, which the test closes.
func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Options{URL: url, Sealer: secrettest.Ring(), Base: storetest.Base})
	must(t, err)
	return s
}

// openClosed opens a store that is closed when the test ends.
func openClosed(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s := open(t, url)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// openThree opens a database as three replicas do.
func openThree(t testing.TB, url string) (replicas []*postgres.Store) {
	t.Helper()
	for range 3 {
		replicas = append(replicas, openClosed(t, url))
	}
	return replicas
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}
