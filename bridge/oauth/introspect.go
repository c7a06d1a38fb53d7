package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/mux"
	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

// Introspect serves token introspection (RFC 7662) to configured resource servers.
type Introspect struct {
	Issuer  string
	Servers []bridge.ResourceServer
	Signer  *token.Signer
	Grants  interface {
		Grant(ctx context.Context, id string) (bridge.Grant, error)
	}
	Log *slog.Logger
	Now func() time.Time

	asked inquiries
}

// Each resource server may ask so often, per second and at once, and whoever fails to be one less often, all together.
const (
	askRate, askBurst         = 500, 2000
	askFailRate, askFailBurst = 1, 60
)

// inquiries counts questions. The zero value is ready.
type inquiries struct {
	mu     sync.Mutex
	shares map[string]*rate.Limiter // by the id of the server, "" for those who fail
}

// allow counts a question of a server, "" for somebody who failed to be one, and reports whether there may be one more.
func (a *inquiries) allow(server string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	share, known := a.shares[server]
	if !known {
		if a.shares == nil {
			a.shares = map[string]*rate.Limiter{}
		}
		share = rate.NewLimiter(askRate, askBurst)
		if server == "" {
			share = rate.NewLimiter(askFailRate, askFailBurst)
		}
		a.shares[server] = share
	}
	return share.AllowN(now, 1)
}

// Mount adds the endpoint.
func (i *Introspect) Mount(r *mux.Router) {
	r.HandleFunc(discovery.PathIntrospect, i.serve).Methods(http.MethodPost)
	r.HandleFunc(discovery.PathIntrospect, onlyPost)
}

// introspection is the answer of RFC 7662 §2.2. An inactive token has nothing but active (AS-144).
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	Subject   string `json:"sub,omitempty"`
	Audience  string `json:"aud,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	ExpiresAt int64  `json:"exp,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
	ID        string `json:"jti,omitempty"`

	Confirmation *token.Confirmation `json:"cnf,omitempty"` // RFC 9449 §6.2
}

func (i *Introspect) serve(w http.ResponseWriter, r *http.Request) {
	answer, err := i.introspect(w, r)
	if err != nil {
		writeError(w, r, i.Log, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (i *Introspect) introspect(w http.ResponseWriter, r *http.Request) (introspection, error) {
	form, err := readForm(w, r)
	if err != nil {
		return introspection{}, err
	}
	server, err := i.authenticate(r, form)
	if !i.asked.allow(server.ID, i.Now()) {
		w.Header().Set("Retry-After", "1")
		return introspection{}, &bridge.Error{
			Code: "temporarily_unavailable", Description: "Too many questions, try again in a second", Status: http.StatusTooManyRequests,
		}
	}
	if err != nil {
		return introspection{}, err
	}
	presented := secret.New(form.get("token"))
	if presented.IsZero() {
		return introspection{}, bridge.Refuse(invalidRequest, "token is missing")
	}
	access, err := i.Signer.Check(presented, server.Resource) //nolint:contextcheck // a reload of the keys serves all requests and ends with none of them
	if err != nil {
		return introspection{}, onlyTrouble(err)
	}
	grant, err := i.Grants.Grant(r.Context(), access.GrantID)
	if errors.Is(err, bridge.ErrNotFound) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	scopes := access.Scopes.Intersect(grant.Scopes)
	if grant.Mismatch(access.Use(), i.Now()) != "" || len(scopes) == 0 {
		return introspection{}, nil
	}
	return introspection{
		Active: true, Scope: scopes.String(), ClientID: access.ClientID, Subject: access.PersonID, Audience: access.Resource,
		Issuer: i.Issuer, TokenType: access.Type(), ExpiresAt: access.ExpiresAt.Unix(), IssuedAt: access.IssuedAt.Unix(), ID: access.ID,
		Confirmation: access.Confirmation(),
	}, nil
}

// onlyTrouble drops refusals: a token that is no good is inactive, and that is no error.
func onlyTrouble(err error) error {
	if bridge.AsError(err) != nil {
		return nil
	}
	return err
}

// authenticate finds the resource server by its secret, in the header or in the body (AS-143).
func (i *Introspect) authenticate(r *http.Request, form parameters) (bridge.ResourceServer, error) {
	offered, err := readCredentials(r, form)
	if err != nil {
		return bridge.ResourceServer{}, err
	}
	for _, server := range i.Servers {
		if server.ID == offered.id && holds(server.SecretHashes, offered.secret) {
			return server, nil
		}
	}
	return bridge.ResourceServer{}, &bridge.Error{
		Code: "invalid_client", Description: "Only configured resource servers may ask", Status: http.StatusUnauthorized,
	}
}

// holds reports whether a secret is one of those known by their hashes. No secret never is.
func holds(hashes []bridge.Hash, presented string) bool {
	hash, ok := bridge.HashOf(presented), false
	for _, known := range hashes {
		ok = subtle.ConstantTimeCompare(hash[:], known[:]) == 1 || ok
	}
	return ok && presented != ""
}
