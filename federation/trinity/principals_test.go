package trinity_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/federation/trinity"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

const admin = "admin@example.com"

var (
	researcher = bridge.ActingAs{Kind: bridge.ActAsAgent, Agent: "researcher"}
	system     = bridge.ActingAs{Kind: bridge.ActAsSystem}
)

// lends makes b's credentials such that the operator lends principals with keys of scope and agent.
func (b *bench) lends(keys map[bridge.ActingAs]secret.Token, acting ...admission.Acting) {
	b.t.Helper()
	b.credentials = trinity.NewCredentials(trinity.CredentialsOptions{
		API: b.api, Ring: b.ring, Revocations: b.store, Trail: b.trail, Log: b.logger(), Now: b.clock.Now,
		Principals: &trinity.Principals{Keys: keys, Policy: admission.Policy{
			Verified: "email_verified", Rules: []admission.Rule{{Name: "all", Anyone: true}}, Acting: acting,
		}},
	})
}

// key mints a key as the operator of Trinity could.
func (b *bench) key(owner, scope, agent string) secret.Token {
	b.t.Helper()
	text, err := b.trinity.MintKey(owner, "operator's "+scope, scope, agent)
	b.must(err)
	return secret.New(text)
}

func may(as bridge.ActingAs, addresses ...string) admission.Acting {
	return admission.Acting{As: as, Rule: admission.Rule{Addresses: addresses}}
}

func TestCredentials_Offered(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	b.lends(map[bridge.ActingAs]secret.Token{researcher: secret.New(someKey), system: secret.New(someKey)},
		may(researcher, alice, bob), may(system, bob), may(bridge.ActingAs{Kind: bridge.ActAsAgent, Agent: "without a key"}, alice),
		admission.Acting{As: researcher, Subjects: []string{"carol"}},
	)
	provided := func(actAs ...bridge.ActingAs) bridge.SignIn {
		return bridge.SignIn{
			Person:   bridge.Person{Source: "https://login.example.com", Subject: "1"},
			Identity: &bridge.IdentitySession{Admission: bridge.Admission{ActAs: actAs}},
		}
	}
	byCode := func(username string) bridge.SignIn {
		return bridge.SignIn{
			Person:  bridge.Person{Source: bridge.SourceTrinity, Subject: username},
			Account: bridge.Account{Username: username, Email: bob}, // nobody vouches for this one
		}
	}
	tests := []struct {
		name   string
		signIn bridge.SignIn
		want   []bridge.ActingAs
	}{
		{"by code, one", byCode(alice), []bridge.ActingAs{researcher}},
		{"by code, both", byCode(bob), []bridge.ActingAs{researcher, system}},
		{"by code, by username", byCode("carol"), []bridge.ActingAs{researcher}},
		{"by code, nobody's", byCode(admin), nil},
		{"by code, address in another case", byCode("Alice@example.com"), []bridge.ActingAs{researcher}},
		{"by a provider", provided(system), []bridge.ActingAs{system}},
		{"by a provider that knows alice's address", provided(), nil},
		{"by a provider, without a key", provided(bridge.ActingAs{Kind: bridge.ActAsAgent, Agent: "gone"}), nil},
		{"provider's subject is a Trinity username", bridge.SignIn{Person: bridge.Person{Source: "https://login.example.com", Subject: alice}}, nil},
		{"nobody", bridge.SignIn{}, nil},
	}
	for _, tt := range tests {
		if got := b.credentials.Offered(tt.signIn); !slices.Equal(tt.want, got) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// The matrix of McpAuthContext: which keys may stand for which principal (contract 3.4, 4.2). Only
// the right pairs pass, at the consent and afterwards.
func TestCredentials_Lend_matrix(t *testing.T) {
	t.Parallel()
	keys := []struct{ scope, agent string }{
		{"user", ""},
		{"user", "researcher"},
		{"agent", "researcher"},
		{"agent", "writer"},
		{"agent", "Researcher"},
		{"agent", ""},
		{"system", ""},
		{"system", "researcher"},
		{"connector", "researcher"},
		{"portal_delegate", ""},
		{"ops", ""},
		{"anonymous", ""},
		{"SYSTEM", ""},
	}
	right := map[bridge.ActingAs][]string{researcher: {"agent:researcher"}, system: {"system:", "system:researcher"}}
	for as, good := range right {
		for _, k := range keys {
			t.Run(as.String()+" by a key of "+k.scope+":"+k.agent, func(t *testing.T) {
				t.Parallel()
				b := start(t, trinitytest.Switches{})
				key := b.key(admin, k.scope, k.agent)
				b.lends(map[bridge.ActingAs]secret.Token{as: key}, may(as, alice))
				want := bridge.ActingAs{}
				for _, g := range good {
					if g == k.scope+":"+k.agent {
						want = bridge.ActingAs{Kind: as.Kind, Agent: as.Agent, Owner: admin}
					}
				}
				got, err := b.credentials.Lend(t.Context(), as)
				if diff := cmp.Diff(want, got); diff != "" || (err == nil) != want.Lent() || err != nil && !errors.Is(err, bridge.ErrNotFound) {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}

				_, f := b.signedIn(alice)
				grant := b.grant(f, b.mint(f))
				grant.ActingAs = bridge.ActingAs{Kind: as.Kind, Agent: as.Agent, Owner: admin}
				standing := b.credentials.Standing(t.Context(), grant)
				if (standing == bridge.StandingGood) != want.Lent() {
					t.Errorf("afterwards it is %q", standing)
				}
				opened, err := b.credentials.Open(grant)
				if err != nil || opened != key {
					t.Errorf("calls are made with another key than the operator's (%v)", err)
				}
			})
		}
	}
}

func TestCredentials_Lend_fails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		edit     func(b *bench)
		definite bool
	}{
		{"no such principal", func(b *bench) { b.lends(nil) }, true},
		{"key revoked", func(b *bench) { b.lends(map[bridge.ActingAs]secret.Token{system: secret.New(someKey)}) }, true},
		{"owner suspended", func(b *bench) { b.must(b.trinity.Suspend(admin, true)) }, true},
		{"down", func(b *bench) { b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down }) }, false},
		{"scope absent", func(b *bench) {
			b.between.on(pathValidate, answer(http.StatusOK, `{"valid":true,"user_id":"admin@example.com"}`))
		}, false},
		{"two owners", func(b *bench) {
			b.between.on(pathValidate, answer(http.StatusOK, `{"valid":true,"user_id":"bob@example.com","scope":"system"}`))
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{})
			b.lends(map[bridge.ActingAs]secret.Token{system: b.key(admin, "system", "")})
			tt.edit(b)
			got, err := b.credentials.Lend(t.Context(), system)
			if err == nil || got.Lent() || errors.Is(err, bridge.ErrNotFound) != tt.definite {
				t.Errorf("%v, %v; want definite %t", got, err, tt.definite)
			}
		})
	}
}

