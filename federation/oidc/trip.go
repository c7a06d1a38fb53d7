package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/federation"
)

// Depart returns the address of the provider's page for a trip (FB-27).
func (p *Provider) Depart(ctx context.Context, trip federation.Trip) (string, error) {
	said, err := p.discover(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", federation.ErrUnavailable, err)
	}
	options := []oauth2.AuthCodeOption{
		gooidc.Nonce(trip.Nonce.Reveal()), oauth2.S256ChallengeOption(trip.Verifier.Reveal()),
	}
	if trip.Hint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", trip.Hint))
	}
	if len(p.Strength.ACR) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(p.Strength.ACR, " ")))
	}
	if p.Strength.MaxAge > 0 {
		options = append(options, oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(p.Strength.MaxAge.Seconds()))))
	}
	for name, values := range p.Parameters {
		options = append(options, oauth2.SetAuthURLParam(name, strings.Join(values, " ")))
	}
	return p.oauth(said).AuthCodeURL(trip.State.Reveal(), options...), nil
}

// Return redeems the provider's answer to a trip whose state was compared already.
func (p *Provider) Return(ctx context.Context, trip federation.Trip, answer url.Values) (federation.Identity, error) {
	said, err := p.discover(ctx)
	if err != nil {
		return federation.Identity{}, fmt.Errorf("%w: %w", federation.ErrUnavailable, err)
	}
	if err := p.checkAnswer(said, answer); err != nil {
		return federation.Identity{}, err
	}
	options := []oauth2.AuthCodeOption{oauth2.VerifierOption(trip.Verifier.Reveal())}
	if p.Auth == AuthKey {
		assertion, err := p.assertion(said.Token)
		if err != nil {
			return federation.Identity{}, err
		}
		options = append(options, assertion...)
	}
	token, err := p.oauth(said).Exchange(p.calling(ctx), answer.Get("code"), options...)
	if err != nil {
		return federation.Identity{}, p.tokenError(err)
	}
	return p.identity(ctx, said, token, trip.Nonce.Reveal())
}

// Renew asks with the provider's refresh token whether the session still stands, and what the
// person's claims are now. Without a new ID token the old subject has to be in the userinfo; where that
// is not asked either, nothing is said of the claims but that the session stands.
func (p *Provider) Renew(ctx context.Context, refresh secret.Token, issuer, subject string) (federation.Identity, error) {
	said, err := p.discover(ctx)
	if err != nil {
		return federation.Identity{}, fmt.Errorf("%w: %w", federation.ErrUnavailable, err)
	}
	ctx = p.calling(ctx)
	token, err := p.renewed(ctx, said, refresh)
	if err != nil {
		return federation.Identity{}, p.tokenError(err)
	}
	var identity federation.Identity
	if raw, _ := token.Extra("id_token").(string); raw != "" {
		identity, err = p.identity(ctx, said, token, "")
	} else {
		identity = federation.Identity{Issuer: issuer, Subject: subject, Refresh: secret.New(token.RefreshToken)}
		identity.Claims, err = p.userinfo(ctx, said, token, subject)
	}
	if err == nil && (identity.Issuer != issuer || identity.Subject != subject) {
		err = fmt.Errorf("%w: the refreshed session is another person's", federation.ErrRefused)
	}
	if err != nil { // the token that was shown may be spent: the next one has to be kept all the same
		next := federation.Identity{}
		if len(token.RefreshToken) <= maxRefreshBytes {
			next.Refresh = secret.New(token.RefreshToken)
		}
		return next, err
	}
	return identity, nil
}

// checkAnswer refuses an answer that is another provider's or none (RFC 9207 §2.4, FB-06).
func (p *Provider) checkAnswer(said *metadata, answer url.Values) error {
	issuers := answer["iss"]
	switch {
	case len(issuers) > 1 || said.IssAnswer && len(issuers) == 0:
		return fmt.Errorf("%w: the answer does not say once which provider gives it", federation.ErrRefused)
	case len(issuers) == 1 && !p.IsIssuer(issuers[0]):
		return fmt.Errorf("%w: the answer is another provider's", federation.ErrRefused)
	case len(answer["error"]) > 0:
		return &federation.DeniedError{Code: answer.Get("error"), Description: answer.Get("error_description")}
	case len(answer["code"]) != 1 || answer.Get("code") == "" || len(answer.Get("code")) > maxCodeBytes:
		return fmt.Errorf("%w: the answer holds no code", federation.ErrRefused)
	}
	return nil
}

// IsIssuer reports whether a value is the provider's issuer, of one of its tenants if it has several.
func (p *Provider) IsIssuer(value string) bool {
	if !p.several() {
		return value == p.Issuer
	}
	return slices.ContainsFunc(p.Tenants, func(tenant string) bool {
		return tenant != "" && value == strings.ReplaceAll(p.Issuer, bridge.TenantMark, tenant)
	})
}

// tokenError sorts what went wrong at the token endpoint: the provider's own no, or nothing to go by.
func (p *Provider) tokenError(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		return fmt.Errorf("%w: %w", federation.ErrUnavailable, err)
	}
	code := refused.ErrorCode
	if refused.Response.StatusCode >= 500 || code == "" || code == "temporarily_unavailable" || code == "server_error" {
		return fmt.Errorf("%w: the token endpoint answered %d %s", federation.ErrUnavailable, refused.Response.StatusCode, federation.Quoted(code))
	}
	if code == "invalid_grant" {
		return fmt.Errorf("%w: the token endpoint answered invalid_grant", federation.ErrOver)
	}
	return fmt.Errorf("%w: the token endpoint answered %d %s", federation.ErrRefused, refused.Response.StatusCode, federation.Quoted(code))
}
