package oauth

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/dpop"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

// Grants is what the token endpoint needs of the store: its transitions, and its key for the successors of refresh tokens.
type Grants interface {
	token.Key
	RedeemCode(ctx context.Context, use bridge.CodeUse, now time.Time) (bridge.CodeOutcome, bridge.Grant, error)
	RefreshGrant(ctx context.Context, token bridge.RefreshToken, now time.Time) (bridge.Grant, bridge.Family, error)
	RotateRefresh(ctx context.Context, use bridge.RefreshUse, now time.Time) (bridge.Rotation, error)
	EndGrant(ctx context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Grant, bool, error)
	Grant(ctx context.Context, id string) (bridge.Grant, error)
	StartGrant(ctx context.Context, grant bridge.Grant, now time.Time) (bridge.Grant, error)
}

// Standing asks Trinity whether a grant's account may still come in.
type Standing interface {
	Standing(ctx context.Context, grant bridge.Grant) bridge.Standing
}

// Lifetimes are how long what the token endpoint issues is good for.
type Lifetimes struct {
	AccessToken     time.Duration
	RefreshIdle     time.Duration
	RefreshAbsolute time.Duration
	ClientUnused    time.Duration // how long a registered client outlives its last token
}

// Token serves the token endpoint (OAuth 2.1 §3.2).
type Token struct {
	Issuer    string
	Resources bridge.Resources
	Clients   Authenticator
	Grants    Grants
	Signer    *token.Signer
	Standing  Standing
	Machines  Machines // none: there is no client credentials grant
	Adopter   Adopter
	// People says who of an identity source is linked to which key, and what the rules let them have.
	People People
	// Providers may vouch for people; none: there is no identity assertion grant.
	Providers    []clients.Provider
	ProviderKeys ProviderKeys
	Replays      Replays
	Proofs       Proofs
	Refresh      bridge.RefreshRule
	Life         Lifetimes
	Trail        *audit.Trail
	Log          *slog.Logger
	Now          func() time.Time
	// Ended is told of each grant that ended here, so that its key is revoked at Trinity at once.
	Ended func()

	good lately
}

// Mount adds the endpoint and its alias for 2025-03-26 clients.
func (t *Token) Mount(r *mux.Router) {
	for _, path := range []string{discovery.PathToken, "/token"} {
		r.HandleFunc(path, t.serve).Methods(http.MethodPost)
		r.HandleFunc(path, onlyPost)
	}
}

// tokenRequest is a request whose client is authenticated.
type tokenRequest struct {
	client   bridge.Client
	form     parameters
	resource bridge.Resource // none when not sent
	proofKey bridge.Hash     // thumbprint of the key that the client showed it holds; zero: none
}

// tokenAnswer is a tokenResponse as it is sent.
type tokenAnswer []byte

type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

func (t *Token) serve(w http.ResponseWriter, r *http.Request) {
	answer, err := t.exchange(w, r)
	if err != nil {
		writeError(w, r, t.Log, err)
		return
	}
	writeText(w, http.StatusOK, answer)
}

func (t *Token) exchange(w http.ResponseWriter, r *http.Request) (tokenAnswer, error) {
	form, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	client, proof, err := t.authenticate(w, r, form)
	if err != nil {
		t.refused(r.Context(), form.get("client_id"), "", err)
		return nil, err
	}
	answer, grantID, err := t.grant(r.Context(), &tokenRequest{client: client, form: form, proofKey: proof.Key})
	if err != nil {
		t.refused(r.Context(), client.ID, grantID, err)
	}
	return answer, err
}

// authenticate finds out who asks, and with which key.
func (t *Token) authenticate(w http.ResponseWriter, r *http.Request, form parameters) (bridge.Client, dpop.Proof, error) {
	// First, so that a client that is told to use a nonce has not used up its assertion.
	proof, err := t.Proofs.check(w, r)
	if err != nil {
		return bridge.Client{}, dpop.Proof{}, err
	}
	client, err := t.Clients.Authenticate(r, form)
	if err != nil {
		return bridge.Client{}, dpop.Proof{}, err
	}
	if proof.IsZero() && t.Proofs.demanded(client) {
		return bridge.Client{}, dpop.Proof{}, errNoProof
	}
	return client, proof, t.Proofs.use(r.Context(), proof)
}

