package trinitytest

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// principal is who an MCP request runs as: Trinity's McpAuthContext (contract §4.2).
type principal struct {
	username  string
	keyID     string
	keyName   string
	agentName string
	scope     string
	key       string // the presented key, passed through to the backend; empty for anonymous
}

// The two things an unauthenticated request can be told.
const (
	missingAuthorization = "Missing or invalid Authorization header"
	invalidAPIKey        = "Invalid API key"
)

// authenticate runs on each request that the generation authenticates. It reads nothing but
// Authorization, which must begin with the exact bytes "Bearer ", asks the backend every time, and takes
// any failure to get an answer for a bad key (contract §4.3). A refusal is the text to answer with.
func (o *orchestrator) authenticate(r *http.Request) (p principal, refusal string) {
	if o.switches.read().AnonymousAllowed {
		return principal{username: o.administrator(), scope: scopeUser}, ""
	}
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return principal{}, missingAuthorization
	}
	v, err := o.validate(r.Context(), key)
	if err != nil {
		o.log.Debug("simulated Trinity refused an MCP key", "error", err)
		return principal{}, invalidAPIKey
	}
	p = principal{username: v.Username, keyID: v.KeyID, keyName: v.KeyName, scope: v.Scope, key: key}
	if v.AgentName != nil {
		p.agentName = *v.AgentName
	}
	return p, ""
}

// validate is the one backend call per MCP request.
func (o *orchestrator) validate(ctx context.Context, key string) (validation, error) {
	var v validation
	if err := o.askBackend(ctx, http.MethodPost, "/api/mcp/validate", principal{key: key}, &v); err != nil {
		return validation{}, fmt.Errorf("validating the key: %w", err)
	}
	if !v.Valid {
		return validation{}, fmt.Errorf("validating the key: the backend did not say that it is valid")
	}
	return v, nil
}

// askBackend calls the backend with the caller's own key (contract §4.6).
func (o *orchestrator) askBackend(ctx context.Context, method, path string, p principal, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, o.backendURL+path, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	if p.keyID != "" {
		req.Header.Set("X-MCP-Key-ID", p.keyID)
	}
	if p.keyName != "" {
		req.Header.Set("X-MCP-Key-Name", p.keyName)
	}
	if p.agentName != "" {
		req.Header.Set("X-Source-Agent", p.agentName)
	}
	res, err := o.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read to its end or given up
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("backend answered %d", res.StatusCode)
	}
	return json.UnmarshalRead(res.Body, into, jsontext.AllowDuplicateNames(true))
}

// refuse answers an unauthenticated request as the generation does (contract §4.4). id is the request's,
// or null.
func (r transportRules) refuse(w http.ResponseWriter, id jsontext.Value, text string) {
	if r.refuseCreation {
		writeText(w, http.StatusInternalServerError, "", "Error creating server")
		return
	}
	r.unauthorized(w, id, text)
}

func (r transportRules) unauthorized(w http.ResponseWriter, id jsontext.Value, text string) {
	if r.challenge {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=%q, error_description=%q", "invalid_token", text))
	}
	r.proxyError(w, http.StatusUnauthorized, id, codeServerError, text)
}

// noSession answers a request that names no session.
func (r transportRules) noSession(w http.ResponseWriter, id jsontext.Value) {
	if !r.missingEchoesID {
		id = nil
	}
	if r.missingSession == http.StatusUnauthorized {
		r.unauthorized(w, id, r.missingText)
		return
	}
	r.proxyError(w, r.missingSession, id, codeServerError, r.missingText)
}

func (r transportRules) unknownSession(w http.ResponseWriter) {
	r.proxyError(w, http.StatusNotFound, nil, codeSessionNotFound, "Session not found")
}
