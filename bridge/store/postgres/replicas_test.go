package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
)

// patience bounds every wait; nothing else is asserted about time here.
const patience = time.Minute

// connection is a person's way from a flow to a live grant.
type connection struct{ grantID, code, token string }

// issue stores an approval.
func issue(ctx context.Context, s bridge.Store) (connection, error) {
	c := connection{grantID: rand.Text(), code: rand.Text(), token: rand.Text()}
	now := time.Now()
	flow := bridge.Flow{ID: rand.Text(), Step: bridge.StepConsent, CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute)}
	if err := s.CreateFlow(ctx, flow); err != nil {
		return c, err
	}
	person := bridge.Person{Source: bridge.SourceTrinity, Subject: "alice"}
	outcome, err := s.IssueCode(ctx, bridge.Issue{
		FlowID: flow.ID,
		Consent: bridge.Consent{
			PersonID: person.ID(), ClientID: "client", RedirectURI: "https://client.example.com/callback", Resource: "https://bridge.example.com/mcp", GivenAt: now,
		},
		Grant: bridge.Grant{
			ID: c.grantID, Status: bridge.GrantPending, Person: person, ClientID: "client", Resource: "https://bridge.example.com/mcp",
			Credential: bridge.Credential{KeyID: rand.Text(), Sealed: []byte("sealed")}, Refresh: true, CreatedAt: now, Lapses: now.Add(time.Minute),
		},
		Code: bridge.Code{
			Hash: bridge.HashOf(c.code), GrantID: c.grantID, ClientID: "client", CodeChallenge: "challenge",
			Resource: "https://bridge.example.com/mcp", Refresh: true, ExpiresAt: now.Add(time.Minute),
		},
	}, now)
	if err == nil && outcome != bridge.CodeIssued {
		err = fmt.Errorf("issuing came to %s", outcome)
	}
	return c, err
}

// refresh is what a store knows of a refresh token.
func (c connection) refresh(token string) bridge.RefreshToken {
	return bridge.RefreshToken{GrantID: c.grantID, Shared: bridge.TokenHashOf("shared"), Hash: bridge.TokenHashOf(token)}
}

// redeem presents the code with a first refresh token.
func redeem(ctx context.Context, s bridge.Store, c connection, token string) (bridge.CodeOutcome, error) {
	return redeemFor(ctx, s, c, c.refresh(token))
}

func redeemFor(ctx context.Context, s bridge.Store, c connection, first bridge.RefreshToken) (bridge.CodeOutcome, error) {
	outcome, _, err := s.RedeemCode(ctx, bridge.CodeUse{
		Code: bridge.HashOf(c.code), ClientID: "client", Challenge: "challenge", Refresh: first,
		RefreshIdle: time.Hour, RefreshAbsolute: 24 * time.Hour, AccessTokenLife: time.Hour, ClientUnusedAfter: time.Hour,
	}, time.Now())
	return outcome, err
}

// connect makes a live grant.
func connect(t *testing.T, s bridge.Store) connection {
	t.Helper()
	c, err := issue(t.Context(), s)
	must(t, err)
	outcome, err := redeem(t.Context(), s, c, c.token)
	must(t, err)
	if outcome != bridge.CodeRedeemed {
		t.Fatalf("redeeming came to %s", outcome)
	}
	return c
}

// TestReplicas_TK02_64ways: 64 presentations of each code, spread over three replicas: one success
// each, whoever asks whom. TEST_LONG makes it 1,000 codes.
func TestReplicas_TK02_64ways(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	replicas := openThree(t, url)
	codes, ways := 50, 64
	if os.Getenv("TEST_LONG") != "" {
		codes = 1000
	}
	for range codes {
		c, err := issue(t.Context(), replicas[0])
		must(t, err)
		var redeemed, replayed atomic.Int32
		var all sync.WaitGroup
		for way := range ways {
			all.Go(func() {
				switch outcome, err := redeem(t.Context(), replicas[way%len(replicas)], c, rand.Text()); {
				case err != nil:
					t.Error(err)
				case outcome == bridge.CodeRedeemed:
					redeemed.Add(1)
				case outcome == bridge.CodeReplayed:
					replayed.Add(1)
				}
			})
		}
		all.Wait()
		if redeemed.Load() != 1 || replayed.Load() != int32(ways-1) {
			t.Fatalf("%d redeemed and %d replayed of %d", redeemed.Load(), replayed.Load(), ways)
		}
	}
}

// register stores the client of issue and redeem, or another one.
func register(t *testing.T, s bridge.Store, id string, maxUnused int) error {
	t.Helper()
	return s.CreateClient(t.Context(), bridge.Client{
		ID: id, Kind: bridge.ClientRegistered, CreatedAt: time.Now(), UnusedUntil: time.Now().Add(time.Hour),
	}, maxUnused)
}

// TestReplicas_sharedClient: who redeems a code of a client that everybody uses waits for nobody who does the same.
func TestReplicas_sharedClient(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := openClosed(t, url)
	must(t, register(t, s, "client", 10))
	connect(t, s)
	connect(t, s) // within a day: it is everybody's
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	another, err := conn.Begin(t.Context())
	must(t, err)
	locked, err := another.Exec(t.Context(), "select from clients for update")
	if err != nil || locked.RowsAffected() != 1 {
		t.Fatalf("%s, %v", locked, err)
	}
	connect(t, s)
	must(t, another.Rollback(t.Context()))
}

