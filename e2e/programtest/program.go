package programtest

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience bounds every single wait. It is long because the machine may be busy; nothing is asserted about time.
const Patience = 90 * time.Second

// A Program is a child process whose output is kept line by line.
type Program struct {
	Name  string
	Stdin io.WriteCloser
	Ended <-chan struct{} // closed once the process is gone and its output read

	cmd     *exec.Cmd
	mu      sync.Mutex
	lines   []Line
	next    int           // the first line that Await has not looked at
	changed chan struct{} // closed and replaced with every line
}

// A Line is one line of output without its end.
type Line struct {
	Stderr bool
	Text   string
}

// Start runs a program in this home, in its own process group, with the home's environment and env. The group is ended
// with the test, and its output shown when the test failed.
func (h Home) Start(t *testing.T, name string, env []string, path string, args ...string) *Program {
	t.Helper()
	ended := make(chan struct{})
	p := &Program{Name: name, Ended: ended, changed: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = h.Dir
	p.cmd.Env = append(h.environment(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err1 := p.cmd.StdinPipe()
	stdout, err2 := p.cmd.StdoutPipe()
	stderr, err3 := p.cmd.StderrPipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	p.Stdin = stdin

	var readers sync.WaitGroup
	readers.Go(func() { p.read(stdout, false) })
	readers.Go(func() { p.read(stderr, true) })
	go func() {
		readers.Wait()
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(ended)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("output of %s:\n%s", p.Name, lastOf(p.Output()))
		}
	})
	return p
}

// Terminal is Start for a program that wants a terminal.
func (h Home) Terminal(t *testing.T, name string, env []string, path string, args ...string) *Program {
	t.Helper()
	const spawn = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
	return h.Start(t, name, env, "python3", append([]string{"-c", spawn, path}, args...)...)
}

// Run is Start for a program that ends by itself and well; it gives back what that printed on standard output.
func (h Home) Run(t *testing.T, name string, env []string, path string, args ...string) string {
	t.Helper()
	p := h.Start(t, name, env, path, args...)
	_ = p.Stdin.Close()
	if code := p.ExitCode(t); code != 0 {
		t.Fatalf("%s %s ended with %d", name, strings.Join(args, " "), code)
	}
	return p.StandardOutput()
}

// lastOf shortens what a program printed to what can be read: the last lines, and not all of those that are very long.
func lastOf(output string) string {
	const most, longest = 300, 2000
	lines := strings.Split(strings.TrimSuffix(output, "\n"), "\n")
	if len(lines) > most {
		lines = append([]string{"…"}, lines[len(lines)-most:]...)
	}
	for i, l := range lines {
		if len(l) > longest {
			lines[i] = l[:longest] + "…"
		}
	}
	return strings.Join(lines, "\n")
}

// read takes lines of any length until the stream ends.
func (p *Program) read(from io.Reader, stderr bool) {
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
			p.add(Line{stderr, strings.TrimSuffix(rest.String(), "\r")})
			rest.Reset()
			text = after
		}
		if err != nil {
			if rest.Len() > 0 {
				p.add(Line{stderr, rest.String()})
			}
			return
		}
	}
}

func (p *Program) add(l Line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, l)
	close(p.changed)
	p.changed = make(chan struct{})
}

// Stop asks the process group to end and insists after half a minute.
func (p *Program) Stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
	case <-time.After(30 * time.Second):
		p.Kill()
	}
}

// Kill ends the process group without a chance to tidy up.
func (p *Program) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.Ended
}

// PID is the number of the process.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// signal reaches the whole group, which may outlive its leader.
func (p *Program) signal(s syscall.Signal) {
	err := syscall.Kill(-p.cmd.Process.Pid, s)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		panic(fmt.Sprintf("signal %v to %s: %v", s, p.Name, err))
	}
}

// ExitCode waits for the process to end by itself.
func (p *Program) ExitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.Ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(Patience):
		t.Fatalf("%s did not end within %v", p.Name, Patience)
		return 0
	}
}

// Await looks through the output from where the last Await ended to the first line that matches.
func (p *Program) Await(t *testing.T, what string, match func(Line) bool) Line {
	t.Helper()
	deadline := time.After(Patience)
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
		case <-p.Ended:
			if l, _, ok := p.nextLine(); ok && match(l) {
				return l
			} else if !ok {
				t.Fatalf("%s ended (%v) before it printed %s", p.Name, p.cmd.ProcessState, what)
			}
		case <-deadline:
			t.Fatalf("%s did not print %s within %v", p.Name, what, Patience)
		}
	}
}

// AwaitMatch is Await for a regular expression; it gives back what that found.
func (p *Program) AwaitMatch(t *testing.T, pattern *regexp.Regexp) []string {
	t.Helper()
	l := p.Await(t, pattern.String(), func(l Line) bool { return pattern.MatchString(l.Text) })
	return pattern.FindStringSubmatch(l.Text)
}

// nextLine takes the first line that was not taken yet, or gives a channel that is closed when there is one.
func (p *Program) nextLine() (l Line, changed <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == len(p.lines) {
		return Line{}, p.changed, false
	}
	p.next++
	return p.lines[p.next-1], nil, true
}

// WriteLine types a line into the program.
func (p *Program) WriteLine(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(p.Stdin, text+"\n"); err != nil {
		t.Fatalf("writing to %s: %v", p.Name, err)
	}
}

// Output is everything printed so far, both streams in the order of arrival.
func (p *Program) Output() string { return p.printed(func(Line) bool { return true }) }

// StandardOutput is what was printed there so far.
func (p *Program) StandardOutput() string { return p.printed(func(l Line) bool { return !l.Stderr }) }

func (p *Program) printed(which func(Line) bool) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, l := range p.lines {
		if which(l) {
			b.WriteString(l.Text + "\n")
		}
	}
	return b.String()
}
