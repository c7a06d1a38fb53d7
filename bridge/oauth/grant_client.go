package oauth

import (
	"context"
	"errors"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge"
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

var errNotAllowed = bridge.Refuse("unauthorized_client", "The client may not use this grant")

// machine serves the client credentials grant (RFC 6749 §4.4) to clients the operator configured
// for it. There is no refresh token (§4.4.3) and no person. Behind the tokens of a client stands
// one live grant for each key it was given: ending it ends all that came from it, for as long as the
// client has that key.
func (t *Token) machine(ctx context.Context, request *tokenRequest) (tokenAnswer, string, error) {
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
	resource := request.resource
	if resource.URL == "" {
		resource = t.Resources.Default()
	}
	most := client.Scopes.Intersect(resource.Scopes)
	scopes, err := machineScope(request.form.get("scope"), most)
	if err != nil {
		return nil, "", err
	}
	grant, err := t.standingGrant(ctx, bridge.Grant{
		ID: t.startedID("machine", known.key, client.ID, resource), Person: bridge.Person{Source: bridge.SourceClient, Subject: client.ID},
		ClientID: client.ID, ClientName: client.Name, Scopes: most, Resource: resource.URL,
	}, known.key)
	if errors.Is(err, errEnded) {
		// Nothing the client could present anew would help, so it is not invalid_grant (RFC 6749 §5.2).
		return nil, grant.ID, &bridge.Error{
			Code: "unauthorized_client", Description: "The access of this client has ended, ask the operator for it", Cause: err,
		}
	}
	if err != nil {
		return nil, grant.ID, err
	}
	return t.issue(ctx, request, grant, scopes, secret.Token{})
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
