package trinitytest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

const interactiveOnly = "This operation requires an interactive session; MCP API keys cannot perform it"

// keyRoutes are contract §3.2.
func (b *backend) keyRoutes() []route {
	return []route{
		{http.MethodPost, "/api/mcp/keys", b.createKey},
		{http.MethodGet, "/api/mcp/keys", b.showKeys},
		{http.MethodPost, "/api/mcp/keys/ensure-default", b.ensureDefaultKey},
		{http.MethodGet, "/api/mcp/keys/{id}", b.showKey},
		{http.MethodPost, "/api/mcp/keys/{id}/revoke", b.endKey((*state).revokeKey, "MCP API key revoked")},
		{http.MethodDelete, "/api/mcp/keys/{id}", b.endKey((*state).deleteKey, "MCP API key deleted")},
		{http.MethodPost, "/api/mcp/validate", b.validate},
	}
}

// shownKey is a key as its owner and the administrators see it; the key itself only when it was just made.
type shownKey struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Description *string `json:"description"`
	Prefix      string  `json:"key_prefix"`
	CreatedAt   string  `json:"created_at"`
	LastUsedAt  *string `json:"last_used_at"`
	UsageCount  int     `json:"usage_count"`
	Active      bool    `json:"is_active"`
	UserID      int     `json:"user_id"`
	Username    string  `json:"username"`
	UserEmail   string  `json:"user_email"`
	AgentName   *string `json:"agent_name"`
	Scope       string  `json:"scope"`
	Key         string  `json:"api_key,omitzero"`
}

func (b *backend) shown(k apiKey, key string) shownKey {
	shown := shownKey{
		ID: k.ID, Name: k.Name, Description: k.Description, Prefix: k.Prefix,
		CreatedAt: k.CreatedAt.Format(time.RFC3339Nano), UsageCount: k.UsageCount, Active: k.Active,
		UserID: b.state.userID(k.Owner), Username: k.Owner, UserEmail: k.OwnerEmail,
		AgentName: orNull(k.AgentName), Scope: k.Scope, Key: key,
	}
	if !k.LastUsedAt.IsZero() {
		shown.LastUsedAt = orNull(k.LastUsedAt.Format(time.RFC3339Nano))
	}
	return shown
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (s *state) userID(username string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.userByName(username); u != nil {
		return u.ID
	}
	return 0
}

// minter authenticates a request that makes a key.
func (b *backend) minter(w http.ResponseWriter, r *http.Request) (caller, bool) {
	c, ok := b.operator(w, r)
	if !ok {
		return caller{}, false
	}
	if c.key != nil && b.switches.read().MintNeedsJWT {
		detail(w, http.StatusForbidden, interactiveOnly)
		return caller{}, false
	}
	return c, true
}

// createKey lets any JWT user mint a user key for itself (contract §3.3).
func (b *backend) createKey(w http.ResponseWriter, r *http.Request) {
	c, ok := b.minter(w, r)
	if !ok {
		return
	}
	var form struct {
		Name        *string `json:"name"`
		Description *string `json:"description"`
		Scope       *string `json:"scope"`
	}
	if readBody(r, &form) != nil || form.Name == nil {
		unprocessable(w, "name", "Field required")
		return
	}
	scope := scopeUser
	if form.Scope != nil {
		scope = *form.Scope
	}
	switch scope {
	case scopeUser:
	case scopeDelegate, scopeOps:
		if c.key != nil || c.user.Role != roleAdmin {
			detail(w, http.StatusForbidden, "Only an administrator can create keys of this scope")
			return
		}
	default:
		detail(w, http.StatusBadRequest, "Unsupported key scope")
		return
	}
	b.mint(w, c, newKey{name: *form.Name, description: form.Description, scope: scope})
}

func (b *backend) mint(w http.ResponseWriter, c caller, n newKey) {
	row, key, err := b.state.mintKey(c.user.Username, n)
	if err != nil {
		b.fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, b.shown(row, key))
}

// ensureDefaultKey makes a first key, or answers null if there is one.
func (b *backend) ensureDefaultKey(w http.ResponseWriter, r *http.Request) {
	c, ok := b.minter(w, r)
	if !ok {
		return
	}
	has := b.state.listKeys(func(k apiKey) bool {
		return k.Owner == c.user.Username && k.Scope == scopeUser && k.Active
	})
	if len(has) > 0 {
		writeJSON(w, http.StatusOK, nil)
		return
	}
	b.mint(w, c, newKey{name: "Default MCP Key", scope: scopeUser})
}

// showKeys lists the caller's keys, and everybody's to an administrator.
func (b *backend) showKeys(w http.ResponseWriter, r *http.Request) {
	c, ok := b.operator(w, r)
	if !ok {
		return
	}
	rows := b.state.listKeys(func(k apiKey) bool { return c.user.Role == roleAdmin || k.Owner == c.user.Username })
	shown := make([]shownKey, 0, len(rows))
	for _, k := range rows {
		shown = append(shown, b.shown(k, ""))
	}
	writeJSON(w, http.StatusOK, shown)
}

func (b *backend) showKey(w http.ResponseWriter, r *http.Request) {
	c, ok := b.operator(w, r)
	if !ok {
		return
	}
	rows := b.state.listKeys(ownKey(c.user.Username, r.PathValue("id")))
	if len(rows) == 0 {
		keyNotFound(w)
		return
	}
	writeJSON(w, http.StatusOK, b.shown(rows[0], ""))
}

func keyNotFound(w http.ResponseWriter) { detail(w, http.StatusNotFound, "API key not found") }

// endKey revokes or deletes one of the caller's own keys. Keys of agents and connectors may not.
func (b *backend) endKey(end func(s *state, owner, id string) error, done string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := b.authenticate(w, r)
		if !ok {
			return
		}
		if c.key != nil && !slices.Contains([]string{scopeUser, scopeSystem}, c.key.Scope) {
			detail(w, http.StatusForbidden, "Agent and connector keys cannot manage API keys")
			return
		}
		if c.key != nil && b.switches.read().RevokeNeedsJWT {
			detail(w, http.StatusForbidden, interactiveOnly)
			return
		}
		err := end(b.state, c.user.Username, r.PathValue("id"))
		switch {
		case errors.Is(err, errUnknownKey):
			keyNotFound(w)
		case err != nil:
			b.fail(w, err)
		default:
			writeJSON(w, http.StatusOK, map[string]any{"message": done})
		}
	}
}

// validation is what the MCP side learns about a key.
type validation struct {
	Valid     bool    `json:"valid"`
	KeyID     string  `json:"key_id,omitzero"`
	Username  string  `json:"user_id"`
	UserEmail string  `json:"user_email"`
	KeyName   string  `json:"key_name"`
	AgentName *string `json:"agent_name"`
	Scope     string  `json:"scope"`
}

// validate checks the presented key and nothing about its owner (contract §3.4).
func (b *backend) validate(w http.ResponseWriter, r *http.Request) {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		detail(w, http.StatusUnauthorized, "Missing or invalid Authorization header")
		return
	}
	k, ok := b.state.validateKey(key)
	if !ok {
		detail(w, http.StatusUnauthorized, "Invalid or inactive API key")
		return
	}
	v := validation{
		Valid: true, KeyID: k.ID, Username: k.Owner, UserEmail: k.OwnerEmail,
		KeyName: k.Name, AgentName: orNull(k.AgentName), Scope: k.Scope,
	}
	if b.switches.read().ValidateWithoutKeyID {
		v.KeyID = ""
	}
	writeJSON(w, http.StatusOK, v)
}
