package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

// Fresh makes an empty place for the data of one test and returns what opens a store there. The
// suite closes a store before it opens the next on the same data.
type Fresh func(t *testing.T) (open func(bridge.Sealer) (bridge.Store, error))

// Run runs the suite against an engine.
func Run(t *testing.T, fresh Fresh) {
	groups := []struct {
		name  string
		tests []test
	}{
		{"Clients", clientTests},
		{"Documents", documentTests},
		{"Flows", flowTests},
		{"IssueCode", issueTests},
		{"RedeemCode", redeemTests},
		{"RotateRefresh", refreshTests},
		{"Grants", grantTests},
		{"StartGrant", startTests},
		{"Links", linkTests},
		{"Identities", identityTests},
		{"Lists", listTests},
		{"KeyRevocations", revocationTests},
		{"SigningKeys", signingKeyTests},
		{"Verdicts", verdictTests},
		{"Counters", counterTests},
		{"UsedOnce", usedTests},
		{"Audit", auditTests},
		{"Sweep", sweepTests},
		{"Watch", watchTests},
		{"Generations", generationTests},
		{"Reseal", resealTests},
		{"Upkeep", upkeepTests},
		{"Whole", wholeTests},
		{"Skew", skewTests},
	}
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) { runAll(t, group.tests, fresh) })
	}
	t.Run("RotateRefresh/seen", func(t *testing.T) { runAll(t, refreshTests, seen(fresh)) })
	for name, fresh := range map[string]Fresh{"Model": fresh, "Model/seen": seen(fresh)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			modelFamilies(t, newFixture(t, fresh))
		})
	}
}

func runAll(t *testing.T, tests []test, fresh Fresh) {
	t.Helper()
	t.Parallel()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, newFixture(t, fresh))
		})
	}
}

// seen makes stores in which each refresh token is looked at before it is rotated, as the token endpoint does.
func seen(fresh Fresh) Fresh {
	return func(t *testing.T) func(bridge.Sealer) (bridge.Store, error) {
		t.Helper()
		open := fresh(t)
		return func(sealer bridge.Sealer) (bridge.Store, error) {
			s, err := open(sealer)
			return looking{s}, err
		}
	}
}

type looking struct{ bridge.Store }

// RotateRefresh looks first.
func (l looking) RotateRefresh(ctx context.Context, use bridge.RefreshUse, now time.Time) (bridge.Rotation, error) {
	if _, _, err := l.RefreshGrant(ctx, use.Token, now); err != nil && !errors.Is(err, bridge.ErrNotFound) {
		return bridge.Rotation{}, err
	}
	return l.Store.RotateRefresh(ctx, use, now)
}

// test is one case; its name begins with the catalogue ids it covers, if any.
type test struct {
	name string
	run  func(t *testing.T, f *fixture)
}

// fixture is an open store, a clock and names that are not used twice.
type fixture struct {
	bridge.Store
	open func(bridge.Sealer) (bridge.Store, error)
	now  time.Time

	mu   sync.Mutex
	last int
}

func newFixture(t *testing.T, fresh Fresh) *fixture {
	t.Helper()
	open := fresh(t)
	f := &fixture{open: open, now: time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.UTC)}
	var err error
	f.Store, err = open(secrettest.Ring())
	must(t, err)
	t.Cleanup(func() {
		f.wantWhole(t)
		if err := f.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return f
}

// reopen closes the store and opens the same data again.
func (f *fixture) reopen(t *testing.T) {
	t.Helper()
	f.reopenWith(t, secrettest.Ring())
}

// reopenWith is reopen under other master secrets.
func (f *fixture) reopenWith(t *testing.T, sealer bridge.Sealer) {
	t.Helper()
	must(t, f.Close())
	s, err := f.open(sealer)
	must(t, err)
	f.Store = s
}

// name returns a new name with a prefix.
func (f *fixture) name(prefix string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	return fmt.Sprintf("%s-%05d", prefix, f.last)
}

func (f *fixture) hash(prefix string) bridge.Hash { return bridge.HashOf(f.name(prefix)) }

func (f *fixture) tokenHash(prefix string) bridge.TokenHash { return f.hash(prefix).OfToken() }

// barrier runs what n times at once and returns when all are done.
func barrier(n int, what func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			what(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// wantRefused wants an error that is none of the named ones: a caller's mistake, not a state.
func wantRefused(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	for _, named := range []error{bridge.ErrNotFound, bridge.ErrConflict, bridge.ErrFull, bridge.ErrReadOnly} {
		if errors.Is(err, named) {
			t.Fatalf("got %v, want an error of its own", err)
		}
	}
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s differs (-want +got):\n%s", what, diff)
	}
}
