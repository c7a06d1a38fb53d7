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

// MigrateStore brings the tables of the configured database to this program's layout.
func MigrateStore(ctx context.Context, cfg *config.Config) (before, after int, err error) {
	if cfg.Store == "" {
		return 0, 0, errors.New("there is nothing to migrate: --store names no database, and the data folder's store is never given another layout")
	}
	return postgres.Migrate(ctx, cfg.Store)
}

// CopyStore copies the whole store of the data folder to the configured database, or back. No bridge may
// run on either. What is copied to has to be empty; until the copy is whole no bridge opens it.
func CopyStore(ctx context.Context, cfg *config.Config, back bool, log *slog.Logger) (rows.Inventory, error) {
	if cfg.Store == "" {
		return rows.Inventory{}, errors.New("--store names no database to copy to, or from")
	}
	b := &Bridge{config: cfg, log: log}
	if err := b.unlock(ctx, nil); err != nil {
		return rows.Inventory{}, err
	}
	database := b.databaseOptions()
	if back {
		return b.copyBack(ctx, database)
	}
	return b.copyOut(ctx, database)
}

func (b *Bridge) copyOut(ctx context.Context, database postgres.Options) (held rows.Inventory, err error) {
	if _, err := os.Stat(b.storeFolder()); err != nil {
		return rows.Inventory{}, fmt.Errorf("there is no store in %s: %w", b.config.Data, err)
	}
	from, err := badger.Open(b.storeOptions())
	if err != nil {
		return rows.Inventory{}, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	key, err := from.WrappedKey(ctx)
	if err != nil {
		return rows.Inventory{}, err
	}
	to, err := postgres.Fill(ctx, database, key)
	if err != nil {
		return rows.Inventory{}, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if held, err = rows.Copy(ctx, &from.Store, &to.Store, time.Now()); err != nil {
		return held, err
	}
	return held, to.Filled(ctx)
}

// copyBack makes the store beside its place and moves it there when it is whole.
func (b *Bridge) copyBack(ctx context.Context, database postgres.Options) (held rows.Inventory, err error) {
	options := b.storeOptions()
	place := options.Dir
	options.Dir += ".copying"
	if err := vacate(place); err != nil {
		return rows.Inventory{}, err
	}
	if _, err := os.Stat(options.Watermark); !errors.Is(err, os.ErrNotExist) {
		return rows.Inventory{}, fmt.Errorf("%s is there already: move it away first", options.Watermark)
	}
	from, err := postgres.Alone(ctx, database)
	if err != nil {
		return rows.Inventory{}, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := os.RemoveAll(options.Dir); err != nil { // what an attempt before has left
		return rows.Inventory{}, err
	}
	if options.RowKey, err = from.WrappedKey(ctx); err != nil {
		return rows.Inventory{}, err
	}
	to, err := badger.Fill(options)
	if err != nil {
		return rows.Inventory{}, err
	}
	held, err = rows.Copy(ctx, &from.Store, &to.Store, time.Now())
	if err = errors.Join(err, to.Close(), from.Close()); err != nil {
		return held, errors.Join(err, os.RemoveAll(options.Dir), os.Remove(options.Watermark))
	}
	if err := os.Rename(options.Dir, place); err != nil {
		return held, err
	}
	return held, durable.Folder(filepath.Dir(place))
}
