package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/abilityai/trinity-bridge/bridge"
)

// adopt makes sure that the store is this deployment's. A new store becomes it.
func (b *Bridge) adopt(ctx context.Context, store bridge.Store) error {
	deployment, err := store.Deployment(ctx)
	if errors.Is(err, bridge.ErrNotFound) {
		deployment, err = b.found(ctx, store)
	}
	if err != nil {
		return fmt.Errorf("reading the store: %w", err)
	}
	if _, err := b.ring.Open(bridge.SealedDeployment, deployment.ID, deployment.SealCheck); err != nil {
		return errors.New("the configured secret is not the one this store was made with: nothing in it can be opened, and nothing was changed")
	}
	b.deployment = deployment.ID
	return b.move(ctx, store, deployment)
}

// found makes the deployment, unless another replica that starts at this moment is faster: the names of keys at
// Trinity carry its id, and all replicas have to know theirs by it.
func (b *Bridge) found(ctx context.Context, store bridge.Store) (bridge.Deployment, error) {
	id, err := bridge.NewID(b.rand)
	if err != nil {
		return bridge.Deployment{}, err
	}
	made := bridge.Deployment{
		ID: id, Issuer: b.config.PublicURL.String(), SealCheck: b.ring.Seal(bridge.SealedDeployment, id, []byte(id)), CreatedAt: b.now(),
	}
	err = store.SaveDeployment(ctx, made)
	if errors.Is(err, bridge.ErrConflict) {
		return store.Deployment(ctx)
	}
	return made, err
}

// move notes that the deployment has another public URL than before. Replicas that run have the one that is stored.
func (b *Bridge) move(ctx context.Context, store bridge.Store, deployment bridge.Deployment) error {
	before, issuer := deployment.Issuer, b.config.PublicURL.String()
	if before == issuer {
		return nil
	}
	if replicated, ok := store.(interface {
		Others(ctx context.Context) (bool, error)
	}); ok {
		running, err := replicated.Others(ctx)
		if err != nil {
			return fmt.Errorf("reading the store: %w", err)
		}
		if running {
			return fmt.Errorf("the public URL here is %s, and on the same database another replica runs whose URL is %s: all have the same one, which changes while none runs", issuer, before)
		}
	}
	b.log.WarnContext(ctx, "the public URL has changed: clients have to connect anew", "before", before, "now", issuer)
	deployment.Issuer = issuer
	return store.SaveDeployment(ctx, deployment)
}
