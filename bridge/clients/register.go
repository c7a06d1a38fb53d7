package clients

import (
	"context"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	maxRedirects   = 10
	maxNameBytes   = 256
	maxMemberBytes = 1024
	maxContacts    = 10
	// maxUnused bounds the registrations nobody has used yet, so that a flood fills no disk (DC-07).
	maxUnused = 50_000
	// unusedLife is how long a registration without a grant is kept.
	unusedLife = 24 * time.Hour
)

// UnusedAfter is how long a registered client is kept after its last possible token.
const UnusedAfter = 30 * 24 * time.Hour

// Metadata is a registration request (RFC 7591 §2). Members we do not know are ignored; the ones
// we must never fetch (jwks_uri, logo_uri) are at most answered back.
type Metadata struct {
	RedirectURIs    []string `json:"redirect_uris"`
	AuthMethod      string   `json:"token_endpoint_auth_method"`
	GrantTypes      []string `json:"grant_types"`
	ResponseTypes   []string `json:"response_types"`
	ClientName      string   `json:"client_name"`
	ClientURI       string   `json:"client_uri"`
	LogoURI         string   `json:"logo_uri"`
	PolicyURI       string   `json:"policy_uri"`
	TermsURI        string   `json:"tos_uri"`
	Contacts        []string `json:"contacts"`
	Scope           string   `json:"scope"`
	SoftwareID      string   `json:"software_id"`
	SoftwareVersion string   `json:"software_version"`
	ApplicationType string   `json:"application_type"`
	SigningAlg      string   `json:"token_endpoint_auth_signing_alg"`
	JWKSURI         string   `json:"jwks_uri"`
	BoundTokens     bool     `json:"dpop_bound_access_tokens"`

	JWKS jsontext.Value `json:"jwks"`
}

// Register stores a new client and returns it with its secret, which is zero for a public one.
// Errors for the client are *bridge.Error with the codes of RFC 7591 §3.2.2; bridge.ErrFull means
// that too many unused registrations are stored.
func (r *Registry) Register(ctx context.Context, m Metadata) (bridge.Client, secret.Token, error) {
	client, err := checkMetadata(m)
	if err != nil {
		return bridge.Client{}, secret.Token{}, err
	}
	id, err := bridge.NewID(r.rand)
	if err != nil {
		return bridge.Client{}, secret.Token{}, err
	}
	now := r.now()
	client.ID = "client-" + id // never a URL, whatever the caller asked for (AS-096, DC-09)
	client.CreatedAt, client.UnusedUntil = now, now.Add(unusedLife)
	var clientSecret secret.Token
	if client.AuthMethod == bridge.AuthPost || client.AuthMethod == bridge.AuthBasic {
		if clientSecret, err = secret.Random(r.rand, ""); err != nil {
			return bridge.Client{}, secret.Token{}, err
		}
		client.SecretHashes = []bridge.Hash{clientSecret.Hash()}
	}
	err = r.store.CreateClient(ctx, client, maxUnused)
	return client, clientSecret, err
}

func checkMetadata(m Metadata) (bridge.Client, error) {
	redirects, err := checkRedirects(m.RedirectURIs)
	if err != nil {
		return bridge.Client{}, err
	}
	client := bridge.Client{
		Kind: bridge.ClientRegistered, Name: m.ClientName, RedirectURIs: redirects,
		URI: m.ClientURI, LogoURI: m.LogoURI, PolicyURI: m.PolicyURI, TermsURI: m.TermsURI, Contacts: m.Contacts,
		SoftwareID: m.SoftwareID, SoftwareVersion: m.SoftwareVersion, ApplicationType: m.ApplicationType,
		BoundTokens: m.BoundTokens,
	}
	if client.AuthMethod, err = checkAuthMethod(m.AuthMethod); err != nil {
		return bridge.Client{}, err
	}
	if client.GrantTypes, err = checkGrantTypes(m); err != nil {
		return bridge.Client{}, err
	}
	// The scope it registers with is not kept: clients repeat catalogues they found, ask for
	// something else later, and the person decides anyway.
	if given(m.JWKS) && m.JWKSURI != "" {
		return bridge.Client{}, badMetadata("jwks and jwks_uri exclude each other")
	}
	if client.AuthMethod == bridge.AuthKey {
		if m.JWKSURI != "" { // nobody who merely registers has us ask a host of theirs
			return bridge.Client{}, badMetadata("private_key_jwt needs the keys themselves, in jwks")
		}
		if err := setKeys(&client, m.JWKS, "", m.SigningAlg); err != nil {
			return bridge.Client{}, err
		}
	}
	return client, checkWords(m)
}

func checkRedirects(uris []string) ([]string, error) {
	if len(uris) == 0 || len(uris) > maxRedirects {
		return nil, bridge.Refuse("invalid_redirect_uri", "Between 1 and %d redirect URIs are needed", maxRedirects)
	}
	var kept []string
	for _, uri := range uris {
		if slices.Contains(kept, uri) {
			return nil, badRedirect("is given twice")
		}
		if foreignScheme(uri) {
			continue
		}
		if err := CheckRedirect(uri); err != nil {
			return nil, err
		}
		kept = append(kept, uri)
	}
	if len(kept) == 0 {
		return nil, badRedirect("is neither https nor http to a loopback host")
	}
	return kept, nil
}

func checkAuthMethod(method string) (bridge.AuthMethod, error) {
	switch asked := bridge.AuthMethod(method); asked {
	case "":
		return bridge.AuthBasic, nil // RFC 7591 §2
	case bridge.AuthNone, bridge.AuthPost, bridge.AuthBasic, bridge.AuthKey:
		return asked, nil
	}
	return "", badMetadata("token_endpoint_auth_method is not one of those in the server metadata")
}

// checkGrantTypes keeps the grant types we serve: clients list others beside them (VS Code: the
// device grant), and the answer tells them what they got.
func checkGrantTypes(m Metadata) ([]string, error) {
	asked := m.GrantTypes
	if len(asked) == 0 {
		asked = []string{bridge.GrantTypeCode} // RFC 7591 §2
	}
	if len(m.ResponseTypes) > 0 && !slices.Contains(m.ResponseTypes, "code") {
		return nil, badMetadata("response_types has to contain code")
	}
	if !slices.Contains(asked, bridge.GrantTypeCode) {
		return nil, badMetadata("grant_types has to contain authorization_code")
	}
	kept := []string{bridge.GrantTypeCode}
	if slices.Contains(asked, bridge.GrantTypeRefresh) {
		kept = append(kept, bridge.GrantTypeRefresh)
	}
	return kept, nil
}

func checkWords(m Metadata) error {
	if len(m.ClientName) > maxNameBytes || !utf8.ValidString(m.ClientName) {
		return badMetadata("client_name is too long")
	}
	if len(m.Contacts) > maxContacts {
		return badMetadata("there are too many contacts")
	}
	words := append([]string{
		m.ClientURI, m.LogoURI, m.PolicyURI, m.TermsURI, m.SoftwareID, m.SoftwareVersion, m.ApplicationType,
	}, m.Contacts...)
	for _, word := range words {
		if len(word) > maxMemberBytes {
			return badMetadata("a member is too long")
		}
	}
	return nil
}

func badMetadata(description string) error {
	return &bridge.Error{Code: "invalid_client_metadata", Description: description}
}
