package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/app"
)

// asProgram tells this binary to be the program, for tests that want a process of it.
const asProgram = "TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// manyGrants plays a bridge with so many grants. It says which pages it was asked for, and breaks at the page after a grant.
type manyGrants struct {
	n      int
	ended  int // the newest ones
	breaks string
	pages  []string
}

func (m *manyGrants) serve(t *testing.T) (data string) {
	t.Helper()
	return played(t, func(w http.ResponseWriter, r *http.Request) {
		after := r.URL.Query().Get("after")
		m.pages = append(m.pages, after)
		if after != "" && after == m.breaks {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		page, from := []app.ListedGrant{}, 0
		if after != "" {
			_, _ = fmt.Sscanf(after, "grant-%d", &from)
			from++
		}
		for i := from; i < min(from+100, m.n); i++ {
			status := bridge.GrantLive
			if i < m.ended {
				status = bridge.GrantEnded
			}
			page = append(page, app.ListedGrant{ID: fmt.Sprint("grant-", i), Status: status, Account: strings.Repeat("x", i/100), Client: "Claude"})
		}
		_ = json.NewEncoder(w).Encode(page)
	})
}

// head is an output that is closed after some writes.
type head struct{ writes int }

func (h *head) Write(p []byte) (int, error) {
	if h.writes--; h.writes < 0 {
		return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}
	}
	return len(p), nil
}

// A list is printed page by page, as far as it is wanted.
func TestList_pages(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		args  []string
		pages []string
		n     int
	}{
		{"all", nil, []string{"", "grant-99", "grant-199"}, 250},
		{"newest", []string{"--limit", "3"}, []string{""}, 3},
		{"newest of two pages", []string{"--limit", "101"}, []string{"", "grant-99"}, 101},
		{"more than there are", []string{"--limit=1000"}, []string{"", "grant-99", "grant-199"}, 250},
	}
	for _, tt := range tests {
		for _, asJSON := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, " ", asJSON), func(t *testing.T) {
				t.Parallel()
				m := &manyGrants{n: 250}
				args := append([]string{"grants", "list"}, tt.args...)
				if asJSON {
					args = append(args, "--json")
				}
				out := commands(t, "--data", m.serve(t))(exitDone, args...)
				var ids []string
				if asJSON {
					var grants []app.ListedGrant
					if err := json.Unmarshal([]byte(out), &grants); err != nil {
						t.Fatal(err)
					}
					for _, grant := range grants {
						ids = append(ids, grant.ID)
					}
				} else {
					for _, line := range strings.Split(strings.TrimSuffix(out, "\n"), "\n")[1:] {
						ids = append(ids, strings.Fields(line)[0])
					}
				}
				if len(ids) != tt.n || ids[tt.n-1] != fmt.Sprint("grant-", tt.n-1) || !slices.Equal(m.pages, tt.pages) {
					t.Errorf("%d grants of pages %q", len(ids), m.pages)
				}
			})
		}
	}
	m := &manyGrants{n: 250, ended: 120}
	out := commands(t, "--data", m.serve(t))(exitDone, "grants", "list", "--open", "--limit", "2")
	if strings.Count(out, "\n") != 3 || !strings.Contains(out, "\ngrant-121 ") || len(m.pages) != 2 {
		t.Errorf("open ones:\n%sasked for pages %q", out, m.pages)
	}
	for _, limit := range []string{"-1", "x", ""} {
		commands(t, "--data", t.TempDir())(exitUsage, "grants", "list", "--limit="+limit)
	}
}

// A reader that has enough ends the list without a word, and a bridge that goes away with one; nobody takes half a list for
// all of it.
func TestList_cutShort(t *testing.T) {
	t.Parallel()
	for _, asJSON := range []bool{false, true} {
		args := []string{"grants", "list", "--data", ""}
		if asJSON {
			args = append(args, "--json")
		}
		m := &manyGrants{n: 1000}
		args[3] = m.serve(t)
		var errOut bytes.Buffer
		if code := run(t.Context(), args, &head{1}, &errOut); code != exitFailed || errOut.Len() > 0 || len(m.pages) > 3 {
			t.Errorf("read by head: exit code %d, %q, asked for pages %q", code, errOut.String(), m.pages)
		}
		m = &manyGrants{n: 1000, breaks: "grant-199"}
		args[3] = m.serve(t)
		var out bytes.Buffer
		if code := run(t.Context(), args, &out, &errOut); code != exitFailed || errOut.String() != "trinity-bridge: Service Unavailable\n" {
			t.Errorf("a bridge that goes away: exit code %d, %q", code, errOut.String())
		}
		if code := run(t.Context(), []string{"tools", "list"}, &head{1}, &bytes.Buffer{}); code != exitFailed {
			t.Errorf("tools read by head: exit code %d", code)
		}
		if strings.Count(out.String(), "grant-") != 200 || json.Valid(out.Bytes()) {
			t.Errorf("what came before is %d grants", strings.Count(out.String(), "grant-"))
		}
	}
}

