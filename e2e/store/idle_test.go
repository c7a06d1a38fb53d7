package store_test

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

const (
	watchedFor = 30 * time.Second // several rounds of what a start sets off
	mostIdle   = 60               // MB that the program may hold, with idleGrants
)

// TestProgram_idleMemory: a program that nobody calls is small from its start on, whatever its jobs go through meanwhile.
func TestProgram_idleMemory(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere the system does not say it in this way")
	}
	data := t.TempDir()
	s := openBadger(t, filepath.Join(data, "store"))
	for _, c := range fill(t, s, idleGrants) {
		must(t, c.Rotate(t.Context()))
	}
	must(t, s.Close())
	p := startOn(t, built(t), "the program", data)
	time.Sleep(watchedFor)
	most := mb(memory(p.PID())["VmHWM:"])
	t.Logf("resident %s, %d MB at most", resident(t, p), most)
	if most > mostIdle {
		t.Errorf("it held %d MB", most)
	}
	p.Stop()
}
