package oauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

// Endings is what revocation needs of the store.
type Endings interface {
	RefreshGrant(ctx context.Context, token bridge.RefreshToken, now time.Time) (bridge.Grant, bridge.Family, error)
	EndGrant(ctx context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Grant, bool, error)
	RevokeToken(ctx context.Context, grantID, tokenID string, expires, now time.Time) error
}

// Revoke serves token revocation (RFC 7009). A refresh token ends its grant, key and all; an
// access token ends alone.
type Revoke struct {
	Clients Authenticator
	Grants  Endings
	Signer  *token.Signer
	Trail   *audit.Trail
	Log     *slog.Logger
	Now     func() time.Time
	Ended   func() // see Token.Ended
}

// Mount adds the endpoint.
func (v *Revoke) Mount(r *mux.Router) {
	r.HandleFunc(discovery.PathRevoke, v.serve).Methods(http.MethodPost)
	r.HandleFunc(discovery.PathRevoke, onlyPost)
}

func (v *Revoke) serve(w http.ResponseWriter, r *http.Request) {
	if err := v.revoke(w, r); err != nil {
		writeError(w, r, v.Log, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

func (v *Revoke) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	client, err := v.Clients.Authenticate(r, form)
	if err != nil {
		return err
	}
	presented := secret.New(form.get("token"))
	if presented.IsZero() {
		return bridge.Refuse(invalidRequest, "token is missing")
	}
	// The hint is ignored: what kind a token is, it shows itself.
	grant, _, err := v.Grants.RefreshGrant(r.Context(), token.ParseRefresh(presented).Told(), v.Now())
	switch {
	case err == nil:
		return v.endGrant(r.Context(), client, grant)
	case !errors.Is(err, bridge.ErrNotFound):
		return err
	}
	access, err := v.Signer.Read(presented) //nolint:contextcheck // a reload of the keys serves all requests and ends with none of them
	if err != nil {
		return nil //nolint:nilerr // an unknown or expired token is revoked already (RFC 7009 §2.2)
	}
	return v.endToken(r.Context(), client, access)
}

func (v *Revoke) endGrant(ctx context.Context, client bridge.Client, grant bridge.Grant) error {
	if grant.ClientID != client.ID {
		return errForeignToken
	}
	_, ended, err := v.Grants.EndGrant(ctx, grant.ID, bridge.EndRevokedByClient, v.Now())
	if err != nil || !ended {
		return err
	}
	v.Trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.GrantEnded, GrantID: grant.ID, ClientID: client.ID, PersonID: grant.Person.ID(),
		Outcome: string(bridge.EndRevokedByClient),
	})
	v.Ended()
	return nil
}

func (v *Revoke) endToken(ctx context.Context, client bridge.Client, access token.Access) error {
	if access.ClientID != client.ID {
		return errForeignToken
	}
	err := v.Grants.RevokeToken(ctx, access.GrantID, access.ID, access.ExpiresAt, v.Now())
	if errors.Is(err, bridge.ErrNotFound) {
		return nil
	}
	if err == nil {
		v.Trail.Record(ctx, bridge.AuditEvent{
			Kind: audit.TokenRevoked, GrantID: access.GrantID, ClientID: client.ID, PersonID: access.PersonID,
		})
	}
	return err
}

// errForeignToken: the token stays as it is (RFC 7009 §2.1).
var errForeignToken = bridge.Refuse("invalid_grant", "The token was not issued to this client")
