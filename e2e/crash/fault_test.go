package crash_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"
)

// TestCrash_OP01_systemCallsFail has the n-th system call of a kind that changes a file fail, while the program starts
// or works, and kills it a little later. It may refuse, and it may end; what it acknowledged must hold.
func TestCrash_OP01_systemCallsFail(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "strace", "-f", "-qq", "-e", "trace=none", "true").Run(); err != nil {
		t.Skip("this machine allows no tracing:", err)
	}
	// Not msync, ftruncate and openat: the engine makes its tables with them, and when it cannot make one in a merge it
	// drops the error, and with it what it merged (docs/decisions/0020). The store then refuses to start.
	calls := []string{"fsync", "fdatasync", "pwrite64", "write", "renameat", "unlinkat"}
	failures := []string{"EIO", "ENOSPC"}
	h := newHouse(t)
	h.faulty = true
	for round := range *rounds {
		call, failure, when := calls[round%len(calls)], failures[round/len(calls)%len(failures)], 1+rand.IntN(60)
		h.round(t, round, h.traced(t, call, fmt.Sprintf("inject=%s:error=%s:when=%d", call, failure, when)))
	}
	h.report(t, byFault)
	t.Logf("the list of tables was mended %d times", h.mended)
}
