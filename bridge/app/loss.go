package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/bridge/store/postgres"
)

// AcceptLoss makes a store usable again that lacks writes it had acknowledged: everything that may
// have been ended in them ends. It returns how many grants it ended. No bridge may be running on it.
func AcceptLoss(ctx context.Context, cfg *config.Config, log *slog.Logger) (grants int, err error) {
	b := &Bridge{config: cfg, log: log}
	if err := b.unlock(ctx, nil); err != nil {
		return 0, err
	}
	if err := b.inPlace(); err != nil {
		return 0, err
	}
	if cfg.Store == "" {
		return badger.AcceptLoss(ctx, b.storeOptions(), time.Now())
	}
	store, err := postgres.Alone(ctx, b.databaseOptions())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return store.StartGeneration(ctx, time.Now())
}

func (b *Bridge) storeOptions() badger.Options {
	return badger.Options{Dir: b.storeFolder(), Sealer: b.ring, Base: b.config.PublicURL.String(), Watermark: b.watermark(), Logger: b.log}
}

func (b *Bridge) databaseOptions() postgres.Options {
	return postgres.Options{URL: b.config.Store, Sealer: b.ring, Base: b.config.PublicURL.String(), Logger: b.log}
}

func (b *Bridge) watermark() string { return cmp.Or(b.config.Watermark, b.storeFolder()+".watermark") }
