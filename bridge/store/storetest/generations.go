package storetest

import (
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var generationTests = []test{
	{"OP-14/a new generation keeps nothing that opens anything", generationEnds},
	{"OP-14/many grants, and twice", generationMany},
	{"OP-14/a new generation of grants of which many tokens are revoked", generationRevoked},
	{"OP-14/a new generation of an empty store", generationEmpty},
}

func generationEnds(t *testing.T, f *fixture) {
	live, token := f.live(t)
	pending := f.issued(t)
	over, _ := f.live(t)
	over, _, err := f.EndGrant(t.Context(), over.ID, bridge.EndRevokedByClient, f.now)
	must(t, err)
	machine := f.newMachine()
	f.wantStart(t, machine, machine)
	carol := bridge.Person{Source: bob.Source, Subject: "carol"}
	link := f.linked(t, carol)
	identity := *f.issued(t, f.from("sid")).Identity
	must(t, f.SwapSigningKeys(t.Context(), []bridge.SigningKey{{ID: "key"}}, 0))
	signingIn := f.newFlow()
	must(t, f.CreateFlow(t.Context(), signingIn))

	f.now = f.now.Add(time.Second)
	ended, err := f.StartGeneration(t.Context(), f.now)
	must(t, err)
	equal(t, "grants ended", ended, 4)
	f.reopen(t)

	f.wantEnded(t, live, bridge.EndStoreLost, f.now)
	f.wantEnded(t, pending.Grant, bridge.EndStoreLost, f.now)
	f.wantGrant(t, machine.ID, bridge.GrantEnded)
	equal(t, "the grant that was over", f.wantGrant(t, over.ID, bridge.GrantEnded), over)
	f.wantRotate(t, f.useRefresh(token), bridge.RefreshEnded)
	f.wantRedeem(t, f.use(pending.Code), bridge.CodeExpired)
	got, err := f.Link(t.Context(), link.ID)
	must(t, err)
	equal(t, "end of the link", got.EndReason, bridge.EndStoreLost)
	f.wantKeysOf(t, carol, bridge.KeyRevocation{GrantID: link.ID, PersonID: carol.ID(), Credential: link.Credential, DueAt: f.now})
	session, err := f.Identity(t.Context(), identity.ID)
	must(t, err)
	equal(t, "the session is over", session.EndedAt, f.now)
	keys, revision, err := f.SigningKeys(t.Context())
	must(t, err)
	equal(t, "signing keys", len(keys), 0)
	equal(t, "revision", revision, 2)

	_, err = f.Flow(t.Context(), signingIn.ID, f.now)
	wantError(t, err, bridge.ErrNotFound)
	sessions, err := f.ExpiredFlows(t.Context(), f.now, 10)
	must(t, err)
	equal(t, "sessions to be logged out", len(sessions), 1)
	consent := pending.Consent
	_, err = f.Consent(t.Context(), consent.PersonID, consent.ClientID, consent.RedirectURI, consent.Resource)
	wantError(t, err, bridge.ErrNotFound)

	f.live(t) // and it goes on
}

func generationMany(t *testing.T, f *fixture) {
	const n = 230
	for range n {
		f.issued(t)
	}
	for _, want := range []int{n, 0} {
		ended, err := f.StartGeneration(t.Context(), f.now)
		must(t, err)
		equal(t, "grants ended", ended, want)
	}
}

// generationRevoked: a client says how long its grants' rows get, and may not keep a store from being put right.
func generationRevoked(t *testing.T, f *fixture) {
	var last bridge.Grant
	for range longRows {
		last, _ = f.live(t, f.revokedMany)
	}
	ended, err := f.StartGeneration(t.Context(), f.now)
	must(t, err)
	equal(t, "grants ended", ended, longRows)
	if over := f.wantGrant(t, last.ID, bridge.GrantEnded); len(over.RevokedTokens) > 0 {
		t.Errorf("it keeps %d tokens that are dead with it", len(over.RevokedTokens))
	}
}

func generationEmpty(t *testing.T, f *fixture) {
	ended, err := f.StartGeneration(t.Context(), f.now)
	must(t, err)
	equal(t, "grants ended", ended, 0)
	f.reopen(t)
	f.live(t)
}
