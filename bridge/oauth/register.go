package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Registrar stores registrations.
type Registrar interface {
	Register(ctx context.Context, metadata clients.Metadata) (bridge.Client, secret.Token, error)
}

// Register serves dynamic registration (RFC 7591 §3).
type Register struct {
	Clients Registrar
	Proofs  Proofs
	Initial bridge.Hash // of the initial access token that a client has to show; zero: none
	Limit   *Registrations
	Trail   *audit.Trail
	Log     *slog.Logger
}

// Mount adds the endpoint and its alias for 2025-03-26 clients.
func (g *Register) Mount(r *mux.Router) {
	for _, path := range []string{discovery.PathRegister, "/register"} {
		r.HandleFunc(path, g.serve).Methods(http.MethodPost)
		r.HandleFunc(path, onlyPost)
	}
}

// registered is the answer of RFC 7591 §3.2.1. Members without a value are left out, for null
// and "" break real clients (B35).
type registered struct {
	ClientID          string   `json:"client_id"`
	ClientSecret      string   `json:"client_secret,omitempty"`
	IssuedAt          int64    `json:"client_id_issued_at"`
	SecretExpiresAt   *int64   `json:"client_secret_expires_at,omitempty"` // 0 means never; only with a secret
	RedirectURIs      []string `json:"redirect_uris"`
	GrantTypes        []string `json:"grant_types"`
	ResponseTypes     []string `json:"response_types"`
	TokenAuthMethod   string   `json:"token_endpoint_auth_method"`
	ClientName        string   `json:"client_name,omitempty"`
	ClientURI         string   `json:"client_uri,omitempty"`
	LogoURI           string   `json:"logo_uri,omitempty"`
	PolicyURI         string   `json:"policy_uri,omitempty"`
	TermsURI          string   `json:"tos_uri,omitempty"`
	Contacts          []string `json:"contacts,omitempty"`
	SoftwareID        string   `json:"software_id,omitempty"`
	SoftwareVersion   string   `json:"software_version,omitempty"`
	ApplicationType   string   `json:"application_type,omitempty"`
	RegisteredAtScope string   `json:"scope,omitempty"`

	BoundTokens bool `json:"dpop_bound_access_tokens,omitempty"`

	JWKS       jsontext.Value `json:"jwks,omitempty"`
	SigningAlg string         `json:"token_endpoint_auth_signing_alg,omitempty"`
}

func (g *Register) serve(w http.ResponseWriter, r *http.Request) {
	answer, err := g.register(w, r)
	if err == nil {
		writeJSON(w, http.StatusCreated, answer)
		return
	}
	if errors.Is(err, bridge.ErrFull) {
		w.Header().Set("Retry-After", "60")
		err = &bridge.Error{Code: "temporarily_unavailable", Description: "No more registrations at the moment", Status: http.StatusServiceUnavailable}
	}
	if refused := bridge.AsError(err); refused != nil {
		g.Trail.Record(r.Context(), bridge.AuditEvent{Kind: audit.RegisterRefused, Outcome: refused.Code, Detail: refused.Description})
	}
	writeError(w, r, g.Log, err)
}

func (g *Register) register(w http.ResponseWriter, r *http.Request) (*registered, error) {
	if err := g.authorize(w, r); err != nil { // before the limit, so that strangers use up nobody's share
		return nil, err
	}
	if !g.Limit.Allow(r) {
		w.Header().Set("Retry-After", "10")
		return nil, &bridge.Error{Code: "temporarily_unavailable", Description: "Too many registrations, try again shortly", Status: http.StatusTooManyRequests}
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, &bridge.Error{Code: "invalid_client_metadata", Description: "The body has to be application/json", Status: http.StatusUnsupportedMediaType}
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	var metadata clients.Metadata
	if err := json.Unmarshal(body, &metadata); err != nil {
		return nil, &bridge.Error{Code: "invalid_client_metadata", Description: "The body is not the JSON object it should be", Cause: err}
	}
	if g.Proofs.Checker == nil {
		metadata.BoundTokens = false // the answer says that nobody will hold it to that
	}
	client, clientSecret, err := g.Clients.Register(r.Context(), metadata)
	if err != nil {
		return nil, err
	}
	g.Trail.Record(r.Context(), bridge.AuditEvent{Kind: audit.ClientRegistered, ClientID: client.ID, Detail: string(client.AuthMethod)})
	return answerOf(client, clientSecret, metadata), nil
}

// authorize demands the initial access token, where the operator gave one to those who may register
// (RFC 7591 §3, RFC 6750 §2.1).
func (g *Register) authorize(w http.ResponseWriter, r *http.Request) error {
	if g.Initial.IsZero() {
		return nil
	}
	refused := &bridge.Error{
		Code: "invalid_token", Description: "Registering needs the initial access token of the operator", Status: http.StatusUnauthorized,
	}
	challenge := `Bearer realm="registration"`
	if lines := r.Header.Values("Authorization"); len(lines) > 0 {
		scheme, presented, _ := strings.Cut(lines[0], " ")
		hash := bridge.HashOf(presented)
		if len(lines) == 1 && strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(hash[:], g.Initial[:]) == 1 {
			return nil
		}
		challenge += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	return refused
}

func answerOf(client bridge.Client, clientSecret secret.Token, metadata clients.Metadata) *registered {
	answer := &registered{
		ClientID: client.ID, ClientSecret: clientSecret.Reveal(), IssuedAt: client.CreatedAt.Unix(),
		RedirectURIs: client.RedirectURIs, GrantTypes: client.GrantTypes, ResponseTypes: []string{"code"},
		TokenAuthMethod: string(client.AuthMethod), ClientName: client.Name, ClientURI: client.URI, LogoURI: client.LogoURI,
		PolicyURI: client.PolicyURI, TermsURI: client.TermsURI,
		Contacts:   slices.DeleteFunc(slices.Clone(client.Contacts), func(s string) bool { return s == "" }),
		SoftwareID: client.SoftwareID, SoftwareVersion: client.SoftwareVersion, ApplicationType: client.ApplicationType,
		BoundTokens: client.BoundTokens, JWKS: client.Keys, SigningAlg: client.SigningAlg,
	}
	if !clientSecret.IsZero() {
		answer.SecretExpiresAt = new(int64)
	}
	if known, _ := bridge.ParseScopes(metadata.Scope); len(known) > 0 {
		answer.RegisteredAtScope = known.String()
	}
	return answer
}
