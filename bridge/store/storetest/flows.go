package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var flowTests = []test{
	{"a flow comes back as it was stored", flowRoundTrip},
	{"an unknown flow is not found", flowUnknown},
	{"an id is given once", flowConflict},
	{"TK-06/an expired flow is refused before it is swept", flowExpires},
	{"an update is stored and returned", flowUpdate},
	{"a refused update changes nothing", flowUpdateRefused},
	{"an update is of what is stored, not of what was read", flowUpdateAfterRead},
	{"64 updates at once are all applied", flowUpdateRace},
	{"expired flows with a session are listed until dropped", flowSessions},
}

func flowRoundTrip(t *testing.T, f *fixture) {
	want := f.newFlow()
	want.Exit = []byte("exit")
	want.SignIn.Challenge, want.SignIn.CodeSentAt, want.SignIn.Tries, want.SignIn.SendFailed = []byte("challenge"), f.now, 3, true
	want.Request.LoginHint = "hint"
	must(t, f.CreateFlow(t.Context(), want))
	f.reopen(t)
	got, err := f.Flow(t.Context(), want.ID, f.now)
	must(t, err)
	equal(t, "flow", got, want)
}

func flowUnknown(t *testing.T, f *fixture) {
	for _, id := range []string{"", "flow-unknown"} {
		_, err := f.Flow(t.Context(), id, f.now)
		wantError(t, err, bridge.ErrNotFound)
		_, err = f.UpdateFlow(t.Context(), id, f.now, func(*bridge.Flow) error { t.Error("called"); return nil })
		wantError(t, err, bridge.ErrNotFound)
		must(t, f.DropFlow(t.Context(), id))
	}
}

func flowConflict(t *testing.T, f *fixture) {
	first := f.newFlow()
	must(t, f.CreateFlow(t.Context(), first))
	second := first
	second.Browser = f.hash("another browser")
	wantError(t, f.CreateFlow(t.Context(), second), bridge.ErrConflict)
	got, err := f.Flow(t.Context(), first.ID, f.now)
	must(t, err)
	equal(t, "flow", got, first)
	nameless := f.newFlow()
	nameless.ID = ""
	wantRefused(t, f.CreateFlow(t.Context(), nameless))
}

func flowExpires(t *testing.T, f *fixture) {
	flow := f.newFlow()
	flow.Step, flow.SignIn.Session = bridge.StepFinished, nil
	must(t, f.CreateFlow(t.Context(), flow))
	_, err := f.Flow(t.Context(), flow.ID, flow.ExpiresAt.Add(-time.Nanosecond))
	must(t, err)
	for range 2 {
		_, err = f.Flow(t.Context(), flow.ID, flow.ExpiresAt)
		wantError(t, err, bridge.ErrNotFound)
		_, err = f.UpdateFlow(t.Context(), flow.ID, flow.ExpiresAt, func(*bridge.Flow) error { return nil })
		wantError(t, err, bridge.ErrNotFound)
		_, err = f.Sweep(t.Context(), flow.ExpiresAt, 10)
		must(t, err)
	}
	_, err = f.Flow(t.Context(), flow.ID, f.now)
	wantError(t, err, bridge.ErrNotFound) // swept
}

func flowUpdate(t *testing.T, f *fixture) {
	flow := f.newFlow()
	must(t, f.CreateFlow(t.Context(), flow))
	got, err := f.UpdateFlow(t.Context(), flow.ID, f.now, func(f *bridge.Flow) error {
		f.Step, f.SignIn.Session[0] = bridge.StepFinished, 'S'
		return nil
	})
	must(t, err)
	flow.Step, flow.SignIn.Session = bridge.StepFinished, []byte("Sealed session")
	equal(t, "returned flow", got, flow)
	f.reopen(t)
	got, err = f.Flow(t.Context(), flow.ID, f.now)
	must(t, err)
	equal(t, "stored flow", got, flow)
}

func flowUpdateRefused(t *testing.T, f *fixture) {
	flow := f.newFlow()
	must(t, f.CreateFlow(t.Context(), flow))
	no := errors.New("no")
	_, err := f.UpdateFlow(t.Context(), flow.ID, f.now, func(f *bridge.Flow) error {
		f.Step = bridge.StepFinished
		return no
	})
	if err != no { //nolint:errorlint // the contract: as it is
		t.Fatalf("got %v, want the function's own error", err)
	}
	_, err = f.UpdateFlow(t.Context(), flow.ID, f.now, func(f *bridge.Flow) error { f.ID = "another"; return nil })
	wantRefused(t, err)
	got, err := f.Flow(t.Context(), flow.ID, f.now)
	must(t, err)
	equal(t, "flow", got, flow)
}

