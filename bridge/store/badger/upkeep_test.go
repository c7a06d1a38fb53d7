package badger

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// TestVerify_whatIsWrong: what the engine takes for good and is not: a place that is missing, one that
// leads nowhere or elsewhere, a row that is another's, a watermark that is ahead.
func TestVerify_whatIsWrong(t *testing.T) {
	t.Parallel()
	flow := flowNamed("flow")
	flow.SignIn.Session = []byte("sealed")
	other := flowNamed("other")
	now := flow.CreatedAt
	session := func(of string) []byte {
		return []byte(placeKey(rows.Place{Index: rows.IndexSessions, At: flow.ExpiresAt}, rows.Ref{Kind: rows.KindFlow, ID: of}))
	}
	row := func(of string) []byte { return []byte(rowKey(rows.Ref{Kind: rows.KindFlow, ID: of})) }
	tests := []struct {
		name  string
		spoil func(t *testing.T, s *Store, txn *engine.Txn)
		want  []string
	}{
		{"nothing", func(*testing.T, *Store, *engine.Txn) {}, nil},
		{"a place that is missing", func(t *testing.T, _ *Store, txn *engine.Txn) {
			must(t, txn.Delete(session("flow")))
		}, []string{"do not lead to flow flow"}},
		{"a place of a row that is not there", func(t *testing.T, _ *Store, txn *engine.Txn) {
			must(t, txn.Set(session("nobody"), []byte(indexMark)))
		}, []string{"leads to nothing: flow-sessions of a flow"}},
		{"a place where its row says it is not", func(t *testing.T, _ *Store, txn *engine.Txn) {
			must(t, txn.Set(session("other"), []byte(indexMark)))
		}, []string{"leads to nothing: flow-sessions of a flow"}},
		{"a place of an index that there is not", func(t *testing.T, _ *Store, txn *engine.Txn) {
			must(t, txn.Set([]byte("\xffnonsense"), []byte(indexMark)))
		}, []string{"no place of any index"}},
		{"a place where a row would be one", func(t *testing.T, _ *Store, txn *engine.Txn) {
			must(t, txn.Set([]byte(indexPrefix(rows.IndexGrants, "")+idPart(bridge.GrantID(now, "flow"))), []byte(indexMark)))
		}, []string{"leads to nothing: grants of a grant"}},
		{"OP-11/another row in its place", func(t *testing.T, _ *Store, txn *engine.Txn) {
			item, err := txn.Get(row("other"))
			must(t, err)
			value, err := item.ValueCopy(nil)
			must(t, err)
			must(t, txn.Set(row("flow"), value))
		}, []string{"flow flow cannot be read", "leads to nothing: due of a flow", "leads to nothing: flow-sessions of a flow"}},
		{"OP-14/a watermark that is ahead", func(t *testing.T, s *Store, _ *engine.Txn) {
			must(t, s.watermark.put(position{0, 1000}))
			must(t, s.watermark.put(position{0, 1001}))
		}, []string{"its watermark says 1001"}},
		{"half of the watermark", func(t *testing.T, s *Store, _ *engine.Txn) {
			_, err := s.watermark.file.WriteAt([]byte("x"), int64(s.watermark.slot)*slotBytes)
			must(t, err)
		}, []string{"half of the watermark is damaged"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, Options{Dir: filepath.Join(t.TempDir(), "store")})
			t.Cleanup(func() { must(t, s.Close()) })
			must(t, s.CreateFlow(t.Context(), flow))
			must(t, s.CreateFlow(t.Context(), other))
			must(t, s.db.Update(func(txn *engine.Txn) error { tt.spoil(t, s, txn); return nil }))
			report, err := s.Verify(t.Context(), now)
			must(t, err)
			said := strings.Join(report.First, "\n")
			for _, want := range tt.want {
				if !strings.Contains(said, want) {
					t.Errorf("no %q in\n%s", want, said)
				}
			}
			sealed := 0 // the session is none
			if report.Lost > 0 {
				sealed = 1
			}
			if got := report.Faults - sealed; got != len(tt.want) {
				t.Errorf("%d faults:\n%s", got, said)
			}
		})
	}
}

