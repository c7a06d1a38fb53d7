package remember_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/bridge/store/remember"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

// TestStore: with a memory in front a store passes what every store must.
func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) func(bridge.Sealer) (bridge.Store, error) {
		dir := t.TempDir()
		return func(sealer bridge.Sealer) (bridge.Store, error) {
			store, err := badger.Open(badger.Options{Dir: dir, Sealer: sealer, Base: storetest.Base})
			if err != nil {
				return nil, err
			}
			return remember.New(store).Remembered(), nil
		}
	})
}

// TestStore_everyMethodIsJudged: whoever adds a method to bridge.Store has to say here whether it changes grants; one
// that does and is not overridden would leave old copies behind.
func TestStore_everyMethodIsJudged(t *testing.T) {
	t.Parallel()
	changesNoLiveGrant := []string{
		"AppendAudit", "AuditTrail", "Backup", "Client", "Close", "Consent", "CreateClient", "CreateFlow", "CreateLink", "Deployment",
		"DropFlow", "DueKeyRevocations", "ExpiredFlows", "FinishKeyRevocation", "Flow", "Grant", "Grants", "Hit", "Identity",
		"IssueCode", "KeyRevocationsOf", "LapsedGrants", "Lead", "Link", "LinkOf", "Links", "MAC", "OpenIdentities", "Peek", "Ping",
		"PutClient", "QueueKeyRevocation", "RefreshGrant",
		"Reseal", // a copy's key is sealed under a secret that this process opens
		"ResetCount", "SaveDeployment", "SigningKeys", "SwapSigningKeys",
		"Stats", "SwapVerdicts", "Sweep", "UpdateFlow", "UseOnce", "Verdicts", "Verify", "WatchGrants",
	}
	forgets := []string{
		"EndGrant", "EndIdentity", "EndLink", "EndUnlinked", "RedeemCode", "RevokeToken", "RotateRefresh", "StartGeneration", "StartGrant", "TouchGrant", "UpdateIdentity",
	}
	for method := range reflect.TypeFor[bridge.Store]().Methods() {
		if !slices.Contains(changesNoLiveGrant, method.Name) && !slices.Contains(forgets, method.Name) {
			t.Errorf("does %s change a live grant? If so it must be overridden here, else it belongs on the list", method.Name)
		}
	}
}

// alone is an engine that hears of no other replica.
type alone struct{ bridge.Store }

func (alone) WatchGrants(func(string)) func() { return func() {} }

// engine is a store of one grant that can be slow and can fail.
type engine struct {
	alone
	mu      sync.Mutex
	grant   bridge.Grant
	reads   int
	err     error
	reading func() // between reading and returning
}

func (e *engine) Grant(context.Context, string) (bridge.Grant, error) {
	e.mu.Lock()
	e.reads++
	grant, reading := e.grant, e.reading
	e.mu.Unlock()
	if reading != nil {
		reading()
	}
	return grant, nil
}

func (e *engine) EndGrant(context.Context, string, bridge.EndReason, time.Time) (bridge.Grant, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.grant.Status = bridge.GrantEnded
	return e.grant, true, e.err
}

func (e *engine) TouchGrant(_ context.Context, _ string, now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.grant.LastUsedAt = now
	return nil
}

func (e *engine) RotateRefresh(context.Context, bridge.RefreshUse, time.Time) (bridge.Rotation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.grant.Status = bridge.GrantEnded
	return bridge.Rotation{}, e.err
}

func newEngine() *engine {
	return &engine{grant: bridge.Grant{ID: "g-1", Status: bridge.GrantLive}}
}

func status(t *testing.T, g remember.View) bridge.GrantStatus {
	t.Helper()
	grant, err := g.Grant(t.Context(), "g-1")
	if err != nil {
		t.Fatal(err)
	}
	return grant.Status
}

// TestGrant_I10: a grant is read once while it lives, and what is told of it is true the moment a write returns.
func TestGrant_I10_forgottenAsItEnds(t *testing.T) {
	t.Parallel()
	e := newEngine()
	s := remember.New(e)
	var told []string
	s.Watch(func(id string) { told = append(told, id) })
	g := s.Remembered()
	for range 3 {
		if got := status(t, g); got != bridge.GrantLive {
			t.Fatal(got)
		}
	}
	if e.reads != 1 {
		t.Errorf("read %d times, want once", e.reads)
	}
	now := time.Now()
	if err := s.TouchGrant(t.Context(), "g-1", now); err != nil {
		t.Fatal(err)
	}
	if grant, err := g.Grant(t.Context(), "g-1"); err != nil || !grant.LastUsedAt.Equal(now) || len(told) != 0 {
		t.Errorf("after a touch %v (%v), told %q", grant.LastUsedAt, err, told)
	}
	if _, _, err := s.EndGrant(t.Context(), "g-1", bridge.EndExpired, now); err != nil {
		t.Fatal(err)
	}
	if got := status(t, g); got != bridge.GrantEnded || !slices.Equal(told, []string{"g-1"}) {
		t.Errorf("after its end %s, told %q", got, told)
	}
}

// TestGrant_readWhileItEnded: what a slow read found before a write is not kept after it.
func TestGrant_I10_readWhileItEnded(t *testing.T) {
	t.Parallel()
	e := newEngine()
	s := remember.New(e)
	g := s.Remembered()
	e.reading = func() {
		e.reading = nil
		if _, _, err := s.EndGrant(t.Context(), "g-1", bridge.EndExpired, time.Now()); err != nil {
			t.Error(err)
		}
	}
	if got := status(t, g); got != bridge.GrantLive { // it was read before the end
		t.Fatal(got)
	}
	if got := status(t, g); got != bridge.GrantEnded {
		t.Errorf("a copy from before its end was kept: %s", got)
	}
}

// TestGrant_failedWrite: a write that failed may have been stored, to a grant that is not known.
func TestGrant_I10_failedWrite(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*remember.Store) error{
		"end": func(s *remember.Store) error {
			_, _, err := s.EndGrant(t.Context(), "g-1", bridge.EndExpired, time.Now())
			return err
		},
		"refresh": func(s *remember.Store) error {
			_, err := s.RotateRefresh(t.Context(), bridge.RefreshUse{}, time.Now())
			return err
		},
	} {
		e := newEngine()
		e.err = errors.New("disk on fire")
		s := remember.New(e)
		g := s.Remembered()
		status(t, g)
		if err := write(s); err == nil {
			t.Error("no error")
		}
		if got := status(t, g); got != bridge.GrantEnded {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestGrant_bounded: the memory holds no more than it is allowed to.
func TestGrant_bounded(t *testing.T) {
	t.Parallel()
	e := newEngine()
	g := remember.New(many{e}).Remembered()
	const grants = 40_000
	ask := func() {
		for i := range grants {
			if _, err := g.Grant(t.Context(), string(rune('a'+i%26))+time.Duration(i).String()); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask()
	if e.reads != grants {
		t.Errorf("read %d times, want %d", e.reads, grants)
	}
	ask()
	if again := e.reads - grants; again < grants/2 {
		t.Errorf("only %d of %d were forgotten", again, grants)
	}
}

// many is an engine with any grant.
type many struct{ *engine }

func (m many) Grant(_ context.Context, id string) (bridge.Grant, error) {
	m.reads++
	return bridge.Grant{ID: id, Status: bridge.GrantLive}, nil
}
