//go:build e2e || clients

package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every single wait. It is long because the machine may be busy; nothing is asserted about time.
const patience = 90 * time.Second

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

// A home is where one person's clients keep what they keep, and what every client is told about its surroundings.
type home struct{ dir string }

func newHome(t *testing.T) home { return home{t.TempDir()} }

// environment is all that a program in this home sees of its surroundings.
func (h home) environment() []string {
	return []string{
		"PATH=" + filepath.Dir(nodePath) + string(os.PathListSeparator) + "/usr/local/bin:/usr/bin:/bin",
		"HOME=" + h.dir,
		"TMPDIR=" + h.dir,
		"LANG=C.UTF-8",
		"TERM=dumb",
		"BROWSER=true", // what opens a browser opens nothing: the test is the browser
	}
}

// start runs a program in this home, in its own process group, with the home's environment and env. The group is ended with the
// test, and its output shown when the test failed.
func (h home) start(t *testing.T, name string, env []string, path string, args ...string) *program {
	t.Helper()
	p := &program{name: name, ended: make(chan struct{}), changed: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = h.dir
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
	p.stdin = stdin

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
			t.Logf("output of %s:\n%s", p.name, lastOf(p.output()))
		}
	})
	return p
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

// terminal is start for a program that wants a terminal.
func (h home) terminal(t *testing.T, name string, env []string, path string, args ...string) *program {
	t.Helper()
	const spawn = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
	return h.start(t, name, env, "python3", append([]string{"-c", spawn, path}, args...)...)
}

// run is start for a program that ends by itself and well; it gives back what that printed on standard output.
func (h home) run(t *testing.T, name string, env []string, path string, args ...string) string {
	t.Helper()
	p := h.start(t, name, env, path, args...)
	_ = p.stdin.Close()
	if code := p.exitCode(t); code != 0 {
		t.Fatalf("%s %s ended with %d", name, strings.Join(args, " "), code)
	}
	return p.standardOutput()
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
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
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

// awaitMatch is await for a regular expression; it gives back what that found.
func awaitMatch(t *testing.T, p *program, pattern *regexp.Regexp) []string {
	t.Helper()
	l := p.await(t, pattern.String(), func(l line) bool { return pattern.MatchString(l.text) })
	return pattern.FindStringSubmatch(l.text)
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
func (p *program) output() string { return p.printed(func(line) bool { return true }) }

func (p *program) standardOutput() string { return p.printed(func(l line) bool { return !l.stderr }) }

func (p *program) printed(which func(line) bool) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, l := range p.lines {
		if which(l) {
			b.WriteString(l.text + "\n")
		}
	}
	return b.String()
}

// awaitEvent waits for the next {"event":name} line and decodes it into a T. The event "failed" fails the test.
func awaitEvent[T any](t *testing.T, p *program, name string) T {
	t.Helper()
	var found *T
	p.await(t, "the event "+name, func(l line) bool {
		if broken := decodeEvent[struct{ Error, Stack string }](t, p, l, "failed"); broken != nil {
			t.Fatalf("%s failed before the event %s: %s\n%s", p.name, name, broken.Error, broken.Stack)
		}
		found = decodeEvent[T](t, p, l, name)
		return found != nil
	})
	return *found
}

// eventsSoFar are all events of a name that the program has printed.
func eventsSoFar[T any](t *testing.T, p *program, name string) []T {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var events []T
	for _, l := range p.lines {
		if event := decodeEvent[T](t, p, l, name); event != nil {
			events = append(events, *event)
		}
	}
	return events
}

// decodeEvent gives nil when the line is not the named event.
func decodeEvent[T any](t *testing.T, p *program, l line, name string) *T {
	t.Helper()
	if l.stderr || !strings.HasPrefix(l.text, `{"event":`) {
		return nil
	}
	var head struct{ Event string }
	if err := json.Unmarshal([]byte(l.text), &head); err != nil {
		t.Fatalf("%s printed %q: %v", p.name, l.text, err)
	}
	if head.Event != name {
		return nil
	}
	event := new(T)
	if err := json.Unmarshal([]byte(l.text), event); err != nil {
		t.Fatalf("%s: event %s: %v", p.name, name, err)
	}
	return event
}

// replaceIn changes the one place in a file that matches the pattern.
func replaceIn(t *testing.T, path, pattern, with string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	expression := regexp.MustCompile(pattern)
	if n := len(expression.FindAll(text, -1)); n != 1 {
		t.Fatalf("%s has %d places %s, want one", filepath.Base(path), n, pattern)
	}
	if err := os.WriteFile(path, expression.ReplaceAll(text, []byte(with)), 0o600); err != nil {
		t.Fatal(err)
	}
}
