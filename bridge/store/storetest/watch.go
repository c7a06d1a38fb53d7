package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var watchTests = []test{
	{"I10/a watcher hears of a change before it is acknowledged", watchChanges},
	{"I10/64 ends at once are all told", watchRace},
	{"a watcher that stopped hears nothing", watchStopped},
	{"one process leads until it is told to end", leadAlone},
}

// ear is a watcher.
type ear struct {
	mu    sync.Mutex
	heard []string
}

func (e *ear) changed(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, id)
}

// take returns whether id was heard of since the last time. What is said of other grants, or of all
// of them for want of better knowledge, is no fault.
func (e *ear) take(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	heard := slices.Contains(e.heard, id)
	e.heard = nil
	return heard
}

func watchChanges(t *testing.T, f *fixture) {
	issue := f.issued(t)
	var heard ear
	stop := f.WatchGrants(heard.changed)
	defer stop()
	use := f.use(issue.Code)
	grant := f.wantRedeem(t, use, bridge.CodeRedeemed)
	must(t, f.RevokeToken(t.Context(), grant.ID, "jti", f.now.Add(time.Hour), f.now))
	equal(t, "told of a revoked token", heard.take(grant.ID), true)
	_, _, err := f.EndGrant(t.Context(), grant.ID, bridge.EndExpired, f.now)
	must(t, err)
	equal(t, "told of an end", heard.take(grant.ID), true)

	replayed := f.issued(t)
	f.wantRedeem(t, f.use(replayed.Code), bridge.CodeRedeemed)
	heard.take(replayed.Grant.ID)
	f.wantRedeem(t, f.use(replayed.Code), bridge.CodeReplayed)
	equal(t, "told of a replay", heard.take(replayed.Grant.ID), true)

	reused, token := f.live(t)
	f.wantRotate(t, f.useRefresh(token), bridge.RefreshRotated)
	f.now = f.now.Add(grace)
	heard.take(reused.ID)
	f.wantRotate(t, f.useRefresh(token), bridge.RefreshReused)
	equal(t, "told of a reuse", heard.take(reused.ID), true)

	machine := f.newMachine()
	f.wantStart(t, machine, machine)
	narrower := machine
	narrower.Scopes = bridge.Scopes{bridge.ScopeRead}
	heard.take(machine.ID)
	_, err = f.StartGrant(t.Context(), narrower, f.now)
	must(t, err)
	equal(t, "told of other scopes", heard.take(machine.ID), true)
}

func watchRace(t *testing.T, f *fixture) {
	var heard ear
	stop := f.WatchGrants(heard.changed)
	defer stop()
	grants := make([]bridge.Grant, 64)
	for i := range grants {
		grants[i], _ = f.live(t)
	}
	heard.take("")
	barrier(len(grants), func(i int) {
		if _, _, err := f.EndGrant(t.Context(), grants[i].ID, bridge.EndExpired, f.now); err != nil {
			t.Error(err)
		}
		heard.mu.Lock()
		defer heard.mu.Unlock()
		if !slices.Contains(heard.heard, grants[i].ID) {
			t.Error("an end was acknowledged before it was told")
		}
	})
}

func watchStopped(t *testing.T, f *fixture) {
	grant, _ := f.live(t)
	var first, second ear
	stop := f.WatchGrants(first.changed)
	stopSecond := f.WatchGrants(second.changed)
	defer stopSecond()
	stop()
	stop()
	_, _, err := f.EndGrant(t.Context(), grant.ID, bridge.EndExpired, f.now)
	must(t, err)
	equal(t, "told", []bool{first.take(grant.ID), second.take(grant.ID)}, []bool{false, true})
}

func leadAlone(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ran := 0
	f.Lead(ctx, func(ctx context.Context) {
		ran++
		cancel()
		<-ctx.Done()
	})
	equal(t, "times it ran", ran, 1)
}
