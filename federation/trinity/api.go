package trinity

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// callTimeout bounds one exchange with Trinity.
const callTimeout = 10 * time.Second

// API is Trinity's backend on the wire. Calls are never repeated here. Errors wrap one of this
// package's values or are a *LockedOutError; none of them carries Trinity's own words.
type API struct{ client *outbound.Client }

// NewAPI speaks to the backend at base (scheme, host and perhaps a path prefix).
func NewAPI(base *url.URL) *API {
	return &API{client: outbound.Fixed(base, callTimeout)}
}

// Verified is what a good code is worth: a session, or a challenge for the second factor.
type Verified struct {
	Session   secret.Token // JWT of a signed-in person; zero when there is a challenge
	Challenge secret.Token // answers AnswerSecondFactor for about 5 minutes
	Enrolled  bool         // the person has a second factor to answer with
	// Recovery are the recovery codes of a second factor that was just set up.
	Recovery []secret.Token
}

// Principal is whom a key stands for.
type Principal struct {
	KeyID    string // "" from builds before 2026
	KeyName  string
	Username string
	Scope    string // "user", "agent", "system" …; free text at Trinity
	Agent    string // the agent the key is bound to, or ""
}

// request is one call. The zero values of credential and from send no such header.
type request struct {
	method, path string
	credential   secret.Token
	from         netip.Addr // whom Trinity should count the call against
	body         any
	most         int64 // bytes that are read of its answer; 0 means longestAnswer
}

// Ping asks Trinity something about nobody; nil means that its backend answers.
func (a *API) Ping(ctx context.Context) error {
	const doing = "asking Trinity how people sign in"
	answer, err := a.do(ctx, request{method: http.MethodGet, path: "/api/auth/mode"})
	if err != nil {
		return wrap(doing, err)
	}
	var mode struct {
		EmailAuth *bool `json:"email_auth_enabled"`
	}
	if err := read(answer, &mode); err != nil {
		return wrap(doing, err)
	}
	if mode.EmailAuth == nil {
		return fmt.Errorf("%s: %w: not Trinity's answer", doing, ErrUnavailable)
	}
	return nil
}

// RequestCode asks Trinity to send a sign-in code to a mailbox in canonical form. No error says
// anything about the mailbox except, in old builds, *LockedOutError.
func (a *API) RequestCode(ctx context.Context, mailbox string, from netip.Addr) error {
	const doing = "asking Trinity to send a code"
	answer, err := a.do(ctx, request{
		method: http.MethodPost, path: "/api/auth/email/request", from: from,
		body: map[string]string{"email": mailbox},
	})
	if err != nil {
		return wrap(doing, err)
	}
	var sent struct{} // the words differ for known addresses in old builds: not looked at
	return wrap(doing, readSignIn(answer, &sent))
}

// VerifyCode exchanges a code of six digits. An answer 200 without a session or challenge is an
// error: newer builds answer that way (contract 1.3).
func (a *API) VerifyCode(ctx context.Context, mailbox, code string, from netip.Addr) (Verified, error) {
	const doing = "checking a code with Trinity"
	answer, err := a.do(ctx, request{
		method: http.MethodPost, path: "/api/auth/email/verify", from: from,
		body: map[string]string{"email": mailbox, "code": code},
	})
	if err != nil {
		return Verified{}, wrap(doing, err)
	}
	var body struct {
		AccessToken   string `json:"access_token"`
		MFARequired   bool   `json:"mfa_required"`
		MFAEnrolled   bool   `json:"mfa_enrolled"`
		MustEnrol     bool   `json:"enrollment_required"`
		ChallengeText string `json:"challenge_token"`
	}
	if err := readSignIn(answer, &body); err != nil {
		return Verified{}, wrap(doing, err)
	}
	if body.MFARequired {
		challenge := tokenOf(body.ChallengeText, jwtForm)
		if challenge.IsZero() {
			return Verified{}, fmt.Errorf("%s: %w: a second factor is required but no challenge came", doing, ErrUnavailable)
		}
		return Verified{Challenge: challenge, Enrolled: body.MFAEnrolled && !body.MustEnrol}, nil
	}
	session, err := sessionOf(body.AccessToken)
	return Verified{Session: session}, wrap(doing, err)
}

