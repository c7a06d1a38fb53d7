package app

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
)

// replica opens a database and adopts what is in it, as a replica does that starts.
func replica(ctx context.Context, database, publicURL string) (*Bridge, *postgres.Store, error) {
	public, err := url.Parse(publicURL)
	if err != nil {
		return nil, nil, err
	}
	b := &Bridge{
		config: &config.Config{PublicURL: public}, log: slog.New(slog.DiscardHandler), now: time.Now, rand: rand.Reader, ring: secrettest.Ring(),
	}
	store, err := postgres.Open(ctx, postgres.Options{URL: database, Sealer: b.ring})
	if err != nil {
		return nil, nil, err
	}
	if err := b.adopt(ctx, store); err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return b, store, nil
}

// TestAdopt_replicas: replicas that start at once on an empty database are one deployment, and one with another public URL
// is refused while any of them runs.
func TestAdopt_replicas(t *testing.T) {
	t.Parallel()
	server := postgrestest.Own(t)
	database := server.Database(t)
	type started struct {
		b     *Bridge
		store *postgres.Store
		err   error
	}
	starts := make(chan started, 6)
	for range cap(starts) {
		go func() {
			b, store, err := replica(context.Background(), database, "https://bridge.example.com")
			starts <- started{b, store, err}
		}()
	}
	deployments := map[string]bool{}
	var stores []*postgres.Store
	for range cap(starts) {
		s := <-starts
		if s.err != nil {
			t.Fatal(s.err)
		}
		deployments[s.b.deployment] = true
		stores = append(stores, s.store)
	}
	if len(deployments) != 1 {
		t.Errorf("they are %d deployments", len(deployments))
	}
	_, _, err := replica(t.Context(), database, "https://elsewhere.example.com")
	if err == nil || !strings.Contains(err.Error(), "another replica runs whose URL is https://bridge.example.com") {
		t.Errorf("another public URL came to %v", err)
	}
	for _, store := range stores {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
	_, store, err := replica(t.Context(), database, "https://elsewhere.example.com")
	if err != nil {
		t.Fatalf("a new public URL after all have stopped: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}