// TestRestore_OP14_generations: a store made of a backup is later than its source, and than what the
// watermark knows; with another store's watermark none is made.
func TestRestore_OP14_generations(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	opts := Options{Dir: filepath.Join(folder, "store"), Watermark: filepath.Join(folder, "watermark")}
	s := openStore(t, opts)
	must(t, s.SaveDeployment(t.Context(), bridge.Deployment{ID: "id"}))
	var backup bytes.Buffer
	must(t, s.Backup(t.Context(), &backup, time.Now()))
	key, err := s.WrappedKey(t.Context())
	must(t, err)
	must(t, s.Close())
	restore := func(opts Options, source uint64) error {
		opts.RowKey, opts.Sealer = key, secrettest.Ring()
		must(t, os.RemoveAll(opts.Dir))
		_, err := Restore(t.Context(), opts, source, func(to *Store) error {
			_, err := rows.ReadBackup(bytes.NewReader(backup.Bytes()), secrettest.Ring(), time.Now(),
				func(rows.BackupHead) error { return nil }, func(some []rows.Row) error { return to.Fill(t.Context(), some) })
			return err
		}, time.Now())
		return err
	}
	generation := func(opts Options) uint64 {
		t.Helper()
		s := openStore(t, opts)
		defer func() { must(t, s.Close()) }()
		disk, err := transactions{s}.Disk(t.Context())
		must(t, err)
		return disk.Generation
	}
	must(t, restore(opts, 0))
	if got := generation(opts); got != 1 {
		t.Errorf("restored over generation 0: %d", got)
	}
	must(t, restore(opts, 0))
	if got := generation(opts); got != 2 {
		t.Errorf("restored over generation 1, of a backup of generation 0: %d", got)
	}
	elsewhere := Options{Dir: filepath.Join(t.TempDir(), "store")}
	must(t, restore(elsewhere, 7))
	if got := generation(elsewhere); got != 8 {
		t.Errorf("restored elsewhere, of a backup of generation 7: %d", got)
	}
	stranger := Options{Dir: filepath.Join(t.TempDir(), "store")}
	other := openStore(t, stranger)
	must(t, other.SaveDeployment(t.Context(), bridge.Deployment{ID: "other"}))
	must(t, other.Close())
	if err := restore(stranger, 0); err == nil || !strings.Contains(err.Error(), "another store's") {
		t.Errorf("restored under another store's watermark: %v", err)
	}
}

// TestUpkeep_longRows: what looks at many rows at a time takes as many as one transaction of the engine holds, whatever
// strangers had them hold.
func TestUpkeep_longRows(t *testing.T) {
	t.Parallel()
	const flows = 120
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, Options{Dir: dir})
	for i := range flows {
		flow := flowNamed(fmt.Sprintf("flow-%03d", i))
		flow.SignIn.Session = secrettest.Ring().Seal(bridge.SealedSession, flow.ID, make([]byte, 60<<10))
		must(t, s.CreateFlow(t.Context(), flow))
	}
	must(t, s.Close())

	s = openClosed(t, Options{Dir: dir, Sealer: exchange()})
	done, err := s.Reseal(t.Context(), string(rows.KindFlow), flows, testTime)
	if err != nil || done.Anew != flows {
		t.Errorf("sealed anew: %+v, %v", done, err)
	}
	key, err := s.WrappedKey(t.Context())
	must(t, err)
	copied := openClosed(t, Options{Dir: filepath.Join(t.TempDir(), "store"), Sealer: exchange(), RowKey: key})
	held, err := rows.Copy(t.Context(), &s.Store, &copied.Store, testTime)
	if err != nil || held.Total() != flows {
		t.Errorf("copied: %v, %v", held.Rows, err)
	}
	var backup bytes.Buffer
	must(t, s.Backup(t.Context(), &backup, testTime))
	restored := Options{Dir: filepath.Join(t.TempDir(), "store"), Sealer: exchange(), RowKey: key}
	_, err = Restore(t.Context(), restored, 0, func(to *Store) error {
		_, err := rows.ReadBackup(&backup, exchange(), testTime,
			func(rows.BackupHead) error { return nil }, func(some []rows.Row) error { return to.Fill(t.Context(), some) })
		return err
	}, testTime)
	must(t, err)
	over, err := openClosed(t, restored).ExpiredFlows(t.Context(), testTime, 2*flows)
	if err != nil || len(over) != flows {
		t.Errorf("%d of %d sign-ins are over, %v", len(over), flows, err)
	}
}

// during is a writer that has something happen before each part that is written.
type during struct {
	bytes.Buffer

	do func()
}

func (d *during) Write(p []byte) (int, error) {
	d.do()
	return d.Buffer.Write(p)
}

// TestBackup_OP18_meanwhile: a backup is one state of a store that is written to, swept and merged while it is made. Events
// come two at a time, to both ends of the trail.
func TestBackup_OP18_meanwhile(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	pairs := 0
	pair := func() {
		pairs++
		far := time.Duration(pairs) * time.Second
		must(t, s.AppendAudit(t.Context(), []bridge.AuditEvent{
			{At: testTime.Add(far), Kind: "kind", Detail: strings.Repeat("x", 2000)}, {At: testTime.Add(-far), Kind: "kind"},
		}))
	}
	for range 500 {
		pair()
	}
	for i := range 100 {
		must(t, s.CreateFlow(t.Context(), flowNamed(fmt.Sprint(i))))
	}
	before, swept := pairs, 0
	sealed := during{do: func() {
		pair()
		n, err := s.Sweep(t.Context(), testTime.Add(time.Hour), 10)
		must(t, err)
		swept += n
		must(t, s.db.Flatten(1))
	}}
	must(t, s.Backup(t.Context(), &sealed, testTime))
	held, err := rows.ReadBackup(&sealed, secrettest.Ring(), testTime, func(rows.BackupHead) error { return nil }, func([]rows.Row) error { return nil })
	must(t, err)
	got := held.Rows[rows.KindAudit]
	if got%2 != 0 || got < 2*before || got == 2*pairs || swept == 0 {
		t.Errorf("%d events are in the backup, of %d before and %d after it; %d rows were swept meanwhile", got, 2*before, 2*pairs, swept)
	}
	if flows := held.Rows[rows.KindFlow]; flows == 100-swept {
		t.Errorf("what was swept while the backup was made is not in it: %d flows", flows)
	}
}
