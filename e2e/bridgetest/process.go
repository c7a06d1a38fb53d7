package bridgetest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
)

// processPatience bounds the wait for a process that starts.
const processPatience = time.Minute

// Processes are replicas that are processes of their own, so that they can be killed.
type Processes struct {
	*Bridge
	program string
	flags   []config.Flags
	running []*exec.Cmd
}

// StartProcesses starts n replicas of a built program on one database behind a round-robin proxy.
func StartProcesses(t *testing.T, program, database string, n int, options ...Option) *Processes {
	t.Helper()
	b := prepare(t, append(options, With(func(f *config.Flags) { f.Store, f.LogLevel = database, "warn" }))...)
	p := &Processes{Bridge: b, program: program, running: make([]*exec.Cmd, n)}
	b.proxy = StartProxy(t, strings.TrimPrefix(b.URL, "http://"))
	var addresses []string
	for i := range n {
		flags := b.Config
		flags.Listen, flags.Data = fmt.Sprintf("127.0.0.1:%d", FreePort(t)), filepath.Join(b.Data, fmt.Sprint("replica-", i))
		p.flags = append(p.flags, flags)
		addresses = append(addresses, flags.Listen)
		p.Begin(t, i)
	}
	b.proxy.Serve(addresses...)
	t.Cleanup(func() {
		for i := range p.running {
			p.Kill(i)
		}
	})
	return p
}

// Replica is the address of one replica.
func (p *Processes) Replica(i int) string { return p.flags[i].Listen }

// Begin starts a replica and waits until it is ready.
func (p *Processes) Begin(t *testing.T, i int) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), p.program, "serve")
	cmd.Env = environment(p.flags[i])
	cmd.Stderr = p.logs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.running[i] = cmd
	ready := make(chan struct{})
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "ready: ") {
				close(ready)
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(processPatience):
		t.Fatalf("replica %d is not ready: %s", i, p.Logs())
	}
}

// Kill ends a replica without a chance to tidy up.
func (p *Processes) Kill(i int) {
	if cmd := p.running[i]; cmd != nil {
		p.running[i] = nil
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// environment is how a process is given its settings.
func environment(flags config.Flags) []string {
	env := []string{"PATH=/usr/bin:/bin", "HOME=" + os.TempDir()}
	value := reflect.ValueOf(flags)
	for i := range value.NumField() {
		if text, ok := value.Field(i).Interface().(string); ok && text != "" {
			name := strings.ToUpper(strings.ReplaceAll(value.Type().Field(i).Tag.Get("name"), "-", "_"))
			env = append(env, "TRINITY_BRIDGE_"+name+"="+text)
		}
	}
	return env
}
