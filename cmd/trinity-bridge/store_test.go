package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
)

// OP-14: a store that was put back does not start; accept-loss makes it start again, and not while a
// bridge runs on it.
func TestStore_OP14_acceptLoss(t *testing.T) {
	t.Parallel()
	data, settings := behindTrinity(t)
	serve := append([]string{"serve"}, settings...)
	accept := append([]string{"store", "accept-loss", "--yes"}, settings...)
	ends := func(says string, code int, args ...string) {
		t.Helper()
		p := start(t, args...)
		if got := <-p.code; got != code || !strings.Contains(p.out.String()+p.err.String(), says) {
			t.Errorf("%s: exit code %d, %s%s", args[0], got, p.out, p.err)
		}
		p.code <- code
	}
	first := start(t, serve...)
	first.waitFor(t, "ready: ")
	ends("in use by another process", exitFailed, accept...)
	first.end(t)

	store := filepath.Join(data, "store")
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(store)); err != nil {
		t.Fatal(err)
	}
	second := start(t, serve...)
	second.waitFor(t, "ready: ")
	rotated := start(t, "keys", "rotate", "--emergency", "--yes", "--data", data)
	if got := <-rotated.code; got != exitDone {
		t.Fatalf("rotating: %d %s", got, rotated.err)
	}
	rotated.code <- exitDone
	second.end(t)
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(store, os.DirFS(copied)); err != nil {
		t.Fatal(err)
	}
	ends("has lost writes it had acknowledged", exitFailed, serve...)
	ends("0 connections are ended", exitDone, accept...)
	third := start(t, serve...)
	third.waitFor(t, "ready: ")
	third.end(t)
}

// OP-18: the commands do the same through the running bridge and without it; restoring asks for an empty
// place, and what is wrong is exit code 1.
func TestStore_OP18_commands(t *testing.T) {
	t.Parallel()
	demo, listen, data := startDemo(t)
	folder := t.TempDir()
	backup := filepath.Join(folder, "backup")
	call := func(want int, data string, args ...string) string {
		t.Helper()
		return commands(t, "--public-url", "http://"+listen, "--trinity-url", "http://127.0.0.1:1", "--mcp-url", "http://127.0.0.1:1/mcp", "--data", data)(want, args...)
	}
	look := func() {
		t.Helper()
		if out := call(exitDone, data, "store", "verify"); !strings.Contains(out, " 0 faults") || !strings.Contains(out, "meta") {
			t.Errorf("verify: %s", out)
		}
		if out := call(exitDone, data, "store", "stats"); !strings.Contains(out, "OVERDUE") || !strings.Contains(out, "KiB in badger; generation 0, write ") {
			t.Errorf("stats: %s", out)
		}
		for _, command := range []string{"verify", "stats"} {
			var document map[string]any
			if out := call(exitDone, data, "store", command, "--json"); json.Unmarshal([]byte(out), &document) != nil || document["rows"] == nil {
				t.Errorf("%s: %s", command, out)
			}
		}
	}
	look()
	alone := commands(t, "--data", data) // the running bridge has the other settings
	if out := alone(exitDone, "store", "stats"); !strings.Contains(out, "KiB in badger; generation 0, write ") {
		t.Errorf("stats of the running bridge: %s", out)
	}
	call(exitDone, data, "store", "backup", backup)
	if out := call(exitFailed, data, "store", "backup", backup); !strings.Contains(out, "is there already") {
		t.Errorf("a second backup of that name: %s", out)
	}
	demo.end(t)
	if err := os.WriteFile(filepath.Join(data, "operator.json"), nil, 0o600); err != nil { // what a bridge that died while it started leaves
		t.Fatal(err)
	}
	look()
	if out := alone(exitUsage, "store", "stats"); !strings.Contains(out, "--public-url is missing") {
		t.Errorf("stats of a store whose settings are not known: %s", out)
	}
	call(exitDone, data, "store", "backup", backup+"-2")

	if out := call(exitFailed, data, "store", "restore", "--yes", backup); !strings.Contains(out, "move it away first") || strings.Contains(out, "A store is made") {
		t.Errorf("restored over a store: %s", out)
	}
	empty := filepath.Join(folder, "empty")
	if out := call(exitFailed, empty, "store", "restore", "--yes", backup); !strings.Contains(out, "there is no secret") {
		t.Errorf("restored without a secret: %s", out)
	}
	if _, err := os.Stat(filepath.Join(empty, "secret")); err == nil {
		t.Error("OP-13: restoring made a secret")
	}
	if err := errors.Join(os.Mkdir(empty, 0o700), os.Link(filepath.Join(data, "secret"), filepath.Join(empty, "secret"))); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{backup, backup + "-2"} {
		if out := call(exitDone, empty, "store", "verify", file); !strings.Contains(out, "rows of http://"+listen) {
			t.Errorf("verify of a backup: %s", out)
		}
	}
	if err := os.MkdirAll(filepath.Join(empty, "store.restoring", "half"), 0o700); err != nil { // what a restore that was killed leaves
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(empty, "store"), 0o700); err != nil { // what a start that was refused leaves
		t.Fatal(err)
	}
	if out := call(exitDone, empty, "store", "restore", "--yes", backup); !strings.Contains(out, "0 connections are ended") || !strings.Contains(out, "people connect anew") {
		t.Errorf("restore: %s", out)
	}
	if _, err := os.Stat(filepath.Join(empty, "store.restoring")); err == nil {
		t.Error("half a restore is left")
	}
	if out := call(exitDone, empty, "store", "stats"); !strings.Contains(out, "generation 1") {
		t.Errorf("the restored store: %s", out)
	}
	if err := os.Truncate(backup, 500); err != nil {
		t.Fatal(err)
	}
	if out := call(exitFailed, empty, "store", "verify", backup); !strings.Contains(out, "cut off") {
		t.Errorf("verify of half a backup: %s", out)
	}
}

