package crash_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

var (
	rounds = flag.Int("rounds", 6, "how often each of the crash tests kills the program")
	table  = flag.String("table", "", "file to add what they came to")
	total  book
)

// The ways the program is killed.
const (
	byClock = "by the clock"
	byCall  = "at a system call"
	byFault = "after a system call failed"
	byPower = "by a power cut"
)

var ways = []string{byClock, byCall, byFault, byPower}

const (
	workers = 8
	// codesEach is how many people sign in before each kill; Trinity's limits for codes by mail, which the
	// bridge keeps, allow 60 in ten minutes from one network, so the clock jumps now and then.
	codesEach  = 4
	jumpEvery  = 12
	jump       = 15 * time.Minute
	deadLooked = 5 // how many of those that were over long ago are looked at each time
	patience   = 20 * time.Second
)

// house is the program with what outlives it.
type house struct {
	*bridgetest.Bridge

	child  child
	later  atomic.Int64
	client bridgetest.Client
	live   []*connection
	dead   []*connection
	tally  tally
	faulty bool   // system calls fail: answers other than 200 are to be expected
	mended int    // how often a start has mended the store
	last   string // what was done to the program, and what it said
	cut    func() // cuts the power once the program is dead; nil leaves it what it wrote
}

// ending is how the program is killed in a round.
type ending struct {
	// again starts it again before its clients begin to work; nil lets it run on.
	again func() *running
	after time.Duration
	bomb  func(*running) // goes off then; nil kills
	told  string         // what it was, for whoever reads of a broken promise
}

// TestCrash_OP01_kill9 kills the program by the clock; each fifth time while it starts.
func TestCrash_OP01_kill9(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for round := range *rounds {
		h.round(t, round, ending{after: time.Duration(1+rand.IntN(250)) * time.Millisecond, told: "killed"})
		if round%5 == 4 {
			r := h.child.start(t)
			time.Sleep(time.Duration(rand.IntN(80)) * time.Millisecond)
			h.end(r, "as it started")
		}
	}
	h.report(t, byClock)
}

// TestCrash_OP01_systemCalls kills the program as it enters the n-th system call of a kind that
// changes a file, in one of its threads.
func TestCrash_OP01_systemCalls(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "strace", "-f", "-qq", "-e", "trace=none", "true").Run(); err != nil {
		t.Skip("this machine allows no tracing:", err)
	}
	calls := []string{"msync", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlinkat", "renameat", "write", "mmap", "munmap", "openat"}
	h := newHouse(t)
	for round := range *rounds {
		call, when := calls[round%len(calls)], 1+rand.IntN(60)
		h.round(t, round, h.traced(t, call, fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, when)))
	}
	h.report(t, byCall)
}

// traced starts the program again under a tracer that injects something into a system call, and kills it at last.
func (h *house) traced(t *testing.T, call, inject string) ending {
	t.Helper()
	tracer := []string{"strace", "--seccomp-bpf", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", inject}
	return ending{
		again: func() *running { return h.child.start(t, tracer...) },
		after: 300 * time.Millisecond, // most calls have come by then
		told:  inject,
	}
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{}
	now := func() time.Time { return time.Now().Add(time.Duration(h.later.Load())) }
	people := make([]trinitytest.Person, 400)
	for i := range people {
		people[i] = trinitytest.Person{Email: fmt.Sprintf("person-%d@example.com", i), Role: "user"}
	}
	simulated, err := trinitytest.Start(trinitytest.Options{Now: now, People: people})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = simulated.Close() })
	address := fmt.Sprintf("127.0.0.1:%d", bridgetest.FreePort(t))
	h.Bridge = &bridgetest.Bridge{URL: "http://" + address, MCP: "http://" + address + "/mcp", Trinity: simulated}
	h.child.Flags = config.Flags{
		PublicURL: h.URL, Listen: address, OperatorListen: "127.0.0.1:0", Data: t.TempDir(), DocumentPolicy: "off",
		TrinityURL: simulated.BackendURL(), MCPURL: simulated.MCPURL(),
	}
	return h
}

// begin starts the program and wants it to serve by itself.
func (h *house) begin(t *testing.T) *running {
	t.Helper()
	h.tally.starts++
	r := h.child.start(t)
	if !r.starts(t) {
		r.kill()
		t.Fatalf("the program does not start after %d kills: %s", h.tally.kills, r.said)
	}
	return r
}

