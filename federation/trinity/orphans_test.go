package trinity_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

const lostID = "lost2lost2lost2lost2lost22"

// loseAnswers has the backend do what it is asked on a path, and nobody learn of it.
func (b *bench) loseAnswers(path string) {
	b.between.on(path, func(_ http.ResponseWriter, r *http.Request, forward http.Handler) {
		forward.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
}

// orphan mints a key whose answer is lost, for the person of a flow.
func (b *bench) orphan(f bridge.Flow) {
	b.t.Helper()
	b.loseAnswers("/api/mcp/keys")
	if _, err := b.credentials.Mint(b.t.Context(), f, lostID, "Example Client"); err == nil {
		b.t.Fatal("a key was minted though the answer was lost")
	}
	b.between.on("/api/mcp/keys", nil)
}

func (b *bench) wantKeys(want ...string) {
	b.t.Helper()
	var names []string
	for _, key := range b.trinity.Keys() {
		names = append(names, key.Name)
	}
	slices.Sort(names)
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), names); diff != "" {
		b.t.Errorf("Trinity's keys (-want +got):\n%s", diff)
	}
}

// keyed gives alice a live grant with a key of its own, made in f's sign-in.
func (b *bench) keyed(f bridge.Flow) bridge.Grant {
	b.t.Helper()
	grant, err := b.store.StartGrant(b.t.Context(), b.grant(f, b.mint(f)), b.clock.Now())
	b.must(err)
	return grant
}

// Names of keys at Trinity that are nobody's here to revoke.
func (b *bench) foreign() []string {
	names := []string{
		"my own key", "trinity-bridge:example-client:" + lostID, "trinity-bridge:example-client:" + lostID + "@zyxwvuts",
		"trinity-bridge:link-" + lostID + "@zyxwvuts", "trinity-bridge:@abcdefgh", "not-trinity-bridge:x:y@abcdefgh",
	}
	for _, name := range names {
		_, err := b.trinity.MintKey(alice, name, "user", "")
		b.must(err)
	}
	return names
}

// A key whose answer was lost on the way is revoked at the person's next sign-in, when it is old enough to be
// no approval that is under way; keys of others, of other bridges and of connections stay.
func TestCredentials_SignOut_orphans(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{RevokeNeedsJWT: true})
	_, f := b.signedIn(alice)
	b.orphan(f)
	kept := append(b.foreign(), b.keyed(f).Credential.KeyName)
	orphan := "trinity-bridge:example-client:" + lostID + "@abcdefgh"
	b.wantKeys(append(kept, orphan)...)

	b.credentials.SignOut(t.Context(), f)
	b.wantKeys(append(kept, orphan)...) // it is young
	b.clock.Advance(16 * time.Minute)
	_, f = b.signedIn("admin@example.com")
	b.credentials.SignOut(t.Context(), f)
	b.wantKeys(append(kept, orphan)...) // an administrator sees it, and it is not theirs
	_, f = b.signedIn(alice)
	b.credentials.SignOut(t.Context(), f)
	b.wantKeys(kept...)
	b.wantEvents("sign_in_code_requested:ok", "signed_in:ok", "sign_in_code_requested:ok", "signed_in:ok", "sign_in_code_requested:ok", "signed_in:ok", "key_revoked:orphan")
}

// After a start each account is looked at with a key that is held for it. Where Trinity lets no key do that,
// the walk is over and nothing is lost.
func TestCustodian_orphans(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil   func(*bench)
		restore func(*bench)
		parts   int
		found   bool
	}{
		"at once":             {parts: 1, found: true},
		"keys may not revoke": {spoil: func(b *bench) { b.trinity.Set(func(s *trinitytest.Switches) { s.RevokeNeedsJWT = true }) }, parts: 3},
		"after an outage": {
			spoil:   func(b *bench) { b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down }) },
			restore: func(b *bench) { b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy }) },
			parts:   1, found: true,
		},
		"an answer that cannot be read": {
			spoil: func(b *bench) {
				b.between.on("/api/mcp/keys", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(`{"keys": "all of them"}`))
				})
			},
			parts: 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, trinitytest.Switches{})
			_, f := b.signedIn(alice)
			b.orphan(f)
			grant := b.keyed(f)
			b.clock.Advance(16 * time.Minute)
			if tt.spoil != nil {
				tt.spoil(b)
			}
			for range tt.parts {
				b.custodian.Search(t.Context())
			}
			if tt.restore != nil {
				tt.restore(b)
				b.custodian.Search(t.Context())
			}
			asked := len(b.sent("/api/mcp/keys"))
			b.custodian.Search(t.Context())
			if again := len(b.sent("/api/mcp/keys")); again != asked {
				t.Errorf("Trinity was asked %d times more when the walk was over", again-asked)
			}
			orphan := "trinity-bridge:example-client:" + lostID + "@abcdefgh"
			if tt.found {
				b.wantKeys(grant.Credential.KeyName)
			} else {
				b.wantKeys(grant.Credential.KeyName, orphan)
			}
		})
	}
}

