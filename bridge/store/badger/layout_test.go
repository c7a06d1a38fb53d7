package badger

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	engine "github.com/dgraph-io/badger/v4"
	engineoptions "github.com/dgraph-io/badger/v4/options"
	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

// TestOpen_OP19_otherLayout: a folder of another version is refused before the engine opens it, which would write its log
// out as tables of this version. Nothing in it changes, and that version goes on with it.
func TestOpen_OP19_otherLayout(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		layout uint16
		says   []string
	}{
		"older": {0, []string{"written by an older version of this program", "nothing in it was changed", "copy it to a database", "make a backup", "docs/storage.md"}},
		"newer": {schemaVersion + 1, []string{"written by a newer version of this program (schema 6, this one knows 5)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killed, closed := foreignStore(t, tt.layout)
			for _, dir := range []string{killed, closed} {
				before := contentsOf(t, dir)
				for _, accepting := range []bool{false, true} {
					_, err := open(Options{Sealer: secrettest.Ring(), Dir: dir}, accepting)
					wantSaid(t, err, tt.says...)
				}
				if diff := cmp.Diff(before, contentsOf(t, dir)); diff != "" {
					t.Errorf("the folder changed (-before +after):\n%s", diff)
				}
			}
		})
	}
}

// foreignStore makes a store as a version with another layout does: one copy as a killed process leaves it, one closed.
func foreignStore(t *testing.T, layout uint16) (killed, closed string) {
	t.Helper()
	killed, closed = filepath.Join(t.TempDir(), "killed"), filepath.Join(t.TempDir(), "closed")
	opts, err := Options{Sealer: secrettest.Ring(), Dir: closed}.withDefaults()
	must(t, err)
	db, err := engine.Open(engineOptions(opts).WithExternalMagic(layout).WithCompression(engineoptions.None))
	must(t, err)
	must(t, db.Update(func(txn *engine.Txn) error { return txn.Set([]byte(schemaKey), []byte("as that version writes it")) }))
	must(t, os.Mkdir(killed, 0o700))
	for _, name := range fileNames(t, closed) {
		copyFile(t, filepath.Join(closed, name), filepath.Join(killed, name))
	}
	must(t, db.Close())
	return killed, closed
}

// contentsOf are the hashes of all files beside and in a store's folder.
func contentsOf(t *testing.T, dir string) map[string]bridge.Hash {
	t.Helper()
	contents := map[string]bridge.Hash{}
	must(t, fs.WalkDir(os.DirFS(filepath.Dir(dir)), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(filepath.Dir(dir), path))
		contents[path] = bridge.HashOf(string(content))
		return err
	}))
	return contents
}
