package trinity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	// orphanAge is how old a key has to be before anybody asks whose it is: a grant is stored seconds after
	// its key is minted, and Trinity's clock may be minutes off ours (OP-17).
	orphanAge = 15 * time.Minute
	// deploymentTag is how much of the deployment's id a key's name carries.
	deploymentTag = 8
)

// KeyOwners are the rows that keys belong to.
type KeyOwners interface {
	Grant(ctx context.Context, id string) (bridge.Grant, error)
	Link(ctx context.Context, id string) (bridge.Link, error)
}

// orphans finds keys at Trinity that this deployment has made and does not know: the answer that told of
// one was lost, the process died before it was stored, the store was put back. Another bridge on the same
// Trinity has names of its own.
type orphans struct {
	api        *API
	deployment string
	owners     KeyOwners
	trail      *audit.Trail
	log        *slog.Logger
	now        func() time.Time
}

// name is what Trinity calls the key of a row: who it is for, the row, and whose row it is.
func (o *orphans) name(parts ...string) string {
	return keyNamePrefix + strings.Join(parts, ":") + "@" + o.tag()
}

func (o *orphans) tag() string { return o.deployment[:min(len(o.deployment), deploymentTag)] }

// row is the row that a key of this name belongs to; false for keys of others, and for those that were
// named before names said whose they are.
func (o *orphans) row(name string) (string, bool) {
	rest, ours := strings.CutPrefix(name, keyNamePrefix)
	rest, tagged := strings.CutSuffix(rest, "@"+o.tag())
	id := rest[strings.LastIndexByte(rest, ':')+1:]
	return id, ours && tagged && o.tag() != "" && id != ""
}

// revoke revokes the first orphans among the keys of an account, with a session or a key of that account: when they are
// custodyBatch there may be more.
func (o *orphans) revoke(ctx context.Context, bearer secret.Token, username string) (revoked int, err error) {
	keys, err := o.api.Keys(ctx, bearer)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		row, ours := o.row(key.Name)
		if !ours || !key.Active || key.Username != username || key.CreatedAt.IsZero() || o.now().Sub(key.CreatedAt) < orphanAge {
			continue
		}
		known, err := o.known(ctx, row, key.ID)
		if err != nil {
			return revoked, err
		}
		if known {
			continue
		}
		if err := o.api.RevokeKey(ctx, bearer, key.ID); err != nil {
			return revoked, err
		}
		revoked++
		o.log.WarnContext(ctx, "a key that no connection knows of was found at Trinity and revoked", "key_name", key.Name)
		o.trail.Record(ctx, bridge.AuditEvent{Kind: audit.KeyRevoked, GrantID: row, Outcome: "orphan"})
		if revoked == custodyBatch {
			break
		}
	}
	return revoked, nil
}

// known reports whether a row lives and has this very key. Of a row that has ended, the queue revokes the
// key; one that is not in it any more was to be gone.
func (o *orphans) known(ctx context.Context, row, keyID string) (bool, error) {
	if strings.HasPrefix(row, linkPrefix) {
		link, err := o.owners.Link(ctx, row)
		return err == nil && link.Live() && link.Credential.KeyID == keyID, unlessMissing(err)
	}
	grant, err := o.owners.Grant(ctx, row)
	return err == nil && grant.Status != bridge.GrantEnded && grant.Credential.KeyID == keyID, unlessMissing(err)
}

func unlessMissing(err error) error {
	if err == nil || errors.Is(err, bridge.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("looking for the owner of a key: %w", err)
}
