package trinity_test

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/federation/trinity"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

const grantID = "grant2grant2grant2grant2gr"

func TestCredentials_KeyName(t *testing.T) {
	t.Parallel()
	credentials := trinity.NewCredentials(trinity.CredentialsOptions{Deployment: deploymentID})
	for client, want := range map[string]string{
		"Claude":                        "trinity-bridge:claude:g@abcdefgh",
		"Visual Studio Code":            "trinity-bridge:visual-studio-code:g@abcdefgh",
		"":                              "trinity-bridge:client:g@abcdefgh",
		"クロード":                          "trinity-bridge:client:g@abcdefgh",
		" a:b//c\r\n--D ":               "trinity-bridge:a-b-c-d:g@abcdefgh",
		strings.Repeat("abcdefghi ", 9): "trinity-bridge:abcdefghi-abcdefghi-abcdefghi-ab:g@abcdefgh",
		strings.Repeat("a", 31) + " b":  "trinity-bridge:" + strings.Repeat("a", 31) + ":g@abcdefgh",
	} {
		if got := credentials.KeyName(t.Context(), bridge.Flow{}, client, "g"); got != want {
			t.Errorf("KeyName(%q) = %q, want %q", client, got, want)
		}
	}
}

func (b *bench) mint(f bridge.Flow) bridge.Credential {
	b.t.Helper()
	return b.mintFor(f, grantID)
}

func (b *bench) mintFor(f bridge.Flow, grantID string) bridge.Credential {
	b.t.Helper()
	credential, err := b.credentials.Mint(b.t.Context(), f, grantID, "Example Client")
	b.must(err)
	return credential
}

// grant is a live grant of the flow's person that holds the credential.
func (b *bench) grant(f bridge.Flow, credential bridge.Credential) bridge.Grant {
	return bridge.Grant{
		ID: grantID, Status: bridge.GrantLive, Person: f.SignIn.Person, Account: f.SignIn.Account,
		ActingAs: bridge.ActingAs{Kind: bridge.ActAsUser}, ClientID: "client-1", Credential: credential, CreatedAt: b.clock.Now(),
	}
}

func TestCredentials_Mint_contract3_3(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{MintNeedsJWT: true})
	_, f := b.signedIn(alice)
	credential := b.mint(f)
	keys := b.trinity.Keys()
	want := []trinitytest.KeyInfo{{
		ID: credential.KeyID, Name: "trinity-bridge:example-client:" + grantID + "@abcdefgh", Owner: alice, Scope: "user", Active: true,
	}}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("Trinity's keys (-want +got):\n%s", diff)
	}
	if credential.KeyName != want[0].Name {
		t.Errorf("key name %q", credential.KeyName)
	}
	key, err := b.credentials.Open(b.grant(f, credential))
	b.must(err)
	if !regexp.MustCompile(`^trinity_mcp_[A-Za-z0-9_-]{43}$`).MatchString(key.Reveal()) {
		t.Error("what was sealed is not a key")
	}
	principal, err := b.api.Validate(t.Context(), key)
	b.must(err)
	if diff := cmp.Diff(trinity.Principal{KeyID: credential.KeyID, KeyName: credential.KeyName, Username: alice, Scope: "user"}, principal); diff != "" {
		t.Errorf("principal (-want +got):\n%s", diff)
	}
	other := b.grant(f, credential)
	other.ID = "another"
	if _, err := b.credentials.Open(other); !errors.Is(err, secret.ErrOpen) {
		t.Errorf("a key opens for another grant: %v", err)
	}
}

func TestCredentials_Mint_failsWhole(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(b *bench, f *bridge.Flow)
		over bool // the session is over: signing in again helps
	}{
		{"no session", func(_ *bench, f *bridge.Flow) { f.SignIn.Session = nil }, true},
		{"session logged out", func(b *bench, f *bridge.Flow) { b.credentials.SignOut(context.Background(), *f) }, true},
		{"session of another flow", func(_ *bench, f *bridge.Flow) { f.ID = "another" }, false},
		{"Trinity down", func(b *bench, _ *bridge.Flow) {
			b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
		}, false},
		{"HTML", func(b *bench, _ *bridge.Flow) {
			b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.ServingHTML })
		}, false},
		{"key answers for another account", func(b *bench, _ *bridge.Flow) {
			b.between.on(pathMe, answer(http.StatusOK, `{"username":"bob@example.com"}`))
		}, false},
		{"nobody says whom the key answers for", func(b *bench, _ *bridge.Flow) {
			b.between.on(pathMe, answer(http.StatusBadGateway, `{}`))
		}, false},
		{"account unknown to the flow", func(_ *bench, f *bridge.Flow) { f.SignIn.Account = bridge.Account{} }, false},
		{"key of another scope", func(b *bench, _ *bridge.Flow) {
			b.between.on(pathKeys, answer(http.StatusOK, `{"id":"`+keyID+`","scope":"system","api_key":"`+someKey+`"}`))
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{})
			_, f := b.signedIn(alice)
			tt.edit(b, &f)
			credential, err := b.credentials.Mint(t.Context(), f, grantID, "Example")
			if err == nil || errors.Is(err, bridge.ErrNotFound) != tt.over {
				t.Errorf("got %v, want an error that says the session is over: %v", err, tt.over)
			}
			if diff := cmp.Diff(bridge.Credential{}, credential); diff != "" {
				t.Errorf("a credential came with the error:\n%s", diff)
			}
			if keys := b.trinity.Keys(); len(keys) != 0 {
				t.Errorf("a key was left behind: %+v", keys)
			}
		})
	}
}

