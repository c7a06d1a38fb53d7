package trinity_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// queued puts a fresh key of alice's on the queue and returns the flow that made it.
func (b *bench) queued() bridge.Flow {
	b.t.Helper()
	_, f := b.signedIn(alice)
	b.must(b.store.QueueKeyRevocation(b.t.Context(), bridge.KeyRevocation{
		GrantID: grantID, PersonID: f.SignIn.Person.ID(), Credential: b.mint(f), DueAt: b.clock.Now(),
	}))
	return f
}

// entry returns the one entry of alice's queue, or the zero entry.
func (b *bench) entry() bridge.KeyRevocation {
	b.t.Helper()
	entries, err := b.store.KeyRevocationsOf(b.t.Context(), bridge.Person{Source: bridge.SourceTrinity, Subject: alice}.ID())
	b.must(err)
	if len(entries) == 0 {
		return bridge.KeyRevocation{}
	}
	return entries[0]
}

func (b *bench) wantRevoked() {
	b.t.Helper()
	if keys := b.trinity.Keys(); len(keys) != 0 {
		b.t.Errorf("the key is still there: %+v", keys)
	}
	if entry := b.entry(); entry.GrantID != "" {
		b.t.Errorf("still queued: %+v", entry)
	}
}

func TestCustodian_revokesWithTheKeyItself(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	b.queued()
	b.custodian.Round(t.Context())
	b.wantRevoked()
	b.wantEvents("sign_in_code_requested:ok", "signed_in:ok", "key_revoked:by_key")
}

func TestCustodian_retriesUntilTrinityConfirms(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	b.queued()
	b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
	for tries, wait := range []time.Duration{
		5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second,
		320 * time.Second, 640 * time.Second, 1280 * time.Second, 2560 * time.Second, time.Hour, time.Hour,
	} {
		b.custodian.Round(t.Context())
		b.custodian.Round(t.Context()) // not due: nothing happens
		entry := b.entry()
		if entry.Tries != tries+1 || !entry.DueAt.Equal(b.clock.Now().Add(wait)) || entry.NeedsSignIn {
			t.Fatalf("after try %d: %d tries, due in %v, want in %v", tries+1, entry.Tries, entry.DueAt.Sub(b.clock.Now()), wait)
		}
		b.clock.Advance(wait)
	}
	b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy })
	b.custodian.Round(t.Context())
	b.wantRevoked()
	b.wantEvents("sign_in_code_requested:ok", "signed_in:ok", "key_revoke_failed:trinity_unavailable", "key_revoked:by_key")
}

func TestCustodian_contract9_3_keyMayNotRevokeItself(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{RevokeNeedsJWT: true})
	b.queued()
	for range 2 {
		b.custodian.Round(t.Context())
		if entry := b.entry(); !entry.NeedsSignIn || !entry.DueAt.Equal(b.clock.Now().Add(24*time.Hour)) {
			t.Fatalf("queued as %+v", entry)
		}
		b.clock.Advance(24 * time.Hour)
	}
	b.trinity.Set(func(s *trinitytest.Switches) { s.RevokeNeedsJWT = false })
	b.custodian.Round(t.Context())
	b.wantRevoked()
	b.wantEvents("sign_in_code_requested:ok", "signed_in:ok", "key_revoke_failed:needs_sign_in", "key_revoked:by_key")
}

func TestCustodian_keyIsGoneAlready(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	f := b.queued()
	session, err := b.ring.OpenToken("flow session", f.ID, f.SignIn.Session)
	b.must(err)
	b.must(b.api.RevokeKey(t.Context(), session, b.entry().Credential.KeyID))
	b.custodian.Round(t.Context())
	b.wantRevoked()
}

