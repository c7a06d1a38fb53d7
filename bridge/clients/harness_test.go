package clients_test

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/clocktest"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/strangers"
)

// house is a registry over a real store in a scripted internet.
type house struct {
	*clients.Registry
	*clocktest.Clock
	world *strangers.World
	store *badger.Store
	trail *audit.Trail
}

func open(t *testing.T, edit func(*clients.Options)) *house {
	t.Helper()
	store, err := badger.Open(badger.Options{Dir: t.TempDir(), Sealer: secrettest.Ring(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	h := &house{world: strangers.New(t), store: store, Clock: clocktest.At(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))}
	h.trail = audit.New(store, slog.New(slog.DiscardHandler), h.Now)
	o := clients.Options{
		Store: store, Trust: clients.Trust{Policy: clients.PolicyOpen}, Now: h.Now, Rand: rand.Reader, Trail: h.trail,
		Guard: h.world.Guard(t, func(o *outbound.GuardOptions) { o.Now, o.OwnHosts = h.Now, []string{"connect.example.com"} }),
	}
	if edit != nil {
		edit(&o)
	}
	if h.Registry, err = clients.New(o); err != nil {
		t.Fatal(err)
	}
	return h
}

// app is the host of documentID with a good document.
func (h *house) app(t *testing.T, header ...string) *strangers.Host {
	t.Helper()
	host := h.world.Host(t, "app.example.com")
	host.JSON(string(described(nil)), header...)
	return host
}

// down makes a host break off every connection.
func down(host *strangers.Host) {
	host.Serve(func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	})
}

// events are the stored audit events of a kind.
func (h *house) events(t *testing.T, kind string) []bridge.AuditEvent {
	t.Helper()
	h.trail.Flush(t.Context())
	all, err := h.store.AuditTrail(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var found []bridge.AuditEvent
	for _, event := range all {
		if event.Kind == kind {
			found = append(found, event)
		}
	}
	return found
}