func flowUpdateAfterRead(t *testing.T, f *fixture) {
	flow := f.newFlow()
	must(t, f.CreateFlow(t.Context(), flow))
	issue := f.newIssue(flow)
	outcome, err := f.IssueCode(t.Context(), issue, f.now) // after the flow was stored, and before it is read again
	must(t, err)
	equal(t, "outcome", outcome, bridge.CodeIssued)
	undecided := errors.New("the flow is not decided")
	got, err := f.UpdateFlow(t.Context(), flow.ID, f.now, func(f *bridge.Flow) error {
		if f.Step != bridge.StepDecided {
			return undecided
		}
		f.Exit = nil
		return nil
	})
	must(t, err)
	flow.Step = bridge.StepDecided
	equal(t, "flow", got, flow)

	another := f.newFlow()
	must(t, f.CreateFlow(t.Context(), another))
	outcome, err = f.IssueCode(t.Context(), f.newIssue(another), f.now)
	must(t, err)
	equal(t, "outcome", outcome, bridge.CodeIssued)
	got, err = f.UpdateFlow(t.Context(), another.ID, f.now, func(f *bridge.Flow) error { f.SignIn.Tries++; return nil })
	must(t, err)
	equal(t, "step", got.Step, bridge.StepDecided)
	must(t, f.DropFlow(t.Context(), another.ID))
	_, err = f.UpdateFlow(t.Context(), another.ID, f.now, func(*bridge.Flow) error { return nil })
	wantError(t, err, bridge.ErrNotFound)
}

func flowUpdateRace(t *testing.T, f *fixture) {
	flow := f.newFlow()
	must(t, f.CreateFlow(t.Context(), flow))
	barrier(64, func(int) {
		_, err := f.UpdateFlow(t.Context(), flow.ID, f.now, func(f *bridge.Flow) error { f.SignIn.Tries++; return nil })
		if err != nil {
			t.Error(err)
		}
	})
	got, err := f.Flow(t.Context(), flow.ID, f.now)
	must(t, err)
	equal(t, "tries", got.SignIn.Tries, 64)
}

func flowSessions(t *testing.T, f *fixture) {
	var flows []bridge.Flow
	for i := range 4 {
		flow := f.newFlow()
		flow.ExpiresAt = f.now.Add(time.Duration(4-i) * time.Minute)
		must(t, f.CreateFlow(t.Context(), flow))
		flows = append(flows, flow)
	}
	// One loses its session, one without gets one, one is past nothing yet.
	_, err := f.UpdateFlow(t.Context(), flows[1].ID, f.now, func(f *bridge.Flow) error { f.SignIn.Session = nil; return nil })
	must(t, err)
	late := f.newFlow()
	late.SignIn.Session, late.ExpiresAt = nil, f.now.Add(3*time.Minute)
	must(t, f.CreateFlow(t.Context(), late))
	late, err = f.UpdateFlow(t.Context(), late.ID, f.now, func(f *bridge.Flow) error { f.SignIn.Session = []byte("x"); return nil })
	must(t, err)
	open := f.newFlow()
	must(t, f.CreateFlow(t.Context(), open))

	f.now = f.now.Add(4 * time.Minute)
	want := []bridge.Flow{flows[3], flows[2], late, flows[0]}
	got, err := f.ExpiredFlows(t.Context(), f.now.Add(-time.Nanosecond), 10)
	must(t, err)
	equal(t, "expired just before", got, want[:3])
	for range 2 {
		got, err := f.ExpiredFlows(t.Context(), f.now, 10)
		must(t, err)
		equal(t, "expired flows", got, want)
		f.reopen(t)
		_, err = f.Sweep(t.Context(), f.now, 10) // takes none that has to be logged out
		must(t, err)
	}
	got, err = f.ExpiredFlows(t.Context(), f.now, 2)
	must(t, err)
	equal(t, "the first two", got, want[:2])
	for _, flow := range want {
		must(t, f.DropFlow(t.Context(), flow.ID))
	}
	got, err = f.ExpiredFlows(t.Context(), f.now, 10)
	must(t, err)
	equal(t, "left", len(got), 0)
}
