package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	assertionLife = time.Minute
)

// assertion proves that we are the provider's client, with a key of our own.
func (p *Provider) assertion(endpoint string) ([]oauth2.AuthCodeOption, error) {
	signed, err := p.sign(endpoint)
	if err != nil {
		return nil, err
	}
	return []oauth2.AuthCodeOption{
		oauth2.SetAuthURLParam("client_assertion_type", assertionType), oauth2.SetAuthURLParam("client_assertion", signed),
	}, nil
}

func (p *Provider) sign(endpoint string) (string, error) {
	algorithm, err := algorithmOf(p.Key)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: p.Key, KeyID: p.KeyID}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("signing a client assertion: %w", err)
	}
	id, err := bridge.NewID(rand.Reader)
	if err != nil {
		return "", err
	}
	now := p.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": p.ClientID, "sub": p.ClientID, "aud": endpoint, "jti": id,
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("writing a client assertion: %w", err)
	}
	object, err := signer.Sign(claims)
	if err != nil {
		return "", fmt.Errorf("signing a client assertion: %w", err)
	}
	compact, err := object.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("signing a client assertion: %w", err)
	}
	return compact, nil
}

// algorithmOf is what a key of ours signs with.
func algorithmOf(key crypto.Signer) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return jose.RS256, nil
	case ed25519.PrivateKey:
		return jose.EdDSA, nil
	case *ecdsa.PrivateKey:
		if k.Curve.Params().BitSize == 256 {
			return jose.ES256, nil
		}
	}
	return "", fmt.Errorf("a %T signs no client assertion", key)
}

// renewed presents a refresh token. x/oauth2 offers no parameters for that, so a key's assertion
// goes along by the client.
func (p *Provider) renewed(ctx context.Context, said *metadata, refresh secret.Token) (*oauth2.Token, error) {
	if p.Auth == AuthKey {
		signed, err := p.sign(said.Token)
		if err != nil {
			return nil, err
		}
		client := *p.client
		client.Transport = &adding{next: p.client.Transport, values: url.Values{
			"client_assertion_type": {assertionType}, "client_assertion": {signed},
		}}
		ctx = context.WithValue(ctx, oauth2.HTTPClient, &client)
	}
	token, err := p.oauth(said).TokenSource(ctx, &oauth2.Token{RefreshToken: refresh.Reveal()}).Token()
	if err != nil {
		return nil, fmt.Errorf("presenting a refresh token: %w", err)
	}
	return token, nil
}

// adding adds parameters to the one form it sends.
type adding struct {
	next   http.RoundTripper
	values url.Values
}

// RoundTrip sends the request with more in its form.
func (a *adding) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.ParseForm(); err != nil {
		return nil, fmt.Errorf("adding to a form: %w", err)
	}
	form := req.PostForm
	for name, values := range a.values {
		form[name] = values
	}
	body := form.Encode()
	sent := req.Clone(req.Context())
	sent.Body, sent.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	sent.GetBody = nil
	return a.next.RoundTrip(sent)
}