func TestCredentials_Discard(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{RevokeNeedsJWT: true})
	_, f := b.signedIn(alice)
	b.credentials.Discard(t.Context(), f, b.mint(f))
	if keys := b.trinity.Keys(); len(keys) != 0 {
		t.Errorf("the key is still there: %+v", keys)
	}
	b.wantEvents("sign_in_code_requested:ok", "signed_in:ok", "key_revoked:approval_not_stored")
}

// A second approval of the same flow fails with the first one's grant alive: what it leaves in
// the queue must not stand in the way of that grant's own entry.
func TestCredentials_Discard_queuedWhenTrinityIsDown(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	_, f := b.signedIn(alice)
	kept, spare := b.mint(f), b.mint(f)
	b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
	b.credentials.Discard(t.Context(), f, spare)
	b.must(b.store.QueueKeyRevocation(t.Context(), bridge.KeyRevocation{
		GrantID: grantID, PersonID: f.SignIn.Person.ID(), Credential: kept, DueAt: b.clock.Now(),
	}))
	b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy })
	b.custodian.Round(t.Context())
	if keys := b.trinity.Keys(); len(keys) != 0 {
		t.Errorf("a key is still there: %+v", keys)
	}
}

func TestCredentials_SignOut(t *testing.T) {
	t.Parallel()
	t.Run("ends the session", func(t *testing.T) {
		t.Parallel()
		b := start(t, trinitytest.Switches{})
		_, f := b.signedIn(alice)
		b.mint(f)
		b.credentials.SignOut(t.Context(), f)
		b.wantNoSession()
		if keys := b.trinity.Keys(); len(keys) != 1 || !keys[0].Active {
			t.Errorf("the key went with the session: %+v", keys)
		}
		b.credentials.SignOut(t.Context(), f) // again does no harm
	})
	t.Run("caller has gone", func(t *testing.T) {
		t.Parallel()
		b := start(t, trinitytest.Switches{})
		_, f := b.signedIn(alice)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.credentials.SignOut(ctx, f)
		b.wantNoSession()
	})
	t.Run("nobody signed in", func(t *testing.T) {
		t.Parallel()
		b := start(t, trinitytest.Switches{})
		b.credentials.SignOut(t.Context(), bridge.Flow{ID: "flow"})
		b.wantSent(pathLogout, 0)
	})
	t.Run("Trinity down", func(t *testing.T) {
		t.Parallel()
		b := start(t, trinitytest.Switches{})
		_, f := b.signedIn(alice)
		b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
		b.credentials.SignOut(t.Context(), f)
	})
	t.Run("build without logout", func(t *testing.T) {
		t.Parallel()
		b := start(t, trinitytest.Switches{LogoutAbsent: true})
		_, f := b.signedIn(alice)
		b.credentials.SignOut(t.Context(), f)
		b.wantSent(pathLogout, 1)
	})
}

// Keys that only their owner's session may revoke go when the owner signs in the next time, and
// nobody else's go with them (contract 9.3).
func TestCredentials_SignOut_revokesWhatWaitedForTheSession(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{RevokeNeedsJWT: true})
	for _, mailbox := range []string{alice, bob} {
		_, f := b.signedIn(mailbox)
		b.must(b.store.QueueKeyRevocation(t.Context(), bridge.KeyRevocation{
			GrantID: f.ID, PersonID: f.SignIn.Person.ID(), Credential: b.mintFor(f, f.ID), DueAt: b.clock.Now(),
		}))
		b.credentials.SignOut(t.Context(), f) // not known to need it yet
	}
	b.custodian.Round(t.Context())
	for _, mailbox := range []string{alice, bob} {
		entries, err := b.store.KeyRevocationsOf(t.Context(), bridge.Person{Source: bridge.SourceTrinity, Subject: mailbox}.ID())
		b.must(err)
		if len(entries) != 1 || !entries[0].NeedsSignIn {
			t.Fatalf("queue of %s: %+v", mailbox, entries)
		}
	}
	_, f := b.signedIn(alice)
	b.credentials.SignOut(t.Context(), f)
	keys := b.trinity.Keys()
	if len(keys) != 1 || keys[0].Owner != bob {
		t.Errorf("keys left: %+v, want bob's alone", keys)
	}
	entries, err := b.store.KeyRevocationsOf(t.Context(), f.SignIn.Person.ID())
	if b.must(err); len(entries) != 0 {
		t.Errorf("still queued: %+v", entries)
	}
	b.wantNoSession()
}