// Of a grant that acts as somebody else, all three have to be good: the person, the permission, the principal.
func TestCredentials_Standing_lent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(b *bench, g *bridge.Grant)
		want bridge.Standing
	}{
		{"all good", func(*bench, *bridge.Grant) {}, bridge.StandingGood},
		{"person suspended", func(b *bench, _ *bridge.Grant) { b.must(b.trinity.Suspend(alice, true)) }, bridge.StandingSuspended},
		{"person's role lowered", func(_ *bench, g *bridge.Grant) { g.Account.Role = bridge.RoleAdmin }, bridge.StandingLowered},
		{"person's own key revoked", func(b *bench, g *bridge.Grant) {
			session, err := b.trinity.MintKey(alice, "another", "user", "")
			b.must(err)
			b.must(b.api.RevokeKey(b.t.Context(), secret.New(session), g.Credential.KeyID))
		}, bridge.StandingDead},
		{"owner of the principal suspended", func(b *bench, _ *bridge.Grant) { b.must(b.trinity.Suspend(admin, true)) }, bridge.StandingSuspended},
		{"owner of the principal changed", func(_ *bench, g *bridge.Grant) { g.ActingAs.Owner = bob }, bridge.StandingChanged},
		{"principal taken back", func(b *bench, _ *bridge.Grant) { b.lends(nil, may(system, alice)) }, bridge.StandingWithdrawn},
		{"permission taken back", func(b *bench, _ *bridge.Grant) {
			b.lends(map[bridge.ActingAs]secret.Token{system: b.key(admin, "system", "")}, may(system, bob))
		}, bridge.StandingWithdrawn},
		{"nothing lent at all any more", func(b *bench, _ *bridge.Grant) { b.build() }, bridge.StandingWithdrawn},
		{"by a provider, whose rules come with its session", func(b *bench, g *bridge.Grant) {
			b.lends(map[bridge.ActingAs]secret.Token{system: b.key(admin, "system", "")})
			g.Person, g.Identity = bridge.Person{Source: "https://login.example.com", Subject: "1"}, "session-1"
		}, bridge.StandingGood},
		{"down", func(b *bench, _ *bridge.Grant) {
			b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
		}, bridge.StandingUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{})
			_, f := b.signedIn(alice)
			grant := b.grant(f, b.mint(f))
			b.lends(map[bridge.ActingAs]secret.Token{system: b.key(admin, "system", "")}, may(system, alice))
			grant.ActingAs = bridge.ActingAs{Kind: bridge.ActAsSystem, Owner: admin}
			tt.edit(b, &grant)
			if got := b.credentials.Standing(t.Context(), grant); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.want == bridge.StandingWithdrawn {
				return
			}
			if opened, err := b.credentials.Open(grant); err != nil || opened.IsZero() {
				t.Error(err)
			}
		})
	}
}
