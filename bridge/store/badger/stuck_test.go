package badger

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

// TestOpen_stuck has no file be removed while the engine opens a store with as many tables as it waits for a merge
// with, and more logs to write out: it would never come back. The start says so, and the next one is well.
func TestOpen_stuck(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "strace", "-f", "-qq", "-e", "trace=none", "true").Run(); err != nil {
		t.Skip("this machine allows no tracing:", err)
	}
	of := subjectOf(t, killedStore(t))
	add, most := copiesOfLog(t, of.dir), engineOptions(optionsOf(t, of.dir)).NumLevelZeroTablesStall
	add(most - 1)
	writeOut(t, of.dir)
	add(most)

	command := childCommand(t, childOpens, of.dir)
	command.Args = append([]string{"strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=unlinkat", "-e", "inject=unlinkat:error=EIO"}, command.Args...)
	tracer, err := exec.LookPath("strace")
	must(t, err)
	command.Path = tracer
	said, err := command.Output()
	must(t, err)
	if want := errStuck.Error(); !strings.HasSuffix(string(said), want) {
		t.Errorf("opening came to %s, want %s", said, want)
	}
	if diff := difference(of.want, contents(t, of.dir)); diff != "" {
		t.Error(diff)
	}
	s, err := Open(Options{Sealer: secrettest.Ring(), Dir: of.dir})
	must(t, err)
	waitMerged(t, s)
	must(t, s.Close())
}

// copiesOfLog returns what adds copies of the only log of a store to it.
func copiesOfLog(t *testing.T, dir string) func(n int) {
	t.Helper()
	content, err := os.ReadFile(logOf(t, dir))
	must(t, err)
	content = bytes.TrimRight(content, "\x00")
	next := 100
	return func(n int) {
		for range n {
			overwrite(t, dir, fmt.Sprintf("%05d.mem", next), content)
			next++
		}
	}
}
