package badger

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

// offsets is how many places of each file are damaged; `make corruption` damages 20.
var offsets = flag.Int("offsets", 2, "how many places of each file TestCorruption damages")

// verdict is what became of a store with a damaged file.
type verdict string

const (
	refused  verdict = "refused"  // with a reason
	reported verdict = "reported" // opened, nothing is missing, the log says what is damaged
	harmless verdict = "harmless" // opened, nothing is missing: the place holds nothing
	silent   verdict = "SILENT"   // opened, and something is missing
)

// TestCorruption_OP07_OP08_OP09 damages every file of a store in every way, at rest and as a killed
// process leaves it. Either the store is refused with a reason, or nothing is missing in it.
func TestCorruption_OP07_OP08_OP09(t *testing.T) {
	t.Parallel()
	for state, whole := range map[string]string{"closed": closedStore(t), "killed": killedStore(t)} {
		want := contents(t, copied(t, whole))
		var files []string
		for _, name := range fileNames(t, whole) {
			if name != "LOCK" {
				files = append(files, filepath.Join("store", name))
			}
		}
		for _, file := range append(files, "store.watermark") {
			t.Run(state+"/"+file, func(t *testing.T) {
				t.Parallel()
				counts := map[verdict]int{}
				used := usedBytes(t, filepath.Join(filepath.Dir(whole), file))
				for name, damage := range damages(used) {
					dir := copied(t, whole)
					damage(t, filepath.Join(filepath.Dir(dir), file))
					got, why := judge(t, dir, want)
					counts[got]++
					if got == silent {
						t.Errorf("%s: %s", name, why)
					}
				}
				t.Logf("%d damages: %v", len(damages(used)), counts)
			})
		}
	}
}

// damages are the ways to damage a file of which so many bytes are used.
func damages(used int64) map[string]func(*testing.T, string) {
	all := map[string]func(*testing.T, string){
		"cut in half":       func(t *testing.T, file string) { must(t, os.Truncate(file, used/2)) },
		"cut by a kilobyte": func(t *testing.T, file string) { must(t, os.Truncate(file, max(0, used-1<<10))) },
		"emptied":           func(t *testing.T, file string) { must(t, os.Truncate(file, 0)) },
		"zeroed": func(t *testing.T, file string) {
			size := fileSize(t, file)
			must(t, os.Truncate(file, 0))
			must(t, os.Truncate(file, size))
		},
	}
	for i := range *offsets {
		at := used * int64(2*i+1) / int64(2**offsets)
		all[fmt.Sprint("flipped at ", at)] = func(t *testing.T, file string) { patch(t, file, at, func(b byte) byte { return b ^ 0xff }) }
		all[fmt.Sprint("zeroed at ", at)] = func(t *testing.T, file string) { patch(t, file, at, func(byte) byte { return 0 }) }
		all[fmt.Sprint("cut at ", at)] = func(t *testing.T, file string) { must(t, os.Truncate(file, at)) }
	}
	return all
}

// judge opens a store and compares what is in it.
func judge(t *testing.T, dir string, want map[string]string) (got verdict, why string) {
	t.Helper()
	var log logBuffer
	s, err := tryStore(Options{Dir: dir, Sealer: secrettest.Ring(), Logger: log.logger()})
	if err != nil {
		if strings.TrimSpace(err.Error()) == "" {
			return silent, "refused without a reason"
		}
		return refused, err.Error()
	}
	defer func() { must(t, s.Close()) }()
	if missing := difference(want, rowsOf(t, s)); missing != "" {
		return silent, missing
	}
	if log.count("damaged") > 0 {
		return reported, ""
	}
	return harmless, ""
}

func difference(want, got map[string]string) string {
	missing, other := 0, 0
	for key, value := range want {
		switch have, ok := got[key]; {
		case !ok:
			missing++
		case have != value:
			other++
		}
	}
	if missing+other+len(got)-len(want) == 0 {
		return ""
	}
	return fmt.Sprintf("of %d rows %d are missing and %d differ; %d are there", len(want), missing, other, len(got))
}

// closedStore makes a store of some connections that was closed, and returns its folder.
func closedStore(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, Options{Dir: dir})
	connect(t, s, 60)
	must(t, s.Close())
	return dir
}

// killedStore adds connections to one that was closed and copies it as it is open, which is what the
// death of the process leaves.
func killedStore(t *testing.T) string {
	t.Helper()
	dir := closedStore(t)
	s := openClosed(t, Options{Dir: dir})
	connect(t, s, 60)
	return copied(t, dir)
}

func connect(t *testing.T, s *Store, n int) {
	t.Helper()
	for range n {
		c := storetest.NewConnection(s)
		must(t, c.Issue(t.Context()))
		_, err := c.Redeem(t.Context())
		must(t, err)
		must(t, c.Rotate(t.Context()))
	}
}

// copied copies a store with its watermark and returns the folder.
func copied(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store")
	must(t, os.Mkdir(to, 0o700))
	for _, name := range fileNames(t, from) {
		copyFile(t, filepath.Join(from, name), filepath.Join(to, name))
	}
	copyFile(t, from+".watermark", to+".watermark")
	return to
}

// copyFile copies the used part of a file; the engine makes large ones that hold little.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	used, err := readFrom(from, 0, usedBytes(t, from))
	must(t, err)
	must(t, os.WriteFile(to, used, 0o600))
	must(t, os.Truncate(to, fileSize(t, from)))
}

func fileSize(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	must(t, err)
	return info.Size()
}

// usedBytes is the length of a file without the zeros at its end.
func usedBytes(t *testing.T, file string) int64 {
	t.Helper()
	content, err := os.ReadFile(file)
	must(t, err)
	return int64(len(bytes.TrimRight(content, "\x00")))
}

// patch changes four bytes of a file.
func patch(t *testing.T, file string, at int64, change func(byte) byte) {
	t.Helper()
	four := min(4, fileSize(t, file)-at)
	content, err := readFrom(file, at, four)
	must(t, err)
	for i := range content {
		content[i] = change(content[i])
	}
	open, err := os.OpenFile(file, os.O_RDWR, 0)
	must(t, err)
	_, err = open.WriteAt(content, at)
	must(t, err)
	must(t, open.Close())
}

// contents opens a store, returns its rows and closes it.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	s := openStore(t, Options{Dir: dir})
	defer func() { must(t, s.Close()) }()
	all := rowsOf(t, s)
	if len(all) < 100 {
		t.Fatal("there is too little in the store for this to test anything")
	}
	return all
}

func rowsOf(t *testing.T, s *Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, s.db.View(func(txn *engine.Txn) error {
		it := txn.NewIterator(engine.IteratorOptions{})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			all[string(it.Item().KeyCopy(nil))] = string(value)
		}
		return nil
	}))
	return all
}