// Columns stand below each other, also where a later page is wider, and nobody's words move them.
func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	rows := newTable(&out, "ID", "NAME", "N")
	for i := range 2 * tableRows {
		must(t, rows.add(fmt.Sprint("id-", i), printable("é\x1b[2J\u202eb\u00a0c"), i))
	}
	must(t, rows.end())
	lines := strings.Split(out.String(), "\n")
	for line, want := range map[int]string{
		0: "ID     NAME       N", 1: "id-0   é?[2J?b\u00a0c  0", 99: "id-98  é?[2J?b\u00a0c  98", 101: "id-100  é?[2J?b\u00a0c  100",
	} {
		if lines[line] != want {
			t.Errorf("line %d: %q, want %q", line, lines[line], want)
		}
	}
	if len(lines) != 2*tableRows+2 {
		t.Errorf("%d lines", len(lines))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Only a yes is one. What is asked is not in the output, which may be a file.
func TestConfirm(t *testing.T) {
	t.Parallel()
	never, _ := io.Pipe()
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	for name, tt := range map[string]struct {
		ctx context.Context
		in  io.Reader
		yes bool
	}{
		"y": {t.Context(), strings.NewReader("y\n"), true}, "yes": {t.Context(), strings.NewReader(" Yes\r\n"), true},
		"the end after y": {t.Context(), strings.NewReader("y"), true}, "no": {t.Context(), strings.NewReader("n\ny\n"), false},
		"nothing": {t.Context(), strings.NewReader("\n"), false}, "no input": {t.Context(), strings.NewReader(""), false},
		"words": {t.Context(), strings.NewReader("yesterday\n"), false}, "an interrupt": {interrupted, never, false},
	} {
		var out, errOut bytes.Buffer
		m := &manyGrants{n: 2}
		revoke := &grantsRevoke{running: running{m.serve(t)}, All: true}
		err := revoke.Run(&console{ctx: tt.ctx, in: tt.in, out: &out, err: &errOut})
		if name != "an interrupt" && (!strings.Contains(errOut.String(), "grant-1 ") || !strings.HasSuffix(errOut.String(), "connect again. [y/N] ")) {
			t.Errorf("%s: it shows %q", name, errOut.String())
		}
		if went := len(m.pages) > 1; went != tt.yes || !tt.yes && (err == nil || out.Len() > 0) {
			t.Errorf("%s: it went on: %v, %v, %q", name, went, err, out.String())
		}
	}
}

// Who names no verb is shown those there are, as an error.
func TestRun_noVerb(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args  []string
		wants []string
	}{
		{nil, []string{"serve", "grants revoke", "store backup", "expected one of"}},
		{[]string{"grants"}, []string{"grants list", "grants revoke", "expected one of"}},
		{[]string{"grants", "lst"}, []string{"grants list", `did you mean "list"?`}},
	} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), tt.args, &out, &errOut); code != exitUsage || out.Len() > 0 {
			t.Errorf("%q: exit code %d, output %q", tt.args, code, out.String())
		}
		for _, want := range tt.wants {
			if !strings.Contains(errOut.String(), want) {
				t.Errorf("%q: nothing of %q in %q", tt.args, want, errOut.String())
			}
		}
	}
}

// A bridge serves on when whoever read its output and its log is gone.
func TestServe_closedLog(t *testing.T) {
	t.Parallel()
	data, settings := behindTrinity(t)
	program := exec.CommandContext(t.Context(), os.Args[0], append([]string{"serve", "--log-level", "debug"}, settings...)...)
	program.Env = append(os.Environ(), asProgram+"=1")
	out, err1 := program.StdoutPipe()
	log, err2 := program.StderrPipe()
	must(t, errors.Join(err1, err2, program.Start()))
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.HasPrefix(lines.Text(), "ready: "); {
		continue
	}
	must(t, errors.Join(out.Close(), log.Close()))
	public := settings[slices.Index(settings, "--public-url")+1]
	for range 3 {
		if code, _ := get(t, public+"/oauth/authorize?client_id=nobody"); code != http.StatusBadRequest { // it is logged
			t.Fatalf("answered %d", code)
		}
	}
	if health := commands(t, "--data", data)(exitDone, "health"); health != "ok\n" {
		t.Errorf("health: %q", health)
	}
	must(t, program.Process.Signal(syscall.SIGTERM))
	ended := make(chan error, 1)
	go func() { ended <- program.Wait() }()
	select {
	case err := <-ended:
		must(t, err)
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}