// TestStore_OP13_nothingThere: where there is no store, in a folder that was mistyped, say, no command makes one, and
// none says that all is well with it.
func TestStore_OP13_nothingThere(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	call := commands(t, "--public-url", "https://bridge.example.com", "--trinity-url", "http://127.0.0.1:1",
		"--mcp-url", "http://127.0.0.1:1/mcp", "--data", data, "--secret", "the secret of these tests, 0123456789")
	for _, args := range [][]string{{"backup", filepath.Join(t.TempDir(), "backup")}, {"verify"}, {"stats"}, {"accept-loss", "--yes"}} {
		if out := call(exitFailed, append([]string{"store"}, args...)...); !strings.Contains(out, "there is no store in "+data) {
			t.Errorf("%s: %s", args[0], out)
		}
		if _, err := os.Stat(data); !os.IsNotExist(err) {
			t.Errorf("%s made the folder: %v", args[0], err)
		}
	}
	if err := os.MkdirAll(filepath.Join(data, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out := call(exitFailed, "store", "verify"); !strings.Contains(out, "there is no store in "+data) {
		t.Errorf("an empty folder: %s", out)
	}
}

// TestStore_OP35_backupNobodyReads: who asks for a backup and takes none of it does not keep the program from ending.
func TestStore_OP35_backupNobodyReads(t *testing.T) {
	t.Parallel()
	data, settings := behindTrinity(t)
	serve := append([]string{"serve"}, settings...)
	first := start(t, serve...)
	first.waitFor(t, "ready: ")
	first.end(t)
	lengthen(t, data)

	second := start(t, serve...)
	second.waitFor(t, "ready: ")
	conn, err := net.Dial("tcp", operatorAddress(t, data))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var operator struct{ Token string }
	text, err := os.ReadFile(filepath.Join(data, "operator.json"))
	if err := errors.Join(err, json.Unmarshal(text, &operator)); err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(conn, "GET /store/backup HTTP/1.1\r\nHost: operator\r\nAuthorization: Bearer "+operator.Token+"\r\n\r\n")
	if _, first := io.ReadFull(conn, make([]byte, 1)); err != nil || first != nil { // it has begun
		t.Fatal(err, first)
	}
	second.end(t)
}

// lengthen puts more into a store than the system keeps of an answer that nobody reads.
func lengthen(t *testing.T, data string) {
	t.Helper()
	master, _, err := secret.ReadOrMakeMaster(filepath.Join(data, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := secret.NewKeyring(master)
	if err != nil {
		t.Fatal(err)
	}
	store, err := badger.Open(badger.Options{Dir: filepath.Join(data, "store"), Sealer: ring})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		flow := bridge.Flow{ID: fmt.Sprint(i), Exit: make([]byte, 180<<10), CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
		if err := store.CreateFlow(t.Context(), flow); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
