package audit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// memory is an audit store that can be told to fail.
type memory struct {
	events []bridge.AuditEvent
	fails  bool
}

func (m *memory) AppendAudit(_ context.Context, events []bridge.AuditEvent) error {
	if m.fails {
		return errors.New("no")
	}
	m.events = append(m.events, events...)
	return nil
}

func (m *memory) AuditTrail(context.Context, string, int) ([]bridge.AuditEvent, error) {
	return m.events, nil
}

// OP-33: an event is in the log at once, one line, and in the store in order, with the request's reference.
func TestTrail_OP33(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	store, counted := &memory{}, 0
	trail := audit.New(store, slog.New(slog.NewJSONHandler(&log, nil)), func() time.Time { return start })
	trail.Also(func(bridge.AuditEvent) { counted++ })
	ctx := audit.WithRequestID(t.Context(), "reference-1")
	trail.Record(ctx, bridge.AuditEvent{Kind: audit.ConsentGiven, GrantID: "g1"})
	trail.Record(ctx, bridge.AuditEvent{Kind: audit.GrantEnded, GrantID: "g1", Outcome: "x\ny"})
	trail.Flush(ctx)
	want := []bridge.AuditEvent{
		{At: start, Kind: audit.ConsentGiven, RequestID: "reference-1", GrantID: "g1"},
		{At: start, Kind: audit.GrantEnded, RequestID: "reference-1", GrantID: "g1", Outcome: "x\ny"},
	}
	if diff := cmp.Diff(want, store.events); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if counted != 2 || strings.Count(log.String(), "\n") != 2 || strings.Contains(log.String(), "person_id") {
		t.Errorf("OP-31: counted %d, log:\n%s", counted, log.String())
	}
}

// A store that is down loses no event that is not in the log, and stops nobody.
func TestTrail_storeDown(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	store := &memory{fails: true}
	trail := audit.New(store, slog.New(slog.NewJSONHandler(&log, nil)), func() time.Time { return start })
	for range 5000 {
		trail.Record(t.Context(), bridge.AuditEvent{Kind: audit.TokenRefused})
	}
	trail.Flush(t.Context())
	if n := strings.Count(log.String(), `"msg":"audit"`); n != 5000 || !strings.Contains(log.String(), "not stored") {
		t.Errorf("%d events in the log", n)
	}
}

// Run stores what is left when it is told to end.
func TestTrail_Run_end(t *testing.T) {
	t.Parallel()
	store := &memory{}
	trail := audit.New(store, slog.New(slog.DiscardHandler), func() time.Time { return start })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	trail.Record(t.Context(), bridge.AuditEvent{Kind: audit.SignedIn})
	trail.Run(ctx)
	if len(store.events) != 1 {
		t.Errorf("stored %v", store.events)
	}
}

// OP-33: what strangers are refused cannot fill the store: beyond what there is room for it is in the log alone. What
// was done is stored all the same.
func TestTrail_OP33_floodOfRefusals(t *testing.T) {
	t.Parallel()
	store, counted, now := &memory{}, 0, start
	trail := audit.New(store, slog.New(slog.DiscardHandler), func() time.Time { return now })
	trail.Also(func(bridge.AuditEvent) { counted++ })
	flood := func() (stored int) {
		before := len(store.events)
		for i := range 3000 {
			trail.Record(t.Context(), bridge.AuditEvent{Kind: audit.TokenRefused})
			if i%1000 == 0 {
				trail.Flush(t.Context())
			}
		}
		trail.Record(t.Context(), bridge.AuditEvent{Kind: audit.GrantEnded, GrantID: "g1"})
		trail.Flush(t.Context())
		if last := store.events[len(store.events)-1]; last.Kind != audit.GrantEnded {
			t.Errorf("the last event stored is %+v", last)
		}
		return len(store.events) - before - 1
	}
	if got := flood(); got != 1000 {
		t.Errorf("%d refusals stored", got)
	}
	now = now.Add(time.Minute)
	if got := flood(); got != 60 {
		t.Errorf("%d refusals stored a minute later", got)
	}
	if counted != 6002 {
		t.Errorf("%d events counted", counted)
	}
}