// round checks what the last kill left, lets people sign in, and ends the program while its clients are at work.
func (h *house) round(t *testing.T, round int, how ending) {
	t.Helper()
	r := h.begin(t)
	h.check(t)
	if round%jumpEvery == jumpEvery-1 {
		r.stop(t)
		h.later.Add(int64(jump))
		h.child.Later = time.Duration(h.later.Load())
		r = h.begin(t)
	}
	if round == 0 {
		h.client = h.Register(t)
	}
	h.signIn(t, round)
	if how.again != nil {
		h.kill(r)
		r = how.again()
		if !r.starts(t) {
			h.end(r, how.told)
			return
		}
	}
	bomb := how.bomb
	if bomb == nil {
		bomb = (*running).kill
	}
	timer := time.AfterFunc(how.after, func() { bomb(r) })
	h.work(t)
	timer.Stop()
	h.end(r, how.told)
}

// signIn lets people sign in and say yes, all at once: each waits a moment on purpose of the page that takes the address.
func (h *house) signIn(t *testing.T, round int) {
	t.Helper()
	signed := make([]*connection, codesEach)
	var people sync.WaitGroup
	for i := range signed {
		people.Go(func() {
			person := fmt.Sprintf("person-%d@example.com", (round*codesEach+i)%400)
			signed[i] = &connection{bridge: h.Bridge, client: h.client, code: h.Code(t, h.client, person)}
		})
	}
	people.Wait()
	if slices.Contains(signed, nil) {
		t.FailNow()
	}
	h.live = append(h.live, signed...)
}

// kill kills the program, if it lives, and takes away what a power cut does.
func (h *house) kill(r *running) {
	r.kill()
	h.mended += strings.Count(r.said.String(), "the store's list of tables was mended")
	if h.cut != nil {
		h.cut()
	}
}

// end is a kill that counts.
func (h *house) end(r *running, told string) {
	h.kill(r)
	h.tally.kills++
	h.last = fmt.Sprintf("%s: %s", told, r.said)
}

// work lets the clients do what they do until the program is gone.
func (h *house) work(t *testing.T) {
	t.Helper()
	var clients sync.WaitGroup
	var acknowledged atomic.Int64
	for w := range workers {
		clients.Go(func() {
			for i := w; ; i += workers {
				if i >= len(h.live) {
					i = w
				}
				if i >= len(h.live) || h.live[i].over {
					return
				}
				// One whose revocation was not answered with 200 may be over already.
				err := h.live[i].next(rand.IntN(20) == 0 || h.live[i].doing == revoking)
				if errors.Is(err, errCut) {
					return
				}
				if err != nil && h.faulty {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				if err != nil {
					t.Errorf("while all was well: %v", err)
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	clients.Wait()
	h.tally.acknowledged += int(acknowledged.Load())
}

// check looks at every connection, ends a few by spending their code again, and looks at some of
// those that were over before.
func (h *house) check(t *testing.T) {
	t.Helper()
	var live []*connection
	for i, c := range h.live {
		if c.doing != idle {
			h.tally.unanswered++
		}
		err := c.check()
		if err == nil && !c.over && i < len(h.live)-workers {
			err = c.replay()
			h.tally.replays++
		}
		if err != nil {
			h.broken(t, err)
			continue
		}
		if c.over {
			h.dead = append(h.dead, c)
			continue
		}
		live = append(live, c)
	}
	h.live = live
	for range min(deadLooked, len(h.dead)) {
		if err := h.dead[rand.IntN(len(h.dead))].wantDead(); err != nil {
			h.broken(t, err)
		}
		h.tally.dead++
	}
}

func (h *house) broken(t *testing.T, err error) {
	t.Helper()
	h.tally.broken++
	t.Errorf("after %d kills: %v\nbefore, %s", h.tally.kills, err, h.last)
}

// report checks once more and prints the line of the table.
func (h *house) report(t *testing.T, how string) {
	t.Helper()
	r := h.begin(t)
	h.check(t)
	r.stop(t)
	total.add(how, h.tally)
	t.Logf("killed %s: %d kills, %d starts, %d answers noted, %d steps without an answer, %d codes spent again, %d looks at what was over",
		how, h.tally.kills, h.tally.starts, h.tally.acknowledged, h.tally.unanswered, h.tally.replays, h.tally.dead)
}
