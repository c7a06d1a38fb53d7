package badger

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

const (
	resealGrants = 300
	resealKills  = 8
	nextMaster   = "the next master secret, 0123456789abcdef"
)

// exchange is the keyring of a secret that is being exchanged.
func exchange() *secret.Keyring {
	ring, err := secret.NewKeyring([]byte(nextMaster), []byte(secrettest.Master))
	if err != nil {
		panic(err) // they are long enough
	}
	return ring
}

// reseal walks from the beginning, a row at a time, and says how many values each step has sealed anew, until
// it is killed.
func reseal(dir string) int {
	s, err := Open(Options{Dir: dir, Sealer: exchange()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for next := ""; ; {
		done, err := s.Reseal(context.Background(), next, 1, testTime)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(done.Anew)
		if next = done.Next; next == "" {
			return 0
		}
	}
}

// TestReseal_OP01_killed: killed again and again in the middle, a walk is gone on with, nothing is lost, and in
// the end the new secret opens everything and the one before nothing.
func TestReseal_OP01_killed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, Options{Dir: dir})
	ring := secrettest.Ring()
	must(t, s.SaveDeployment(t.Context(), bridge.Deployment{ID: "id", SealCheck: ring.Seal(bridge.SealedDeployment, "id", []byte("id"))}))
	for i := range resealGrants {
		grant := bridge.Grant{ID: fmt.Sprintf("grant-%03d", i), Status: bridge.GrantLive, ClientID: "client", CreatedAt: testTime}
		grant.Credential.Sealed = ring.Seal(bridge.SealedKey, grant.ID, []byte("key of "+grant.ID))
		_, err := s.StartGrant(t.Context(), grant, testTime)
		must(t, err)
	}
	must(t, s.Close())

	for kill := range resealKills {
		command := childCommand(t, childReseals, dir)
		out, err := command.StdoutPipe()
		must(t, err)
		must(t, command.Start())
		// Each walk begins anew: this one comes a part further than the one before.
		lines := bufio.NewScanner(out)
		for range (kill + 1) * resealGrants / (resealKills + 1) {
			lines.Scan()
		}
		must(t, command.Process.Kill())
		_ = command.Wait() // killed
		if after, err := secret.NewKeyring([]byte(nextMaster)); err != nil {
			t.Fatal(err)
		} else if s, err := tryStore(Options{Dir: dir, Sealer: after}); err == nil {
			t.Error("the new secret alone opens a store in between")
			must(t, s.Close())
		}
	}

	s = openStore(t, Options{Dir: dir, Sealer: exchange()})
	left := 0
	for next := ""; ; {
		done, err := s.Reseal(t.Context(), next, 100, testTime)
		must(t, err)
		left += done.Anew
		if next = done.Next; next == "" {
			break
		}
	}
	must(t, s.Close())
	if left == 0 || left >= resealGrants {
		t.Errorf("%d values were left to the last walk", left)
	}
	after, err := secret.NewKeyring([]byte(nextMaster))
	must(t, err)
	s = openStore(t, Options{Dir: dir, Sealer: after})
	defer func() { must(t, s.Close()) }()
	for i := range resealGrants {
		grant, err := s.Grant(t.Context(), fmt.Sprintf("grant-%03d", i))
		must(t, err)
		if key, err := after.Open(bridge.SealedKey, grant.ID, grant.Credential.Sealed); err != nil || string(key) != "key of "+grant.ID {
			t.Fatalf("%s: %q, %v", grant.ID, key, err)
		}
		if _, err := ring.Open(bridge.SealedKey, grant.ID, grant.Credential.Sealed); err == nil {
			t.Fatalf("%s: the secret from before opens its key", grant.ID)
		}
	}
	report, err := s.Verify(t.Context(), testTime)
	if err != nil || report.Faults != 0 {
		t.Errorf("verify: %+v, %v", report, err)
	}
}
