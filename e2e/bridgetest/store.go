package bridgetest

import (
	"path/filepath"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
)

// OpenStore opens the store of a stopped bridge with its own secret. Close it before the bridge
// starts again.
func (b *Bridge) OpenStore(t *testing.T) *badger.Store {
	t.Helper()
	OneProcess(t, "the store is opened beside the program")
	master, _, err := secret.ReadOrMakeMaster(filepath.Join(b.Data, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := secret.NewKeyring(master)
	if err != nil {
		t.Fatal(err)
	}
	store, err := badger.Open(badger.Options{Dir: filepath.Join(b.Data, "store"), Sealer: ring})
	if err != nil {
		t.Fatal(err)
	}
	return store
}
