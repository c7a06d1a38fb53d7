package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	// maxDocumentBytes is the most a document may have (draft -02 §8.7, CM-21).
	maxDocumentBytes = 5 << 10
	// maxDocumentRedirects is beyond what fits for a real client; the document's size bounds them anyway.
	maxDocumentRedirects = 50
)

// document is a client ID metadata document (draft -02 §4). Members not named here are ignored.
type document struct {
	ClientID        string         `json:"client_id"`
	ClientName      string         `json:"client_name"`
	ClientURI       string         `json:"client_uri"`
	PolicyURI       string         `json:"policy_uri"`
	TermsURI        string         `json:"tos_uri"`
	RedirectURIs    []string       `json:"redirect_uris"`
	GrantTypes      []string       `json:"grant_types"`
	ResponseTypes   []string       `json:"response_types"`
	ApplicationType string         `json:"application_type"`
	SoftwareID      string         `json:"software_id"`
	SoftwareVersion string         `json:"software_version"`
	AuthMethod      string         `json:"token_endpoint_auth_method"`
	AuthMethods     []string       `json:"token_endpoint_auth_methods_supported"`
	SigningAlg      string         `json:"token_endpoint_auth_signing_alg"`
	JWKS            jsontext.Value `json:"jwks"`
	JWKSURI         string         `json:"jwks_uri"`
	BoundTokens     bool           `json:"dpop_bound_access_tokens"`
	Secret          jsontext.Value `json:"client_secret"`
	SecretExpires   jsontext.Value `json:"client_secret_expires_at"`
}

// ReadDocument makes a client of the document that was found at the address id (draft -02 §4,
// §4.1). The caller has checked id and sets the times.
func ReadDocument(id string, body []byte) (bridge.Client, error) {
	if len(body) > maxDocumentBytes {
		return bridge.Client{}, fmt.Errorf("the document has more than %d bytes", maxDocumentBytes)
	}
	var d document
	if err := strict.Unmarshal(body, &d); err != nil {
		return bridge.Client{}, errors.New("the document is not the JSON object it should be")
	}
	switch {
	case d.ClientID != id: // byte by byte (AS-098, CM-15)
		return bridge.Client{}, errors.New("the document is another client's: its client_id differs")
	case d.ClientName == "":
		return bridge.Client{}, errors.New("the document has no client_name")
	case given(d.Secret) || given(d.SecretExpires):
		return bridge.Client{}, errors.New("the document holds a client secret")
	}
	client := bridge.Client{
		ID: id, Kind: bridge.ClientDocument, Name: d.ClientName, URI: d.ClientURI, PolicyURI: d.PolicyURI, TermsURI: d.TermsURI,
		SoftwareID: d.SoftwareID, SoftwareVersion: d.SoftwareVersion, ApplicationType: d.ApplicationType,
		BoundTokens: d.BoundTokens,
	}
	var err error
	if client.RedirectURIs, err = documentRedirects(d.RedirectURIs); err != nil {
		return bridge.Client{}, err
	}
	asked := Metadata{
		ClientName: d.ClientName, ClientURI: d.ClientURI, PolicyURI: d.PolicyURI, TermsURI: d.TermsURI,
		SoftwareID: d.SoftwareID, SoftwareVersion: d.SoftwareVersion, ApplicationType: d.ApplicationType,
		GrantTypes: d.GrantTypes, ResponseTypes: d.ResponseTypes,
	}
	if client.GrantTypes, err = checkGrantTypes(asked); err != nil {
		return bridge.Client{}, err
	}
	if err := checkWords(asked); err != nil {
		return bridge.Client{}, err
	}
	if err := authenticateBy(&client, d); err != nil {
		return bridge.Client{}, err
	}
	client.Fingerprint, err = fingerprint(client)
	return client, err
}

// given reports whether a member is there and says something.
func given(member jsontext.Value) bool { return len(member) > 0 && member.Kind() != 'n' }

// documentRedirects keeps the redirect URIs that can be served. Unlike a registration, a document
// is written once for all servers: what it lists twice is no reason to turn everybody away.
func documentRedirects(uris []string) ([]string, error) {
	if len(uris) > maxDocumentRedirects {
		return nil, bridge.Refuse("invalid_redirect_uri", "There are more than %d redirect URIs", maxDocumentRedirects)
	}
	var kept []string
	for _, uri := range uris {
		if slices.Contains(kept, uri) || foreignScheme(uri) {
			continue
		}
		if err := CheckRedirect(uri); err != nil {
			return nil, err
		}
		kept = append(kept, uri)
	}
	if len(kept) == 0 {
		return nil, badRedirect("that can be served is missing")
	}
	return kept, nil
}

// authenticateBy settles how the client authenticates. Real documents name a method, a list of
// methods, both or neither; together they are one offer, of which the strongest we share counts
// (AS-103, B44). Neither means none: the default of RFC 7591 §2 is a method a document must not have.
func authenticateBy(client *bridge.Client, d document) error {
	offer := d.AuthMethods
	if d.AuthMethod != "" {
		offer = append([]string{d.AuthMethod}, offer...)
	}
	for _, method := range offer {
		if strings.HasPrefix(method, "client_secret") {
			return fmt.Errorf("the document offers %s, a shared secret", method)
		}
	}
	if given(d.JWKS) && d.JWKSURI != "" {
		return errors.New("jwks and jwks_uri exclude each other")
	}
	if given(d.JWKS) { // whatever the method: private keys must not lie in the open (AS-102)
		if _, err := readKeys(d.JWKS); err != nil {
			return err
		}
	}
	offersNone := len(offer) == 0 || slices.Contains(offer, string(bridge.AuthNone))
	if !slices.Contains(offer, string(bridge.AuthKey)) || offersNone && !given(d.JWKS) && d.JWKSURI == "" {
		client.AuthMethod = bridge.AuthNone
		if !offersNone {
			return errors.New("the document offers no method that is served")
		}
		return nil
	}
	client.OffersNone = offersNone
	return setKeys(client, d.JWKS, d.JWKSURI, d.SigningAlg)
}

// fingerprint is over what a person's yes rests on (AS-112).
func fingerprint(c bridge.Client) (bridge.Hash, error) {
	material, err := json.Marshal(struct {
		Name, URI, Method, KeysURI, SigningAlg string
		Redirects                              []string
		Keys                                   []byte
		BoundTokens                            bool `json:",omitempty"`
	}{c.Name, c.URI, string(c.AuthMethod), c.KeysURI, c.SigningAlg, slices.Sorted(slices.Values(c.RedirectURIs)), c.Keys, c.BoundTokens})
	if err != nil {
		return bridge.Hash{}, fmt.Errorf("writing down a client: %w", err)
	}
	return bridge.HashOf(string(material)), nil
}

// changes names the material members that differ, for the audit trail (B47).
func changes(before, after bridge.Client) string {
	var changed []string
	for _, member := range []struct {
		name string
		same bool
	}{
		{"client_name", before.Name == after.Name},
		{"client_uri", before.URI == after.URI},
		{"redirect_uris", slices.Equal(before.RedirectURIs, after.RedirectURIs)},
		{"token_endpoint_auth_method", before.AuthMethod == after.AuthMethod && before.SigningAlg == after.SigningAlg},
		{"dpop_bound_access_tokens", before.BoundTokens == after.BoundTokens},
		{"jwks", slices.Equal(before.Keys, after.Keys) && before.KeysURI == after.KeysURI},
	} {
		if !member.same {
			changed = append(changed, member.name)
		}
	}
	return strings.Join(changed, " ")
}