// grant hands the request to its grant type.
func (t *Token) grant(ctx context.Context, request *tokenRequest) (tokenAnswer, string, error) {
	var err error
	if request.resource, err = namedResource(request.form["resource"], t.Resources); err != nil {
		return nil, "", err
	}
	kind := request.form.get("grant_type")
	if (kind == bridge.GrantTypeCode || kind == bridge.GrantTypeRefresh) && !request.client.MayUse(bridge.GrantTypeCode) {
		return nil, "", errNotAllowed // refresh tokens come of codes (AS-064)
	}
	switch kind {
	case "":
		return nil, "", bridge.Refuse(invalidRequest, "grant_type is missing")
	case bridge.GrantTypeCode:
		return t.redeem(ctx, request)
	case bridge.GrantTypeRefresh:
		return t.refresh(ctx, request)
	case bridge.GrantTypeClient:
		if len(t.Machines) > 0 {
			return t.machine(ctx, request)
		}
	case bridge.GrantTypeAssertion:
		if len(t.Providers) > 0 {
			return t.identity(ctx, request)
		}
	}
	return nil, "", bridge.Refuse("unsupported_grant_type", "The grant type is not supported")
}

// mint answers with an access token, bound to the client's key if it showed one, and, where there is
// one, the refresh token.
func (t *Token) mint(request *tokenRequest, grant bridge.Grant, scopes bridge.Scopes, refresh secret.Token) (tokenAnswer, error) {
	access, said, err := t.Signer.Mint(grant, scopes, request.proofKey, t.Life.AccessToken)
	if err != nil {
		return nil, err
	}
	return json.Marshal(tokenResponse{
		AccessToken: access.Reveal(), TokenType: said.Type(), ExpiresIn: int(t.Life.AccessToken.Seconds()),
		Scope: scopes.String(), RefreshToken: refresh.Reveal(),
	})
}

// issue is mint for a grant that has just been asked for, and is told.
func (t *Token) issue(
	ctx context.Context, request *tokenRequest, grant bridge.Grant, scopes bridge.Scopes, refresh secret.Token,
) (tokenAnswer, string, error) {
	answer, err := t.mint(request, grant, scopes, refresh)
	if err != nil {
		return nil, grant.ID, err
	}
	t.Trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.TokenIssued, GrantID: grant.ID, ClientID: grant.ClientID, PersonID: grant.Person.ID(), Detail: scopes.String(),
	})
	return answer, grant.ID, nil
}

// mintAhead is mint beside what the caller does meanwhile: a signature takes a fifth of the time the disk
// takes to sync, and the answer is ready to be sent then. What it says of a grant never changes. Nothing of it may be answered before the caller
// knows that the refresh is stored.
func (t *Token) mintAhead(
	request *tokenRequest, grant bridge.Grant, scopes bridge.Scopes, refresh secret.Token,
) (wait func() (tokenAnswer, error)) {
	var answer tokenAnswer
	var err error
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		answer, err = t.mint(request, grant, scopes, refresh)
	}()
	return func() (tokenAnswer, error) {
		<-done
		if panicked != nil {
			panic(panicked) // where the server's guard can see it
		}
		return answer, err
	}
}

// refused notes a refusal; a failure of ours is in the log already.
func (t *Token) refused(ctx context.Context, clientID, grantID string, err error) {
	if refused := bridge.AsError(err); refused != nil {
		detail := refused.Description
		if refused.Cause != nil {
			detail += ": " + refused.Cause.Error() // what the client is not told
		}
		t.Trail.Record(ctx, bridge.AuditEvent{
			Kind: audit.TokenRefused, ClientID: loggableID(clientID), GrantID: grantID, Outcome: refused.Code, Detail: detail,
		})
	}
}

// end ends a grant whose standing is gone.
func (t *Token) end(ctx context.Context, grant bridge.Grant, reason bridge.EndReason) error {
	_, ended, err := t.Grants.EndGrant(ctx, grant.ID, reason, t.Now())
	if err != nil {
		return err
	}
	if ended {
		t.noteEnd(ctx, grant, reason)
	}
	return nil
}

func (t *Token) noteEnd(ctx context.Context, grant bridge.Grant, reason bridge.EndReason) {
	t.Trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.GrantEnded, GrantID: grant.ID, ClientID: grant.ClientID, PersonID: grant.Person.ID(), Outcome: string(reason),
	})
	t.Ended()
}

// loggableID keeps what a client sent as its id from filling the log.
func loggableID(id string) string {
	const most = 256 // the longest id there is
	if len(id) > most {
		return id[:most]
	}
	return id
}
