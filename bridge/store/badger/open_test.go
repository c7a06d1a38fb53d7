package badger

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	engine "github.com/dgraph-io/badger/v4"
	engineoptions "github.com/dgraph-io/badger/v4/options"
	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

func TestOpen_OP03_settingsInForce(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	must(t, checkInForce(s.db.Opts(), s.opts.sizes()))
	changes := map[string]func(*engine.Options){
		"SyncWrites":              func(o *engine.Options) { o.SyncWrites = syncsItself },
		"DetectConflicts":         func(o *engine.Options) { o.DetectConflicts = false },
		"BypassLockGuard":         func(o *engine.Options) { o.BypassLockGuard = true },
		"ReadOnly":                func(o *engine.Options) { o.ReadOnly = true },
		"InMemory":                func(o *engine.Options) { o.InMemory = true },
		"no checksums":            func(o *engine.Options) { o.ChecksumVerificationMode = engineoptions.NoVerification },
		"NumVersionsToKeep":       func(o *engine.Options) { o.NumVersionsToKeep = 2 },
		"MemTableSize":            func(o *engine.Options) { o.MemTableSize = 64 << 20 },
		"NumMemtables":            func(o *engine.Options) { o.NumMemtables = 5 },
		"ValueThreshold":          func(o *engine.Options) { o.ValueThreshold = 1 << 10 },
		"VLogPercentile":          func(o *engine.Options) { o.VLogPercentile = 0.9 },
		"ValueLogFileSize":        func(o *engine.Options) { o.ValueLogFileSize = 1 << 30 },
		"NumCompactors":           func(o *engine.Options) { o.NumCompactors = 4 },
		"NumLevelZeroTables":      func(o *engine.Options) { o.NumLevelZeroTables = 5 },
		"NumLevelZeroTablesStall": func(o *engine.Options) { o.NumLevelZeroTablesStall = 15 },
		"BlockCacheSize":          func(o *engine.Options) { o.BlockCacheSize = 256 << 20 },
		"ExternalMagicVersion":    func(o *engine.Options) { o.ExternalMagicVersion = 0 },
		"IndexCacheSize":          func(o *engine.Options) { o.IndexCacheSize = 1 },
		"ValueDir":                func(o *engine.Options) { o.ValueDir = "elsewhere" },
	}
	for name, change := range changes {
		changed := s.db.Opts()
		change(&changed)
		if err := checkInForce(changed, s.opts.sizes()); err == nil {
			t.Errorf("%s may be changed unnoticed", name)
		}
	}
}

func TestOpen_OP04_secondHandle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openClosed(t, Options{Dir: dir})
	_, err := Open(Options{Sealer: secrettest.Ring(), Dir: dir})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("got %v, want ErrInUse", err)
	}
	want := fmt.Sprintf("the store in %s is in use by another process", dir)
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	said := runChild(t, childOpens, dir)
	if said != want {
		t.Errorf("another process said %q, want %q", said, want)
	}
	must(t, s.CreateFlow(t.Context(), flowNamed("unharmed")))
}

func TestOpen_OP02_emptyLogFile(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{
		{"00099.mem"},
		{"000099.vlog"},
		{"00098.mem", "00099.mem", "000097.vlog", "000098.vlog", "000099.vlog"}, // a power cut leaves more than one
	} {
		t.Run(strings.Join(names, " "), func(t *testing.T) {
			t.Parallel()
			dir := filledStore(t)
			for _, name := range names {
				must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
			}
			var log logBuffer
			s := openClosed(t, Options{Dir: dir, Logger: log.logger()})
			if !hasFlow(t, s, "flow") {
				t.Error("a row is lost")
			}
			must(t, s.CreateFlow(t.Context(), flowNamed("next")))
			if log.count("level=WARN msg=\"the store was left with an empty log file") != len(names) {
				t.Errorf("the log does not say so of each:\n%s", log.String())
			}
		})
	}
}

func TestOpen_OP06_fullDisk(t *testing.T) {
	t.Parallel()
	dir := filledStore(t)
	before := fileNames(t, dir)
	opts := Options{Sealer: secrettest.Ring(), Dir: dir, freeSpace: func(string) (uint64, error) { return 3 << 20, nil }}
	_, err := Open(opts)
	wantSaid(t, err, "3 MiB are free", "at least 128 MiB are needed")
	opts.freeSpace = func(string) (uint64, error) { return 0, errors.New("cannot tell") }
	_, err = Open(opts)
	wantSaid(t, err, "cannot tell")
	sameFiles(t, dir, before)
	if s := openClosed(t, Options{Dir: dir}); !hasFlow(t, s, "flow") {
		t.Error("a row is lost")
	}
}

