package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	commandTime    = 30 * time.Second
	commandLinger  = time.Second // for what a command that was ended still holds open
	maxCommandText = 64 << 10
)

// RunMasterCommand reads the master secret from what a program of the operator's prints, such as the
// client of a key management service: its words are the program and its arguments, no shell reads
// them. What the program says on standard error is counted and never shown, since nobody knows what it
// says there.
func RunMasterCommand(ctx context.Context, words []string) ([]byte, error) {
	return runMasterCommand(ctx, words, commandTime)
}

func runMasterCommand(ctx context.Context, words []string, within time.Duration) ([]byte, error) {
	if len(words) == 0 {
		return nil, errors.New("the secret's command is empty")
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	out, said := capped{left: maxCommandText}, capped{}
	command := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec,forbidigo // the one program it starts, which the operator names
	command.Stdout, command.Stderr, command.WaitDelay = &out, &said, commandLinger
	command.Env = environmentWithout(os.Environ(), "TRINITY_BRIDGE_")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) } // and all that it started
	err := command.Run()
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("it did not end within %s", within)
	case err == nil && out.over > 0:
		err = fmt.Errorf("it printed more than %d bytes", maxCommandText)
	}
	if err != nil {
		return nil, fmt.Errorf("the secret's command %s: %w (it said %d bytes on standard error, which are not shown: run it by hand)", words[0], err, said.over)
	}
	master, err := parsePrinted(out.text.String())
	if err != nil {
		return nil, fmt.Errorf("what the secret's command %s printed: %w", words[0], err)
	}
	return master, nil
}

// parsePrinted is ParseMaster for what nobody has looked at: a program that says why it has no secret, and ends as if all
// were well, may say enough for one.
func parsePrinted(text string) ([]byte, error) {
	master, err := ParseMaster(text)
	if text = strings.TrimSpace(text); err == nil && bytes.Equal(master, []byte(text)) && (strings.ContainsAny(text, " \t\r\n") || strings.ContainsAny(text[:1], "<{[")) {
		return nil, errors.New("it is not one word, as a secret is, but looks like a message")
	}
	return master, err
}

// capped keeps the first bytes that are written to it, and counts the others.
type capped struct {
	text       bytes.Buffer
	left, over int
}

// Write never fails: a program must not be ended by a pipe that is closed to it.
func (c *capped) Write(p []byte) (int, error) {
	kept := min(len(p), c.left)
	_, _ = c.text.Write(p[:kept]) // never fails
	c.left, c.over = c.left-kept, c.over+len(p)-kept
	return len(p), nil
}

// environmentWithout leaves out the program's own settings, which are no business of what it runs.
func environmentWithout(all []string, prefix string) []string {
	var kept []string
	for _, entry := range all {
		if !strings.HasPrefix(entry, prefix) {
			kept = append(kept, entry)
		}
	}
	return kept
}
