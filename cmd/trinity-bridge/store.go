package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
)

type storeCommand struct {
	AcceptLoss storeAcceptLoss `cmd:"" help:"Make a store usable again that was put back from a copy or has lost writes: every connection ends, people connect anew."`
	Migrate    storeMigrate    `cmd:"" help:"Bring the tables of the database that --store names to this version's layout. Stop the replicas of an older version first."`
	Backup     storeBackup     `cmd:"" help:"Write a sealed copy of the store to a new file, while the bridge runs or when it does not."`
	Restore    storeRestore    `cmd:"" help:"Make a store of a backup, where none is. Every connection of it ends, people connect anew."`
	Verify     storeVerify     `cmd:"" help:"Read everything in the store, or in a backup, and say what is wrong."`
	Stats      storeStats      `cmd:"" help:"Count what is in the store, and what it takes on the disk."`
	Copy       storeCopy       `cmd:"" help:"Copy the whole store from the data folder to the database that --store names, or back. No bridge may be running on either."`
}

// garbagePercent is how much more memory than what is in use these commands may take before what is not is collected. Most
// of it are large buffers of the storage engine without pointers in them, so that looking for it costs little.
const garbagePercent = 25

// AfterApply comes before the command that was asked for.
func (storeCommand) AfterApply() error {
	debug.SetGCPercent(garbagePercent)
	return nil
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
		if err := c.confirm("End every connection in the store? What was revoked since the copy could live again in it. People connect anew."); err != nil {
			return err
		}
	}
	ended, err := app.AcceptLoss(c.ctx, cfg, newLogger(c.err, cfg.LogLevel))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%d connections are ended; start the bridge\n", ended)
	return err
}

type storeMigrate struct {
	config.Flags
}

// Run migrates.
func (s *storeMigrate) Run(c *console) error {
	cfg, err := config.Load(s.Flags, os.LookupEnv)
	if err != nil {
		return err
	}
	before, after, err := app.MigrateStore(c.ctx, cfg)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "schema %d, was %d\n", after, before)
	return err
}

type storeCopy struct {
	config.Flags
	Back bool `help:"From the database to the data folder."`
	printed
}

// Run copies, and says what was copied.
func (s *storeCopy) Run(c *console) error {
	cfg, err := config.Load(s.Flags, os.LookupEnv)
	if err != nil {
		return err
	}
	held, err := app.CopyStore(c.ctx, cfg, s.Back, newLogger(c.err, cfg.LogLevel))
	if err != nil {
		return err
	}
	if s.JSON {
		return json.NewEncoder(c.out).Encode(map[string]any{"rows": held.Rows, "mac": held.MAC})
	}
	printRows(c.out, held.Rows)
	_, err = fmt.Fprintf(c.out, "%8d  rows copied and compared, %s\n", held.Total(), held.MAC)
	return err
}