// A suspended owner's key is refused like a revoked one, but would come back with its owner.
func TestCustodian_contract3_4_suspendedOwnersKeyStaysQueued(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	b.queued()
	b.must(b.trinity.Suspend(alice, true))
	b.custodian.Round(t.Context())
	if entry := b.entry(); entry.Tries != 1 || entry.NeedsSignIn {
		t.Fatalf("queued as %+v", entry)
	}
	b.must(b.trinity.Suspend(alice, false))
	b.clock.Advance(5 * time.Second)
	b.custodian.Round(t.Context())
	b.wantRevoked()
}

func TestCustodian_keyThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	b.queued()
	entry := b.entry()
	entry.Credential.Sealed[10] ^= 1
	b.must(b.store.QueueKeyRevocation(t.Context(), entry))
	b.custodian.Round(t.Context())
	if got := b.entry(); !got.NeedsSignIn {
		t.Fatalf("queued as %+v", got)
	}
	_, f := b.signedIn(alice) // its owner's session needs no key
	b.credentials.SignOut(t.Context(), f)
	b.wantRevoked()
}

func TestCustodian_oneBadEntryHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	b.queued()
	b.must(b.store.QueueKeyRevocation(t.Context(), bridge.KeyRevocation{
		GrantID: "bad", PersonID: "person-bad", DueAt: b.clock.Now().Add(-time.Hour),
		Credential: bridge.Credential{KeyID: "../..", Sealed: b.ring.SealToken("grant key", "bad", secret.New(someKey))},
	}))
	b.custodian.Round(t.Context())
	b.wantRevoked()
}

func TestCustodian_signInNobodyFinished(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	_, f := b.signedIn(alice)
	b.custodian.Round(t.Context())
	if b.trinity.LiveJWTs() != 1 {
		t.Fatal("a sign-in that goes on was logged out")
	}
	b.clock.Advance(flow.Life)
	b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
	b.custodian.Round(t.Context())
	b.trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy })
	b.custodian.Round(t.Context())
	b.wantNoSession()
	left, err := b.store.ExpiredFlows(t.Context(), b.clock.Now(), 10)
	if b.must(err); len(left) != 0 {
		t.Errorf("flow %s was not dropped", f.ID)
	}
}

// approve stores a pending grant for the flow, as the consent step does.
func (b *bench) approve(f bridge.Flow, lapses time.Time) bridge.Grant {
	b.t.Helper()
	grant := b.grant(f, b.mint(f))
	grant.Status, grant.Lapses = bridge.GrantPending, lapses
	outcome, err := b.store.IssueCode(b.t.Context(), bridge.Issue{
		FlowID: f.ID, Grant: grant, Exit: []byte("sealed"),
		Consent: bridge.Consent{PersonID: f.SignIn.Person.ID(), ClientID: "client-1", GivenAt: b.clock.Now()},
		Code:    bridge.Code{Hash: bridge.HashOf("code"), GrantID: grant.ID, ClientID: "client-1", CodeChallenge: "challenge", ExpiresAt: lapses},
	}, b.clock.Now())
	b.must(err)
	if outcome != bridge.CodeIssued {
		b.t.Fatalf("the approval came to %q", outcome)
	}
	return grant
}

func TestCustodian_lapsedGrants(t *testing.T) {
	t.Parallel()
	t.Run("code never redeemed", func(t *testing.T) {
		t.Parallel()
		b := start(t, trinitytest.Switches{})
		_, f := b.signedIn(alice)
		grant := b.approve(f, b.clock.Now().Add(time.Minute))
		b.custodian.Round(t.Context())
		if len(b.trinity.Keys()) != 1 {
			t.Fatal("a code in time lost its key")
		}
		b.clock.Advance(time.Minute)
		b.custodian.Round(t.Context())
		b.wantEnded(grant.ID, bridge.EndCodeUnredeemed)
		b.wantRevoked()
		b.wantEvents("sign_in_code_requested:ok", "signed_in:ok", "grant_ended:code_unredeemed", "key_revoked:by_key")
	})
	t.Run("last token dead", func(t *testing.T) {
		t.Parallel()
		b := start(t, trinitytest.Switches{})
		_, f := b.signedIn(alice)
		grant := b.approve(f, b.clock.Now().Add(time.Minute))
		outcome, _, err := b.store.RedeemCode(t.Context(), bridge.CodeUse{
			Code: bridge.HashOf("code"), ClientID: "client-1", Challenge: "challenge", AccessTokenLife: time.Hour,
		}, b.clock.Now())
		if b.must(err); outcome != bridge.CodeRedeemed {
			t.Fatalf("the code came to %q", outcome)
		}
		b.clock.Advance(24 * time.Hour)
		b.custodian.Round(t.Context())
		b.wantEnded(grant.ID, bridge.EndExpired)
		b.wantRevoked()
	})
}