func TestOpen_OP20_unreadableIsNeverReplaced(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string)
		says   string
	}{
		{"OP-08/no MANIFEST", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "MANIFEST"))) }, "but no MANIFEST"},
		{"OP-08/empty MANIFEST", func(t *testing.T, dir string) { overwrite(t, dir, "MANIFEST", nil) }, "its list of tables is cut, or an older one"},
		{"OP-08/another file as MANIFEST", func(t *testing.T, dir string) { overwrite(t, dir, "MANIFEST", []byte("not a manifest")) }, "its list of tables is cut, or an older one"},
		{"OP-08/half a MANIFEST", func(t *testing.T, dir string) { cut(t, filepath.Join(dir, "MANIFEST")) }, "its list of tables is cut, or an older one"},
		{"OP-13/an empty folder", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, "its folder is empty"},
		{"OP-09/no table", func(t *testing.T, dir string) { must(t, os.Remove(tableOf(t, dir))) }, "is damaged in its table file"},
		{"OP-09/table flipped in its first block", func(t *testing.T, dir string) { flip(t, tableOf(t, dir), 30) }, "is damaged in its table file"},
		{"OP-09/table flipped in the middle", func(t *testing.T, dir string) { flip(t, tableOf(t, dir), 50_000) }, "is damaged in its table file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filledStore(t)
			tt.damage(t, dir)
			var before []string
			if _, err := os.Stat(dir); err == nil {
				before = fileNames(t, dir)
			}
			for range 10 {
				_, err := tryStore(Options{Sealer: secrettest.Ring(), Dir: dir})
				wantSaid(t, err, tt.says)
			}
			for _, name := range before {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil && isData(name) {
					t.Errorf("%s is gone", name)
				}
			}
		})
	}
}

func TestOpen_OP19_schema(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(*tx) error
		says string
	}{
		{"newer", func(t *tx) error { return schema{Version: schemaVersion + 1}.save(t) }, "written by a newer version of this program (schema 6, this one knows 5)"},
		{"no version", func(t *tx) error { return schema{}.save(t) }, "written by an older version of this program"},
		{"older", func(t *tx) error { return schema{Version: schemaVersion - 1}.save(t) }, "written by an older version of this program"},
		{"OP-13/another master secret", func(t *tx) error {
			ring, err := secret.NewKeyring(make([]byte, secret.MinMasterBytes))
			if err != nil {
				return err
			}
			_, wrapped, err := ring.NewRowKey("")
			return errors.Join(err, schema{Version: schemaVersion, RowKey: wrapped}.save(t))
		}, ErrSealed.Error()},
		{"absent", func(t *tx) error { t.change(schemaKey, change{}); return nil }, "no schema version"},
		{"record of another version", func(t *tx) error { return t.put(schemaKey, []byte("\x02{}"), 0) }, "version 2 is not known"},
		{"no record", func(t *tx) error { return t.put(schemaKey, []byte("\x01"), 0) }, "reading a record"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filledStore(t)
			s := openStore(t, Options{Dir: dir})
			must(t, s.writer.do(t.Context(), tt.edit))
			must(t, s.Close())
			_, err := tryStore(Options{Sealer: secrettest.Ring(), Dir: dir})
			wantSaid(t, err, tt.says)
			_, err = tryStore(Options{Sealer: secrettest.Ring(), Dir: dir}) // and it was closed properly
			wantSaid(t, err, tt.says)
		})
	}
}

func TestOpen_folder(t *testing.T) {
	t.Parallel()
	_, err := Open(Options{Sealer: secrettest.Ring()})
	wantSaid(t, err, "no folder is named")
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	_, err = Open(Options{Sealer: secrettest.Ring(), Dir: file})
	wantSaid(t, err, "making the store's folder")
	dir := filepath.Join(t.TempDir(), "a", "store")
	openClosed(t, Options{Dir: dir})
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %o", info.Mode().Perm())
	}
}

// filledStore makes a closed store with 100 kB of rows, and returns its folder.
func filledStore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	must(t, s.CreateFlow(t.Context(), flowNamed("flow")))
	must(t, s.writer.do(t.Context(), func(t *tx) error {
		for i := range 100 {
			flow := flowNamed(fmt.Sprint("flow-", i))
			flow.Exit = make([]byte, 800)
			_, _ = rand.Read(flow.Exit) // never fails; random, so that it is not compressed
			if err := putFlow(s, flow)(t); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, s.SaveDeployment(t.Context(), bridge.Deployment{ID: "id"}))
	must(t, s.Close())
	return dir
}

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func sameFiles(t *testing.T, dir string, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, fileNames(t, dir)); diff != "" {
		t.Errorf("the folder changed (-before +after):\n%s", diff)
	}
}

// isData reports whether a file holds rows; empty logs come and go with every opening.
func isData(name string) bool { return name == "MANIFEST" || filepath.Ext(name) == ".sst" }

func tableOf(t *testing.T, dir string) string {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	must(t, err)
	if len(tables) == 0 {
		t.Fatal("the store has no table file")
	}
	return tables[0]
}

func overwrite(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
}

// cut halves a file.
func cut(t *testing.T, file string) {
	t.Helper()
	info, err := os.Stat(file)
	must(t, err)
	must(t, os.Truncate(file, info.Size()/2))
}

// flip inverts four bytes of a file.
func flip(t *testing.T, file string, offset int) {
	t.Helper()
	content, err := os.ReadFile(file)
	must(t, err)
	for i := range 4 {
		content[offset+i] ^= 0xff
	}
	must(t, os.WriteFile(file, content, 0o600))
}

func wantSaid(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Fatalf("got %q, which does not say %q", err, word)
		}
	}
}
