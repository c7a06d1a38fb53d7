package badger

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

// benchGrants asks for the table of `make bench-store`, with so many grants in its larger store.
var benchGrants = flag.Int("bench-grants", 0, "print the store's table, with so many grants")

// TestBenchStore prints what the transitions cost beside what the disk asks for one synced write, in the
// same run, in a store of 1,000 grants and in a large one. It asserts nothing about time.
func TestBenchStore(t *testing.T) {
	if *benchGrants == 0 {
		t.Skip("make bench-store runs it")
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer func() { must(t, out.Flush()) }()
	disk := newTook(3000)
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	must(t, err)
	block := make([]byte, 1<<10)
	disk.measure(t, 1, func(int) error {
		if _, err := file.Write(block); err != nil {
			return err
		}
		return dataSync(file)
	})
	must(t, file.Close())
	_, _ = fmt.Fprintln(out, "what\tworkers\tp50 ms\tp99 ms\tper s\tp50 / one sync\tper sync time\t")
	row := func(what string, workers int, took *took) {
		_, _ = fmt.Fprintf(out, "%s\t%d\t%.2f\t%.2f\t%.0f\t%.1f\t%.1f\t\n", what, workers, ms(took.at(0.5)), ms(took.at(0.99)),
			took.rate(), float64(took.at(0.5))/float64(disk.at(0.5)), took.rate()*disk.at(0.5).Seconds())
	}
	row("append and fdatasync 1 KiB", 1, disk)

	small := openClosed(t, Options{Dir: filepath.Join(t.TempDir(), "store")})
	makeGrants(t, small, 1000)
	transitions(t, small, "1,000 grants: ", row)

	dir := filepath.Join(t.TempDir(), "store")
	large := openStore(t, Options{Dir: dir})
	began := time.Now()
	makeGrants(t, large, *benchGrants)
	_, _ = fmt.Fprintf(os.Stderr, "%d grants made in %s\n", *benchGrants, time.Since(began).Round(time.Second))
	must(t, large.db.Flatten(2))
	must(t, large.Close())
	size, err := folderSize(dir)
	must(t, err)

	said := runChild(t, childRests, dir)
	_, _ = fmt.Fprintf(os.Stderr, "store of %d grants: %d MiB (%d bytes each); %s\n", *benchGrants, size>>20, size/uint64(*benchGrants), said)
	large = openClosed(t, Options{Dir: dir})
	transitions(t, large, fmt.Sprintf("%d grants: ", *benchGrants), row)

	list := newTook(200)
	list.measure(t, 1, func(int) error {
		page, err := large.Grants(t.Context(), busyPerson().ID(), "", "", 100)
		if err == nil && len(page) != grantsOfBusy {
			err = fmt.Errorf("%d grants are listed", len(page))
		}
		return err
	})
	row("list one person's 100 grants", 1, list)
	page, err := large.Grants(t.Context(), busyPerson().ID(), "", "", 100)
	must(t, err)
	revoke := newTook(1)
	revoke.measure(t, 1, func(int) error {
		for _, grant := range page {
			if _, _, err := large.EndGrant(t.Context(), grant.ID, bridge.EndRevokedByOperator, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	row("revoke them one after the other", 1, revoke)
}

// rest opens a store and says how long that takes and what the process then holds.
func rest(dir string) int {
	began := time.Now()
	s, err := Open(Options{Dir: dir, Sealer: secrettest.Ring()})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	opened := time.Since(began)
	fmt.Printf("opened in %s with %d MiB resident", opened.Round(time.Millisecond), residentMiB())
	if err := s.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// residentMiB is what the process holds in memory, mapped files included.
func residentMiB() int {
	status, err := os.ReadFile("/proc/self/statm")
	var size, resident int
	if _, scanned := fmt.Sscan(string(status), &size, &resident); err != nil || scanned != nil {
		return 0
	}
	return resident * os.Getpagesize() >> 20
}

const grantsOfBusy = 100

func busyPerson() bridge.Person { return bridge.Person{Source: bridge.SourceTrinity, Subject: "busy"} }

// makeGrants makes live grants, the first of them one person's.
func makeGrants(t *testing.T, s *Store, n int) {
	t.Helper()
	var next atomic.Int64
	inParallelT(t, 256, n, func() {
		c := newConnection(s)
		c.subject = fmt.Sprint("person-", next.Add(1)/5)
		if next.Load() <= grantsOfBusy {
			c.subject = busyPerson().Subject
		}
		must(t, c.issue(t.Context()))
		_, err := c.redeem(t.Context())
		must(t, err)
	})
	sweepAll(t, s, time.Now().AddDate(0, 0, 3)) // flows and codes
}

// transitions measures redemption and refresh, alone and 64 at once.
func transitions(t *testing.T, s *Store, in string, row func(string, int, *took)) {
	t.Helper()
	for _, workers := range []int{1, manyWorkers} {
		n := 1000 * min(workers, 20)
		connections := make([]*connection, n)
		for i := range connections {
			connections[i] = newConnection(s)
		}
		newTook(n).measure(t, manyWorkers, func(i int) error { return connections[i].issue(t.Context()) })
		redeem := newTook(n)
		redeem.measure(t, workers, func(i int) error {
			outcome, err := connections[i].redeem(t.Context())
			if err == nil && outcome != bridge.CodeRedeemed {
				err = fmt.Errorf("redeeming came to %s", outcome)
			}
			return err
		})
		row(in+"redeem", workers, redeem)
		refresh := newTook(n)
		refresh.measure(t, workers, func(i int) error { return connections[i].rotate(t.Context()) })
		row(in+"refresh", workers, refresh)
	}
}

// took is how long each of some steps took, and all of them.
type took struct {
	each []time.Duration
	all  time.Duration
}

func newTook(n int) *took { return &took{each: make([]time.Duration, n)} }

func (k *took) measure(t *testing.T, workers int, step func(i int) error) {
	t.Helper()
	began := time.Now()
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			for i := w; i < len(k.each); i += workers {
				start := time.Now()
				if err := step(i); err != nil {
					t.Error(err)
					return
				}
				k.each[i] = time.Since(start)
			}
		})
	}
	running.Wait()
	k.all = time.Since(began)
	slices.Sort(k.each)
}

func (k *took) at(quantile float64) time.Duration {
	return k.each[int(quantile*float64(len(k.each)-1))]
}

func (k *took) rate() float64 { return float64(len(k.each)) / k.all.Seconds() }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