// TestReplicas_sharedClient_first: of many who are the first to redeem a code of a client one counts it as used.
func TestReplicas_sharedClient_first(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	replicas := openThree(t, url)
	must(t, register(t, replicas[0], "client", 10))
	must(t, register(t, replicas[0], "another", 10))
	var all sync.WaitGroup
	for i := range 48 {
		c, err := issue(t.Context(), replicas[0])
		must(t, err)
		all.Go(func() {
			if outcome, err := redeem(t.Context(), replicas[i%len(replicas)], c, c.token); err != nil || outcome != bridge.CodeRedeemed {
				t.Errorf("redeeming came to %s, %v", outcome, err)
			}
		})
	}
	all.Wait()
	if err := register(t, replicas[0], "third", 1); !errors.Is(err, bridge.ErrFull) {
		t.Errorf("one client is unused, and there was room for a second of one: %v", err)
	}
	must(t, register(t, replicas[0], "third", 2))
}

// ear collects what a replica is told.
type ear struct{ heard chan string }

func listenTo(s *postgres.Store) *ear {
	e := &ear{make(chan string, 10_000)}
	s.WatchGrants(func(id string) {
		select {
		case e.heard <- id:
		default:
		}
	})
	return e
}

// await waits until id, and nothing that merely might mean it, is told.
func (e *ear) await(t *testing.T, id string) {
	t.Helper()
	e.awaitFrom(t, id, func() {})
}

// awaitFrom is await for a change that is made again and again: who was away when it was made the first
// time says only that anything may have changed.
func (e *ear) awaitFrom(t *testing.T, id string, change func()) {
	t.Helper()
	change()
	late := time.After(patience)
	for {
		select {
		case heard := <-e.heard:
			if heard == id {
				return
			}
		case <-time.After(time.Second):
			change()
		case <-late:
			t.Fatalf("nobody told of %q", id)
		}
	}
}

// TestReplicas_I10_toldElsewhere: a revocation is heard of by notification, and one that nobody is
// notified of by asking.
func TestReplicas_I10_toldElsewhere(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	here, there := open(t, url), open(t, url)
	defer func() { must(t, errors.Join(here.Close(), there.Close())) }()
	heard := listenTo(there)
	first, second := connect(t, here), connect(t, here)
	_, _, err := here.EndGrant(t.Context(), first.grantID, bridge.EndRevokedByOperator, time.Now())
	must(t, err)
	heard.await(t, first.grantID)
	for len(heard.heard) > 0 {
		<-heard.heard
	}
	sql(t, url, "update grants set changed = pg_current_xact_id() where id = $1", []byte(second.grantID))
	heard.await(t, second.grantID)
}

// TestReplicas_lateCommit: a transaction that was begun before the last look and commits after it is
// not missed.
func TestReplicas_lateCommit(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := open(t, url)
	defer func() { must(t, s.Close()) }()
	heard := listenTo(s)
	early, late := connect(t, s), connect(t, s)
	change := "update grants set changed = pg_current_xact_id() where id = $1"
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	tx, err := conn.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), change, []byte(early.grantID))
	must(t, err)
	sql(t, url, change, []byte(late.grantID))
	heard.await(t, late.grantID)
	for len(heard.heard) > 0 {
		<-heard.heard
	}
	must(t, tx.Commit(t.Context()))
	heard.await(t, early.grantID)
}

// TestReplicas_longTransaction: while somebody's transaction does not end, in whatever database of the server, a change that
// was told is not told again and again.
func TestReplicas_longTransaction(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := openClosed(t, url)
	changed, last := connect(t, s), connect(t, s)
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), "begin; select pg_current_xact_id()")
	must(t, err)
	heard := listenTo(s)
	change := "update grants set changed = pg_current_xact_id() where id = $1"
	sql(t, url, change, []byte(changed.grantID))
	heard.await(t, changed.grantID)
	for range 3 { // looks
		sql(t, url, change, []byte(last.grantID))
		for id := ""; id != last.grantID; id = within(t, heard.heard) {
			if id == changed.grantID {
				t.Fatal("told again of a grant that nobody changed since")
			}
		}
	}
}

// TestReplicas_restoredDump: a dump that is loaded into a younger server names transactions that are still to come there.
// Its grants are not told of again and again.
func TestReplicas_restoredDump(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := openClosed(t, url)
	old, fresh := connect(t, s), connect(t, s)
	sql(t, url, "update grants set changed = '4000000000' where id = $1", []byte(old.grantID))
	heard := listenTo(s)
	sql(t, url, "update grants set changed = pg_current_xact_id() where id = $1", []byte(fresh.grantID))
	heard.await(t, fresh.grantID)
	sql(t, url, "update grants set changed = pg_current_xact_id() where id = $1", []byte(fresh.grantID))
	heard.await(t, fresh.grantID)
	for len(heard.heard) > 0 {
		if id := <-heard.heard; id == old.grantID {
			t.Error("told of a grant that nobody changed")
		}
	}
}

// TestReplicas_lead: one leads; when its connection is cut another does, and the first one's work ends.
func TestReplicas_lead(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	var leading, most atomic.Int32
	began, ended := make(chan int, 100), make(chan int, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 3 {
		s := openClosed(t, url)
		all.Go(func() {
			s.Lead(ctx, func(ctx context.Context) {
				most.Store(max(most.Load(), leading.Add(1)))
				began <- i
				<-ctx.Done()
				leading.Add(-1)
				ended <- i
			})
		})
	}
	first := within(t, began)
	sql(t, url, "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())")
	if got := within(t, ended); got != first {
		t.Errorf("%d ended, %d led", got, first)
	}
	within(t, began)
	cancel()
	all.Wait()
	if most.Load() > 1 {
		t.Logf("%d led at once for the moment until the first one noticed", most.Load())
	}
}

func within[T any](t *testing.T, events <-chan T) (event T) {
	t.Helper()
	select {
	case event = <-events:
	case <-time.After(patience):
		t.Fatal("nothing happened")
	}
	return event
}
