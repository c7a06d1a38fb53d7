package trinitytest

import (
	"net"
	"net/http"
	"strings"
)

func (b *backend) loginRoutes() []route {
	return []route{
		{http.MethodGet, "/api/auth/mode", b.authMode},
		{http.MethodPost, "/api/auth/email/request", b.requestCode},
		{http.MethodPost, "/api/auth/email/verify", b.verifyCode},
		{http.MethodPost, "/token", b.passwordLogin},
		{http.MethodPost, "/api/token", b.passwordLogin},
		{http.MethodGet, "/api/auth/validate", b.validateSession},
		{http.MethodPost, "/api/auth/logout", b.logout},
	}
}

// authMode is contract §1.1.
func (b *backend) authMode(w http.ResponseWriter, _ *http.Request) {
	now := b.switches.read()
	mode := map[string]any{
		"email_auth_enabled": !now.EmailAuthDisabled,
		"setup_completed":    !now.SetupRequired,
	}
	if now.OldAuthMode {
		mode["dev_mode_enabled"] = false
		mode["auth0_configured"] = false
		mode["allowed_domain"] = nil
	}
	writeJSON(w, http.StatusOK, mode)
}

// emailLoginOpen answers 403 while nobody can sign in by e-mail.
func (b *backend) emailLoginOpen(w http.ResponseWriter) bool {
	now := b.switches.read()
	switch {
	case now.SetupRequired:
		detail(w, http.StatusForbidden, "setup_required")
	case now.EmailAuthDisabled:
		detail(w, http.StatusForbidden, "Email authentication is disabled")
	default:
		return true
	}
	return false
}

// emailForm is the body of both e-mail routes. Its models are built inside the handlers, so whatever
// does not fit ends in a 500 and not in a 422 (contract §1.2, §1.3).
type emailForm struct {
	Email *string `json:"email"`
	Code  *string `json:"code"`
}

func readEmailForm(r *http.Request, wantCode bool) (email, code string, ok bool) {
	var form emailForm
	if readBody(r, &form) != nil || form.Email == nil || !strings.Contains(*form.Email, "@") {
		return "", "", false
	}
	if wantCode {
		if form.Code == nil {
			return "", "", false
		}
		code = *form.Code
	}
	return strings.ToLower(*form.Email), code, true
}

// requestCode is contract §1.2. The newest version answers everybody alike.
func (b *backend) requestCode(w http.ResponseWriter, r *http.Request) {
	if !b.emailLoginOpen(w) {
		return
	}
	email, _, ok := readEmailForm(r, false)
	if !ok {
		crash(w)
		return
	}
	welcome := b.state.whitelisted(email)
	sent := true
	if welcome {
		var code string
		var err error
		if code, sent, err = b.state.sendCode(email); err != nil {
			b.fail(w, err)
			return
		}
		if sent {
			b.codes(email, code)
		}
	}
	type answer struct {
		Success   bool   `json:"success"`
		Message   string `json:"message"`
		ExpiresIn int    `json:"expires_in_seconds,omitzero"`
	}
	old := b.switches.read().OldEmailAnswers
	switch {
	case old && !sent:
		detail(w, http.StatusTooManyRequests, "Too many requests. Please try again in 10 minutes.")
	case old && welcome:
		writeJSON(w, http.StatusOK, answer{true, "Verification code sent to your email", int(codeLifetime.Seconds())})
	default:
		writeJSON(w, http.StatusOK, answer{Success: true, Message: "If your email is registered, you'll receive a code shortly"})
	}
}

// verifyCode is contract §1.3.
func (b *backend) verifyCode(w http.ResponseWriter, r *http.Request) {
	if !b.emailLoginOpen(w) {
		return
	}
	email, code, ok := readEmailForm(r, true)
	if !ok {
		crash(w)
		return
	}
	guards := b.guards(r, email, true)
	if text := b.state.lockedOut(guards); text != "" {
		detail(w, http.StatusTooManyRequests, text)
		return
	}
	u, ok, err := b.state.spendCode(email, code)
	if err != nil {
		b.fail(w, err)
		return
	}
	if !ok {
		b.state.countFailure(guards)
		detail(w, http.StatusUnauthorized, "Invalid or expired verification code")
		return
	}
	b.state.clearFailures(guards)
	if b.switches.read().SecondFactor != SecondFactorOff {
		b.challenge(w, u, http.StatusOK)
		return
	}
	b.signIn(w, u, "email")
}

// guards are the lockouts a sign-in attempt must pass.
func (b *backend) guards(r *http.Request, account string, byCode bool) []guard {
	now := b.switches.read()
	var guards []guard
	if !now.NoNetworkLockout {
		guards = append(guards, guard{networkLockout, clientAddress(r, now.TrustForwardedFor)})
	}
	if !now.NoAccountLockout {
		guards = append(guards, guard{accountLockout, account})
	}
	if byCode && !now.NoCodeLockout {
		guards = append(guards, guard{codeLockout, account})
	}
	return guards
}

// clientAddress is contract §1.4: the peer, or whatever the peer claims.
func clientAddress(r *http.Request, trustForwarded bool) string {
	if forwarded := r.Header.Get("X-Forwarded-For"); trustForwarded && forwarded != "" {
		first, _, _ := strings.Cut(forwarded, ",")
		return strings.TrimSpace(first)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
