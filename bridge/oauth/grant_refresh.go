package oauth

import (
	"context"
	"errors"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

// errDeadRefresh is the one answer for every refresh token that gets nothing: clients start over
// on exactly this and are stuck on anything else (AS-063).
var errDeadRefresh = bridge.Refuse("invalid_grant", "The refresh token is not valid")

// errOverdue is our own trouble to the client: try again, nothing is lost.
var errOverdue = errors.New("whether the person may still come in could not be found out for longer than the grace")

// refresh serves the refresh grant (OAuth 2.1 §4.3). Everything is validated before anything
// changes, so that a bad request burns nothing (B64).
func (t *Token) refresh(ctx context.Context, request *tokenRequest) (tokenAnswer, string, error) {
	sent := secret.New(request.form.get("refresh_token"))
	if sent.IsZero() {
		return nil, "", bridge.Refuse(invalidRequest, "refresh_token is missing")
	}
	presented := token.ParseRefresh(sent)
	now := t.Now()
	grant, family, err := t.Grants.RefreshGrant(ctx, presented.Told(), now)
	if errors.Is(err, bridge.ErrNotFound) {
		return nil, "", errDeadRefresh
	}
	if err != nil {
		return nil, "", err
	}
	if !family.Belongs(request.client.ID, request.proofKey) {
		return nil, grant.ID, errDeadRefresh // another client's or key's token stays as it is (TK-13, EX-22)
	}
	if request.resource.URL != "" && request.resource.URL != grant.Resource {
		return nil, grant.ID, bridge.Refuse("invalid_target", "The grant is for another resource")
	}
	if _, served := t.Resources.Of(grant.Resource); !served {
		return nil, grant.ID, errDeadRefresh // a profile the operator took away, or another public URL
	}
	scopes, err := narrowScope(request.form.get("scope"), grant)
	if err != nil {
		return nil, grant.ID, err
	}
	if err := t.recheck(ctx, grant); err != nil {
		return nil, grant.ID, err
	}
	return t.rotate(ctx, request, presented, grant, scopes)
}

// recheck asks whether the person may still come in, before every refresh (TK-21). Who cannot be
// asked throws nobody out; after the grace there is no refresh until they answer, and the token is
// as good as before.
func (t *Token) recheck(ctx context.Context, grant bridge.Grant) error {
	if !grant.Live() {
		return nil // the rule decides; nothing to ask Trinity about
	}
	asked := t.Now() // the answer is as old as the question
	if t.good.has(grant.ID, asked) {
		return nil
	}
	standing := t.Standing.Standing(ctx, grant)
	switch standing {
	case bridge.StandingOverdue:
		return errOverdue
	case bridge.StandingGood:
		t.good.add(grant.ID, asked)
	}
	reason := standing.Ends()
	if reason == "" {
		return nil
	}
	if err := t.end(ctx, grant, reason); err != nil {
		return err
	}
	return errDeadRefresh
}

func (t *Token) rotate(
	ctx context.Context, request *tokenRequest, presented token.Refresh, grant bridge.Grant, scopes bridge.Scopes,
) (tokenAnswer, string, error) {
	successor := presented.Next(t.Grants)
	minted := t.mintAhead(request, grant, scopes, successor.Token())
	rotation, err := t.Grants.RotateRefresh(ctx, bridge.RefreshUse{
		Token: presented.Told(), ClientID: request.client.ID, ProofKey: request.proofKey, BindRefresh: request.client.Public(),
		Successor: successor.Told().Hash, Idle: t.Life.RefreshIdle, AccessTokenLife: t.Life.AccessToken, Rule: t.Refresh,
	}, t.Now())
	if err != nil {
		return nil, "", err
	}
	grant = rotation.Grant
	switch rotation.Outcome {
	case bridge.RefreshRotated, bridge.RefreshRepeated:
	case bridge.RefreshReused:
		t.noteEnd(ctx, grant, bridge.EndRefreshReused)
		return nil, grant.ID, errDeadRefresh
	case bridge.RefreshExpired, bridge.RefreshEnded, bridge.RefreshMismatch, bridge.RefreshUnknown:
		return nil, grant.ID, errDeadRefresh
	}
	answer, err := minted()
	if err != nil {
		return nil, grant.ID, err
	}
	t.Trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.TokenRefreshed, GrantID: grant.ID, ClientID: grant.ClientID, PersonID: grant.Person.ID(),
		Outcome: string(rotation.Outcome),
	})
	return answer, grant.ID, nil
}

// narrowScope applies a scope parameter of a refresh: it may narrow the new access token, never
// widen the grant (RFC 6749 §6). What the client asked for at first but was not given is left
// out rather than refused: clients repeat their first request, and would be thrown out each hour
// because a person unticked a box.
func narrowScope(parameter string, grant bridge.Grant) (bridge.Scopes, error) {
	if parameter == "" {
		return grant.Scopes, nil
	}
	asked, unknown := bridge.ParseScopes(parameter)
	if unknown > 0 || !grant.Scopes.Union(grant.Asked).Contains(asked) {
		return nil, bridge.Refuse("invalid_scope", "The grant does not hold that scope")
	}
	if len(asked) == 0 {
		return grant.Scopes, nil // only offline_access was named
	}
	scopes := asked.Intersect(grant.Scopes)
	if len(scopes) == 0 {
		return nil, bridge.Refuse("invalid_scope", "The grant does not hold that scope")
	}
	return scopes, nil
}
