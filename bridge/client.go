package bridge

import "time"

// ClientKind tells how a client became known.
type ClientKind string

// The kinds of client.
const (
	ClientConfigured ClientKind = "configured" // named in the configuration
	ClientRegistered ClientKind = "registered" // by dynamic registration (RFC 7591); its words are its own claims
	ClientDocument   ClientKind = "document"   // by the document its id is the address of (CIMD); its host is proven, its words are its own claims
)

// AuthMethod is how a client authenticates at the token endpoint (RFC 7591 §2).
type AuthMethod string

// The methods served.
const (
	AuthNone  AuthMethod = "none"
	AuthPost  AuthMethod = "client_secret_post"
	AuthBasic AuthMethod = "client_secret_basic"
	AuthKey   AuthMethod = "private_key_jwt" // RFC 7523 §2.2: an assertion signed with the client's own key
)

// AssertionAlgorithms are the signature algorithms of client assertions that are taken: none with
// a shared key, and not "none" (AS-010). EdDSA and Ed25519 are the old and the new name of the same
// (RFC 9864); libraries write either.
func AssertionAlgorithms() []string {
	return []string{"ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"}
}

// Grant types (RFC 6749, RFC 7591 §2).
const (
	GrantTypeCode    = "authorization_code"
	GrantTypeRefresh = "refresh_token"
	GrantTypeClient  = "client_credentials" // for configured clients only (EX-15)
	// GrantTypeAssertion is served for identity assertions only (RFC 7523 §2.1, EX-02).
	GrantTypeAssertion = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// Client is the software that asks. Everything but ID, Kind and the times is the client's own
// claim unless Kind is ClientConfigured.
type Client struct {
	ID           string     `json:"id"`
	Kind         ClientKind `json:"kind"`
	Name         string     `json:"name,omitzero"`
	RedirectURIs []string   `json:"redirect_uris"`
	GrantTypes   []string   `json:"grant_types"`
	AuthMethod   AuthMethod `json:"auth_method"`
	SecretHashes []Hash     `json:"secret_hashes,omitzero"` // more than one while a secret is rotated
	Scopes       Scopes     `json:"scopes,omitzero"`        // the most it may ask for; empty means all

	// Keys is the JWK set (RFC 7517) an AuthKey client gave of itself, KeysURI where it publishes it;
	// one of them is set. SigningAlg is the one algorithm it signs with, if it named one.
	Keys       []byte `json:"keys,omitzero"`
	KeysURI    string `json:"keys_uri,omitzero"`
	SigningAlg string `json:"signing_alg,omitzero"`
	// OffersNone: its document offers the method none beside private_key_jwt, so that what its
	// assertions prove is more than it would have to.
	OffersNone bool `json:"offers_none,omitzero"`
	// BoundTokens: it takes no access token that is not bound to a key of its own (RFC 9449 §5.2).
	BoundTokens bool `json:"bound_tokens,omitzero"`
	// Fingerprint is over what a person's yes rests on: name, website, redirect URIs, method, keys, bound tokens.
	// Zero for a client that cannot change unseen.
	Fingerprint Hash `json:"fingerprint,omitzero"`

	URI             string   `json:"uri,omitzero"`
	PolicyURI       string   `json:"policy_uri,omitzero"`
	TermsURI        string   `json:"terms_uri,omitzero"`
	LogoURI         string   `json:"logo_uri,omitzero"` // kept to be answered back, never fetched
	Contacts        []string `json:"contacts,omitzero"`
	SoftwareID      string   `json:"software_id,omitzero"`
	SoftwareVersion string   `json:"software_version,omitzero"`
	ApplicationType string   `json:"application_type,omitzero"`

	CreatedAt time.Time `json:"created_at"`
	// UnusedUntil is when a registered client is swept unless a grant of it has not ended. Redeeming
	// a code moves it. Zero means never.
	UnusedUntil time.Time `json:"unused_until,omitzero"`
	Blocked     bool      `json:"blocked,omitzero"`
}

// Verified reports whether somebody other than the client vouches for its name.
func (c *Client) Verified() bool { return c.Kind == ClientConfigured }

// Public reports whether the client holds neither secret nor key.
func (c *Client) Public() bool { return c.AuthMethod == AuthNone }

// MayUse reports whether the client may use the grant type.
func (c *Client) MayUse(grantType string) bool {
	for _, t := range c.GrantTypes {
		if t == grantType {
			return true
		}
	}
	return false
}

// ResourceServer is a server beside the gateway that may ask what an access token is worth. Its
// credentials are of no use anywhere else.
type ResourceServer struct {
	ID           string
	SecretHashes []Hash
	Resource     string // it learns of tokens for this audience only
}
