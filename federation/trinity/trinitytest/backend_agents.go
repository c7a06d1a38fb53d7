package trinitytest

import (
	"net/http"
	"slices"
)

// agentRoutes are the two routes a connector key reaches, for the one agent it is bound to (contract §3.4).
func (b *backend) agentRoutes() []route {
	return []route{
		{http.MethodPost, "/api/agents/{agent}/chat", b.connectorRoute},
		{http.MethodGet, "/api/agents/{agent}/connector/playbooks", b.connectorRoute},
	}
}

func (b *backend) connectorRoute(w http.ResponseWriter, r *http.Request) {
	c, ok := b.authenticate(w, r)
	if !ok {
		return
	}
	agent := r.PathValue("agent")
	bound := c.key != nil && c.key.Scope == scopeConnector && c.key.AgentName == agent
	if c.key != nil && !bound && !slices.Contains(operatorScopes, c.key.Scope) {
		detail(w, http.StatusForbidden, "This API key's scope does not reach this route")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"agent": agent, "username": c.user.Username})
}
