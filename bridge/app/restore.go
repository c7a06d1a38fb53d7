package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/durable"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// Backup is a backup that was read whole.
type Backup struct {
	rows.BackupHead
	rows.Inventory

	b    *Bridge
	path string
}

// ReadBackup reads a backup of the deployment whole and checks every byte of it.
func ReadBackup(ctx context.Context, cfg *config.Config, path string, log *slog.Logger) (*Backup, error) {
	read := &Backup{b: &Bridge{config: cfg, log: log}, path: path}
	if err := read.b.unlock(ctx, nil); err != nil {
		return nil, err
	}
	err := read.read(func(head rows.BackupHead) error {
		read.BackupHead = head
		return nil
	}, func([]rows.Row) error { return ctx.Err() })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return read, nil
}

func (r *Backup) read(begin func(rows.BackupHead) error, visit func([]rows.Row) error) error {
	file, err := os.Open(r.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	r.Inventory, err = rows.ReadBackup(file, r.b.ring, time.Now(), begin, visit)
	return err
}

// Fits refuses to restore where a store is, before anybody is asked whether to. Of a database Restore finds out.
func (r *Backup) Fits() error {
	if r.b.config.Store != "" {
		return nil
	}
	return vacate(r.b.storeFolder())
}

// Restore makes a store of the backup, where none is, in the data folder or the configured database. It
// is a new generation: what may have been ended or spent since the backup was made is over. It returns how
// many grants it ended.
func (r *Backup) Restore(ctx context.Context) (grants int, err error) {
	if r.b.config.Store != "" {
		return r.toDatabase(ctx)
	}
	return r.toFolder(ctx)
}

// toFolder makes the store beside its place and moves it there when it is whole.
func (r *Backup) toFolder(ctx context.Context) (grants int, err error) {
	options := r.b.storeOptions()
	place := options.Dir
	if err := vacate(place); err != nil {
		return 0, err
	}
	options.Dir += ".restoring"
	options.RowKey = r.RowKey
	if err := os.RemoveAll(options.Dir); err != nil { // what an attempt before has left
		return 0, err
	}
	grants, err = badger.Restore(ctx, options, r.Disk.Generation, func(to *badger.Store) error { return r.fill(ctx, &to.Store) }, time.Now())
	if err != nil {
		return 0, errors.Join(err, os.RemoveAll(options.Dir))
	}
	if err := os.Rename(options.Dir, place); err != nil {
		return 0, err
	}
	return grants, durable.Folder(filepath.Dir(place))
}

// toDatabase fills a database that no bridge opens until it is whole.
func (r *Backup) toDatabase(ctx context.Context) (grants int, err error) {
	to, err := postgres.Fill(ctx, r.b.databaseOptions(), r.RowKey)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if err := r.fill(ctx, &to.Store); err != nil {
		return 0, err
	}
	if grants, err = to.StartGeneration(ctx, time.Now()); err != nil {
		return 0, err
	}
	return grants, to.Filled(ctx)
}

// fill stores the rows, and seals anew what a previous secret has sealed.
func (r *Backup) fill(ctx context.Context, to *rows.Store) error {
	same := func(head rows.BackupHead) error {
		if !head.MadeAt.Equal(r.MadeAt) {
			return errors.New("the backup is another one now")
		}
		return nil
	}
	if err := r.read(same, func(some []rows.Row) error { return to.Fill(ctx, some) }); err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	for next := ""; ; {
		done, err := to.Reseal(ctx, next, resealAtOnce, time.Now())
		if err != nil || done.Next == "" {
			return err
		}
		next = done.Next
	}
}
