package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/abilityai/trinity-bridge/bridge/logtest"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

func TestRun_usage(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	tests := []struct {
		id   string
		args []string
		code int
		out  []string // in the output or the error output
	}{
		{"help", []string{"--help"}, exitDone, []string{"serve", "demo", "grants"}},
		{"version", []string{"version"}, exitDone, []string{"trinity-bridge"}},
		{"nothing", nil, exitUsage, []string{"expected one of"}},
		{"unknown command", []string{"frobnicate"}, exitUsage, []string{"frobnicate"}},
		{"unknown flag", []string{"serve", "--frob"}, exitUsage, []string{"--frob"}},
		{
			"OP-34/all mistakes at once",
			[]string{"serve", "--public-url", "http://connect.example.com/", "--secret", "short", "--registration", "maybe"},
			exitUsage,
			[]string{"--public-url", "--trinity-url is missing", "--mcp-url is missing", "--secret", "--registration"},
		},
		{"demo off loopback", []string{"demo", "--listen", "0.0.0.0:8420"}, exitUsage, []string{"loopback"}},
		{"grants without a bridge", []string{"grants", "list", "--data", empty}, exitFailed, []string{"no bridge is running"}},
		{"revoke without a bridge", []string{"grants", "revoke", "x", "--yes", "--data", empty}, exitFailed, []string{"no bridge is running"}},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			if code := run(t.Context(), tt.args, &out, &errOut); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, part := range tt.out {
				if whole := out.String() + errOut.String(); !strings.Contains(whole, part) {
					t.Errorf("output lacks %q:\n%s", part, whole)
				}
			}
			if strings.Contains(errOut.String(), `"short"`) {
				t.Error("the secret is in the output")
			}
		})
	}
}

func operatorAddress(t *testing.T, data string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "operator.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), `"address":"`)
	address, _, _ := strings.Cut(after, `"`)
	return address
}

// patience is how long a test waits for anything. It is long because the machine may be busy.
const patience = time.Minute

// process is a command that runs until it is stopped.
type process struct {
	out, err *logtest.Buffer
	stop     context.CancelFunc
	code     chan int
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &process{out: &logtest.Buffer{}, err: &logtest.Buffer{}, stop: stop, code: make(chan int, 1)}
	go func() { p.code <- run(ctx, args, p.out, p.err) }()
	t.Cleanup(func() { p.end(t) })
	return p
}

func (p *process) end(t *testing.T) int {
	t.Helper()
	p.stop()
	select {
	case code := <-p.code:
		p.code <- code
		return code
	case <-time.After(patience):
		t.Fatal("the command did not end")
	}
	return -1
}

func (p *process) waitFor(t *testing.T, part string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(p.out.String(), part) {
			return
		}
	}
	t.Fatalf("no %q in the output:\n%s\n%s", part, p.out, p.err)
}

func address(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", bridgetest.FreePort(t))
}

// startDemo runs the demo and waits until it is ready.
func startDemo(t *testing.T) (demo *process, listen, data string) {
	t.Helper()
	listen, data = address(t), filepath.Join(t.TempDir(), "data")
	demo = start(t, "demo", "--listen", listen, "--operator-listen", "127.0.0.1:0", "--data", data)
	demo.waitFor(t, "ready: http://"+listen+"/mcp\n")
	return demo, listen, data
}

// behindTrinity is what it takes to serve before a simulated Trinity.
func behindTrinity(t *testing.T) (data string, settings []string) {
	t.Helper()
	simulated, err := trinitytest.Start(trinitytest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = simulated.Close() })
	listen, data := address(t), filepath.Join(t.TempDir(), "data")
	return data, []string{
		"--public-url", "http://" + listen, "--listen", listen, "--operator-listen", "127.0.0.1:0", "--data", data,
		"--trinity-url", simulated.BackendURL(), "--mcp-url", simulated.MCPURL(),
	}
}

