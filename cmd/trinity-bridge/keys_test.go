package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	listen, data := address(t), filepath.Join(t.TempDir(), "data")
	demo := start(t, "demo", "--listen", listen, "--operator-listen", "127.0.0.1:0", "--data", data)
	demo.waitFor(t, "ready: ")
	call := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := run(t.Context(), append(args, "--data", data), &out, &out); code != want {
			t.Fatalf("%v: exit code %d: %s", args, code, out.String())
		}
		return out.String()
	}
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
	for _, path := range []string{"/keys", "/keys/rotate"} {
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