// AnswerSecondFactor answers a challenge with a one-time or recovery code and returns the session.
func (a *API) AnswerSecondFactor(ctx context.Context, challenge secret.Token, code string, from netip.Addr) (secret.Token, error) {
	const doing = "answering Trinity's second factor"
	answer, err := a.do(ctx, request{
		method: http.MethodPost, path: "/api/enterprise/2fa/login/verify", from: from,
		body: map[string]string{"challenge_token": challenge.Reveal(), "code": code},
	})
	if err != nil {
		return secret.Token{}, wrap(doing, err)
	}
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := readFactor(answer, &body); err != nil {
		return secret.Token{}, wrap(doing, err)
	}
	session, err := sessionOf(body.AccessToken)
	return session, wrap(doing, err)
}

// Enrolment is what an authenticator app needs to know of a new second factor.
type Enrolment struct {
	Secret secret.Token // base32, without padding
	URI    secret.Token // otpauth://totp/…, the same for a camera
}

// StartEnrolment has Trinity make a second factor for the person of a challenge. Refusals are as in
// AnswerSecondFactor.
func (a *API) StartEnrolment(ctx context.Context, challenge secret.Token, from netip.Addr) (Enrolment, error) {
	const doing = "beginning to set up Trinity's second factor"
	answer, err := a.do(ctx, request{
		method: http.MethodPost, path: "/api/enterprise/2fa/login/enroll/start", from: from,
		body: map[string]string{"challenge_token": challenge.Reveal()},
	})
	if err != nil {
		return Enrolment{}, wrap(doing, err)
	}
	var body struct {
		Secret string `json:"secret"`
		URI    string `json:"otpauth_uri"`
	}
	if err := readFactor(answer, &body); err != nil {
		return Enrolment{}, wrap(doing, err)
	}
	key := strings.TrimRight(body.Secret, "=")
	if !factorSecret.MatchString(key) || !factorURI.MatchString(body.URI) {
		return Enrolment{}, fmt.Errorf("%s: %w: no secret of a form that apps take", doing, ErrUnavailable)
	}
	return Enrolment{Secret: secret.New(key), URI: secret.New(body.URI)}, nil
}

// ConfirmEnrolment proves with a first code that an app has the secret, and returns the session and
// the recovery codes.
func (a *API) ConfirmEnrolment(ctx context.Context, challenge secret.Token, code string, from netip.Addr) (Verified, error) {
	const doing = "setting up Trinity's second factor"
	answer, err := a.do(ctx, request{
		method: http.MethodPost, path: "/api/enterprise/2fa/login/enroll/confirm", from: from,
		body: map[string]string{"challenge_token": challenge.Reveal(), "code": code},
	})
	if err != nil {
		return Verified{}, wrap(doing, err)
	}
	var body struct {
		AccessToken string   `json:"access_token"`
		Recovery    []string `json:"recovery_codes"`
	}
	if err := readFactor(answer, &body); err != nil {
		return Verified{}, wrap(doing, err)
	}
	verified := Verified{}
	for _, code := range body.Recovery[:min(len(body.Recovery), maxRecoveryCodes)] {
		if plainName(code) {
			verified.Recovery = append(verified.Recovery, secret.New(code))
		}
	}
	if verified.Session, err = sessionOf(body.AccessToken); err != nil {
		return Verified{}, wrap(doing, err)
	}
	return verified, nil
}