// The walk goes on over pages of grants, asks once for an account, and comes to links in the end.
func TestCustodian_orphans_manyGrants(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	_, f := b.signedIn(alice)
	b.orphan(f)
	first := b.keyed(f)
	for i := range 250 {
		b.clock.Advance(time.Second)
		other := first
		other.ID, other.CreatedAt = bridge.HashOf(string(rune('a'+i))).String(), b.clock.Now()
		other.Credential.Sealed = b.ring.Seal(bridge.SealedKey, other.ID, []byte("trinity_mcp_not_the_key_of_anybody_at_all"))
		other.Account.Username = bob
		if i > 0 {
			other.Credential.KeyID = "" // a link's
		}
		_, err := b.store.StartGrant(t.Context(), other, b.clock.Now())
		b.must(err)
	}
	b.clock.Advance(16 * time.Minute)
	for range 3 {
		b.custodian.Search(t.Context())
	}
	b.wantKeys(first.Credential.KeyName)
	lists := 0
	for _, request := range b.sent("/api/mcp/keys") {
		if request.Method == http.MethodGet {
			lists++
		}
	}
	if lists != 2 {
		t.Errorf("Trinity was asked %d times, want once for each account", lists)
	}
}

// An administrator is told of everybody's keys, and a store that was put back has left many: the list is read to its end,
// and so many keys are revoked at a time that what else is to be done gets its turn.
func TestCustodian_orphans_manyKeys(t *testing.T) {
	t.Parallel()
	const admin, lost, others = "admin@example.com", 80, 600
	b := start(t, trinitytest.Switches{})
	_, f := b.signedIn(admin)
	kept := []string{b.keyed(f).Credential.KeyName}
	for i := range lost + others {
		name, owner := fmt.Sprintf("trinity-bridge:example-client:lost%d@abcdefgh", i), admin
		if i >= lost {
			name, owner = fmt.Sprintf("a key of somebody's own, number %d, with a name as people give them", i), bob
			kept = append(kept, name)
		}
		_, err := b.trinity.MintKey(owner, name, "user", "")
		b.must(err)
	}
	b.clock.Advance(16 * time.Minute)
	for searches, left := 1, lost; left > 0; searches++ {
		b.custodian.Search(t.Context())
		now := len(b.trinity.Keys()) - len(kept)
		if now >= left || left-now > 32 {
			t.Fatalf("search %d: %d of %d lost keys are left", searches, now, left)
		}
		left = now
	}
	b.wantKeys(kept...)
}

// A session is forgotten when Trinity has confirmed that it is over, and not before: whoever dies in between,
// or finds Trinity down, leaves it to the next rounds.
func TestCredentials_SignOut_sessionStaysUntilConfirmed(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	_, f := b.signedIn(alice)
	b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
	b.credentials.SignOut(t.Context(), f)
	b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy })
	if left := b.flow(f.ID); len(left.SignIn.Session) == 0 || b.trinity.LiveJWTs() != 1 {
		t.Errorf("the session was forgotten, %d live ones", b.trinity.LiveJWTs())
	}
	b.clock.Advance(11 * time.Minute)
	b.custodian.Round(t.Context())
	if b.trinity.LiveJWTs() != 0 {
		t.Error("the session outlived its sign-in")
	}

	_, f = b.signedIn(bob)
	b.credentials.SignOut(t.Context(), f)
	if left := b.flow(f.ID); len(left.SignIn.Session) != 0 || b.trinity.LiveJWTs() != 0 {
		t.Errorf("the session is kept, %d live ones", b.trinity.LiveJWTs())
	}
}
