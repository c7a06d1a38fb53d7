package storetest

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var redeemTests = []test{
	{"a code makes its grant live and begins a family", redeemWithFamily},
	{"a code without refresh makes its grant live", redeemWithoutFamily},
	{"TK-01/a replay ends grant and family", redeemReplay},
	{"TK-02/64 redemptions at once", redeemRace},
	{"TK-03+TK-04+TK-05/a wrong use leaves the code good", redeemMismatch},
	{"TK-04/the fifth wrong use spends the code and ends the pending grant", redeemGuessed},
	{"TK-04/64 wrong uses at once spend the code once", redeemGuessRace},
	{"TK-06/an expired code is refused before it is swept", redeemExpired},
	{"TK-07/a code from before a restart", redeemAfterRestart},
	{"TK-08/a code for another resource", redeemWrongTarget},
	{"AS-070/a wrong replay ends nothing", redeemWrongReplay},
	{"OP-15/a spent code stays for a day", redeemSpentStays},
	{"a code nobody issued", redeemUnknown},
	{"EX-27/a code for the holder of a key", redeemBound},
	{"a code whose grant has ended", redeemEnded},
	{"a family needs a token", redeemWithoutToken},
}

func redeemWithFamily(t *testing.T, f *fixture) {
	issue := f.issued(t)
	f.now = f.now.Add(codeLife - time.Nanosecond)
	use := f.use(issue.Code)
	got := f.wantRedeem(t, use, bridge.CodeRedeemed)
	want := issue.Grant
	want.Status, want.Lapses = bridge.GrantLive, f.now.Add(idleLife)
	equal(t, "returned grant", got, want)
	f.reopen(t)
	equal(t, "stored grant", f.wantGrant(t, want.ID, bridge.GrantLive), want)
	grant, family, err := f.RefreshGrant(t.Context(), use.Refresh, f.now)
	must(t, err)
	equal(t, "grant of the token", grant, want)
	equal(t, "family", family, bridge.Family{
		GrantID: want.ID, ClientID: want.ClientID, Shared: use.Refresh.Shared, Head: use.Refresh.Hash,
		CreatedAt: f.now, IdleUntil: f.now.Add(idleLife), EndsAt: f.now.Add(longestLife),
	})
	f.wantUnqueued(t)
}

func redeemWithoutFamily(t *testing.T, f *fixture) {
	issue := f.issued(t, withoutFamily)
	use := f.use(issue.Code)
	use.Refresh = f.token(issue.Grant.ID) // offered, not wanted
	got := f.wantRedeem(t, use, bridge.CodeRedeemed)
	equal(t, "lapses", got.Lapses, f.now.Add(accessLife))
	_, _, err := f.RefreshGrant(t.Context(), use.Refresh, f.now)
	wantError(t, err, bridge.ErrNotFound)
}

// withoutFamily makes an approval one without refresh tokens.
func withoutFamily(i *bridge.Issue) { i.Grant.Refresh, i.Code.Refresh = false, false }

func redeemReplay(t *testing.T, f *fixture) {
	issue := f.issued(t)
	use := f.use(issue.Code)
	live := f.wantRedeem(t, use, bridge.CodeRedeemed)
	f.now = f.now.Add(10 * codeLife) // long past its expiry it is a replay still
	replay := use
	replay.Refresh = f.token(issue.Grant.ID)
	equal(t, "returned grant", f.wantRedeem(t, replay, bridge.CodeReplayed).Status, bridge.GrantEnded)
	f.wantEnded(t, live, bridge.EndCodeReplayed, f.now)
	f.wantRotate(t, f.useRefresh(use.Refresh), bridge.RefreshEnded)
	_, _, err := f.RefreshGrant(t.Context(), replay.Refresh, f.now)
	wantError(t, err, bridge.ErrNotFound)

	ended := f.now
	f.now = f.now.Add(time.Hour)
	f.wantRedeem(t, use, bridge.CodeReplayed) // again; nothing new happens
	f.wantEnded(t, live, bridge.EndCodeReplayed, ended)
}

// redeemRace: one call redeems. The others are right uses of a spent code, so they are replays and
// end what the one began; its answer is good for nothing by then. TEST_LONG makes it 1,000 codes.
func redeemRace(t *testing.T, f *fixture) {
	codes := 5
	if os.Getenv("TEST_LONG") != "" {
		codes = 1000
	}
	for range codes {
		issue := f.issued(t)
		outcomes := map[bridge.CodeOutcome]int{}
		var mu sync.Mutex
		barrier(64, func(int) {
			outcome, grant, err := f.RedeemCode(t.Context(), f.use(issue.Code), f.now)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[outcome]++
			if live := outcome == bridge.CodeRedeemed; live != grant.Live() {
				t.Errorf("%s with a grant that is %s", outcome, grant.Status)
			}
		})
		equal(t, "outcomes", outcomes, map[bridge.CodeOutcome]int{bridge.CodeRedeemed: 1, bridge.CodeReplayed: 63})
		f.wantEnded(t, issue.Grant, bridge.EndCodeReplayed, f.now)
	}
}

