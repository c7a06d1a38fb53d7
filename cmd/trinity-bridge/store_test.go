package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// OP-14: a store that was put back does not start; accept-loss makes it start again, and not while a
// bridge runs on it.
func TestStore_OP14_acceptLoss(t *testing.T) {
	t.Parallel()
	simulated, err := trinitytest.Start(trinitytest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = simulated.Close() })
	listen, data := address(t), t.TempDir()
	settings := []string{
		"--public-url", "http://" + listen, "--listen", listen, "--operator-listen", "127.0.0.1:0", "--data", data,
		"--trinity-url", simulated.BackendURL(), "--mcp-url", simulated.MCPURL(),
	}
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