// commands returns what runs a command with these settings, wants its exit code and returns what it prints.
func commands(t *testing.T, settings ...string) func(want int, args ...string) string {
	return func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := run(t.Context(), append(args, settings...), &out, &out); code != want {
			t.Fatalf("%v: exit code %d: %s", args, code, out.String())
		}
		return out.String()
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	demo, listen, data := startDemo(t)
	for _, part := range []string{"claude mcp add", "codex mcp add", "code --add-mcp", "mcp-remote", "alice@example.com"} {
		if !strings.Contains(demo.out.String(), part) {
			t.Errorf("the demo does not print %q", part)
		}
	}
	if code, body := get(t, "http://"+listen+"/"); code != http.StatusOK || !strings.Contains(body, "http://"+listen+"/mcp") {
		t.Errorf("home: %d %s", code, body)
	}

	// OP-04: a second process on the data folder is refused, and the first goes on.
	second := start(t, "demo", "--listen", address(t), "--operator-listen", "127.0.0.1:0", "--data", data)
	if code := <-second.code; code != exitFailed || !strings.Contains(second.err.String(), "in use by another process") {
		t.Errorf("OP-04: exit code %d, %s", code, second.err)
	} else {
		second.code <- code
	}
	if code, _ := get(t, "http://"+listen+"/privacy"); code != http.StatusOK {
		t.Errorf("OP-04: the first answers %d", code)
	}

	call := commands(t, "--data", data)
	if health := call(exitDone, "health"); health != "ok\n" {
		t.Errorf("health: %q", health)
	}
	operator := operatorAddress(t, data)
	if code, body := get(t, "http://"+operator+"/metrics"); code != http.StatusOK || !strings.Contains(body, "trinity_bridge_ready 1") {
		t.Errorf("metrics: %d %s", code, body)
	}
	for _, job := range []string{"lapsed_grants", "unlinked_grants", "key_revocations", "trinity_sessions", "orphaned_keys"} { // the last one after 5 s
		line := `trinity_bridge_job_runs_total{job="` + job + `",result="ok"}`
		for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			if _, body := get(t, "http://"+operator+"/metrics"); strings.Contains(body, line) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("no %s", line)
			}
		}
	}
	if code, _ := get(t, "http://"+operator+"/grants"); code != http.StatusUnauthorized {
		t.Errorf("OP-28: grants without the operator's token: %d", code)
	}

	if listed := call(exitDone, "grants", "list", "--json"); listed != "[]\n" {
		t.Errorf("grants list: %q", listed)
	}
	if code := demo.end(t); code != exitDone {
		t.Errorf("exit code %d: %s", code, demo.err)
	}
	if _, err := os.Stat(filepath.Join(data, "operator.json")); !os.IsNotExist(err) {
		t.Errorf("operator.json is left behind: %v", err)
	}
}

