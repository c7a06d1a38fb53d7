// Command trinity-bridge lets people add their own Trinity deployment to Claude, and to every
// other MCP client, as a remote connector.
//
// It is thin: it parses, calls bridge/app and prints. Exit codes: 0 done, 1 refused or failed,
// 2 wrong usage.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/abilityai/trinity-bridge/bridge/config"
)

// The exit codes of every command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli is the command line.
type cli struct {
	Serve   serveCommand   `cmd:"" help:"Run the bridge in front of a Trinity deployment."`
	Demo    demoCommand    `cmd:"" help:"Run the bridge with a simulated Trinity on this machine; nothing to configure."`
	Grants  grantsCommand  `cmd:"" help:"List and revoke what people have allowed, through the running bridge."`
	Clients clientsCommand `cmd:"" help:"List clients, let them in and shut them out, through the running bridge."`
	Links   linksCommand   `cmd:"" help:"List, import and end the links between people of identity sources and Trinity accounts, through the running bridge."`
	Access  accessCommand  `cmd:"" help:"Try the rules of who may come in."`
	Keys    keysCommand    `cmd:"" help:"Look after the keys that access tokens are signed with, and after what the secret seals, through the running bridge."`
	Store   storeCommand   `cmd:"" help:"Look after the store: back it up, restore, verify, count, move it."`
	Tools   toolsCommand   `cmd:"" help:"Show which tools are offered, and audit a server's against what directories of connectors want."`
	Health  healthCommand  `cmd:"" help:"Ask the running bridge whether it can do its whole job; for health checks of containers."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// console is where commands print and what they live with.
type console struct {
	ctx      context.Context //nolint:containedctx // one value bound to every command by the parser
	in       io.Reader
	out, err io.Writer
}

// confirm asks whether to go on. No answer is a no, and so is an interrupt. It asks on the error output, for the output
// may be a file.
func (c *console) confirm(question string, values ...any) error {
	_, _ = fmt.Fprintf(c.err, question+" [y/N] ", values...)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(c.in).ReadString('\n') // after an error it is what came before
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case word := <-answer:
		if word == "y" || word == "yes" {
			return nil
		}
	case <-c.ctx.Done():
	}
	return errors.New("nothing was changed")
}

func main() {
	// A log that nobody reads any more must not end the bridge, nor a pipe to head a command that ends connections. The
	// signal is taken and not ignored, for programs that are started would ignore it too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var commands cli
	exited := -1
	parser, err := kong.New(&commands,
		kong.Name("trinity-bridge"),
		kong.Description("Add your own Trinity deployment to Claude and other MCP clients as a remote connector."),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { exited = code }),
	)
	if err != nil {
		_, _ = fmt.Fprintln(errOut, "trinity-bridge:", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	switch {
	case exited >= 0: // help was printed
		return exited
	case err != nil:
		parser.Stdout = errOut
		explain(err)
		_, _ = fmt.Fprintln(errOut, "trinity-bridge:", err)
		return exitUsage
	}
	if err := parsed.Run(&console{ctx: ctx, in: os.Stdin, out: output{out}, err: errOut}); err != nil {
		return report(errOut, err)
	}
	return exitDone
}

// explain shows, to who gave a noun without a verb, the verbs there are.
func explain(err error) {
	var unparsed *kong.ParseError
	if !errors.As(err, &unparsed) {
		return
	}
	if noun := unparsed.Context.Selected(); noun == nil || len(noun.Children) > 0 {
		_ = unparsed.Context.PrintUsage(false)
	}
}

// report prints an error; a configuration's mistakes stand one to a line.
func report(errOut io.Writer, err error) int {
	var mistakes config.Mistakes
	if errors.As(err, &mistakes) {
		_, _ = fmt.Fprintln(errOut, "trinity-bridge: the configuration has mistakes, nothing was done")
		for _, mistake := range mistakes {
			_, _ = fmt.Fprintln(errOut, "  -", mistake)
		}
		return exitUsage
	}
	if errors.Is(err, errEnough) {
		return exitFailed
	}
	_, _ = fmt.Fprintln(errOut, "trinity-bridge:", err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

// usageError is for arguments that are well-formed and do not go together.
type usageError string

// Error says what is wrong with the arguments.
func (e usageError) Error() string { return string(e) }

func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

type versionCommand struct{}

// Run prints the module version and the commit the binary was built from.
func (versionCommand) Run(c *console) error {
	version, revision := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				revision = " " + setting.Value
			}
		}
	}
	_, err := fmt.Fprintf(c.out, "trinity-bridge %s%s\n", version, revision)
	return err
}
