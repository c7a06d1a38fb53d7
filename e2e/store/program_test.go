package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

const (
	idleGrants = 10_000
	settled    = 10 * time.Second // after work
	idleFor    = time.Minute      // after the start: its jobs look for orphaned keys meanwhile
	peopleRead = 4000             // whose grants are listed, before the memory is looked at once more
)

// programs measures the program itself, on a store of idleGrants and on the large one.
func (b *table) programs(t *testing.T, large string) {
	t.Helper()
	machine := built(t)
	idle := filepath.Join(t.TempDir(), "store")
	b.fill(t, idle, idleGrants)
	b.program(t, machine, idle, idleGrants)
	b.program(t, machine, large, *grants)
	backup, restore := restored(t, machine, large)
	b.remark("program, %d grants: a backup took %s, restoring it %s", *grants, backup, restore)
}

// built is a machine with the program.
func built(t *testing.T) *programtest.Machine {
	t.Helper()
	machine := &programtest.Machine{Folder: t.TempDir()}
	var err error
	machine.Bridge, err = machine.Build("trinity-bridge", "github.com/abilityai/trinity-bridge/cmd/trinity-bridge")
	must(t, err)
	return machine
}

// program starts the program on a copy of a store and says how long that takes, what it holds in memory, and what the
// operator's calls take.
func (b *table) program(t *testing.T, machine *programtest.Machine, from string, n int) {
	t.Helper()
	in, data := fmt.Sprintf("program, %d grants", n), filepath.Dir(copyStore(t, from))
	began := time.Now()
	p := startOn(t, machine, in, data)
	ready := time.Since(began)
	time.Sleep(idleFor)
	most, idle := memory(p.PID())["VmHWM:"], resident(t, p)
	o := openOperator(t, data)
	for i := range peopleRead {
		_, err := o.list(t.Context(), person(n/peopleRead*i))
		must(t, err)
	}
	read := resident(t, p)
	b.listAll(t, machine, in, data, n)
	b.operate(t, in, data, o)
	time.Sleep(settled)
	b.remark("%s: ready after %s; after a minute resident %s, %d MB at most until then; after reading all over the store %s, %s later %s", in,
		ready.Round(time.Millisecond), idle, mb(most), read, settled, resident(t, p))
	p.Stop()
	must(t, os.RemoveAll(data))
}

// startOn starts the program on a folder and waits until it is ready.
func startOn(t *testing.T, machine *programtest.Machine, name, data string) *programtest.Program {
	t.Helper()
	trinity := programtest.StartTrinity(t)
	p := machine.NewHome(t).Start(t, name, []string{
		"TRINITY_BRIDGE_SECRET=" + secrettest.Master,
		"TRINITY_BRIDGE_DATA=" + data,
		fmt.Sprintf("TRINITY_BRIDGE_PUBLIC_URL=http://127.0.0.1:%d", bridgetest.FreePort(t)),
		"TRINITY_BRIDGE_LISTEN=127.0.0.1:0",
		"TRINITY_BRIDGE_OPERATOR_LISTEN=127.0.0.1:0",
		"TRINITY_BRIDGE_TRINITY_URL=" + trinity.BackendURL(),
		"TRINITY_BRIDGE_MCP_URL=" + trinity.MCPURL(),
		"TRINITY_BRIDGE_DOCUMENT_POLICY=off", // nothing leaves the machine
	}, machine.Bridge, "serve")
	p.Await(t, "its ready line", func(l programtest.Line) bool { return strings.HasPrefix(l.Text, "ready: ") })
	return p
}

// listAll runs the command that lists all grants.
func (b *table) listAll(t *testing.T, machine *programtest.Machine, in, data string, n int) {
	t.Helper()
	began, lines, held := time.Now(), 0, 0
	command := exec.CommandContext(t.Context(), machine.Bridge, "grants", "list", "--data", data)
	out, err := command.StdoutPipe()
	must(t, errors.Join(err, command.Start()))
	for scanner := bufio.NewScanner(out); scanner.Scan(); lines++ {
		if lines%5000 == 1 { // it has much to print still
			held = memory(command.Process.Pid)["VmHWM:"]
		}
	}
	must(t, command.Wait())
	if lines != n+1 {
		t.Errorf("%s: %d lines of grants", in, lines)
	}
	b.remark("%s: grants list prints all of them in %s and holds %d MB at most", in, time.Since(began).Round(time.Millisecond), mb(held))
}

// operate lists one person's grants and ends them, through the running program.
func (b *table) operate(t *testing.T, in, data string, o *operator) {
	t.Helper()
	var page []app.ListedGrant
	list, err := storetest.Measure(t.Context(), 200, 1, func(ctx context.Context, _ int) (err error) {
		page, err = o.list(ctx, busyPerson())
		if err == nil && len(page) != grantsOfBusy {
			err = fmt.Errorf("%d grants are listed", len(page))
		}
		return err
	})
	must(t, err)
	b.row(fmt.Sprintf("%s: list one person's %d grants", in, grantsOfBusy), 1, list)
	ids := make([]string, len(page))
	for i, grant := range page {
		ids[i] = grant.ID
	}
	revoke, err := storetest.Measure(t.Context(), 1, 1, func(ctx context.Context, _ int) error {
		ended := 0
		err := app.RevokeGrants(ctx, data, ids, func(app.ListedGrant) { ended++ })
		if err == nil && ended != len(ids) {
			err = fmt.Errorf("%d grants were revoked", ended)
		}
		return err
	})
	must(t, err)
	b.row(in+": revoke them", 1, revoke)
}

// operator lists as the operator's commands do, all over one connection.
type operator struct{ app.Operator }

func openOperator(t *testing.T, data string) *operator {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "operator.json"))
	must(t, err)
	o := &operator{}
	must(t, json.Unmarshal(text, &o.Operator))
	return o
}

func (o *operator) list(ctx context.Context, of bridge.Person) (grants []app.ListedGrant, err error) {
	return grants, o.call(ctx, http.MethodGet, "/grants", url.Values{"person": {of.ID()}}, &grants)
}

func (o *operator) call(ctx context.Context, method, path string, query url.Values, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+o.Address+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+o.Token)
	answer, err := programtest.HTTPClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// resident is what a program holds in memory: its own, and with it the pages of files it has mapped, its tables among
// them, which the system takes back when somebody needs them.
func resident(t *testing.T, p *programtest.Program) string {
	t.Helper()
	of := memory(p.PID())
	return fmt.Sprintf("%d MB (%d without mapped files)", mb(of["VmRSS:"]), mb(of["RssAnon:"]))
}

// memory is what the system says of a process, in KiB; nothing of one that has ended.
func memory(pid int) map[string]int {
	said, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	of := map[string]int{}
	for line := range strings.Lines(string(said)) {
		var name string
		var kib int
		if _, err := fmt.Sscanf(line, "%s %d kB", &name, &kib); err == nil {
			of[name] = kib
		}
	}
	return of
}

func mb(kib int) int { return kib << 10 / 1e6 }
