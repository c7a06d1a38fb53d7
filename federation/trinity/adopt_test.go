package trinity_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

const pathValidate = "/api/mcp/validate"

func (b *bench) handed(scope, agent string) secret.Token {
	b.t.Helper()
	text, err := b.trinity.MintKey(alice, "nightly", scope, agent)
	b.must(err)
	return secret.New(text)
}

func TestCredentials_Adopt_contract3_4(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scope, agent string
		want         bridge.ActingAs
	}{
		{"user", "", bridge.ActingAs{Kind: bridge.ActAsUser}},
		{"user", "worker", bridge.ActingAs{Kind: bridge.ActAsUser}},
		{"agent", "worker", bridge.ActingAs{Kind: bridge.ActAsAgent, Agent: "worker"}},
		{"system", "", bridge.ActingAs{Kind: bridge.ActAsSystem}},
	} {
		t.Run(tt.scope+tt.agent, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{})
			_, _ = b.signedIn(alice)
			key := b.handed(tt.scope, tt.agent)
			got, err := b.credentials.Adopt(t.Context(), bridge.Grant{ID: grantID, ClientID: "nightly"}, key)
			b.must(err)
			want := bridge.Grant{
				ID: grantID, ClientID: "nightly", ActingAs: tt.want, Account: bridge.Account{Username: alice, Email: alice, Role: bridge.RoleUser},
				Credential: bridge.Credential{KeyName: "nightly", Sealed: got.Credential.Sealed},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("grant (-want +got):\n%s", diff)
			}
			if opened, err := b.credentials.Open(got); err != nil || opened != key {
				t.Errorf("what was sealed does not open: %v", err)
			}
		})
	}
}

func TestCredentials_Adopt_refuses(t *testing.T) {
	t.Parallel()
	valid := func(body string) func(*bench, secret.Token) {
		return func(b *bench, _ secret.Token) { b.between.on(pathValidate, answer(http.StatusOK, body)) }
	}
	tests := []struct {
		name, scope string
		edit        func(b *bench, key secret.Token)
		definite    bool
	}{
		{"connector", "connector", nil, true},
		{"portal_delegate", "portal_delegate", nil, true},
		{"ops", "ops", nil, true},
		{"anonymous", "anonymous", nil, true},
		{"scope in another case", "User", nil, true},
		{"agent without a name", "agent", nil, true},
		{"suspended", "user", func(b *bench, _ secret.Token) { b.must(b.trinity.Suspend(alice, true)) }, true},
		{"revoked", "user", func(b *bench, key secret.Token) {
			b.must(b.api.RevokeKey(b.t.Context(), key, b.trinity.Keys()[0].ID))
		}, true},
		{"scope absent", "user", valid(`{"valid":true,"user_id":"` + alice + `"}`), false},
		{"valid absent", "user", valid(`{"user_id":"` + alice + `","scope":"user"}`), false},
		{"two owners", "user", valid(`{"valid":true,"user_id":"` + bob + `","scope":"user"}`), false},
		{"down", "user", func(b *bench, _ secret.Token) {
			b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{})
			_, _ = b.signedIn(alice)
			key := b.handed(tt.scope, "")
			if tt.edit != nil {
				tt.edit(b, key)
			}
			got, err := b.credentials.Adopt(t.Context(), bridge.Grant{ID: grantID}, key)
			if err == nil || errors.Is(err, bridge.ErrNotFound) != tt.definite {
				t.Errorf("got %v, want definite %t", err, tt.definite)
			}
			if diff := cmp.Diff(bridge.Grant{}, got); diff != "" {
				t.Errorf("grant beside an error:\n%s", diff)
			}
		})
	}
}
