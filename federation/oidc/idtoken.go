package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/oauth2"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/federation"
)

const (
	maxIDTokenBytes = 16 << 10
	maxCodeBytes    = 4 << 10
	maxSubjectBytes = 255 // OIDC Core §2
	maxRefreshBytes = 16 << 10
	// maxClaimsDepth bounds how deep claims may be nested; what a rule names is never so deep.
	maxClaimsDepth = 16
)

// idClaims are what is checked of an ID token, read strictly: a member that stands twice or has
// another form refuses the token. Times are whole seconds.
type idClaims struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"`
	Audience  jsontext.Value `json:"aud"`
	Party     string         `json:"azp"`
	Nonce     string         `json:"nonce"`
	Tenant    string         `json:"tid"`
	SID       string         `json:"sid"`
	ExpiresAt *int64         `json:"exp"`
	NotBefore *int64         `json:"nbf"`
	IssuedAt  *int64         `json:"iat"`
}

// identity makes a person of a token answer, or says why not.
func (p *Provider) identity(ctx context.Context, said *metadata, answer *oauth2.Token, nonce string) (federation.Identity, error) {
	raw, _ := answer.Extra("id_token").(string)
	read, all, err := p.believe(ctx, said, raw, answer.AccessToken)
	if err != nil {
		return federation.Identity{}, err
	}
	// A refreshed ID token need not repeat the nonce (OIDC Core §12.2); nonce is "" then.
	if nonce != "" && subtle.ConstantTimeCompare([]byte(read.Nonce), []byte(nonce)) != 1 {
		return federation.Identity{}, refusedToken("its nonce is not this sign-in's") // FB-13
	}
	if nonce != "" { // a refreshed one tells of the sign-in of before, or leaves that out
		if err := p.checkStrength(all); err != nil {
			return federation.Identity{}, err
		}
	}
	more, err := p.userinfo(ctx, said, answer, read.Subject)
	if err != nil {
		return federation.Identity{}, err
	}
	for name, value := range more {
		if _, signed := all[name]; !signed {
			all[name] = value
		}
	}
	identity := federation.Identity{
		Issuer: read.Issuer, Subject: read.Subject, SID: read.SID, Claims: all, IDToken: secret.New(raw),
	}
	if len(answer.RefreshToken) <= maxRefreshBytes {
		identity.Refresh = secret.New(answer.RefreshToken)
	}
	return identity, nil
}

// believe checks an ID token whole but for its nonce (OIDC Core §3.1.3.7).
func (p *Provider) believe(ctx context.Context, said *metadata, raw, access string) (idClaims, admission.Claims, error) {
	fail := func(err error) (idClaims, admission.Claims, error) { return idClaims{}, nil, err }
	switch {
	case raw == "":
		return fail(refusedToken("there is none")) // FB-15
	case len(raw) > maxIDTokenBytes:
		return fail(refusedToken("it is too long")) // FB-25
	case strings.Count(raw, ".") != 2:
		return fail(refusedToken("it is no signed token in compact form"))
	}
	verified, err := said.verifier.Verify(p.calling(ctx), raw)
	if errors.Is(err, outbound.ErrUnreachable) || ctx.Err() != nil {
		return fail(fmt.Errorf("%w: the provider's keys: %w", federation.ErrUnavailable, err))
	}
	if err != nil {
		return fail(fmt.Errorf("%w: the ID token: %w", federation.ErrRefused, err))
	}
	if access != "" && verified.AccessTokenHash != "" && verified.VerifyAccessToken(access) != nil {
		return fail(refusedToken("it belongs to another access token"))
	}
	var payload jsontext.Value
	if err := verified.Claims((*rawClaims)(&payload)); err != nil {
		return fail(refusedToken("its claims cannot be read"))
	}
	var read idClaims
	if json.Unmarshal(payload, &read) != nil {
		return fail(refusedToken("its claims have another form than they should")) // FB-14
	}
	if err := p.checkClaims(read); err != nil {
		return fail(err)
	}
	all, err := claimsOf(payload)
	if err != nil {
		return fail(err)
	}
	return read, all, nil
}

