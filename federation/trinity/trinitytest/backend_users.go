package trinitytest

import "net/http"

func (b *backend) userRoutes() []route {
	return []route{
		{http.MethodGet, "/health", b.health},
		{http.MethodGet, "/api/users/me", b.me},
	}
}

func (b *backend) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"status": "healthy"})
}

// profile is how an account describes itself: no numeric id, no word about suspension (contract §2).
type profile struct {
	Username string  `json:"username"`
	Email    string  `json:"email"`
	Name     string  `json:"name"`
	Picture  *string `json:"picture"`
	Role     string  `json:"role"`
}

func profileOf(u user) profile {
	return profile{Username: u.Username, Email: u.Email, Name: u.Name, Role: u.Role}
}

// me is the route that applies every check to a JWT or key.
func (b *backend) me(w http.ResponseWriter, r *http.Request) {
	if c, ok := b.operator(w, r); ok {
		writeJSON(w, http.StatusOK, profileOf(c.user))
	}
}
