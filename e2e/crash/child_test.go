package crash_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
)

// childSettings names the variable that makes this binary the program; it holds a child as JSON.
const childSettings = "CRASH_TEST_CHILD"

// child is the program in a process of its own.
type child struct {
	Flags config.Flags
	Later time.Duration // how far its clock is ahead
}

func TestMain(m *testing.M) {
	if settings := os.Getenv(childSettings); settings != "" {
		os.Exit(serve(settings))
	}
	code := m.Run()
	if *table != "" {
		if err := total.write(*table); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func serve(settings string) int {
	if err := run(settings); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func run(settings string) error {
	var c child
	if err := json.Unmarshal([]byte(settings), &c); err != nil {
		return err
	}
	cfg, err := config.Load(c.Flags, func(string) (string, bool) { return "", false })
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	program, err := app.New(ctx, cfg, app.Options{
		Log: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Now: func() time.Time { return time.Now().Add(c.Later) },
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if err := program.Run(ctx); err != nil {
		return err
	}
	return program.Close()
}

// running is a started child.
type running struct {
	command *exec.Cmd
	ready   chan bool // true when it serves, false when it ended before
	said    *tail
	ended   sync.Once
	err     error // of the process, once it has ended
}

// start starts the program, under a tracer if one is given: `strace …`.
func (c child) start(t *testing.T, tracer ...string) *running {
	t.Helper()
	settings, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	words := append(tracer, os.Args[0])
	r := &running{command: exec.CommandContext(t.Context(), words[0], words[1:]...), ready: make(chan bool, 1), said: &tail{}}
	r.command.Env = append(os.Environ(), childSettings+"="+string(settings))
	r.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a tracer and what it traces die together
	r.command.Stderr = r.said
	out, err := r.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	go func() {
		line := make([]byte, len("ready"))
		_, err := io.ReadFull(out, line)
		r.ready <- err == nil && string(line) == "ready"
		_, _ = io.Copy(io.Discard, out)
	}()
	return r
}

// starts waits until the program serves, or has ended before.
func (r *running) starts(t *testing.T) bool {
	t.Helper()
	select {
	case ok := <-r.ready:
		return ok
	case <-time.After(patience):
		t.Fatalf("the program has neither started nor ended after %s: %s", patience, r.said)
		return false
	}
}

// kill kills the program, if it lives, and waits until it is gone.
func (r *running) kill() { _ = r.end(syscall.SIGKILL) }

// stop ends the program as an operator does.
func (r *running) stop(t *testing.T) {
	t.Helper()
	if err := r.end(syscall.SIGTERM); err != nil {
		t.Errorf("the program did not stop cleanly: %v\n%s", err, r.said)
	}
}

func (r *running) end(how syscall.Signal) error {
	r.ended.Do(func() {
		_ = syscall.Kill(-r.command.Process.Pid, how)
		r.err = r.command.Wait()
	})
	return r.err
}

// tail keeps the last that was written.
type tail struct{ text []byte }

func (w *tail) Write(p []byte) (int, error) {
	w.text = append(w.text, p...)
	w.text = w.text[max(0, len(w.text)-4<<10):]
	return len(p), nil
}

func (w *tail) String() string { return strings.TrimSpace(string(w.text)) }