// wrongUses are uses that do not fit the code, each with its catalogue id.
var wrongUses = []struct {
	id, name string
	edit     func(*bridge.CodeUse)
}{
	{"TK-03", "another client", func(u *bridge.CodeUse) { u.ClientID = "client-b" }},
	{"TK-03", "no client", func(u *bridge.CodeUse) { u.ClientID = "" }},
	{"TK-04", "another verifier", func(u *bridge.CodeUse) { u.Challenge = "challengf" }},
	{"TK-04", "no verifier", func(u *bridge.CodeUse) { u.Challenge = "" }},
	{"TK-05", "another redirect URI", func(u *bridge.CodeUse) { u.RedirectURI = redirectURL + "/" }},
}

func redeemMismatch(t *testing.T, f *fixture) {
	for _, wrong := range wrongUses {
		issue := f.issued(t)
		use := f.use(issue.Code)
		wrong.edit(&use)
		for range bridge.MaxCodeMismatches - 1 {
			got := f.wantRedeem(t, use, bridge.CodeMismatch)
			equal(t, wrong.id+" "+wrong.name+": grant", got, issue.Grant)
		}
		right := f.use(issue.Code)
		right.RedirectURI, right.Resource = "", "" // OAuth 2.1: need not be repeated
		f.wantRedeem(t, right, bridge.CodeRedeemed)
		f.wantGrant(t, issue.Grant.ID, bridge.GrantLive)
	}
	f.wantUnqueued(t)
}

func redeemGuessed(t *testing.T, f *fixture) {
	issue := f.issued(t)
	wrong := f.use(issue.Code)
	wrong.Challenge = "guess"
	for i := range bridge.MaxCodeMismatches {
		if i == 2 {
			f.reopen(t) // guesses are counted across restarts
		}
		f.wantRedeem(t, wrong, bridge.CodeMismatch)
	}
	f.wantEnded(t, issue.Grant, bridge.EndCodeUnredeemed, f.now)
	f.wantRedeem(t, f.use(issue.Code), bridge.CodeUnknown)
	f.wantRedeem(t, wrong, bridge.CodeUnknown)
	f.wantEnded(t, issue.Grant, bridge.EndCodeUnredeemed, f.now)
}

func redeemGuessRace(t *testing.T, f *fixture) {
	issue := f.issued(t)
	outcomes := map[bridge.CodeOutcome]int{}
	var mu sync.Mutex
	barrier(64, func(int) {
		use := f.use(issue.Code)
		use.Challenge = "guess"
		outcome, _, err := f.RedeemCode(t.Context(), use, f.now)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		outcomes[outcome]++
	})
	equal(t, "outcomes", outcomes, map[bridge.CodeOutcome]int{
		bridge.CodeMismatch: bridge.MaxCodeMismatches, bridge.CodeUnknown: 64 - bridge.MaxCodeMismatches,
	})
	f.wantEnded(t, issue.Grant, bridge.EndCodeUnredeemed, f.now)
}

func redeemExpired(t *testing.T, f *fixture) {
	issue := f.issued(t)
	f.now = issue.Code.ExpiresAt
	equal(t, "returned grant", f.wantRedeem(t, f.use(issue.Code), bridge.CodeExpired), issue.Grant)
	wrong := f.use(issue.Code)
	wrong.Challenge = "guess"
	for range bridge.MaxCodeMismatches + 1 {
		f.wantRedeem(t, wrong, bridge.CodeExpired) // no longer counted: there is nothing to guess
	}
	f.wantGrant(t, issue.Grant.ID, bridge.GrantPending)
	_, err := f.Sweep(t.Context(), f.now, 100)
	must(t, err)
	f.wantRedeem(t, f.use(issue.Code), bridge.CodeExpired)
}

func redeemAfterRestart(t *testing.T, f *fixture) {
	issue := f.issued(t)
	f.reopen(t)
	use := f.use(issue.Code)
	f.wantRedeem(t, use, bridge.CodeRedeemed)
	f.reopen(t)
	f.wantRedeem(t, use, bridge.CodeReplayed)
}

