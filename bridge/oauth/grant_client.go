package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"net/http"
	"strings"

	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Token requests of one machine client: a token is good for long, so few are needed (EX-20).
const (
	machinePerS  = 1
	machineBurst = 30
)

// Machines are the configured clients that may act for themselves, by client id.
type Machines map[string]machine

type machine struct {
	key      secret.Token // what Trinity knows the client's calls by
	requests *rate.Limiter
}

// NewMachines makes Machines out of the keys of clients, by client id.
func NewMachines(keys map[string]secret.Token) Machines {
	machines := Machines{}
	for id, key := range keys {
		machines[id] = machine{key: key, requests: rate.NewLimiter(machinePerS, machineBurst)}
	}
	return machines
}

// Adopter puts the key of a machine client into its grant. The error wraps bridge.ErrNotFound when
// the key is definitely of no use.
type Adopter interface {
	Adopt(ctx context.Context, grant bridge.Grant, key secret.Token) (bridge.Grant, error)
}

var (
	errNotAllowed = bridge.Refuse("unauthorized_client", "The client may not use this grant")
	// errAccessEnded is for a client whose grant has ended, by whomever. Nothing the client could
	// present anew would help, so it is not invalid_grant (RFC 6749 §5.2).
	errAccessEnded = bridge.Refuse("unauthorized_client", "The access of this client has ended, ask the operator for it")
)

// machine serves the client credentials grant (RFC 6749 §4.4) to clients the operator configured
// for it. There is no refresh token (§4.4.3) and no person. Behind the tokens of a client stands
// one live grant for each key it was given: ending it ends all that came from it, for as long as the
// client has that key.
func (t *Token) machine(ctx context.Context, request *tokenRequest) (*tokenResponse, string, error) {
	client := request.client
	known, ok := t.Machines[client.ID]
	if !ok || client.Kind != bridge.ClientConfigured || client.Public() || !client.MayUse(bridge.GrantTypeClient) {
		return nil, "", errNotAllowed // EX-15
	}
	if !known.requests.AllowN(t.Now(), 1) {
		return nil, "", &bridge.Error{
			Code: "temporarily_unavailable", Description: "Too many token requests of this client", Status: http.StatusTooManyRequests,
		}
	}
	scopes, err := machineScope(request.form.get("scope"), client.Scopes)
	if err != nil {
		return nil, "", err
	}
	grant, err := t.machineGrant(ctx, client, known.key)
	if err != nil {
		return nil, grant.ID, err
	}
	answer, err := t.mint(grant, scopes, secret.Token{})
	if err != nil {
		return nil, grant.ID, err
	}
	t.Trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.TokenIssued, GrantID: grant.ID, ClientID: client.ID, PersonID: grant.Person.ID(), Detail: scopes.String(),
	})
	return answer, grant.ID, nil
}

// machineGrant returns the live grant of a client and its key, and begins it if there is none.
// Trinity is asked about the key each time. With an error the grant has its id at most.
func (t *Token) machineGrant(ctx context.Context, client bridge.Client, key secret.Token) (bridge.Grant, error) {
	id := machineGrantID(client.ID, key)
	only := bridge.Grant{ID: id}
	stored, err := t.Grants.Grant(ctx, id)
	isNew := errors.Is(err, bridge.ErrNotFound)
	switch {
	case err != nil && !isNew:
		return only, err
	case !isNew && !stored.Alive(t.Now()):
		return only, errAccessEnded
	}
	now := t.Now()
	adopted, err := t.Adopter.Adopt(ctx, bridge.Grant{
		ID: id, Status: bridge.GrantLive, Person: bridge.Person{Source: bridge.SourceClient, Subject: client.ID},
		ClientID: client.ID, ClientName: client.Name, Resource: t.Resource, Scopes: client.Scopes, Asked: client.Scopes, CreatedAt: now,
	}, key)
	reason := bridge.EndCredentialDead
	if err == nil && !isNew && adopted.Account.Username != stored.Account.Username {
		reason, err = bridge.EndAccountChanged, bridge.ErrNotFound
	}
	if errors.Is(err, bridge.ErrNotFound) {
		if !isNew {
			if err := t.end(ctx, stored, reason); err != nil {
				return only, err
			}
		}
		return only, &bridge.Error{Code: errAccessEnded.Code, Description: errAccessEnded.Description, Cause: err}
	}
	if err != nil {
		return only, err
	}
	grant, err := t.Grants.StartGrant(ctx, adopted, now)
	switch {
	case err != nil:
		return only, err
	case !grant.Alive(now):
		return only, errAccessEnded // by somebody else, meanwhile
	}
	if isNew {
		t.Trail.Record(ctx, bridge.AuditEvent{
			Kind: audit.GrantStarted, GrantID: id, ClientID: client.ID, PersonID: grant.Person.ID(),
			Outcome: string(grant.ActingAs.Kind), Detail: grant.Scopes.String(),
		})
	}
	return grant, nil
}

// machineGrantID is the same for the same client and key, so that an ended grant is found again,
// and another for another key. It tells nothing of the key.
func machineGrantID(clientID string, key secret.Token) string {
	sum := sha256.Sum256([]byte("machine grant\x00" + key.Hash().String() + "\x00" + clientID))
	return "machine-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// machineScope is what was asked for, or all the client may have. Nobody will look at it, so what is
// beyond is refused and not left out (EX-19).
func machineScope(parameter string, most bridge.Scopes) (bridge.Scopes, error) {
	asked, unknown := bridge.ParseScopes(parameter)
	if unknown > 0 || !most.Contains(asked) || len(most) == 0 {
		return nil, bridge.Refuse("invalid_scope", "The client may not have that scope")
	}
	if len(asked) == 0 {
		return most, nil
	}
	return asked, nil
}
