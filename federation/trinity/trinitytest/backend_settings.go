package trinitytest

import (
	"net/http"
	"strings"
)

// settingsRoutes are first-run setup and who may sign in (contract §1.9). There is no SSO: its routes
// are the enterprise module's, and absent here as in the open build (§1.7).
func (b *backend) settingsRoutes() []route {
	return []route{
		{http.MethodGet, "/api/setup/status", b.setupStatus},
		{http.MethodPost, "/api/setup/admin-password", b.setUp},
		{http.MethodPost, "/api/access/request", b.requestAccess},
		{http.MethodPost, "/api/settings/email-whitelist", b.whitelist},
	}
}

func (b *backend) setupStatus(w http.ResponseWriter, _ *http.Request) {
	done := !b.switches.read().SetupRequired
	writeJSON(w, http.StatusOK, struct {
		Completed bool `json:"setup_completed"`
		Available bool `json:"setup_available"`
	}{done, !done})
}

// setUp is refused: the simulation always has an administrator.
func (b *backend) setUp(w http.ResponseWriter, _ *http.Request) {
	detail(w, http.StatusForbidden, "Setup already completed")
}

// requestAccess is off by default, and stays off.
func (b *backend) requestAccess(w http.ResponseWriter, _ *http.Request) {
	detail(w, http.StatusForbidden, "Access requests are disabled")
}

// whitelist lets an administrator let somebody in.
func (b *backend) whitelist(w http.ResponseWriter, r *http.Request) {
	c, ok := b.operator(w, r)
	if !ok {
		return
	}
	if c.user.Role != roleAdmin {
		detail(w, http.StatusForbidden, "Admin access required")
		return
	}
	var form struct {
		Email string `json:"email"`
	}
	if readBody(r, &form) != nil || !strings.Contains(form.Email, "@") {
		unprocessable(w, "email", "value is not a valid email address")
		return
	}
	if err := b.state.setWhitelisted(form.Email, roleUser); err != nil {
		b.fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"success": true, "email": strings.ToLower(form.Email)})
}
