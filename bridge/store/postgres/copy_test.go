package postgres_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

// TestCopy_thereAndBack: what was in the folder is in the database, and in another folder after that;
// codes spent, tokens used and counts made stay so, and a refresh whose answer was lost is answered as it was.
func TestCopy_thereAndBack(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	folder, err := badger.Open(badger.Options{Dir: filepath.Join(t.TempDir(), "store"), Sealer: secrettest.Ring(), Base: storetest.Base})
	must(t, err)
	spent := connect(t, folder)
	unspent, err := issue(t.Context(), folder)
	must(t, err)
	now := time.Now()
	lost := loseAnswer(t, folder, now)
	_, err = folder.Hit(t.Context(), "key", 5, time.Hour, now)
	must(t, err)
	_, err = folder.UseOnce(t.Context(), "client", "jti", now.Add(time.Hour), now)
	must(t, err)
	must(t, folder.SaveDeployment(t.Context(), bridge.Deployment{ID: "id", CreatedAt: now}))
	for i := range 450 { // more than one transaction's worth
		must(t, folder.AppendAudit(t.Context(), []bridge.AuditEvent{{At: now, Kind: "kind", GrantID: spent.grantID, Detail: fmt.Sprint(i)}}))
	}

	key, err := folder.WrappedKey(t.Context())
	must(t, err)
	// What is copied to has its base from the key, as has what the public URL has changed for since.
	opts := postgres.Options{URL: url, Sealer: secrettest.Ring(), Base: "https://moved.example.com"}
	database, err := postgres.Fill(t.Context(), opts, key)
	must(t, err)
	_, err = postgres.Open(t.Context(), opts)
	wantSaid(t, err, "was not finished")
	_, err = postgres.Fill(t.Context(), opts, key)
	wantSaid(t, err, "has to be empty")
	there, err := rows.Copy(t.Context(), &folder.Store, &database.Store, now)
	must(t, err)
	_, err = rows.Copy(t.Context(), &folder.Store, &database.Store, now)
	wantSaid(t, err, "has to be empty")
	must(t, database.Filled(t.Context()))
	must(t, errors.Join(database.Close(), folder.Close()))

	alone, err := postgres.Alone(t.Context(), opts)
	must(t, err)
	again, err := badger.Open(badger.Options{Dir: filepath.Join(t.TempDir(), "store"), Sealer: secrettest.Ring(), RowKey: key, Base: opts.Base})
	must(t, err)
	defer func() { must(t, again.Close()) }()
	back, err := rows.Copy(t.Context(), &alone.Store, &again.Store, now)
	must(t, err)
	if diff := cmp.Diff(there, back); diff != "" {
		t.Errorf("there and back (-there +back):\n%s", diff)
	}
	must(t, alone.Close())

	for _, s := range []bridge.Store{openClosed(t, url), again} {
		checkCopied(t, s, spent, unspent, now)
		lost.again(t, s, bridge.RefreshRepeated, now)
	}
	_, err = postgres.Alone(t.Context(), opts)
	if !errors.Is(err, postgres.ErrInUse) {
		t.Errorf("a copy beside an open store came to %v, want ErrInUse", err)
	}
}

// lostAnswer is a refresh whose answer did not come.
type lostAnswer struct{ presented, successor token.Refresh }

func loseAnswer(t *testing.T, s bridge.Store, now time.Time) lostAnswer {
	t.Helper()
	c, err := issue(t.Context(), s)
	must(t, err)
	first, err := token.NewRefresh(rand.Reader)
	must(t, err)
	first = first.Of(c.grantID)
	if outcome, err := redeemFor(t.Context(), s, c, first.Told()); err != nil || outcome != bridge.CodeRedeemed {
		t.Fatal(outcome, err)
	}
	lost := lostAnswer{first, first.Next(s)}
	lost.again(t, s, bridge.RefreshRotated, now)
	return lost
}

// again presents the token, and wants the same successor.
func (l lostAnswer) again(t *testing.T, s bridge.Store, want bridge.RefreshOutcome, now time.Time) {
	t.Helper()
	successor := l.presented.Next(s)
	rotation, err := s.RotateRefresh(t.Context(), bridge.RefreshUse{
		Token: l.presented.Told(), ClientID: "client", Successor: successor.Told().Hash,
		Idle: time.Hour, AccessTokenLife: time.Hour, Rule: token.DefaultRefreshPolicy().Decide,
	}, now)
	must(t, err)
	if rotation.Outcome != want || successor != l.successor {
		t.Errorf("TK-15: a token that is presented again came to %s, want %s; the same successor: %t", rotation.Outcome, want, successor == l.successor)
	}
}

func checkCopied(t *testing.T, s bridge.Store, spent, unspent connection, now time.Time) {
	t.Helper()
	grant, err := s.Grant(t.Context(), spent.grantID)
	must(t, err)
	_, family, err := s.RefreshGrant(t.Context(), spent.refresh(spent.token), now)
	must(t, err)
	count, err := s.Peek(t.Context(), "key", 5, now)
	must(t, err)
	first, err := s.UseOnce(t.Context(), "client", "jti", now.Add(time.Hour), now)
	must(t, err)
	trail, err := s.AuditTrail(t.Context(), spent.grantID, 1000)
	must(t, err)
	if !grant.Live() || grant.Resource != storetest.Base+"/mcp" || family.Head != bridge.TokenHashOf(spent.token) || count.N != 1 || first || len(trail) != 450 || trail[0].Detail != "449" {
		t.Errorf("a copy holds %s, %s, %d hits, first use %t, %d events", grant.Status, family.Head, count.N, first, len(trail))
	}
	outcome, err := redeem(t.Context(), s, unspent, unspent.token)
	must(t, err)
	replay, err := redeem(t.Context(), s, spent, "again")
	must(t, err)
	if outcome != bridge.CodeRedeemed || replay != bridge.CodeReplayed {
		t.Errorf("an unspent code came to %s, a spent one to %s", outcome, replay)
	}
}
