package trinitytest

import "net/http"

// signedIn is the answer that completes a sign-in.
type signedIn struct {
	AccessToken   string   `json:"access_token"`
	TokenType     string   `json:"token_type"`
	User          *profile `json:"user,omitzero"`
	RecoveryCodes []string `json:"recovery_codes,omitzero"`
}

// signIn issues the JWT, or breaks its promise if the switch says so.
func (b *backend) signIn(w http.ResponseWriter, u user, mode string, recovery ...string) {
	now := b.switches.read()
	if now.VerifyWithoutToken {
		writeJSON(w, http.StatusOK, map[string]any{"success": true})
		return
	}
	token, err := b.state.issueJWT(u.Username, mode, !now.LogoutAbsent)
	if err != nil {
		b.fail(w, err)
		return
	}
	p := profileOf(u)
	answer := signedIn{AccessToken: token, TokenType: "bearer", User: &p, RecoveryCodes: recovery}
	if mode == "admin" {
		answer.User = nil
	}
	writeJSON(w, http.StatusOK, answer)
}

// validateSession is GET /api/auth/validate (contract §1.8): JWT only, from header, cookie or query,
// blind to suspension and to the scope claim. The bridge must not use it.
func (b *backend) validateSession(w http.ResponseWriter, r *http.Request) {
	token, ok := bearerToken(r)
	if !ok {
		token = r.URL.Query().Get("token")
	}
	if cookie, err := r.Cookie("token"); err == nil && token == "" {
		token = cookie.Value
	}
	username, ok := b.state.signedBy(token)
	if !ok {
		unauthorized(w, "Could not validate credentials")
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Status string `json:"status"`
		User   string `json:"user"`
	}{"valid", username})
}

// signedBy returns the subject of any token with our signature that is neither expired nor logged out.
func (s *state) signedBy(token string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := readJWT(s.kept.JWTSecret, token, s.now())
	return c.Subject, ok && !s.isLoggedOut(c.ID)
}

// logout is contract §1.8: idempotent, and nothing happens to a key.
func (b *backend) logout(w http.ResponseWriter, r *http.Request) {
	if b.switches.read().LogoutAbsent {
		detail(w, http.StatusNotFound, "Not Found")
		return
	}
	token, ok := bearerToken(r)
	if !ok {
		unauthorized(w, "Not authenticated")
		return
	}
	if err := b.state.logOut(token); err != nil {
		b.fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"status": "logged_out"})
}
