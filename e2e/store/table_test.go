package store_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
)

var (
	grants    = flag.Int("grants", 0, "print the table, with so many grants in the large stores")
	refreshed = flag.Bool("refreshed", false, "refresh each of them once when all are made")
)

const (
	fillers      = 256
	filledAtOnce = 20_000
	smallGrants  = 1000
	grantsOfBusy = 100
	grantsOfOne  = 5    // of everybody else
	spread       = 1000 // how many of them, all over the store, are refreshed long after they were made
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *grants == 0 {
		os.Exit(m.Run())
	}
	os.Exit(postgrestest.Main(m, func(s *postgrestest.Server) { server = s }))
}

var server *postgrestest.Server // nil where none is installed

// table is what comes out: rows as they are measured, remarks besides.
type table struct {
	out     *tabwriter.Writer
	disk    *storetest.Took
	remarks []string
}

func (b *table) row(what string, workers int, took *storetest.Took) {
	sync := b.disk.At(0.5)
	_, _ = fmt.Fprintf(b.out, "%s\t%d\t%.2f\t%.2f\t%.0f\t%.1f\t%.1f\t\n", what, workers, ms(took.At(0.5)), ms(took.At(0.99)),
		took.Rate(), float64(took.At(0.5))/float64(sync), took.Rate()*sync.Seconds())
	_, _ = fmt.Fprintf(os.Stderr, "%s, %d at once: p50 %.2f ms, %.0f per second\n", what, workers, ms(took.At(0.5)), took.Rate())
}

func (b *table) remark(format string, args ...any) {
	b.remarks = append(b.remarks, fmt.Sprintf(format, args...))
	_, _ = fmt.Fprintln(os.Stderr, b.remarks[len(b.remarks)-1])
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func TestTable(t *testing.T) {
	if *grants == 0 {
		t.Skip("make bench-store prints it")
	}
	disk, err := storetest.Syncs(t.TempDir(), 3000, 0)
	must(t, err)
	b := &table{out: tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight), disk: disk}
	_, _ = fmt.Fprintln(b.out, "what\tat once\tp50 ms\tp99 ms\tper s\tp50 / one sync\tper sync time\t")
	b.row("append 1 KiB and fdatasync", 1, b.disk)

	small := filepath.Join(t.TempDir(), "store")
	b.embedded(t, small, smallGrants, b.fill(t, small, smallGrants))
	dir := filepath.Join(t.TempDir(), "store")
	some := b.fill(t, dir, *grants)
	b.embedded(t, dir, *grants, some)
	b.programs(t, dir)
	if server == nil {
		b.remark("PostgreSQL: %v", postgrestest.ErrMissing)
	} else {
		b.shared(t, dir, some)
	}
	must(t, b.out.Flush())
	fmt.Println(strings.Join(b.remarks, "\n"))
}

// fill makes a store in a folder as so many connections leave it, some time after their flows and codes are swept. It
// leaves the store closed, and returns grants that are spread over all.
func (b *table) fill(t *testing.T, dir string, n int) []storetest.Connection {
	t.Helper()
	s := openBadger(t, dir)
	began := time.Now()
	some := fill(t, s, n)
	settle(t, dir)
	must(t, s.Close())
	size := folderSize(t, dir)
	b.remark("Badger, %d grants: made in %s, %d MB on the disk, %d bytes for each", n, time.Since(began).Round(time.Second), size/1e6, size/int64(n))
	return some
}

// embedded measures the store in a folder, and puts back what it changes.
func (b *table) embedded(t *testing.T, from string, n int, some []storetest.Connection) {
	t.Helper()
	dir := copyStore(t, from)
	s := openBadger(t, dir)
	calm := func() { settle(t, dir) }
	in := fmt.Sprintf("Badger, %d grants", n)
	b.transitions(t, in, s, calm)
	calm()
	b.renew(t, in, s, some)
	calm()
	b.lists(t, in, s)
	must(t, s.Close())
	must(t, os.RemoveAll(dir))
}

// shared copies the large store to PostgreSQL and measures it there.
func (b *table) shared(t *testing.T, from string, some []storetest.Connection) {
	t.Helper()
	small, in := openPostgres(t, server.Database(t)), fmt.Sprintf("PostgreSQL, %d grants", smallGrants)
	first := fill(t, small, smallGrants)
	b.transitions(t, in, small, func() {}) // vacuuming goes on beside, as it always does
	b.renew(t, in, small, first)
	must(t, small.Close())

	ctx, url := t.Context(), server.Database(t)
	folder := openBadger(t, from)
	key, err := folder.WrappedKey(ctx)
	must(t, err)
	began := time.Now()
	to, err := postgres.Fill(ctx, postgres.Options{URL: url, Sealer: secrettest.Ring()}, key)
	must(t, err)
	_, err = rows.Copy(ctx, &folder.Store, &to.Store, time.Now())
	must(t, errors.Join(err, to.Filled(ctx), to.Close(), folder.Close()))
	b.remark("PostgreSQL: copied in %s", time.Since(began).Round(time.Second))
	conn, err := pgx.Connect(ctx, url)
	must(t, err)
	_, err = conn.Exec(ctx, "vacuum analyze")
	must(t, err)
	var size int64
	must(t, conn.QueryRow(ctx, "select pg_database_size(current_database())").Scan(&size))
	must(t, conn.Close(ctx))
	b.remark("PostgreSQL: %d MB on the disk, %d bytes for each grant", size/1e6, size/int64(*grants))
	s := openPostgres(t, url)
	in = fmt.Sprintf("PostgreSQL, %d grants", *grants)
	b.transitions(t, in, s, func() {})
	b.renew(t, in, s, some)
	b.lists(t, in, s)
	must(t, s.Close())
}

