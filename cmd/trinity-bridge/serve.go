package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
)

type serveCommand struct {
	config.Flags
}

// startPercent is how much more memory than what is in use a start may take before what is not is collected: that of a small
// deployment, 10 MB or so, in one go. The storage engine then gets the 20 MiB of its memory table where nothing was
// before. Where something was collected the runtime would fill them with zeros, and all of them would count as used.
const startPercent = 400

// Run serves until it is told to stop.
func (s *serveCommand) Run(c *console) (err error) {
	cfg, err := config.Load(s.Flags, os.LookupEnv)
	if err != nil {
		return err
	}
	log := newLogger(c.err, cfg.LogLevel)
	collecting := debug.SetGCPercent(startPercent)
	bridge, err := app.New(c.ctx, cfg, app.Options{
		Log: log,
		MadeSecret: func(path string) {
			_, _ = fmt.Fprintf(c.out, "made a new secret: %s\nKeep a copy of it: without it nothing in the store can be opened.\n", path)
		},
	})
	debug.SetGCPercent(collecting)
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
