package crash_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// answersWatched is how many answers TestCrash_OP03_syncBeforeAnswer looks at, besides the redemption.
const answersWatched = 40

// TestCrash_OP03_syncBeforeAnswer watches the program's system calls: between a request and the first
// byte of its 200 the engine's log is synced. A killed process cannot show that, since what it wrote
// is in the system's cache and survives it.
func TestCrash_OP03_syncBeforeAnswer(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "strace", "-f", "-qq", "-e", "trace=none", "true").Run(); err != nil {
		t.Skip("this machine allows no tracing:", err)
	}
	h := newHouse(t)
	r := h.begin(t)
	h.client = h.Register(t)
	c := &connection{bridge: h.Bridge, client: h.client, code: h.Code(t, h.client, "person-0@example.com")}
	r.stop(t)
	trace := filepath.Join(t.TempDir(), "trace")
	r = h.child.start(t, "strace", "-f", "-qq", "-s", "40", "-o", trace, "-e", "trace=read,write,fdatasync")
	if !r.starts(t) {
		t.Fatalf("the program does not start under strace: %s", r.said)
	}
	time.Sleep(2 * watermarkBehind) // until nothing of the start is left to be synced
	for i := range answersWatched {
		if err := c.next(i == answersWatched-1); err != nil {
			t.Fatal(err)
		}
	}
	r.stop(t)
	checkOrder(t, trace)
}

// watermarkBehind is how long after a write the watermark is synced; that is not the sync looked for.
const watermarkBehind = time.Second

func checkOrder(t *testing.T, trace string) {
	t.Helper()
	file, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	asked, synced, answers := false, false, 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		done := !strings.Contains(line, "<unfinished")
		switch {
		case strings.Contains(line, `"POST /oauth/`):
			asked, synced = true, false
		case strings.Contains(line, "fdatasync") && done && strings.HasSuffix(line, "= 0"): // of the log; all else is synced otherwise
			synced = true
		case strings.Contains(line, `write(`) && strings.Contains(line, `"HTTP/1.1 200`) && asked:
			if !synced {
				t.Errorf("an answer went out before a sync: %s", line)
			}
			asked = false
			answers++
		}
	}
	if answers != answersWatched {
		t.Errorf("%d answers were seen, want %d", answers, answersWatched)
	}
}
