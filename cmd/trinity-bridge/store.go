package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
)

type storeCommand struct {
	AcceptLoss storeAcceptLoss `cmd:"" help:"Make a store usable again that was put back from a copy or has lost writes: every connection ends, people connect anew."`
}

type storeAcceptLoss struct {
	config.Flags
	Yes bool `short:"y" help:"Do not ask."`
}

// Run asks, and starts a new generation.
func (s *storeAcceptLoss) Run(c *console) error {
	cfg, err := config.Load(s.Flags, os.LookupEnv)
	if err != nil {
		return err
	}
	if !s.Yes {
		_, _ = fmt.Fprint(c.out, "End every connection in the store? What was revoked since the copy could live again in it. People connect anew. [y/N] ")
		if !confirmed(c.ctx) {
			return errors.New("nothing was changed")
		}
	}
	ended, err := app.AcceptLoss(c.ctx, cfg, newLogger(c.err, cfg.LogLevel))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%d connections are ended; start the bridge\n", ended)
	return err
}
