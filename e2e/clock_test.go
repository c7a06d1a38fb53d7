//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestClock_OP16 sets the clock under the running program, as an administrator or a broken time server does: on, back, by ten
// years and back again, which is long enough for everything to be swept. What was revoked or spent is never good again,
// and when the clock is right people connect.
func TestClock_OP16(t *testing.T) {
	if bridgetest.Replicas() > 0 {
		t.Skip("the program is built for this test, and has one replica")
	}
	clocked := machine
	clocked.Bridge = buildClocked(t)
	for _, store := range []string{"folder", "database"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			c := &clock{file: filepath.Join(t.TempDir(), "clock")}
			settings := []string{"TEST_CLOCK=" + c.file, "TRINITY_BRIDGE_SECRET=a secret of a test that is long enough 0123456789"}
			if store == "database" {
				settings = append(settings, "TRINITY_BRIDGE_STORE="+postgrestest.Own(t).Database(t))
			}
			c.write(t, 0)
			simulated := programtest.StartTrinity(t)
			c.Bridge = clocked.StartServe(t, "http", simulated, simulated.MCPURL(), settings...)
			c.web = &bridgetest.Bridge{URL: c.Origin, MCP: c.Connector, Trinity: simulated.Server}
			c.jumps(t)
		})
	}
}

// clock is a program whose clock is set.
type clock struct {
	*programtest.Bridge
	file string
	web  *bridgetest.Bridge
}

func (c *clock) jumps(t *testing.T) {
	client := c.web.Register(t)
	stays, leaves := c.web.Connect(t, client, programtest.Alice), c.web.Connect(t, client, "bob@example.com")
	spent := c.web.RedeemForm(client, c.web.Code(t, client, "admin@example.com"))
	fromCode := c.web.Token(t, spent)
	for _, grant := range c.Grants(t) {
		if grant.Account == "bob@example.com" {
			c.Revoke(t, grant)
		}
	}
	wantRefused := func(what string, form url.Values) {
		t.Helper()
		answer := c.web.PostForm(t, "/oauth/token", form)
		if answer.Status != http.StatusBadRequest && answer.Status != http.StatusUnauthorized { // of a client that was swept
			t.Errorf("%s is answered %d", what, answer.Status)
		}
	}
	wantOver := func(when string) {
		t.Helper()
		if status := c.web.Works(t, leaves.Access); status != http.StatusUnauthorized {
			t.Errorf("%s: a token of a grant that was revoked is answered %d", when, status)
		}
		wantRefused(when+": a refresh token of a grant that was revoked", c.web.RefreshForm(client, leaves.Refresh))
	}
	wantOver("at first")
	for _, by := range []time.Duration{time.Hour, 0, -time.Hour, 0} {
		c.set(t, by)
		wantOver(fmt.Sprint("the clock is off by ", by))
		stays = c.web.Token(t, c.web.RefreshForm(client, stays.Refresh))
		if status := c.web.Works(t, stays.Access); status != http.StatusOK {
			t.Errorf("the clock is off by %s: a new token is answered %d", by, status)
		}
	}

	const decade = 10 * 365 * 24 * time.Hour
	swept := c.sweeps(t)
	c.set(t, decade)
	wantOver("ten years later")
	for _, tokens := range []bridgetest.Tokens{stays, fromCode} {
		if status := c.web.Works(t, tokens.Access); status != http.StatusUnauthorized {
			t.Errorf("ten years later: a token is answered %d", status)
		}
	}
	for late := time.Now().Add(5 * time.Minute); c.sweeps(t) == swept; time.Sleep(time.Second) {
		if time.Now().After(late) {
			t.Fatal("nothing is swept")
		}
	}
	c.set(t, 0)
	wantOver("after ten years and back")
	wantRefused("after ten years and back: a spent code", spent)
	c.Restart(t)
	wantOver("after ten years and back, and a restart")
	wantRefused("after ten years and back, and a restart: a spent code", spent)
	client = c.web.Register(t)
	if status := c.web.Works(t, c.web.Connect(t, client, "bob@example.com").Access); status != http.StatusOK {
		t.Errorf("who connects anew calls: %d", status)
	}
}

// set sets the clock and waits until the program goes by it.
func (c *clock) set(t *testing.T, by time.Duration) {
	t.Helper()
	c.write(t, by)
	for late := time.Now().Add(programtest.Patience); ; time.Sleep(20 * time.Millisecond) {
		at, err := http.ParseTime(c.web.Get(t, "/").Header.Get("Date"))
		if err != nil {
			t.Fatal(err)
		}
		if off := at.Sub(time.Now().Add(by)); off.Abs() < 10*time.Minute {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("the program is at %s", at)
		}
	}
}

func (c *clock) write(t *testing.T, by time.Duration) {
	t.Helper()
	if err := os.WriteFile(c.file+".new", fmt.Appendf(nil, "%d", int64(by/time.Second)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(c.file+".new", c.file); err != nil {
		t.Fatal(err)
	}
}

var sweepRuns = regexp.MustCompile(`trinity_bridge_job_runs_total\{job="sweep",result="ok"\} \d+`)

// sweeps is what the program says of how often it has swept.
func (c *clock) sweeps(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.Data, "operator.json"))
	if err != nil {
		t.Fatal(err)
	}
	var at app.Operator
	if err := json.Unmarshal(text, &at); err != nil {
		t.Fatal(err)
	}
	metrics, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at.Address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	return sweepRuns.FindString(c.web.Do(t, metrics).Body)
}

// buildClocked builds the program with a clock that is off by the seconds in the file TEST_CLOCK names. It is the clock of
// everything in it, the storage engine too; what measures how long something takes is left alone, as by the system.
func buildClocked(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	const reads = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	changed := strings.Replace(string(text), reads, reads+"\tsec += shift.Load()\n", 1)
	if changed == string(text) {
		t.Fatalf("time.Now is not what it was: %s", original)
	}
	overlay := map[string]map[string]string{"Replace": {}}
	for name, source := range map[string]string{"time.go": changed, "shift.go": shift} {
		written := filepath.Join(folder, name)
		if err := os.WriteFile(written, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay["Replace"][filepath.Join(filepath.Dir(original), name)] = written
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "overlay.json"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(machine.Folder, "trinity-bridge-clocked")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(folder, "overlay.json"), "-o", program, "github.com/abilityai/trinity-bridge/cmd/trinity-bridge")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program with another clock: %v\n%s", err, out)
	}
	return program
}

const shift = `package time

import (
	"sync/atomic"
	"syscall"
)

var shift atomic.Int64

func init() {
	path, ok := syscall.Getenv("TEST_CLOCK")
	if !ok {
		return
	}
	read := func() {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		defer syscall.Close(fd)
		var text [32]byte
		n, _ := syscall.Read(fd, text[:])
		var seconds, sign int64 = 0, 1
		for _, c := range text[:max(n, 0)] {
			if c == '-' {
				sign = -1
			} else {
				seconds = 10*seconds + int64(c-'0')
			}
		}
		shift.Store(sign * seconds)
	}
	read()
	go func() {
		for {
			Sleep(10 * Millisecond)
			read()
		}
	}()
}
`
