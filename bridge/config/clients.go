package config

import (
	"encoding/json"
	"slices"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
)

// ClientDeclaration is a client in the configuration file: one whose credentials the operator
// handed to a vendor, or one that works without registration.
type ClientDeclaration struct {
	ID           string   `yaml:"id"`
	Name         string   `yaml:"name"`
	RedirectURIs []string `yaml:"redirect_uris"`
	// SecretSHA256 are the hex SHA-256 of the client's secrets: none for a public client, two
	// while a secret is exchanged.
	SecretSHA256 []string `yaml:"secret_sha256"`
	// JWKS are the public keys of a client that signs assertions, JWKSURI the address where it has them.
	JWKS       any      `yaml:"jwks"`
	JWKSURI    string   `yaml:"jwks_uri"`
	GrantTypes []string `yaml:"grant_types"`
	Scope      string   `yaml:"scope"` // the most it may have; all when left out
	// TrinityKeyFile holds the trinity_mcp_ key that a client with client_credentials calls with.
	TrinityKeyFile string `yaml:"trinity_key_file"`
	BoundTokens    bool   `yaml:"dpop_bound_access_tokens"` // it gets no token without a DPoP proof
	Website        string `yaml:"website"`
	Blocked        bool   `yaml:"blocked"`
}

func checkClients(declared []ClientDeclaration, m *Mistakes) []bridge.Client {
	var all []bridge.Client
	for i, d := range declared {
		if d.ID == "" || len(d.ID) > 64 {
			m.add("clients: client %d needs an id of at most 64 characters", i+1)
			continue
		}
		if slices.ContainsFunc(all, func(c bridge.Client) bool { return c.ID == d.ID }) {
			m.add("clients: %q stands twice", d.ID)
		}
		all = append(all, checkClient(d, m))
	}
	return all
}

func checkClient(d ClientDeclaration, m *Mistakes) bridge.Client {
	client := bridge.Client{
		ID: d.ID, Kind: bridge.ClientConfigured, Name: d.Name, RedirectURIs: d.RedirectURIs, GrantTypes: d.GrantTypes,
		AuthMethod: bridge.AuthNone, URI: d.Website, Blocked: d.Blocked, BoundTokens: d.BoundTokens,
	}
	if d.Name == "" {
		m.add("clients: %q needs a name for the consent page", d.ID)
	}
	if len(d.RedirectURIs) == 0 && !onlyMachine(d) {
		m.add("clients: %q needs redirect_uris", d.ID)
	}
	for _, uri := range d.RedirectURIs {
		if err := clients.CheckRedirect(uri); err != nil {
			m.add("clients: %q: %q: %v", d.ID, uri, err)
		}
	}
	client.SecretHashes = secretHashes("clients", d.ID, d.SecretSHA256, m)
	if len(d.SecretSHA256) > 0 {
		client.AuthMethod = bridge.AuthPost
	}
	declareKeys(&client, d, m)
	if len(client.GrantTypes) == 0 {
		client.GrantTypes = []string{bridge.GrantTypeCode, bridge.GrantTypeRefresh}
	}
	for _, grantType := range client.GrantTypes {
		if grantType != bridge.GrantTypeCode && grantType != bridge.GrantTypeRefresh && grantType != bridge.GrantTypeClient {
			m.add("clients: %q: the grant type %q is not served", d.ID, grantType)
		}
	}
	scopes, unknown := bridge.ParseScopes(d.Scope)
	if unknown > 0 {
		m.add("clients: %q: the scope holds an unknown word", d.ID)
	}
	client.Scopes = scopes
	if actsForItself(d) && client.Public() {
		m.add("clients: %q: client_credentials need secret_sha256, jwks or jwks_uri", d.ID)
	}
	if actsForItself(d) && len(scopes) == 0 {
		m.add("clients: %q: client_credentials need a scope: the most it may have", d.ID)
	}
	return client
}

// declareKeys makes client one that authenticates with a key of its own.
func declareKeys(client *bridge.Client, d ClientDeclaration, m *Mistakes) {
	if d.JWKS == nil && d.JWKSURI == "" {
		return
	}
	if len(d.SecretSHA256) > 0 {
		m.add("clients: %q has both secrets and keys: keep one", d.ID)
	}
	var jwks []byte
	if d.JWKS != nil {
		var err error
		if jwks, err = json.Marshal(d.JWKS); err != nil {
			m.add("clients: %q: jwks: %v", d.ID, err)
			return
		}
	}
	if err := clients.SetKeys(client, jwks, d.JWKSURI); err != nil {
		m.add("clients: %q: %v", d.ID, err)
	}
}