func redeemWrongTarget(t *testing.T, f *fixture) {
	issue := f.issued(t)
	use := f.use(issue.Code)
	use.Resource = issuerURL + "/mcp/listed"
	for range bridge.MaxCodeMismatches + 1 {
		equal(t, "returned grant", f.wantRedeem(t, use, bridge.CodeWrongTarget), issue.Grant)
	}
	f.wantRedeem(t, f.use(issue.Code), bridge.CodeRedeemed)
}

func redeemWrongReplay(t *testing.T, f *fixture) {
	for _, wrong := range wrongUses {
		issue := f.issued(t)
		use := f.use(issue.Code)
		live := f.wantRedeem(t, use, bridge.CodeRedeemed)
		replay := use
		wrong.edit(&replay)
		for range bridge.MaxCodeMismatches + 1 {
			f.wantRedeem(t, replay, bridge.CodeUnknown)
		}
		equal(t, wrong.name+": grant", f.wantGrant(t, live.ID, bridge.GrantLive), live)
		f.wantRedeem(t, use, bridge.CodeReplayed) // and is recognised still
	}
}

func redeemSpentStays(t *testing.T, f *fixture) {
	issue := f.issued(t)
	use := f.use(issue.Code)
	live := f.wantRedeem(t, use, bridge.CodeRedeemed)
	f.now = f.now.Add(24 * time.Hour)
	_, err := f.Sweep(t.Context(), f.now, 100)
	must(t, err)
	f.reopen(t)
	f.wantRedeem(t, use, bridge.CodeReplayed)
	f.wantEnded(t, live, bridge.EndCodeReplayed, f.now)
	f.now = f.now.Add(30 * 24 * time.Hour)
	for range 2 {
		f.wantRedeem(t, use, bridge.CodeUnknown) // forgotten, and good for nothing
		_, err := f.Sweep(t.Context(), f.now, 100)
		must(t, err)
	}
}

func redeemUnknown(t *testing.T, f *fixture) {
	issue := f.issued(t)
	use := f.use(issue.Code)
	use.Code = bridge.Hash{}
	f.wantRedeem(t, use, bridge.CodeUnknown)
	use.Code = bridge.HashOf("nobody issued this")
	f.wantRedeem(t, use, bridge.CodeUnknown)
	f.wantRedeem(t, bridge.CodeUse{}, bridge.CodeUnknown)
	f.wantRedeem(t, f.use(issue.Code), bridge.CodeRedeemed)
}

func redeemBound(t *testing.T, f *fixture) {
	key := f.hash("key")
	issue := f.issued(t, func(i *bridge.Issue) { i.Code.ProofKey = key })
	use := f.use(issue.Code)
	f.wantRedeem(t, use, bridge.CodeMismatch)
	use.ProofKey = f.hash("another key")
	f.wantRedeem(t, use, bridge.CodeMismatch)
	f.reopen(t)
	use.ProofKey = key
	f.wantRedeem(t, use, bridge.CodeRedeemed)
	equal(t, "key of the family", f.wantFamily(t, use.Refresh).ProofKey, bridge.Hash{}) // nobody asked for it
}

func redeemEnded(t *testing.T, f *fixture) {
	issue := f.issued(t)
	_, _, err := f.EndGrant(t.Context(), issue.Grant.ID, bridge.EndRevokedByOperator, f.now)
	must(t, err)
	use := f.use(issue.Code)
	equal(t, "returned grant", f.wantRedeem(t, use, bridge.CodeExpired).Status, bridge.GrantEnded)
	f.wantEnded(t, issue.Grant, bridge.EndRevokedByOperator, f.now)
	_, _, err = f.RefreshGrant(t.Context(), use.Refresh, f.now)
	wantError(t, err, bridge.ErrNotFound)
}

func redeemWithoutToken(t *testing.T, f *fixture) {
	issue := f.issued(t)
	for _, edit := range []func(*bridge.RefreshToken){
		func(r *bridge.RefreshToken) { r.Hash = bridge.TokenHash{} },
		func(r *bridge.RefreshToken) { r.Shared = bridge.TokenHash{} },
	} {
		use := f.use(issue.Code)
		edit(&use.Refresh)
		if _, _, err := f.RedeemCode(t.Context(), use, f.now); err == nil {
			t.Fatal("a family was begun without a token")
		}
		equal(t, "grant", f.wantGrant(t, issue.Grant.ID, bridge.GrantPending), issue.Grant)
	}
	f.wantRedeem(t, f.use(issue.Code), bridge.CodeRedeemed)
}
