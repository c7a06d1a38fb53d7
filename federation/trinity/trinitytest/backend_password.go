package trinitytest

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// passwordLogin is contract §1.5: the administrator's login, by username or by registered e-mail.
func (b *backend) passwordLogin(w http.ResponseWriter, r *http.Request) {
	now := b.switches.read()
	if now.SetupRequired {
		detail(w, http.StatusForbidden, "setup_required")
		return
	}
	if r.ParseForm() != nil || r.PostForm.Get("username") == "" || r.PostForm.Get("password") == "" {
		unprocessable(w, "username", "Field required")
		return
	}
	name := r.PostForm.Get("username")
	guards := b.guards(r, name, false)
	if text := b.state.lockedOut(guards); text != "" {
		detail(w, http.StatusTooManyRequests, text)
		return
	}
	u, ok := b.state.checkPassword(name, r.PostForm.Get("password"))
	if !ok {
		b.state.countFailure(guards)
		unauthorized(w, "Incorrect username or password")
		return
	}
	b.state.clearFailures(guards)
	if now.SecondFactor == SecondFactorOff {
		b.signIn(w, u, "admin")
		return
	}
	if now.OldPasswordChallenge {
		b.challenge(w, u, http.StatusOK)
		return
	}
	b.challenge(w, u, http.StatusForbidden)
}

func (s *state) checkPassword(name, password string) (user, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.userByName(name)
	if u == nil {
		u = s.userByEmail(strings.ToLower(name))
	}
	if u == nil {
		return user{}, false
	}
	want, ok := s.passwords[u.Username]
	return *u, ok && subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 1
}