func TestServe_firstStart(t *testing.T) {
	t.Parallel()
	data, settings := behindTrinity(t)
	args := append([]string{"serve"}, settings...)
	first := start(t, args...)
	first.waitFor(t, "ready: ")
	secretFile := filepath.Join(data, "secret")
	if !strings.Contains(first.out.String(), "made a new secret: "+secretFile) {
		t.Errorf("the new secret is not told: %s", first.out)
	}
	text, err := os.ReadFile(secretFile)
	if err != nil || strings.Contains(first.out.String()+first.err.String(), strings.TrimSpace(string(text))) {
		t.Errorf("the secret itself is printed, or %v", err)
	}
	if code := first.end(t); code != exitDone {
		t.Errorf("exit code %d: %s", code, first.err)
	}
	again := start(t, args...)
	again.waitFor(t, "ready: ")
	if strings.Contains(again.out.String(), "made a new secret") {
		t.Error("a second secret was made")
	}
	again.end(t)

	// OP-13: another secret, or none where there was one, is refused and changes nothing.
	wrong := start(t, append(args, "--secret", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=")...)
	if code := <-wrong.code; code != exitFailed || !strings.Contains(wrong.err.String(), "not the one this store was made with") {
		t.Errorf("OP-13: exit code %d, %s", code, wrong.err)
	} else {
		wrong.code <- code
	}
	if err := os.Rename(secretFile, secretFile+".away"); err != nil {
		t.Fatal(err)
	}
	gone := start(t, args...)
	if code := <-gone.code; code != exitFailed || !strings.Contains(gone.err.String(), "put the file back") {
		t.Errorf("OP-13: exit code %d, %s", code, gone.err)
	} else {
		gone.code <- code
	}
}

// OP-34: an upstream that serves whoever asks is never proxied; one that is down is waited for.
func TestServe_OP34_upstream(t *testing.T) {
	t.Parallel()
	serve := func(t *testing.T, backend, mcp string) *process {
		t.Helper()
		listen := address(t)
		return start(t, "serve", "--public-url", "http://"+listen, "--listen", listen, "--operator-listen", "127.0.0.1:0",
			"--data", filepath.Join(t.TempDir(), "data"), "--trinity-url", backend, "--mcp-url", mcp)
	}
	t.Run("open", func(t *testing.T) {
		t.Parallel()
		simulated, err := trinitytest.Start(trinitytest.Options{Switches: trinitytest.Switches{AnonymousAllowed: true}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = simulated.Close() })
		p := serve(t, simulated.BackendURL(), simulated.MCPURL())
		if code := <-p.code; code != exitFailed || !strings.Contains(p.err.String(), "MCP_REQUIRE_API_KEY=true") {
			t.Errorf("exit code %d, %s", code, p.err)
		} else {
			p.code <- code
		}
	})
	t.Run("down", func(t *testing.T) {
		t.Parallel()
		nowhere := "http://" + address(t)
		p := serve(t, nowhere, nowhere+"/mcp")
		p.waitFor(t, "ready: ")
		connector := strings.TrimSpace(strings.TrimPrefix(p.out.String()[strings.Index(p.out.String(), "ready: "):], "ready: "))
		if code, _ := get(t, connector); code != http.StatusUnauthorized {
			t.Errorf("without a token: %d", code)
		}
		if code, body := post(t, connector, "trinity_mcp_"+strings.Repeat("a", 43)); code != http.StatusServiceUnavailable {
			t.Errorf("with a key: %d %s", code, body)
		}
	})
	t.Run("not an MCP server", func(t *testing.T) {
		t.Parallel()
		page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<!doctype html>"))
		}))
		t.Cleanup(page.Close)
		p := serve(t, page.URL, page.URL+"/mcp")
		p.waitFor(t, "ready: ")
		connector := strings.TrimSpace(strings.TrimPrefix(p.out.String()[strings.Index(p.out.String(), "ready: "):], "ready: "))
		if code, body := post(t, connector, "trinity_mcp_"+strings.Repeat("a", 43)); code != http.StatusServiceUnavailable {
			t.Errorf("with a key: %d %s", code, body)
		}
	})
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	return do(t, http.MethodGet, url, "")
}

func post(t *testing.T, url, key string) (int, string) {
	t.Helper()
	return do(t, http.MethodPost, url, key)
}

func do(t *testing.T, method, url, key string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// GW-04: the demo is for the machine it runs on: it listens on loopback unless told otherwise, and cannot be told to
// listen anywhere else.
func TestDemo_GW04_loopback(t *testing.T) {
	t.Parallel()
	var commands cli
	parser, err := kong.New(&commands)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"demo"}); err != nil {
		t.Fatal(err)
	}
	if commands.Demo.Listen != "127.0.0.1:8420" || commands.Demo.OperatorListen != "127.0.0.1:8421" {
		t.Errorf("the demo listens on %s and %s", commands.Demo.Listen, commands.Demo.OperatorListen)
	}
	for _, listen := range []string{"0.0.0.0:8420", ":8420", "[::]:8420", "192.0.2.1:8420"} {
		var out, errOut bytes.Buffer
		data := filepath.Join(t.TempDir(), "data")
		if code := run(t.Context(), []string{"demo", "--listen", listen, "--data", data}, &out, &errOut); code != exitUsage && code != exitFailed ||
			!strings.Contains(errOut.String(), "loopback") {
			t.Errorf("%s: exit code %d, %s", listen, code, errOut.String())
		}
	}
}
