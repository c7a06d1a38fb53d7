// Command with runs a command while a PostgreSQL server of its own runs, which E2E_POSTGRES names to it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
)

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "with:", err)
	}
	os.Exit(code)
}

func run() (code int, err error) {
	if len(os.Args) < 2 {
		return 2, errors.New("name a command")
	}
	server, err := postgrestest.Start()
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopped := server.Stop(); stopped != nil {
			code, err = 1, stopped
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, os.Args[1], os.Args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "E2E_POSTGRES="+server.URL("postgres"))
	if err := cmd.Run(); err != nil {
		return 1, err
	}
	return 0, nil
}
