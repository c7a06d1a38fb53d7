package gateway_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/bridge/store/remember"
)

var benchGrants = flag.Int("grants", 0, "measure calls with so many grants in the store beside calls with 1,000") //nolint:gochecknoglobals // a flag

const (
	fewGrants = 1000
	active    = 1000 // grants that call, spread over all there are
)

// BenchmarkGrants compares calls of 1,000 grants where there are no others with calls of 1,000 among very many, in turns
// within one run, and the reads of a grant that nobody has called with before.
func BenchmarkGrants(b *testing.B) {
	if *benchGrants < fewGrants {
		b.Skip("-grants says how many; make bench runs it")
	}
	few, many := newCrowd(b, fewGrants), newCrowd(b, *benchGrants)
	direct := &side{url: few.upstream.server.URL, headers: bearer(few.any().key), status: http.StatusOK, client: outbound.Transport()}
	const conns, block = 4, 400
	for _, s := range []*side{direct, few.side, many.side} {
		b.Cleanup(s.client.CloseIdleConnections)
		s.run(b, conns, 20*active) // warm: every token is verified, every grant remembered
		s.took, s.wall, s.cpu = nil, 0, 0
	}
	for done := 0; b.Loop(); done++ { // once only, for the stores are large
		if done%block > 0 {
			continue
		}
		for _, s := range []*side{direct, few.side, many.side} {
			s.run(b, conns, block)
		}
	}
	for range 2000 {
		few.read(b)
		many.read(b)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(many.side.cpu-direct.cpu)/float64(few.side.cpu-direct.cpu), "cpu-ratio")
	b.ReportMetric(at(many.side.took, 0.5)/at(few.side.took, 0.5), "p50-ratio")
	b.ReportMetric(at(many.reads, 0.5), "read-p50-µs")
	b.ReportMetric(at(many.reads, 0.5)/at(few.reads, 0.5), "read-ratio")
}

// crowd is a gateway whose store holds many grants, of which some call.
type crowd struct {
	*world
	store   *badger.Store
	n       int
	callers []connection
	side    *side
	reads   []time.Duration
}

func newCrowd(b *testing.B, n int) *crowd {
	b.Helper()
	store, err := badger.Open(badger.Options{Dir: b.TempDir(), Sealer: secrettest.Ring()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	c := &crowd{store: store, n: n}
	c.world = start(b, func(o *gateway.Options) { o.Grants, o.Limits.CallRate = remember.New(store).Remembered(), rate.Inf })
	c.upstream.server.Config.Handler = http.HandlerFunc(answerOf("json", 300))
	c.fill(b)
	for i := 0; i < n; i += n / active {
		grant := c.grant(i)
		key := staticKey(grant.ID)
		c.trinity.set(grant.ID, key)
		c.callers = append(c.callers, connection{grant: grant, key: key, token: c.mint(grant, grant.Scopes, 24*time.Hour)})
	}
	c.side = &side{url: c.server.URL, token: func() string { return c.any().token }, status: http.StatusOK, client: outbound.Transport()}
	return c
}

// fill stores the grants, many at once so that they share their syncs.
func (c *crowd) fill(b *testing.B) {
	b.Helper()
	began := time.Now()
	var writers sync.WaitGroup
	const width = 512
	for from := range width {
		writers.Go(func() {
			for i := from; i < c.n; i += width {
				if _, err := c.store.StartGrant(b.Context(), c.grant(i), c.clock.Now()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	b.Logf("%d grants stored in %s", c.n, time.Since(began).Round(time.Second))
}

func (c *crowd) grant(i int) bridge.Grant {
	name := fmt.Sprintf("person-%d", i)
	return bridge.Grant{
		ID: fmt.Sprintf("grant-%d", i), Status: bridge.GrantLive, Person: bridge.Person{Source: bridge.SourceTrinity, Subject: name},
		Account: bridge.Account{Username: name}, ClientID: "client-1", Resource: resource, Scopes: bridge.AllScopes(),
		Credential: bridge.Credential{KeyID: "key-" + name, Sealed: []byte("sealed " + name)}, CreatedAt: c.clock.Now(),
	}
}

func (c *crowd) any() connection { return c.callers[rand.IntN(len(c.callers))] }

// read reads some grant as the first call of it does.
func (c *crowd) read(b *testing.B) {
	b.Helper()
	id := fmt.Sprintf("grant-%d", rand.IntN(c.n))
	began := time.Now()
	if _, err := c.store.Grant(b.Context(), id); err != nil {
		b.Fatal(err)
	}
	c.reads = append(c.reads, time.Since(began))
}