// rawClaims takes the claims as they are.
type rawClaims jsontext.Value

// UnmarshalJSON keeps the bytes.
func (r *rawClaims) UnmarshalJSON(text []byte) error {
	*r = slices.Clone(text)
	return nil
}

func (p *Provider) checkClaims(c idClaims) error {
	switch {
	case !p.IsIssuer(c.Issuer):
		return refusedToken("its issuer is another") // FB-11
	case p.several() && c.Issuer != strings.ReplaceAll(p.Issuer, bridge.TenantMark, c.Tenant):
		return refusedToken("its issuer and its tenant do not go together")
	case c.Subject == "" || len(c.Subject) > maxSubjectBytes:
		return refusedToken("it is about nobody")
	case !p.addressed(c):
		return refusedToken("it was made for another client") // FB-12
	}
	return p.checkTimes(c)
}

// addressed reports whether an ID token is for us: we are its one audience, or its authorized party
// beside audiences the operator trusts.
func (p *Provider) addressed(c idClaims) bool {
	var audience []string
	var one string
	if json.Unmarshal(c.Audience, &one) == nil {
		audience = []string{one}
	} else if json.Unmarshal(c.Audience, &audience) != nil {
		return false
	}
	if !slices.Contains(audience, p.ClientID) || c.Party != "" && c.Party != p.ClientID {
		return false
	}
	for _, other := range audience {
		if other != p.ClientID && (c.Party == "" || !slices.Contains(p.Audiences, other)) {
			return false
		}
	}
	return true
}

func (p *Provider) checkTimes(c idClaims) error {
	now := p.Now()
	early, late := now.Add(-bridge.Leeway).Unix(), now.Add(bridge.Leeway).Unix()
	switch {
	case c.ExpiresAt == nil || *c.ExpiresAt <= early:
		return refusedToken("it has expired or never does")
	case c.IssuedAt == nil || *c.IssuedAt > late || c.NotBefore != nil && *c.NotBefore > late:
		return refusedToken("it is not yet valid")
	case *c.ExpiresAt-*c.IssuedAt > int64((10 * 365 * 24 * time.Hour).Seconds()):
		return refusedToken("it is good for ever")
	}
	return nil
}

// userinfo returns the claims of the userinfo endpoint, which are about the same subject or refused
// (FB-16). A provider without one has said all in the ID token.
func (p *Provider) userinfo(ctx context.Context, said *metadata, answer *oauth2.Token, subject string) (admission.Claims, error) {
	if said.Userinfo == "" || p.NoUserinfo {
		return nil, nil
	}
	info, err := said.provider.UserInfo(p.calling(ctx), oauth2.StaticTokenSource(answer))
	if err != nil {
		return nil, fmt.Errorf("%w: the userinfo endpoint: %w", federation.ErrUnavailable, err)
	}
	if info.Subject != subject || subject == "" {
		return nil, fmt.Errorf("%w: the userinfo is about somebody else", federation.ErrRefused)
	}
	var payload jsontext.Value
	if err := info.Claims((*rawClaims)(&payload)); err != nil {
		return nil, fmt.Errorf("%w: the userinfo cannot be read", federation.ErrRefused)
	}
	claims, err := claimsOf(payload)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(claims, func(name string, _ any) bool { return slices.Contains([]string{"iss", "aud", "sid"}, name) })
	return claims, nil
}

// claimsOf reads claims within a bound of depth.
func claimsOf(payload jsontext.Value) (admission.Claims, error) {
	depth := 0
	for _, b := range payload { // braces in texts count too: a bound, not a measure
		switch b {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth > maxClaimsDepth {
			return nil, fmt.Errorf("%w: the claims are nested too deep", federation.ErrRefused)
		}
	}
	claims := admission.Claims{}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, fmt.Errorf("%w: the claims cannot be read", federation.ErrRefused)
	}
	return claims, nil
}

func refusedToken(why string) error {
	return fmt.Errorf("%w: the ID token: %s", federation.ErrRefused, why)
}