// An end of a link that was cut short is ended behind, and every grant's end is told.
func TestCustodian_I10_unlinkedGrants(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	link := bridge.Link{ID: "link-1", Person: bridge.Person{Source: "https://sso.example.com", Subject: "alice"}, Made: bridge.LinkByImport, CreatedAt: b.clock.Now()}
	_, _, err := b.store.CreateLink(t.Context(), link, b.clock.Now())
	b.must(err)
	const many = 150
	for i := range many {
		_, err := b.store.StartGrant(t.Context(), bridge.Grant{
			ID: fmt.Sprintf("grant-%d", i), Status: bridge.GrantLive, Person: link.Person, Link: link.ID, ClientID: "client-1", CreatedAt: b.clock.Now(),
		}, b.clock.Now())
		b.must(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stop := b.store.WatchGrants(func(string) { cancel() })
	_, ended, _, err := b.store.EndLink(ctx, link.ID, bridge.EndRevokedByOperator, b.clock.Now())
	stop()
	if err == nil || len(ended) == 0 || len(ended) == many {
		t.Fatalf("it was not cut short: %d ended, %v", len(ended), err)
	}
	b.custodian.Round(t.Context())
	for i := range many {
		b.wantEnded(fmt.Sprintf("grant-%d", i), bridge.EndUnlinked)
	}
	b.wantEvents(slices.Repeat([]string{"grant_ended:unlinked"}, many-len(ended))...)
}

func (b *bench) wantEnded(id string, reason bridge.EndReason) {
	b.t.Helper()
	grant, err := b.store.Grant(b.t.Context(), id)
	b.must(err)
	if grant.Status != bridge.GrantEnded || grant.EndReason != reason {
		b.t.Errorf("the grant is %s %s, want ended %s", grant.Status, grant.EndReason, reason)
	}
}

func TestCustodian_Run(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.custodian.Run(ctx)
	}()
	b.queued()
	b.custodian.Wake()
	for b.entry().GrantID != "" {
		time.Sleep(time.Millisecond)
	}
	b.wantRevoked()
	stop()
	<-done
	b.custodian.Wake() // nobody listens, nobody blocks
	b.custodian.Wake()
}

func TestCustodian_moreThanOneBatch(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{})
	_, f := b.signedIn(alice)
	for i := range 40 {
		id := fmt.Sprintf("grant-%d", i)
		b.must(b.store.QueueKeyRevocation(t.Context(), bridge.KeyRevocation{
			GrantID: id, PersonID: f.SignIn.Person.ID(), Credential: b.mintFor(f, id), DueAt: b.clock.Now(),
		}))
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.custodian.Run(ctx)
	}()
	for b.entry().GrantID != "" { // the next tick is an hour away
		time.Sleep(time.Millisecond)
	}
	stop()
	<-done
	b.wantRevoked()
}

// A stop in the middle leaves the queue as it was.
func TestCustodian_stoppedInTheMiddle(t *testing.T) {
	t.Parallel()
	b := start(t, trinitytest.Switches{Backend: trinitytest.Healthy})
	b.queued()
	before := b.entry()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	b.custodian.Round(ctx)
	if after := b.entry(); after.Tries != before.Tries || !after.DueAt.Equal(before.DueAt) {
		t.Errorf("the entry changed: %+v", after)
	}
}
