package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
)

type serveCommand struct {
	config.Flags
}

// Run serves until it is told to stop.
func (s *serveCommand) Run(c *console) (err error) {
	cfg, err := config.Load(s.Flags, os.LookupEnv)
	if err != nil {
		return err
	}
	log := newLogger(c.err, cfg.LogLevel)
	bridge, err := app.New(c.ctx, cfg, app.Options{
		Log: log,
		MadeSecret: func(path string) {
			_, _ = fmt.Fprintf(c.out, "made a new secret: %s\nKeep a copy of it: without it nothing in the store can be opened.\n", path)
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bridge.Close()) }()
	if err := bridge.RefuseOpenUpstream(c.ctx); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(c.out, "ready: %s\n", bridge.Connector())
	return bridge.Run(c.ctx)
}
