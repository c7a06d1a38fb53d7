package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// Every standing has its meaning for the next call, the grant and the audit trail.
func TestStanding_TK21_meaning(t *testing.T) {
	t.Parallel()
	tests := []struct {
		standing bridge.Standing
		status   int
		reason   bridge.EndReason
	}{
		{bridge.StandingGood, 200, ""},
		{bridge.StandingUnknown, 200, ""},
		{"", 200, ""},
		{bridge.StandingOverdue, 503, ""},
		{bridge.StandingDead, 401, "credential_dead"},
		{bridge.StandingSuspended, 401, "owner_suspended"},
		{bridge.StandingChanged, 401, "account_changed"},
		{bridge.StandingRescoped, 401, "scope_changed"},
		{bridge.StandingLowered, 401, "role_lowered"},
	}
	for _, tt := range tests {
		t.Run("standing "+string(tt.standing), func(t *testing.T) {
			t.Parallel()
			var told atomic.Int32
			w := start(t, func(o *gateway.Options) { o.Ended = func() { told.Add(1) } })
			c := w.connect("alice")
			w.trinity.say(c.grant.ID, tt.standing)
			got := w.call(c, ping).want(t, tt.status)
			if (got.header.Get("Www-Authenticate") == challengeInvalid) != (tt.status == 401) || (got.header.Get("Retry-After") != "") != (tt.status == 503) {
				t.Errorf("headers %v", got.header)
			}
			g := w.grants.get(c.grant.ID)
			if g.EndReason != tt.reason || (g.Status == bridge.GrantEnded) != (tt.reason != "") || (told.Load() == 1) != (tt.reason != "") {
				t.Errorf("grant %s %q, told %d times", g.Status, g.EndReason, told.Load())
			}
			if tt.reason == "" {
				w.wantAudit(t)
				return
			}
			w.wantAudit(t, "grant_ended "+string(tt.reason), "call_refused "+string(tt.reason))
			w.upstream.wantUntouched(t)
		})
	}
}

// How often somebody is asked: never within a minute, behind a call within the next, before a call after a pause.
func TestStanding_TK21_everyMinuteOfUse(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	asked := func(want int) {
		t.Helper()
		eventually(t, "the question", func() bool { _, n := w.trinity.counts(); return n >= want })
		if _, n := w.trinity.counts(); n != want {
			t.Errorf("asked %d times, want %d", n, want)
		}
	}
	for range 10 {
		w.call(c, ping).want(t, http.StatusOK)
	}
	asked(1)
	w.clock.Advance(59 * time.Second)
	w.call(c, ping).want(t, http.StatusOK)
	asked(1)
	w.clock.Advance(time.Second)
	w.call(c, ping).want(t, http.StatusOK)
	asked(2)

	// In use all along: the call that triggers the question is served, the next one is not.
	w.trinity.say(c.grant.ID, bridge.StandingLowered)
	w.clock.Advance(time.Minute)
	w.call(c, ping).want(t, http.StatusOK)
	eventually(t, "the end of the grant", func() bool {
		w.call(c, ping) // where the question before has only just been answered, it is this one that asks
		return w.grants.get(c.grant.ID).EndReason == bridge.EndRoleLowered
	})
	w.call(c, ping).want(t, http.StatusUnauthorized)
	asked(3)
}

func TestStanding_TK21_afterAPause(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	w.call(c, ping).want(t, http.StatusOK)
	before := len(w.upstream.requests())
	w.trinity.say(c.grant.ID, bridge.StandingSuspended)
	w.clock.Advance(2 * time.Minute)
	w.call(c, toolCall("create_agent")).want(t, http.StatusUnauthorized)
	if n := len(w.upstream.requests()) - before; n != 0 {
		t.Errorf("%d calls went upstream", n)
	}
}

// Who does not answer is asked behind calls, every 15 s, and no call waits in a row.
func TestStanding_silence(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	w.trinity.say(c.grant.ID, bridge.StandingUnknown)
	for range 5 {
		w.call(c, ping).want(t, http.StatusOK)
	}
	w.clock.Advance(15 * time.Second)
	w.trinity.say(c.grant.ID, bridge.StandingOverdue)
	w.call(c, ping).want(t, http.StatusOK)
	eventually(t, "the second question", func() bool { _, n := w.trinity.counts(); return n == 2 })
	eventually(t, "its effect", func() bool { return w.call(c, ping).status == http.StatusServiceUnavailable })
	w.trinity.say(c.grant.ID, bridge.StandingGood)
	w.clock.Advance(15 * time.Second)
	eventually(t, "the way back", func() bool { return w.call(c, ping).status == http.StatusOK })
	if g := w.grants.get(c.grant.ID); !g.Live() {
		t.Errorf("a silence ended the grant: %s", g.EndReason)
	}
}

