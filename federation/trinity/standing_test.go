package trinity_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
	validate := func(status int, body string) func(*bench, *bridge.Grant) {
		return func(b *bench, _ *bridge.Grant) { b.between.on(pathValidate, answer(status, body)) }
	}
	role := func(before, now string) func(*bench, *bridge.Grant) {
		return func(b *bench, g *bridge.Grant) {
			g.Account.Role = bridge.Role(before)
			b.must(b.trinity.SetRole(alice, now))
		}
	}
	tests := []struct {
		name string
		edit func(b *bench, g *bridge.Grant)
		want bridge.Standing
	}{
		{"key in force", func(*bench, *bridge.Grant) {}, bridge.StandingGood},
		{"role raised", role("user", "admin"), bridge.StandingGood},
		{"role lowered", role("creator", "operator"), bridge.StandingLowered},
		{"role lowered to the least", role("admin", "user"), bridge.StandingLowered},
		{"role never known", role("", "user"), bridge.StandingGood},
		{"role of before unheard of", role("emperor", "admin"), bridge.StandingLowered},
		{"role unheard of", me(http.StatusOK, `{"username":"alice@example.com","role":"emperor"}`), bridge.StandingLowered},
		{"role absent", me(http.StatusOK, `{"username":"alice@example.com"}`), bridge.StandingUnknown},
		{"key revoked", func(b *bench, g *bridge.Grant) {
			key, err := b.credentials.Open(*g)
			b.must(err)
			b.must(b.api.RevokeKey(b.t.Context(), key, g.Credential.KeyID))
		}, bridge.StandingDead},
		{"owner suspended", func(b *bench, _ *bridge.Grant) { b.must(b.trinity.Suspend(alice, true)) }, bridge.StandingSuspended},
		{"another account", func(_ *bench, g *bridge.Grant) { g.Account.Username = bob }, bridge.StandingChanged},
		{"account in another case", func(_ *bench, g *bridge.Grant) { g.Account.Username = "Alice@example.com" }, bridge.StandingChanged},
		{"account unknown", func(_ *bench, g *bridge.Grant) { g.Account.Username = "" }, bridge.StandingChanged},
		{"owner of the key alone is another", validate(http.StatusOK, `{"valid":true,"user_id":"bob@example.com","scope":"user"}`), bridge.StandingChanged},
		{"scope system", validate(http.StatusOK, `{"valid":true,"user_id":"alice@example.com","scope":"system"}`), bridge.StandingRescoped},
		{"scope agent", validate(http.StatusOK, `{"valid":true,"user_id":"alice@example.com","scope":"agent","agent_name":"a"}`), bridge.StandingRescoped},
		{"scope connector", validate(http.StatusOK, `{"valid":true,"user_id":"alice@example.com","scope":"connector"}`), bridge.StandingRescoped},
		{"scope unheard of", validate(http.StatusOK, `{"valid":true,"user_id":"alice@example.com","scope":"godmode"}`), bridge.StandingRescoped},
		{"scope absent", validate(http.StatusOK, `{"valid":true,"user_id":"alice@example.com"}`), bridge.StandingUnknown},
		{"another agent", func(b *bench, g *bridge.Grant) {
			g.ActingAs = bridge.ActingAs{Kind: bridge.ActAsAgent, Agent: "b"}
			validate(http.StatusOK, `{"valid":true,"user_id":"alice@example.com","scope":"agent","agent_name":"a"}`)(b, g)
		}, bridge.StandingRescoped},
		{"acting as nothing", func(_ *bench, g *bridge.Grant) { g.ActingAs = bridge.ActingAs{} }, bridge.StandingRescoped},
		{"validate alone down", validate(http.StatusBadGateway, `{}`), bridge.StandingUnknown},
		{"suspended, validate alone down", func(b *bench, g *bridge.Grant) {
			b.must(b.trinity.Suspend(alice, true))
			validate(http.StatusBadGateway, `{}`)(b, g)
		}, bridge.StandingDead},
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

// A silence is bridged for the grace and no longer, whoever is asked about first, and ends nothing.
func TestCredentials_Standing_grace(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	_, f := b.signedIn(alice)
	grant := b.grant(f, b.mint(f))
	other := grant
	other.ID = "another grant"
	key, err := b.credentials.Open(grant)
	b.must(err)
	other.Credential.Sealed = b.ring.SealToken("grant key", other.ID, key)
	want := func(g bridge.Grant, standing bridge.Standing) {
		t.Helper()
		if got := b.credentials.Standing(t.Context(), g); got != standing {
			t.Errorf("%s is %q, want %q", g.ID, got, standing)
		}
	}
	silent := answer(http.StatusBadGateway, `{}`)
	b.between.on(pathMe, silent)
	want(grant, bridge.StandingUnknown)
	b.clock.Advance(time.Hour - time.Second)
	want(grant, bridge.StandingUnknown)
	b.clock.Advance(time.Second)
	want(grant, bridge.StandingOverdue)
	want(other, bridge.StandingOverdue) // of an outage an hour old, whoever comes late
	b.between.on(pathMe, nil)
	want(grant, bridge.StandingGood)
	b.between.on(pathMe, silent)
	want(grant, bridge.StandingUnknown) // a new silence, a new grace
	b.clock.Advance(59 * time.Minute)
	b.between.on(pathMe, nil)
	want(other, bridge.StandingGood)
	b.between.on(pathMe, silent)
	b.clock.Advance(time.Minute)
	want(grant, bridge.StandingOverdue) // others were answered meanwhile, about this one nothing was said
	want(other, bridge.StandingUnknown)
}

func TestCredentials_StandingOfKey_contract3_4(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scope, agent string
		want         bridge.Standing
	}{
		{"user", "", bridge.StandingGood},
		{"agent", "worker", bridge.StandingGood},
		{"system", "", bridge.StandingGood},
		{"agent", "", bridge.StandingRescoped},
		{"connector", "worker", bridge.StandingRescoped},
		{"portal_delegate", "", bridge.StandingRescoped},
		{"ops", "", bridge.StandingRescoped},
		{"anonymous", "", bridge.StandingRescoped},
		{"User", "", bridge.StandingRescoped},
		{"godmode", "", bridge.StandingRescoped},
	} {
		t.Run(tt.scope+" "+tt.agent, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{})
			text, err := b.trinity.MintKey(alice, "pasted", tt.scope, tt.agent)
			b.must(err)
			key := secret.New(text)
			if got := b.credentials.StandingOfKey(t.Context(), key); got != tt.want {
				t.Errorf("a key in force is %q, want %q", got, tt.want)
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
