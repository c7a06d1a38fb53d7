package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

const (
	restoredParts  = 100
	restoredAtOnce = 600
	restoredBytes  = 1 << 10 // of a row
	// mostOfRestore is what a restore may take in memory. It takes some 200 MB, and took 380 of these rows, and 500 of
	// connections, when the engine had the sizes it serves with.
	mostOfRestore = 320 // MB
)

// TestRestore_OP18_memory: who has lost a store restores on the machine they have. What that takes in memory is bounded,
// whatever is in the backup.
func TestRestore_OP18_memory(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere mapped files are not given back")
	}
	from := filepath.Join(t.TempDir(), "store")
	s := openBadger(t, from)
	for part := range restoredParts {
		events := make([]bridge.AuditEvent, restoredAtOnce)
		for i := range events {
			detail := make([]byte, restoredBytes/2)
			_, _ = rand.Read(detail) // never fails
			at := time.Now().Add(time.Duration(part*restoredAtOnce+i) * time.Millisecond)
			events[i] = bridge.AuditEvent{At: at, Kind: "kind", GrantID: fmt.Sprint(i), Detail: fmt.Sprintf("%x", detail)}
		}
		must(t, s.AppendAudit(t.Context(), events))
	}
	must(t, s.Close())
	machine := built(t)
	backup, restore := restored(t, machine, from)
	t.Logf("%d MB in the folder: a backup took %s, restoring it %s", folderSize(t, from)/1e6, backup, restore)
	if mb(max(backup.resident, restore.resident)) > mostOfRestore {
		t.Errorf("more than %d MB", mostOfRestore)
	}
}

// cost is what a command took.
type cost struct {
	time     time.Duration
	resident int // KiB, at the most
}

func (c cost) String() string {
	return fmt.Sprintf("%s and %d MB", c.time.Round(100*time.Millisecond), mb(c.resident))
}

// restored makes a backup of the closed store in a folder and a store of that, by the program's commands.
func restored(t *testing.T, machine *programtest.Machine, from string) (backup, restore cost) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup")
	backup = runStore(t, machine, filepath.Dir(copyStore(t, from)), "backup", file)
	restore = runStore(t, machine, t.TempDir(), "restore", "--yes", file)
	must(t, os.Remove(file))
	return backup, restore
}

// runStore runs one of the program's commands that look after a store, on a data folder that it removes.
func runStore(t *testing.T, machine *programtest.Machine, data string, args ...string) cost {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	run := exec.CommandContext(ctx, machine.Bridge, append([]string{"store"}, args...)...)
	run.Env = append(
		os.Environ(),
		"TRINITY_BRIDGE_SECRET="+secrettest.Master,
		"TRINITY_BRIDGE_DATA="+data,
		"TRINITY_BRIDGE_PUBLIC_URL=http://127.0.0.1:8420",
		"TRINITY_BRIDGE_TRINITY_URL=http://127.0.0.1:1",
		"TRINITY_BRIDGE_MCP_URL=http://127.0.0.1:1/mcp",
	)
	var said bytes.Buffer
	run.Stdout, run.Stderr = &said, &said
	began := time.Now()
	must(t, run.Start())
	ended, most := make(chan error, 1), 0
	go func() { ended <- run.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("store %s: %v\n%s", args[0], err, &said)
			}
			must(t, os.RemoveAll(data))
			return cost{time.Since(began), most}
		case <-time.After(10 * time.Millisecond):
			most = max(most, memory(run.Process.Pid)["VmHWM:"]) // what the system says at the end is the parent's, if that is larger
		}
	}
}
