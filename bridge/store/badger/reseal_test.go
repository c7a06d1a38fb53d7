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
	s, err := tryStore(Options{Dir: dir, Sealer: exchange()})
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

// TestReseal_meanwhile: grants end while all is sealed anew. None comes back, and the keys that wait to be revoked are sealed
// under the new secret, as are those of the grants that live.
func TestReseal_meanwhile(t *testing.T) {
	t.Parallel()
	dir, ring := filepath.Join(t.TempDir(), "store"), secrettest.Ring()
	s := openStore(t, Options{Dir: dir})
	id := func(i int) string { return fmt.Sprintf("grant-%03d", i) }
	for i := range resealGrants {
		grant := bridge.Grant{ID: id(i), Status: bridge.GrantLive, ClientID: "client", CreatedAt: testTime}
		grant.Credential = bridge.Credential{KeyID: grant.ID, Sealed: ring.Seal(bridge.SealedKey, grant.ID, []byte("key"))}
		_, err := s.StartGrant(t.Context(), grant, testTime)
		must(t, err)
	}
	must(t, s.Close())
	s = openClosed(t, Options{Dir: dir, Sealer: exchange()})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range resealGrants {
			if i%2 == 0 {
				if _, _, err := s.EndGrant(t.Context(), id(resealGrants-1-i), bridge.EndRevokedByOperator, testTime); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	walk := func() (total bridge.Resealed) {
		for {
			part, err := s.Reseal(t.Context(), total.Next, 3, testTime)
			must(t, err)
			total.Values, total.Anew, total.Lost = total.Values+part.Values, total.Anew+part.Anew, total.Lost+part.Lost
			if total.Next = part.Next; total.Next == "" {
				return total
			}
		}
	}
	first := walk()
	<-done
	second := walk()
	if want := resealGrants + 1; second.Anew != 0 || second.Lost != 0 || second.Values != want { // the row key is one
		t.Errorf("a walk came to %+v, the next one to %+v, want %d values", first, second, want)
	}
	for i := range resealGrants {
		grant, err := s.Grant(t.Context(), id(resealGrants-1-i))
		must(t, err)
		if grant.Live() == (i%2 == 0) {
			t.Errorf("%s is %s", grant.ID, grant.Status)
		}
	}
}