func (b *table) transitions(t *testing.T, in string, s bridge.Store, calm func()) {
	t.Helper()
	must(t, storetest.Transitions(t.Context(), s, calm, func(what string, workers int, took *storetest.Took) {
		b.row(in+": "+what, workers, took)
	}))
}

// renew refreshes grants for the first time since long ago.
func (b *table) renew(t *testing.T, in string, s bridge.Store, some []storetest.Connection) {
	t.Helper()
	refresh, err := storetest.Measure(t.Context(), len(some), 1, func(ctx context.Context, i int) error {
		old := some[i]
		old.Store = s
		return old.Rotate(ctx)
	})
	must(t, err)
	b.row(in+": refresh old ones", 1, refresh)
}

// lists lists one person's grants and revokes them.
func (b *table) lists(t *testing.T, in string, s bridge.Store) {
	t.Helper()
	var page []bridge.Grant
	list, err := storetest.Measure(t.Context(), 200, 1, func(ctx context.Context, _ int) (err error) {
		page, err = s.Grants(ctx, busyPerson().ID(), "", "", grantsOfBusy)
		if err == nil && len(page) != grantsOfBusy {
			err = fmt.Errorf("%d grants are listed", len(page))
		}
		return err
	})
	must(t, err)
	b.row(fmt.Sprintf("%s: list one person's %d grants", in, grantsOfBusy), 1, list)
	revoke, err := storetest.Measure(t.Context(), 1, 1, func(ctx context.Context, _ int) error {
		for _, grant := range page {
			if _, _, err := s.EndGrant(ctx, grant.ID, bridge.EndRevokedByOperator, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	must(t, err)
	b.row(in+": revoke them one after the other", 1, revoke)
}

func busyPerson() bridge.Person { return bridge.Person{Source: bridge.SourceTrinity, Subject: "busy"} }

// fill makes live grants, the first of them one person's, of the others five each, and returns some of them. The
// flows and codes they came of are swept now and then, as they are where a day lies between. All are refreshed once when
// they are made, if that is asked for.
func fill(t *testing.T, s bridge.Store, n int) []storetest.Connection {
	t.Helper()
	every := max(n/spread, 1)
	keep := every
	if *refreshed {
		keep = 1
	}
	kept := make([]storetest.Connection, (n+keep-1)/keep)
	for from := 0; from < n; from += filledAtOnce {
		_, err := storetest.Measure(t.Context(), min(filledAtOnce, n-from), fillers, func(ctx context.Context, i int) error {
			i += from
			c := storetest.NewConnection(s)
			c.Subject = person(i).Subject
			if err := c.Connect(ctx); err != nil {
				return err
			}
			if i%keep == 0 {
				kept[i/keep] = *c
			}
			return nil
		})
		must(t, err)
		for swept := -1; swept != 0; {
			swept, err = s.Sweep(t.Context(), time.Now().AddDate(0, 0, 3), 10_000)
			must(t, err)
		}
	}
	if *refreshed {
		_, err := storetest.Measure(t.Context(), n, fillers, func(ctx context.Context, i int) error { return kept[i].Rotate(ctx) })
		must(t, err)
	}
	var some []storetest.Connection
	for i := 0; i < len(kept); i += every / keep {
		some = append(some, kept[i])
	}
	return some
}

// person is whose the i-th grant is.
func person(i int) bridge.Person {
	if i < grantsOfBusy {
		return busyPerson()
	}
	return bridge.Person{Source: bridge.SourceTrinity, Subject: fmt.Sprint("person-", i/grantsOfOne)}
}

func openBadger(t *testing.T, dir string) *badger.Store {
	t.Helper()
	s, err := badger.Open(badger.Options{Dir: dir, Sealer: secrettest.Ring(), Base: storetest.Base})
	must(t, err)
	return s
}

// settle waits until the engine has merged what it does by itself, when it was opened or was written to.
func settle(t *testing.T, dir string) {
	t.Helper()
	const calm, patience = 2 * time.Second, 5 * time.Minute
	began := time.Now()
	for changed := began; time.Since(changed) < calm; time.Sleep(calm / 10) {
		if time.Since(began) > patience {
			t.Fatal("the engine goes on merging though nobody writes")
		}
		info, err := os.Stat(filepath.Join(dir, "MANIFEST")) // of every merge
		must(t, err)
		if info.ModTime().After(changed) {
			changed = info.ModTime()
		}
	}
}

func openPostgres(t *testing.T, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Options{URL: url, Sealer: secrettest.Ring(), Base: storetest.Base})
	must(t, err)
	return s
}

// folderSize is what the files of a folder take on the disk.
func folderSize(t *testing.T, dir string) int64 {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "du", "-sk", dir).Output()
	must(t, err)
	var kib int64
	_, err = fmt.Sscan(string(said), &kib)
	must(t, err)
	return kib << 10
}

// copyStore copies a closed store and its watermark and returns the folder of the copy.
func copyStore(t *testing.T, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	must(t, os.CopyFS(dir, os.DirFS(from)))
	content, err := os.ReadFile(from + ".watermark")
	must(t, err)
	must(t, os.WriteFile(dir+".watermark", content, 0o600))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}
