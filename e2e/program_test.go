//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every single wait. It is long because the machine may be busy; nothing is asserted about time.
const patience = 60 * time.Second

// A program is a child process whose output is kept line by line.
type program struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{} // closed once the process is gone and its output read

	mu      sync.Mutex
	lines   []line
	next    int           // the first line that await has not looked at
	changed chan struct{} // closed and replaced with every line
}

// A line is one line of output without its end.
type line struct {
	stderr bool
	text   string
}

// start runs a program in its own process group with nothing but the given environment, a PATH and a home of its
// own. The group is ended with the test, and its output shown when the test failed.
func start(t *testing.T, name string, env []string, path string, args ...string) *program {
	t.Helper()
	p := &program{name: name, ended: make(chan struct{}), changed: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Env = append([]string{
		"PATH=" + filepath.Dir(nodePath) + string(os.PathListSeparator) + "/usr/bin:/bin",
		"HOME=" + t.TempDir(),
		"TMPDIR=" + t.TempDir(),
	}, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}

	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}

	var readers sync.WaitGroup
	readers.Go(func() { p.read(stdout, false) })
	readers.Go(func() { p.read(stderr, true) })
	go func() {
		readers.Wait()
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("output of %s:\n%s", p.name, p.output())
		}
	})
	return p
}

// read takes lines of any length until the stream ends.
func (p *program) read(from io.Reader, stderr bool) {
	var rest strings.Builder
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		text := string(buf[:n])
		for {
			before, after, found := strings.Cut(text, "\n")
			rest.WriteString(before)
			if !found {
				break
			}
			p.add(line{stderr, strings.TrimSuffix(rest.String(), "\r")})
			rest.Reset()
			text = after
		}
		if err != nil {
			if rest.Len() > 0 {
				p.add(line{stderr, rest.String()})
			}
			return
		}
	}
}

func (p *program) add(l line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, l)
	close(p.changed)
	p.changed = make(chan struct{})
}

// stop asks the process group to end and insists after ten seconds.
func (p *program) stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		p.kill()
	}
}

// kill ends the process group without a chance to tidy up.
func (p *program) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// signal reaches the whole group, which may outlive its leader.
func (p *program) signal(s syscall.Signal) {
	err := syscall.Kill(-p.cmd.Process.Pid, s)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		panic(fmt.Sprintf("signal %v to %s: %v", s, p.name, err))
	}
}

// exitCode waits for the process to end by itself.
func (p *program) exitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s did not end within %v", p.name, patience)
		return 0
	}
}

// await looks through the output from where the last await ended to the first line that matches.
func (p *program) await(t *testing.T, what string, match func(line) bool) line {
	t.Helper()
	deadline := time.After(patience)
	for {
		l, changed, ok := p.nextLine()
		if ok {
			if match(l) {
				return l
			}
			continue
		}
		select {
		case <-changed:
		case <-p.ended:
			if l, _, ok := p.nextLine(); ok && match(l) {
				return l
			} else if !ok {
				t.Fatalf("%s ended (%v) before it printed %s", p.name, p.cmd.ProcessState, what)
			}
		case <-deadline:
			t.Fatalf("%s did not print %s within %v", p.name, what, patience)
		}
	}
}

// nextLine takes the first line that was not taken yet, or gives a channel that is closed when there is one.
func (p *program) nextLine() (l line, changed <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == len(p.lines) {
		return line{}, p.changed, false
	}
	p.next++
	return p.lines[p.next-1], nil, true
}

// output is everything printed so far, both streams in the order of arrival.
func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, l := range p.lines {
		b.WriteString(l.text)
		b.WriteByte('\n')
	}
	return b.String()
}

// writeLine types a line into the program.
func (p *program) writeLine(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, text+"\n"); err != nil {
		t.Fatalf("writing to %s: %v", p.name, err)
	}
}

// startNode runs one of the scripts in node/ with its one JSON argument.
func startNode(t *testing.T, script string, env []string, argument any) *program {
	t.Helper()
	args := []string{filepath.Join("node", script)}
	if argument != nil {
		text, err := json.Marshal(argument)
		if err != nil {
			t.Fatalf("argument of %s: %v", script, err)
		}
		args = append(args, string(text))
	}
	return start(t, script, env, nodePath, args...)
}

// awaitEvent waits for the next {"event":name} line and decodes it into a T. The event "failed" fails the test.
func awaitEvent[T any](t *testing.T, p *program, name string) T {
	t.Helper()
	l := p.await(t, "the event "+name, func(l line) bool {
		event, _ := decodeEvent[struct{ Error string }](l, "failed")
		if event != nil && name != "failed" {
			t.Fatalf("%s failed: %s", p.name, event.Error)
		}
		found, _ := decodeEvent[struct{}](l, name)
		return found != nil
	})
	event, err := decodeEvent[T](l, name)
	if err != nil {
		t.Fatalf("%s: event %s: %v", p.name, name, err)
	}
	return *event
}

// eventsSoFar are all events of a name that the program has printed.
func eventsSoFar[T any](t *testing.T, p *program, name string) []T {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var events []T
	for _, l := range p.lines {
		event, err := decodeEvent[T](l, name)
		if err != nil {
			t.Fatalf("%s: event %s: %v", p.name, name, err)
		}
		if event != nil {
			events = append(events, *event)
		}
	}
	return events
}

// decodeEvent gives nil when the line is not the named event.
func decodeEvent[T any](l line, name string) (*T, error) {
	if l.stderr || !strings.HasPrefix(l.text, `{"event":`) {
		return nil, nil
	}
	var head struct{ Event string }
	if err := json.Unmarshal([]byte(l.text), &head); err != nil {
		return nil, err
	}
	if head.Event != name {
		return nil, nil
	}
	event := new(T)
	return event, json.Unmarshal([]byte(l.text), event)
}
