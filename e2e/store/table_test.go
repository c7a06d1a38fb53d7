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
	"sync/atomic"
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

var grants = flag.Int("grants", 0, "print the table, with so many grants in the large stores")

const (
	restDir      = "STORE_TABLE_REST" // has this binary open the store there, and say what that takes
	fillers      = 256
	smallGrants  = 1000
	grantsOfBusy = 100
	grantsRead   = 20_000 // before the memory is looked at once more
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(restDir); dir != "" {
		os.Exit(rest(dir))
	}
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
	b := &table{out: tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight), disk: syncs(t)}
	_, _ = fmt.Fprintln(b.out, "what\tat once\tp50 ms\tp99 ms\tper s\tp50 / one sync\tper sync time\t")
	b.row("append 1 KiB and fdatasync", 1, b.disk)

	small := openBadger(t, filepath.Join(t.TempDir(), "store"))
	fill(t, small, smallGrants)
	b.transitions(t, fmt.Sprintf("Badger, %d grants", smallGrants), small)
	must(t, small.Close())
	dir := filepath.Join(t.TempDir(), "store")
	b.fillLarge(t, dir)
	b.embedded(t, dir)
	if server == nil {
		b.remark("PostgreSQL: %v", postgrestest.ErrMissing)
	} else {
		b.shared(t, dir)
	}
	must(t, b.out.Flush())
	fmt.Println(strings.Join(b.remarks, "\n"))
}

// syncs is the disk's floor.
func syncs(t *testing.T) *storetest.Took {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	must(t, err)
	block := make([]byte, 1<<10)
	took, err := storetest.Measure(t.Context(), 3000, 1, func(context.Context, int) error {
		if _, err := file.Write(block); err != nil {
			return err
		}
		return dataSync(file)
	})
	must(t, errors.Join(err, file.Close()))
	return took
}

// fillLarge makes the large store, and leaves it closed.
func (b *table) fillLarge(t *testing.T, dir string) {
	t.Helper()
	s := openBadger(t, dir)
	began := time.Now()
	fill(t, s, *grants)
	filled := time.Since(began)
	for {
		n, err := s.Sweep(t.Context(), time.Now().AddDate(0, 0, 3), 10_000) // flows and codes
		must(t, err)
		if n == 0 {
			break
		}
	}
	must(t, s.Close())
	size := folderSize(t, dir)
	b.remark("%d grants made in %s and swept in %s", *grants, filled.Round(time.Second), (time.Since(began) - filled).Round(time.Second))
	b.remark("Badger: %d MB on the disk, %d bytes for each grant", size/1e6, size/int64(*grants))
}

// embedded measures the large store in its folder. What it changes is put back.
func (b *table) embedded(t *testing.T, from string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	must(t, os.CopyFS(dir, os.DirFS(from)))
	must(t, copyFile(from+".watermark", dir+".watermark"))
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), restDir+"="+dir)
	said, err := child.Output()
	must(t, err)
	b.remark("Badger: %s", said)
	s := openBadger(t, dir)
	b.transitions(t, fmt.Sprintf("Badger, %d grants", *grants), s)
	b.lists(t, "Badger", s)
	must(t, s.Close())
	must(t, os.RemoveAll(dir))
}

// shared copies the large store to PostgreSQL and measures it there.
func (b *table) shared(t *testing.T, from string) {
	t.Helper()
	small := openPostgres(t, server.Database(t))
	fill(t, small, smallGrants)
	b.transitions(t, fmt.Sprintf("PostgreSQL, %d grants", smallGrants), small)
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
	b.transitions(t, fmt.Sprintf("PostgreSQL, %d grants", *grants), s)
	b.lists(t, "PostgreSQL", s)
	must(t, s.Close())
}

func (b *table) transitions(t *testing.T, in string, s bridge.Store) {
	t.Helper()
	must(t, storetest.Transitions(t.Context(), s, func(what string, workers int, took *storetest.Took) {
		b.row(in+": "+what, workers, took)
	}))
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

// fill makes live grants, the first of them one person's, of the others five each.
func fill(t *testing.T, s bridge.Store, n int) {
	t.Helper()
	var made atomic.Int64
	_, err := storetest.Measure(t.Context(), n, fillers, func(ctx context.Context, i int) error {
		c := storetest.NewConnection(s)
		if c.Subject = fmt.Sprint("person-", i/5); i < grantsOfBusy {
			c.Subject = busyPerson().Subject
		}
		if done := made.Add(1); done%100_000 == 0 {
			_, _ = fmt.Fprintln(os.Stderr, done, "grants made")
		}
		return c.Connect(ctx)
	})
	must(t, err)
}

// rest opens a store, reads grants, and says how long the first took and what the process holds before and after.
func rest(dir string) int {
	began := time.Now()
	s, err := badger.Open(badger.Options{Dir: dir, Sealer: secrettest.Ring()})
	if err != nil {
		fmt.Print(err)
		return 1
	}
	opened := time.Since(began)
	ready := residentMB()
	for after, read := "", 0; read < grantsRead; {
		page, err := s.Grants(context.Background(), "", "", after, 100)
		if err != nil {
			fmt.Print(err)
			return 1
		}
		if len(page) == 0 {
			break
		}
		after, read = page[len(page)-1].ID, read+len(page)
	}
	fmt.Printf("opened in %s with %d MB resident, %d after reading grants", opened.Round(time.Millisecond), ready, residentMB())
	if err := s.Close(); err != nil {
		fmt.Print(err)
		return 1
	}
	return 0
}

// residentMB is what the process holds in memory, mapped files included.
func residentMB() int {
	status, err := os.ReadFile("/proc/self/statm")
	var size, resident int
	if _, scanned := fmt.Sscan(string(status), &size, &resident); err != nil || scanned != nil {
		return 0
	}
	return resident * os.Getpagesize() / 1e6
}

func openBadger(t *testing.T, dir string) *badger.Store {
	t.Helper()
	s, err := badger.Open(badger.Options{Dir: dir, Sealer: secrettest.Ring()})
	must(t, err)
	return s
}

func openPostgres(t *testing.T, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Options{URL: url, Sealer: secrettest.Ring()})
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

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}
