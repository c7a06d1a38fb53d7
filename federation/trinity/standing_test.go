package trinity_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

func TestCredentials_Standing(t *testing.T) {
	t.Parallel()
	in := func(condition trinitytest.Condition) func(*bench, *bridge.Grant) {
		return func(b *bench, _ *bridge.Grant) {
			b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = condition })
		}
	}
	me := func(status int, body string) func(*bench, *bridge.Grant) {
		return func(b *bench, _ *bridge.Grant) { b.between.on(pathMe, answer(status, body)) }
	}
	tests := []struct {
		name string
		edit func(b *bench, g *bridge.Grant)
		want bridge.Standing
	}{
		{"key in force", func(*bench, *bridge.Grant) {}, bridge.StandingGood},
		{"role changed", func(b *bench, _ *bridge.Grant) { b.must(b.trinity.SetRole(alice, "admin")) }, bridge.StandingGood},
		{"key revoked", func(b *bench, g *bridge.Grant) {
			key, err := b.credentials.Open(*g)
			b.must(err)
			b.must(b.api.RevokeKey(b.t.Context(), key, g.Credential.KeyID))
		}, bridge.StandingDead},
		{"owner suspended", func(b *bench, _ *bridge.Grant) { b.must(b.trinity.Suspend(alice, true)) }, bridge.StandingDead},
		{"another account", func(_ *bench, g *bridge.Grant) { g.Account.Username = bob }, bridge.StandingChanged},
		{"account in another case", func(_ *bench, g *bridge.Grant) { g.Account.Username = "Alice@example.com" }, bridge.StandingChanged},
		{"account unknown", func(_ *bench, g *bridge.Grant) { g.Account.Username = "" }, bridge.StandingChanged},
		{"down", in(trinitytest.Down), bridge.StandingUnknown},
		{"HTML", in(trinitytest.ServingHTML), bridge.StandingUnknown},
		{"redirecting", in(trinitytest.Redirecting), bridge.StandingUnknown},
		{"failing", in(trinitytest.Failing), bridge.StandingUnknown},
		{"401 of a proxy", me(http.StatusUnauthorized, `{}`), bridge.StandingUnknown},
		{"403", me(http.StatusForbidden, `{"detail":"no"}`), bridge.StandingUnknown},
		{"429", me(http.StatusTooManyRequests, `{"detail":"later"}`), bridge.StandingUnknown},
		{"username absent", me(http.StatusOK, `{"email":"alice@example.com"}`), bridge.StandingUnknown},
		{"sealed for another grant", func(_ *bench, g *bridge.Grant) { g.ID = "another" }, bridge.StandingUnknown},
		{"no key", func(_ *bench, g *bridge.Grant) { g.Credential.Sealed = nil }, bridge.StandingUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{})
			_, f := b.signedIn(alice)
			grant := b.grant(f, b.mint(f))
			tt.edit(b, &grant)
			if got := b.credentials.Standing(t.Context(), grant); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCredentials_Standing_onceAtATime(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	_, f := b.signedIn(alice)
	grant := b.grant(f, b.mint(f))
	var atOnce, most atomic.Int32
	b.between.on(pathMe, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		now := atOnce.Add(1)
		defer atOnce.Add(-1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		forward.ServeHTTP(w, r)
	})
	var asked sync.WaitGroup
	for range 64 {
		asked.Go(func() {
			if got := b.credentials.Standing(t.Context(), grant); got != bridge.StandingGood {
				t.Errorf("got %q", got)
			}
		})
	}
	asked.Wait()
	if most.Load() != 1 {
		t.Errorf("Trinity was asked %d times at once about one grant", most.Load())
	}
}

func TestCredentials_Standing_callerLeaves(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	_, f := b.signedIn(alice)
	grant := b.grant(f, b.mint(f))
	held, release := make(chan struct{}), make(chan struct{})
	b.between.on(pathMe, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		close(held)
		<-release
		forward.ServeHTTP(w, r)
	})
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan bridge.Standing, 1)
	go func() { first <- b.credentials.Standing(ctx, grant) }()
	<-held
	leave()
	if got := <-first; got != bridge.StandingUnknown {
		t.Errorf("who left got %q", got)
	}
	close(release)
}

func TestCredentials_StandingOfKey(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{"user", "agent", "system", "connector", "ops"} {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{})
			text, err := b.trinity.MintKey(alice, "pasted", scope, "")
			b.must(err)
			key := secret.New(text)
			if got := b.credentials.StandingOfKey(t.Context(), key); got != bridge.StandingGood {
				t.Errorf("a key in force is %q", got)
			}
			b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
			if got := b.credentials.StandingOfKey(t.Context(), key); got != bridge.StandingUnknown {
				t.Errorf("with Trinity down it is %q", got)
			}
		})
	}
	t.Run("no such key", func(t *testing.T) {
		t.Parallel()
		b := start(t, trinitytest.Switches{})
		if got := b.credentials.StandingOfKey(t.Context(), secret.New(someKey)); got != bridge.StandingDead {
			t.Errorf("an unknown key is %q", got)
		}
	})
}
