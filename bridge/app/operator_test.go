package app

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Of two bridges on one data folder commands reach the one that came last, also when the other one stops.
func TestOperator_withdrawsItsOwnWord(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first, second := &operator{token: secret.New("first")}, &operator{token: secret.New("second")}
	for _, o := range []*operator{first, second} {
		if err := o.announce(data, "127.0.0.1:1"); err != nil {
			t.Fatal(err)
		}
	}
	first.withdraw()
	if word, err := os.ReadFile(filepath.Join(data, operatorFile)); err != nil || string(word) != `{"address":"127.0.0.1:1","token":"second"}` {
		t.Errorf("the word of the one that runs: %q, %v", word, err)
	}
	second.withdraw()
	if _, err := os.Stat(filepath.Join(data, operatorFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the word of one that runs no more: %v", err)
	}
}
