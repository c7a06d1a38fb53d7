package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Adopter puts a key the operator handed over into a grant. The error wraps bridge.ErrNotFound when
// the key is definitely of no use.
type Adopter interface {
	Adopt(ctx context.Context, grant bridge.Grant, key secret.Token) (bridge.Grant, error)
}

// errEnded says that a grant without a code has ended, by whomever, or that its key is of no use.
var errEnded = errors.New("the access has ended")

// standingGrant returns the live grant of wanted's id, and begins it if there is none. Trinity is
// asked about the key each time. errEnded when there is none and none begins; with any error the
// grant has its id at most.
func (t *Token) standingGrant(ctx context.Context, wanted bridge.Grant, key secret.Token) (bridge.Grant, error) {
	only := bridge.Grant{ID: wanted.ID}
	stored, err := t.Grants.Grant(ctx, wanted.ID)
	isNew := errors.Is(err, bridge.ErrNotFound)
	now := t.Now()
	switch {
	case err != nil && !isNew:
		return only, err
	case !isNew && !stored.Alive(now):
		return only, fmt.Errorf("%w: %s", errEnded, stored.EndReason)
	}
	wanted.Status, wanted.Asked, wanted.CreatedAt = bridge.GrantLive, wanted.Scopes, now
	adopted, err := t.Adopter.Adopt(ctx, wanted, key)
	reason := bridge.EndCredentialDead
	if err == nil && !isNew {
		if differs := differs(stored, adopted); differs != "" {
			reason, err = differs, bridge.ErrNotFound
		}
	}
	if errors.Is(err, bridge.ErrNotFound) {
		if !isNew {
			if err := t.end(ctx, stored, reason); err != nil {
				return only, err
			}
		}
		return only, fmt.Errorf("%w: %w", errEnded, err)
	}
	if err != nil {
		return only, err
	}
	grant, err := t.Grants.StartGrant(ctx, adopted, now)
	switch {
	case errors.Is(err, bridge.ErrNotFound): // its link has ended meanwhile
		return only, fmt.Errorf("%w: %w", errEnded, err)
	case err != nil:
		return only, err
	case !grant.Alive(now):
		return only, errEnded // by somebody else, meanwhile
	}
	if isNew {
		t.Trail.Record(ctx, bridge.AuditEvent{
			Kind: audit.GrantStarted, GrantID: grant.ID, ClientID: grant.ClientID, PersonID: grant.Person.ID(),
			Outcome: string(grant.ActingAs.Kind), Detail: grant.Scopes.String(),
		})
	}
	return grant, nil
}

// differs is why a grant must end whose key is now worth what adopted says, or "".
func differs(stored, adopted bridge.Grant) bridge.EndReason {
	switch {
	case adopted.Account.Username != stored.Account.Username:
		return bridge.EndAccountChanged
	case adopted.ActingAs != stored.ActingAs:
		return bridge.EndScopeChanged
	case !adopted.Account.Role.AtLeast(stored.Account.Role):
		return bridge.EndRoleLowered
	}
	return ""
}

// startedID is the same for the same holder, key and resource, so that an ended grant is found again,
// and another for another key or resource. It tells nothing of the key.
func (t *Token) startedID(kind string, key secret.Token, holder string, resource bridge.Resource) string {
	if resource.URL != t.Resources.Default().URL {
		holder += "\x00" + resource.URL
	}
	sum := sha256.Sum256([]byte(kind + " grant\x00" + key.Hash().String() + "\x00" + holder))
	return kind + "-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}