// A grant that must end and cannot be ended serves nobody all the same.
func TestStanding_storeDownWhileEnding(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Grants = unwritable{o.Grants} })
	c := w.connect("alice")
	w.trinity.say(c.grant.ID, bridge.StandingDead)
	for range 3 {
		w.call(c, ping).want(t, http.StatusServiceUnavailable)
	}
	w.upstream.wantUntouched(t)
}

type unwritable struct{ gateway.Grants }

func (unwritable) EndGrant(context.Context, string, bridge.EndReason, time.Time) (bridge.Grant, bool, error) {
	return bridge.Grant{}, false, errors.New("the disk is full")
}

// One question at a time behind calls, however many there are, and Close waits for it.
func TestStanding_oneQuestionBehind(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice")
	w.call(c, ping).want(t, http.StatusOK)
	w.clock.Advance(time.Minute)
	release := w.trinity.hold()
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() { w.call(c, ping).want(t, http.StatusOK) })
	}
	calls.Wait()
	release()
	eventually(t, "the question", func() bool { _, n := w.trinity.counts(); return n == 2 })
	w.gateway.Close()
	if _, n := w.trinity.counts(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// A stream that only listens is cut as well, though nothing is called on it.
func TestStanding_I10_listeningStream(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.Limits.Recheck = 5 * time.Millisecond })
	c := w.connect("alice")
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, _ string) {
		rw.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
	})
	res := w.open(t.Context(), http.MethodGet, "/mcp", "", bearer(c.token))
	defer func() { _ = res.Body.Close() }()
	w.trinity.say(c.grant.ID, bridge.StandingSuspended)
	w.clock.Advance(5 * time.Minute)
	eventually(t, "the end of the grant", func() bool { return w.grants.get(c.grant.ID).EndReason == bridge.EndOwnerSuspended })
	buffer := make([]byte, 1024)
	for {
		if _, err := res.Body.Read(buffer); err != nil {
			return
		}
	}
}

// The question and what comes of it carry the reference of the call that caused it, so that Trinity's
// audit and ours can be joined.
func TestTrinity_requestIDJoinsTheAudits(t *testing.T) {
	t.Parallel()
	d := deploy(t, trinitytest.Switches{})
	c := d.allow(t, "alice@example.com")
	if err := d.trinity.Suspend("alice@example.com", true); err != nil {
		t.Fatal(err)
	}
	d.call(c, initialize).want(t, http.StatusUnauthorized)
	for _, path := range []string{"/api/users/me", "/api/mcp/validate"} {
		found := false
		for _, seen := range d.trinity.Requests() {
			found = found || seen.Side == trinitytest.SideBackend && seen.Path == path && seen.Header.Get("X-Request-ID") == "ref-1"
		}
		if !found {
			t.Errorf("%s was not asked with the call's reference", path)
		}
	}
	d.trail.Flush(t.Context())
	d.audit.mu.Lock()
	defer d.audit.mu.Unlock()
	for _, event := range d.audit.events {
		if event.Kind == "grant_ended" && event.Outcome == "owner_suspended" && event.RequestID == "ref-1" && event.GrantID == c.grant.ID {
			return
		}
	}
	t.Errorf("audit trail %+v", d.audit.events)
}

// A lowered role, another scope and a suspended owner end a grant in the middle of its session; contract 3.4: Trinity's
// MCP server itself would let the suspended one in.
func TestTrinity_TK21_changesBite(t *testing.T) {
	t.Parallel()
	tests := []struct {
		reason string
		change func(t *trinitytest.Server) error
	}{
		{"owner_suspended", func(t *trinitytest.Server) error { return t.Suspend("carol@example.com", true) }},
		{"role_lowered", func(t *trinitytest.Server) error { return t.SetRole("carol@example.com", "user") }},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, trinitytest.Switches{}, trinitytest.Person{Email: "carol@example.com", Role: "creator"})
			c := d.allowAs(t, "grant-carol", "carol@example.com", bridge.RoleCreator)
			opened := d.call(c, initialize).want(t, http.StatusOK)
			if err := tt.change(d.trinity); err != nil {
				t.Fatal(err)
			}
			id := session(opened.header.Get("Mcp-Session-Id"))
			d.call(c, ping, id).want(t, http.StatusOK) // within the minute
			d.clock.Advance(2 * time.Minute)
			d.call(c, ping, id).want(t, http.StatusUnauthorized)
			d.wantAudit(t, "grant_ended "+tt.reason, "call_refused "+tt.reason)
		})
	}
}
