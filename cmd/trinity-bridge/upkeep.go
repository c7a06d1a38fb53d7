package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
)

// upkept is a command that the running bridge serves, or the store itself when none is running.
type upkept struct{ config.Flags }

// with calls what there is to call. Of the settings a bridge that runs needs only its data folder: it has the others.
func (u upkept) with(c *console, call func(bridge.Upkeep) error) (err error) {
	if data, err := config.DataFolder(u.Flags, os.LookupEnv); err == nil {
		if running := app.RunningUpkeep(c.ctx, data); running != nil {
			return call(running)
		}
	}
	cfg, err := config.Load(u.Flags, os.LookupEnv)
	if err != nil {
		return err
	}
	upkeep, shut, err := app.OpenUpkeep(c.ctx, cfg, newLogger(c.err, cfg.LogLevel))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shut()) }()
	return call(upkeep)
}

type storeBackup struct {
	upkept
	To string `arg:"" placeholder:"FILE" help:"The file to make. It is readable by you alone, and opens with the secret only."`
}

// Run makes a backup.
func (s *storeBackup) Run(c *console) error {
	return s.with(c, func(from bridge.Upkeep) error {
		size, err := app.WriteBackup(c.ctx, from, s.To)
		if err == nil {
			_, err = fmt.Fprintf(c.out, "%s is made: %d KiB\n", s.To, (size+1023)>>10)
		}
		return err
	})
}

type storeRestore struct {
	config.Flags
	From string `arg:"" placeholder:"FILE" help:"The backup."`
	Yes  bool   `short:"y" help:"Do not ask."`
}

// Run reads the backup whole, says what is in it, asks, and restores.
func (s *storeRestore) Run(c *console) error {
	cfg, err := config.Load(s.Flags, os.LookupEnv)
	if err != nil {
		return err
	}
	backup, err := app.ReadBackup(c.ctx, cfg, s.From, newLogger(c.err, cfg.LogLevel))
	if err == nil {
		err = backup.Fits()
	}
	if err != nil {
		return err
	}
	place := "the data folder " + cfg.Data
	if cfg.Store != "" {
		place = "the database"
	}
	printBackup(c.out, backup)
	_, _ = fmt.Fprintf(c.out, "A store is made of it in %s. Every connection in it ends, since it may have been revoked after the backup;\n"+
		"people connect anew. Clients that were blocked or allowed after the backup have to be blocked or allowed again.\n", place)
	if !s.Yes {
		if err := c.confirm("Restore?"); err != nil {
			return err
		}
	}
	ended, err := backup.Restore(c.ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "restored; %d connections are ended; start the bridge\n", ended)
	return err
}

type storeVerify struct {
	upkept
	printed
	Backup string `arg:"" optional:"" placeholder:"FILE" help:"A backup to be verified in the place of the store."`
}

// Run fails when anything is wrong.
func (s *storeVerify) Run(c *console) error {
	if s.Backup != "" {
		return s.backup(c)
	}
	return s.with(c, func(store bridge.Upkeep) error {
		report, err := store.Verify(c.ctx, time.Now())
		if err != nil {
			return err
		}
		if s.JSON {
			err = json.NewEncoder(c.out).Encode(report)
		} else {
			printRows(c.out, report.Rows)
			for _, fault := range report.First {
				_, _ = fmt.Fprintln(c.out, "WRONG:", printable(fault))
			}
			_, err = fmt.Fprintf(c.out, "%d sealed values; %d faults\n", report.Sealed, report.Faults)
		}
		if err == nil && report.Faults > 0 {
			err = errors.New("the store is not whole")
		}
		return err
	})
}

func (s *storeVerify) backup(c *console) error {
	cfg, err := config.Load(s.Flags, os.LookupEnv)
	if err != nil {
		return err
	}
	backup, err := app.ReadBackup(c.ctx, cfg, s.Backup, newLogger(c.err, cfg.LogLevel))
	if err != nil {
		return err
	}
	if s.JSON {
		return json.NewEncoder(c.out).Encode(map[string]any{
			"made_at": backup.MadeAt, "issuer": backup.Deployment.Issuer, "deployment": backup.Deployment.ID, "rows": backup.Rows,
		})
	}
	printBackup(c.out, backup)
	_, err = fmt.Fprintln(c.out, "every row of it opens; 0 faults")
	return err
}

func printBackup(out io.Writer, backup *app.Backup) {
	printRows(out, backup.Rows)
	_, _ = fmt.Fprintf(out, "%8d  rows of %s, deployment %s, as they were at %s\n", backup.Total(), printable(backup.Deployment.Issuer),
		printable(backup.Deployment.ID), backup.MadeAt.UTC().Format(time.RFC3339))
}

func printRows[K ~string](out io.Writer, rows map[K]int) {
	for _, kind := range slices.Sorted(maps.Keys(rows)) {
		_, _ = fmt.Fprintf(out, "%8d  %s\n", rows[kind], kind)
	}
}

type storeStats struct {
	upkept
	printed
}

// Run prints a table, or JSON.
func (s *storeStats) Run(c *console) error {
	return s.with(c, func(store bridge.Upkeep) error {
		stats, err := store.Stats(c.ctx, time.Now())
		if err != nil {
			return err
		}
		if s.JSON {
			return json.NewEncoder(c.out).Encode(stats)
		}
		return printStats(c.out, stats)
	})
}

func printStats(out io.Writer, stats bridge.StoreStats) error {
	rows := newTable(out, "KIND", "ROWS", "KIB", "OVERDUE", "OVERDUE SINCE", "OLDEST")
	for _, kind := range stats.Kinds {
		if kind.Rows == 0 {
			continue
		}
		overdue := fmt.Sprintf("%d (%d %%)", kind.Overdue, 100*kind.Overdue/kind.Rows)
		if err := rows.add(kind.Kind, kind.Rows, (kind.Bytes+1023)>>10, overdue, moment(&kind.DueFrom), moment(&kind.Oldest)); err != nil {
			return err
		}
	}
	if err := rows.end(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d rows of %d KiB take %d KiB in %s", stats.Rows, (stats.Bytes+1023)>>10, (stats.Disk.Bytes+1023)>>10, stats.Disk.Engine)
	if err == nil && stats.Disk.Writes > 0 {
		_, err = fmt.Fprintf(out, "; generation %d, write %d", stats.Disk.Generation, stats.Disk.Writes)
	}
	if err == nil {
		_, err = fmt.Fprintln(out)
	}
	return err
}
