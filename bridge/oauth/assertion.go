package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/signed"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2

// assertion is a client assertion that was read and not yet believed.
type assertion struct {
	signed.Token
	claims signed.Assertion
}

func readAssertion(compact string) (assertion, error) {
	token, err := signed.Read(compact)
	if err != nil {
		return assertion{}, err
	}
	// Absent or the general word is what clients send; another type of token is no assertion (AS-079).
	switch strings.ToLower(token.Type()) {
	case "", "jwt", "client-authentication+jwt":
	default:
		return assertion{}, errors.New("the token is of another type")
	}
	read := assertion{Token: token}
	return read, token.Claims(&read.claims)
}

// offeredAssertion are the credentials of a request with an assertion. Its subject says who asks;
// client_id may be left out, and must not say another (RFC 7521 §4.2).
func offeredAssertion(id, compact, kind string) (credentials, error) {
	if compact == "" || kind != assertionType {
		return credentials{}, unproven(errors.New("assertion and its type do not go together"))
	}
	read, err := readAssertion(compact)
	if err != nil {
		return credentials{}, unproven(err)
	}
	if subject := read.claims.Subject; subject == "" || id != "" && id != subject {
		return credentials{}, unproven(errors.New("the assertion is about another client"))
	}
	return credentials{id: read.claims.Subject, assertion: &read}, nil
}

// byAssertion returns the client that signed the assertion (RFC 7523 §3, AS-078).
func (a Authenticator) byAssertion(ctx context.Context, offered credentials) (bridge.Client, error) {
	presented := *offered.assertion
	client, err := a.clients.Client(ctx, offered.id)
	switch {
	case errors.Is(err, clients.ErrUnknown):
		return bridge.Client{}, unproven(err)
	case err != nil:
		return bridge.Client{}, err
	case client.Blocked:
		return bridge.Client{}, unproven(errors.New("the client is blocked"))
	case client.AuthMethod != bridge.AuthKey:
		return bridge.Client{}, unproven(errors.New("the client does not authenticate by assertion")) // AS-081
	}
	if err := a.checkClaims(client, presented.claims); err != nil {
		return bridge.Client{}, unproven(err)
	}
	if err := a.checkSignature(ctx, client, presented); err != nil {
		return bridge.Client{}, err
	}
	// Last, so that nobody but the client can use up its ids.
	first, err := a.replays.UseOnce(ctx, "client-assertion "+client.ID, presented.claims.ID, presented.claims.ExpiresAt.Time(), a.now())
	if err != nil {
		return bridge.Client{}, err
	}
	if !first {
		return bridge.Client{}, unproven(errors.New("the assertion was used before"))
	}
	return client, nil
}

func (a Authenticator) checkClaims(client bridge.Client, c signed.Assertion) error {
	switch {
	case c.Issuer != client.ID || c.Subject != client.ID:
		return errors.New("issuer and subject of the assertion are not the client")
	case !a.addressed(client, c):
		return errors.New("the audience of the assertion is not this issuer alone")
	}
	return c.CheckTimes(a.now())
}

// addressed reports whether the assertion is meant for us: its sole audience is the issuer (AS-079),
// since a hostile server can have a client name our token endpoint but not our issuer.
//
// One thing is let pass: a client that would be served without any proof, because its document
// offers the method none as well, may name the token endpoint. ChatGPT does so, uses the stronger
// method wherever it is advertised, and would otherwise be the one client turned away (B45).
func (a Authenticator) addressed(client bridge.Client, c signed.Assertion) bool {
	return c.For(a.issuer) || client.OffersNone && c.For(a.tokenEndpoint)
}

func (a Authenticator) checkSignature(ctx context.Context, client bridge.Client, presented assertion) error {
	if client.SigningAlg != "" && client.SigningAlg != presented.Algorithm() {
		return unproven(errors.New("the assertion is not signed with the client's algorithm"))
	}
	keys, err := a.clients.Keys(ctx, client, presented.KeyID())
	if errors.Is(err, clients.ErrKeys) {
		return unproven(err)
	}
	if err != nil {
		return err
	}
	if !presented.SignedBy(keys...) {
		return unproven(errors.New("the assertion is signed with no key of the client"))
	}
	return nil
}

// unproven is the one answer for every client that did not prove who it is. Why is for the log.
func unproven(cause error) error {
	return &bridge.Error{
		Code: "invalid_client", Description: "The client is not known or did not authenticate",
		Status: http.StatusUnauthorized, Cause: cause,
	}
}