// Me asks whom a session or key stands for. ErrUnauthorized is definite: revoked, expired, or the
// account suspended.
func (a *API) Me(ctx context.Context, bearer secret.Token) (bridge.Account, error) {
	const doing = "asking Trinity whose credential it is"
	answer, err := a.do(ctx, request{method: http.MethodGet, path: "/api/users/me", credential: bearer})
	if err != nil {
		return bridge.Account{}, wrap(doing, err)
	}
	var body struct {
		Username string `json:"username"`
		Email    string `json:"email"`
		Role     string `json:"role"`
	}
	if err := read(answer, &body); err != nil {
		return bridge.Account{}, wrap(doing, err)
	}
	if !plainName(body.Username) {
		return bridge.Account{}, fmt.Errorf("%s: %w: no username", doing, ErrUnavailable)
	}
	account := bridge.Account{Username: body.Username}
	if plainName(body.Email) {
		account.Email = body.Email
	}
	if plainName(body.Role) {
		account.Role = bridge.Role(body.Role)
	}
	return account, nil
}

// Validate asks what Trinity's MCP server asks: is the key active. It does not notice a suspended
// owner (contract 3.4); Me does.
func (a *API) Validate(ctx context.Context, key secret.Token) (Principal, error) {
	const doing = "validating a key with Trinity"
	answer, err := a.do(ctx, request{method: http.MethodPost, path: "/api/mcp/validate", credential: key})
	if err != nil {
		return Principal{}, wrap(doing, err)
	}
	var body struct {
		Valid    bool   `json:"valid"`
		KeyID    string `json:"key_id"`
		KeyName  string `json:"key_name"`
		Username string `json:"user_id"`
		Scope    string `json:"scope"`
		Agent    string `json:"agent_name"`
	}
	if err := read(answer, &body); err != nil {
		return Principal{}, wrap(doing, err)
	}
	if !body.Valid || !plainName(body.Username) || !plainName(body.Scope) {
		return Principal{}, fmt.Errorf("%s: %w: not a valid principal", doing, ErrUnavailable)
	}
	return Principal{
		KeyID: body.KeyID, KeyName: body.KeyName, Username: body.Username, Scope: body.Scope, Agent: body.Agent,
	}, nil
}

// Logout ends a session. A session Trinity no longer takes is ended; a build without the route
// (before 2026) leaves nothing to do.
func (a *API) Logout(ctx context.Context, session secret.Token) error {
	const doing = "logging a session out at Trinity"
	answer, err := a.do(ctx, request{method: http.MethodPost, path: "/api/auth/logout", credential: session})
	if err != nil {
		return wrap(doing, err)
	}
	if answer.Status == http.StatusNotFound && detail(answer) != "" {
		return nil
	}
	var out struct{}
	if err := read(answer, &out); !errors.Is(err, ErrUnauthorized) {
		return wrap(doing, err)
	}
	return nil
}

// do sends one request with the reference of the request it serves, which Trinity adopts, and with
// exactly the one client address the bridge itself determined (contract 1.4).
func (a *API) do(ctx context.Context, r request) (*outbound.Answer, error) {
	header := http.Header{"Accept": {"application/json"}}
	if id := audit.RequestID(ctx); id != "" {
		header.Set("X-Request-ID", id)
	}
	if !r.credential.IsZero() {
		header.Set("Authorization", "Bearer "+r.credential.Reveal())
	}
	if r.from.IsValid() {
		header.Set("X-Forwarded-For", r.from.Unmap().WithZone("").String())
	}
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("writing a request: %w", err)
		}
		header.Set("Content-Type", "application/json")
	}
	answer, err := a.client.DoLong(ctx, r.method, r.path, header, body, cmp.Or(r.most, longestAnswer))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return answer, nil
}

func sessionOf(value string) (secret.Token, error) {
	session := tokenOf(value, jwtForm)
	if session.IsZero() {
		return secret.Token{}, fmt.Errorf("%w: no session came", ErrUnavailable)
	}
	return session, nil
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
