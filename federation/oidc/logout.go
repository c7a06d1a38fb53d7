package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/federation"
)

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// logoutAge is how old a logout token may be that does not say when it expires. Providers send them
	// at once, and again for a few minutes when we did not answer.
	logoutAge  = 10 * time.Minute
	maxTokenID = 256
	// maxHintBytes keeps the address of a sign-out below what servers take. An ID token with many groups
	// stays at home: then the provider asks.
	maxHintBytes = 4 << 10
)

// SignOut returns the address of the provider's own page for signing out (OIDC RP-Initiated Logout §2).
// The client id stands beside the hint for providers that forget what they signed.
func (p *Provider) SignOut(ctx context.Context, out federation.SignOut) (string, error) {
	if p.KeepSession {
		return "", nil
	}
	said, err := p.discover(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", federation.ErrUnavailable, err)
	}
	if said.EndSession == "" {
		return "", nil
	}
	if err := p.allowed(said.EndSession); err != nil {
		return "", fmt.Errorf("%w: end_session_endpoint of the identity provider: %w", federation.ErrRefused, err)
	}
	address, err := url.Parse(said.EndSession)
	if err != nil {
		return "", fmt.Errorf("%w: %w", federation.ErrRefused, err)
	}
	query := address.Query() // some providers have parameters of their own there
	query.Set("client_id", p.ClientID)
	query.Set("post_logout_redirect_uri", out.Back)
	query.Set("state", out.State)
	if n := len(out.IDToken.Reveal()); n > 0 && n <= maxHintBytes {
		query.Set("id_token_hint", out.IDToken.Reveal())
	}
	address.RawQuery = query.Encode()
	return address.String(), nil
}

// logoutClaims are what is checked of a logout token (OIDC Back-Channel Logout §2.4), read strictly.
type logoutClaims struct {
	idClaims

	ID     string                    `json:"jti"`
	Events map[string]jsontext.Value `json:"events"`
	Nonced jsontext.Value            `json:"nonce"`
}

// LoggedOut checks a logout token whole (OIDC Back-Channel Logout §2.6) but for its use: whoever
// shows it twice is the caller's business.
func (p *Provider) LoggedOut(ctx context.Context, raw string) (federation.Logout, error) {
	fail := func(err error) (federation.Logout, error) { return federation.Logout{}, err }
	if len(raw) > maxIDTokenBytes || strings.Count(raw, ".") != 2 {
		return fail(refusedLogout("it is no signed token in compact form"))
	}
	if err := checkLogoutType(raw); err != nil {
		return fail(err)
	}
	said, err := p.discover(ctx)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", federation.ErrUnavailable, err))
	}
	verified, err := said.verifier.Verify(p.calling(ctx), raw)
	if errors.Is(err, outbound.ErrUnreachable) || ctx.Err() != nil {
		return fail(fmt.Errorf("%w: the provider's keys: %w", federation.ErrUnavailable, err))
	}
	if err != nil {
		return fail(fmt.Errorf("%w: the logout token: %w", federation.ErrRefused, err))
	}
	var payload jsontext.Value
	if err := verified.Claims((*rawClaims)(&payload)); err != nil {
		return fail(refusedLogout("its claims cannot be read"))
	}
	var c logoutClaims
	if json.Unmarshal(payload, &c) != nil {
		return fail(refusedLogout("its claims have another form than they should"))
	}
	if err := p.checkLogout(c); err != nil {
		return fail(err)
	}
	return federation.Logout{
		Issuer: c.Issuer, Subject: c.Subject, SID: c.SID, ID: c.ID,
		At: time.Unix(*c.IssuedAt, 0).Add(bridge.Leeway), Until: p.Now().Add(2 * logoutAge),
	}, nil
}

// checkLogoutType refuses a token that says it is another one: an access token, or whatever else the
// provider signs. Some providers say nothing, or only that it is a JWT.
func checkLogoutType(raw string) error {
	text, _, _ := strings.Cut(raw, ".")
	plain, err := base64.RawURLEncoding.DecodeString(text)
	var header struct {
		Type string `json:"typ"`
	}
	if err != nil || json.Unmarshal(plain, &header) != nil {
		return refusedLogout("its header cannot be read")
	}
	kind := strings.ToLower(strings.TrimPrefix(header.Type, "application/"))
	if !slices.Contains([]string{"", "jwt", "logout+jwt"}, kind) {
		return refusedLogout("it is of another type")
	}
	return nil
}

func (p *Provider) checkLogout(c logoutClaims) error {
	now, event := p.Now(), c.Events[logoutEvent]
	switch {
	case !p.IsIssuer(c.Issuer):
		return refusedLogout("its issuer is another")
	case !p.addressed(c.idClaims):
		return refusedLogout("it was made for another client")
	case c.Nonced != nil:
		return refusedLogout("it has a nonce: an ID token") // §2.4: prohibited, to keep the two apart
	case event.Kind() != '{':
		return refusedLogout("it is about another event")
	case c.Subject == "" && c.SID == "" || len(c.Subject) > maxSubjectBytes || len(c.SID) > maxSubjectBytes:
		return refusedLogout("it is about nobody")
	case c.ID == "" || len(c.ID) > maxTokenID:
		return refusedLogout("it has no id")
	case c.IssuedAt == nil || *c.IssuedAt > now.Add(bridge.Leeway).Unix() || *c.IssuedAt < now.Add(-logoutAge).Unix():
		return refusedLogout("it was not issued just now")
	case c.ExpiresAt != nil && *c.ExpiresAt <= now.Add(-bridge.Leeway).Unix():
		return refusedLogout("it has expired")
	}
	return nil
}

func refusedLogout(why string) error {
	return fmt.Errorf("%w: the logout token: %s", federation.ErrRefused, why)
}
