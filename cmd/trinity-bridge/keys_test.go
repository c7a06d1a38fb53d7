package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	demo, _, data := startDemo(t)
	call := commands(t, "--data", data)
	listed := func(args ...string) (keys []app.ListedKey, phases string) {
		t.Helper()
		if err := json.Unmarshal([]byte(call(exitDone, append(args, "--json")...)), &keys); err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			phases += string(key.Phase) + " "
		}
		return keys, phases
	}

	first, phases := listed("keys", "list")
	if phases != "signing next " || first[0].Algorithm != "ES256" || first[1].SignsFrom != nil {
		t.Fatalf("keys at first: %+v", first)
	}
	if table := call(exitDone, "keys", "list"); !strings.Contains(table, "PHASE") || !strings.Contains(table, first[0].ID) || strings.Contains(table, "private") {
		t.Errorf("the table is\n%s", table)
	}
	rotated, _ := listed("keys", "rotate")
	if len(rotated) != 2 || rotated[1].ID != first[1].ID || rotated[1].SignsFrom == nil || rotated[0].RetiresAt == nil {
		t.Errorf("a young next key: %+v", rotated)
	}
	if refused := call(exitFailed, "keys", "rotate"); !strings.Contains(refused, "under way") {
		t.Errorf("a second rotation: %s", refused)
	}
	emergency, phases := listed("keys", "rotate", "--emergency", "--yes")
	if phases != "signing next " {
		t.Errorf("after the emergency: %+v", emergency)
	}
	for _, key := range emergency {
		if key.Phase == token.KeySigning && (key.ID == first[0].ID || key.ID == first[1].ID) {
			t.Error("an old key still signs")
		}
	}

	// OP-28: nobody but the data folder's owner.
	for _, path := range []string{"/keys", "/keys/rotate", "/keys/reseal", "/store/backup", "/store/verify", "/store/stats"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if code, _ := do(t, method, "http://"+operatorAddress(t, data)+path, ""); code != http.StatusUnauthorized && code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s without the operator's token: %d", method, path, code)
			}
		}
	}
	demo.end(t)
	for _, args := range [][]string{{"keys", "list"}, {"keys", "rotate"}, {"keys", "rotate", "--emergency", "-y"}} {
		if out := call(exitFailed, args...); !strings.Contains(out, "no bridge is running") {
			t.Errorf("%v without a bridge: %s", args, out)
		}
	}
}

// OP-13: the secret file is exchanged with the commands that docs/keys.md names, and then given by a program
// instead.
func TestKeys_OP13_reseal(t *testing.T) {
	t.Parallel()
	data, settings := behindTrinity(t)
	serve := func(more ...string) *process {
		t.Helper()
		p := start(t, slices.Concat([]string{"serve"}, settings, more)...)
		p.waitFor(t, "ready: ")
		return p
	}
	refused := func(says string, more ...string) {
		t.Helper()
		var out bytes.Buffer
		if code := run(t.Context(), slices.Concat([]string{"serve"}, settings, more), &out, &out); code != exitFailed || !strings.Contains(out.String(), says) {
			t.Errorf("serve %v: exit code %d, %s", more, code, out.String())
		}
	}
	call := commands(t, "--data", data)
	serve().end(t)

	file := filepath.Join(data, "secret")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("hJ2yV0p1n3mQ8rT5wXz7bC9dE1fG4iK6lN0oP2sU3vY=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("not the one this store was made with")
	refused("is the same as the secret", "--secret-previous", "hJ2yV0p1n3mQ8rT5wXz7bC9dE1fG4iK6lN0oP2sU3vY=")
	both := serve("--secret-previous", strings.TrimSpace(string(before)))
	if out := call(exitDone, "keys", "reseal"); !strings.Contains(out, "4 values are sealed anew; all 4") || !strings.Contains(out, "needed no more") {
		t.Errorf("reseal: %s", out)
	}
	var said map[string]int
	if out := call(exitDone, "keys", "reseal", "--json"); json.Unmarshal([]byte(out), &said) != nil || said["anew"] != 0 || said["values"] != 4 || said["lost"] != 0 {
		t.Errorf("once more: %s", out)
	}
	both.end(t)
	serve().end(t)
	call(exitFailed, "keys", "reseal") // no bridge is running

	moved := filepath.Join(t.TempDir(), "kept-elsewhere")
	if err := os.Rename(file, moved); err != nil {
		t.Fatal(err)
	}
	refused("is gone but the store beside it is not")
	serve("--secret-command", "/bin/cat "+moved).end(t)
	refused("exit status 1", "--secret-command", "/bin/cat /nowhere")
	refused("not the one this store was made with", "--secret-command", "/bin/echo "+strings.TrimSpace(string(before)))
}
