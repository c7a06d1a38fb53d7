package trinitytest

import (
	"crypto/subtle"
	"net/http"
	"slices"
)

// The enterprise build's second factor (contract §1.6). What its failures look like is not known; these
// routes answer them with 401.
const invalidSecondFactor = "Invalid or expired authentication code"

const recoveryCodes = 3

func (b *backend) secondFactorRoutes() []route {
	return []route{
		{http.MethodPost, "/api/enterprise/2fa/login/verify", b.verifySecondFactor},
		{http.MethodPost, "/api/enterprise/2fa/login/enroll/start", b.startEnrolment},
		{http.MethodPost, "/api/enterprise/2fa/login/enroll/confirm", b.confirmEnrolment},
	}
}

// challenge answers a good first factor with the demand for a second. With 200 it is an e-mail sign-in
// (or an old password one), with 403 a password sign-in (contract §1.3, §1.5).
func (b *backend) challenge(w http.ResponseWriter, u user, status int) {
	token, err := b.state.issueChallenge(u.Username)
	if err != nil {
		b.fail(w, err)
		return
	}
	enrolled := u.SecondFactor || b.switches.read().SecondFactor == SecondFactorEnrolled
	text := ""
	if status == http.StatusForbidden {
		text = "mfa_required"
	}
	writeJSON(w, status, struct {
		Detail             string `json:"detail,omitzero"`
		MFARequired        bool   `json:"mfa_required"`
		MFAEnrolled        bool   `json:"mfa_enrolled"`
		EnrollmentRequired bool   `json:"enrollment_required"`
		ChallengeToken     string `json:"challenge_token"`
	}{text, true, enrolled, !enrolled, token})
}

type secondFactorForm struct {
	ChallengeToken string `json:"challenge_token"`
	Code           string `json:"code"`
}

// challengedUser opens one of the three routes: 404 in a build without them, 422 for a bad body, 401 for
// a bad challenge.
func (b *backend) challengedUser(w http.ResponseWriter, r *http.Request) (user, secondFactorForm, bool) {
	if !b.switches.read().SecondFactorRoutes {
		detail(w, http.StatusNotFound, "Not Found")
		return user{}, secondFactorForm{}, false
	}
	var form secondFactorForm
	if readBody(r, &form) != nil || form.ChallengeToken == "" {
		unprocessable(w, "challenge_token", "Field required")
		return user{}, secondFactorForm{}, false
	}
	u, ok := b.state.challenged(form.ChallengeToken)
	if !ok {
		detail(w, http.StatusUnauthorized, "Invalid or expired challenge")
		return user{}, secondFactorForm{}, false
	}
	return u, form, true
}

func (b *backend) verifySecondFactor(w http.ResponseWriter, r *http.Request) {
	u, form, ok := b.challengedUser(w, r)
	if !ok {
		return
	}
	if !rightSecondFactor(form.Code) && !b.state.spendRecoveryCode(u.Username, form.Code) {
		detail(w, http.StatusUnauthorized, invalidSecondFactor)
		return
	}
	b.signIn(w, u, "email")
}

func rightSecondFactor(code string) bool {
	return subtle.ConstantTimeCompare([]byte(code), []byte(SecondFactorCode)) == 1
}

func (b *backend) startEnrolment(w http.ResponseWriter, r *http.Request) {
	u, _, ok := b.challengedUser(w, r)
	if !ok {
		return
	}
	// A TOTP secret anybody may know: the one right code is SecondFactorCode.
	const secret = "JBSWY3DPEHPK3PXP"
	writeJSON(w, http.StatusOK, struct {
		Secret     string `json:"secret"`
		OTPAuthURI string `json:"otpauth_uri"`
	}{secret, "otpauth://totp/Trinity:" + u.Email + "?secret=" + secret + "&issuer=Trinity"})
}

func (b *backend) confirmEnrolment(w http.ResponseWriter, r *http.Request) {
	u, form, ok := b.challengedUser(w, r)
	if !ok {
		return
	}
	if !rightSecondFactor(form.Code) {
		detail(w, http.StatusUnauthorized, invalidSecondFactor)
		return
	}
	codes, err := b.state.enrol(u.Username)
	if err != nil {
		b.fail(w, err)
		return
	}
	b.signIn(w, u, "email", codes...)
}

// enrol notes that an account has a second factor and returns its recovery codes.
func (s *state) enrol(username string) ([]string, error) {
	var codes []string
	for range recoveryCodes {
		code, err := s.randomText(6)
		if err != nil {
			return nil, err
		}
		codes = append(codes, code)
	}
	err := s.changeUser(username, func(u *user) {
		u.SecondFactor = true
		s.recovery[username] = slices.Clone(codes)
	})
	return codes, err
}

func (s *state) spendRecoveryCode(username, code string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.recovery[username], code)
	if i < 0 {
		return false
	}
	s.recovery[username] = slices.Delete(s.recovery[username], i, i+1)
	return true
}
