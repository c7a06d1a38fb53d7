package oidc

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	callTimeout = 8 * time.Second
	// discoverEvery is how old what a provider says of itself may be; when it does not answer, what it
	// said last stays good.
	discoverEvery = time.Hour
)

// The ways the bridge authenticates at a provider's token endpoint.
const (
	AuthBasic = "client_secret_basic"
	AuthPost  = "client_secret_post"
	AuthKey   = "private_key_jwt"
)

// Options are one provider as the configuration knows it.
type Options struct {
	Issuer   string   // byte for byte; with bridge.TenantMark for several tenants
	Tenants  []string // the tenants whose people may come, where the issuer has bridge.TenantMark
	Origins  []string // that may be asked, besides the issuer's own
	ClientID string
	Auth     string       // one of the Auth constants
	Secret   secret.Token // for AuthBasic and AuthPost
	Key      crypto.Signer
	KeyID    string
	Callback string   // our redirect URI at this provider
	Scopes   []string // besides openid
	// Algorithms its ID tokens may be signed with.
	Algorithms  []string
	Audiences   []string // that may stand in an ID token beside our client id
	NoUserinfo  bool
	KeepSession bool       // signing out here leaves the session there alone
	Parameters  url.Values // added to the authorization request
	Strength    Strength   // how people have to have signed in there
	Log         *slog.Logger
	Now         func() time.Time
}

// Strength is how a person has to have signed in at the provider. Zero fields ask for nothing.
type Strength struct {
	ACR    []string      // one of these, best first (OIDC Core §3.1.2.1, acr_values)
	AMR    []string      // with one of these methods (RFC 8176)
	MaxAge time.Duration // so long ago at most
}

// Provider is a relying party of one provider. Use New.
type Provider struct {
	Options
	client *http.Client

	mu    sync.Mutex
	known *metadata // what the provider said of itself last
}

// metadata is a provider's discovery document, checked, with its keys.
type metadata struct {
	Issuer     string   `json:"issuer"`
	Authorize  string   `json:"authorization_endpoint"`
	Token      string   `json:"token_endpoint"`
	Userinfo   string   `json:"userinfo_endpoint"`
	Keys       string   `json:"jwks_uri"`
	EndSession string   `json:"end_session_endpoint"`                           // OIDC RP-Initiated Logout §2.1
	IssAnswer  bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	Algorithms []string `json:"id_token_signing_alg_values_supported"`

	provider *gooidc.Provider
	verifier *gooidc.IDTokenVerifier
	read     time.Time
}

// New makes a Provider. It asks nobody yet.
func New(o Options) (*Provider, error) {
	issuer, err := url.Parse(strings.ReplaceAll(o.Issuer, bridge.TenantMark, "tenant"))
	if err != nil {
		return nil, fmt.Errorf("the issuer of a provider: %w", err)
	}
	own := outbound.Origin(issuer)
	if own == "" || o.ClientID == "" || o.Callback == "" || o.Now == nil {
		return nil, errors.New("a provider needs an issuer, a client id, a callback and a clock")
	}
	if len(o.Algorithms) == 0 {
		o.Algorithms = algorithms()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Origins = append([]string{own}, o.Origins...)
	return &Provider{Options: o, client: outbound.ForOrigins(o.Origins, callTimeout)}, nil
}

// algorithms are the signature algorithms that are taken unless the operator names fewer.
func algorithms() []string { return []string{gooidc.RS256, gooidc.ES256, gooidc.EdDSA} }

// several reports whether the provider has several tenants.
func (p *Provider) several() bool { return strings.Contains(p.Issuer, bridge.TenantMark) }

// discoveryAddress is what go-oidc completes to the well-known address. A provider with several
// tenants is asked as the one for all organizations.
func (p *Provider) discoveryAddress() string {
	return strings.ReplaceAll(p.Issuer, bridge.TenantMark, "organizations")
}

// calling gives both libraries the guarded client.
func (p *Provider) calling(ctx context.Context) context.Context {
	return gooidc.ClientContext(ctx, p.client)
}

// discover returns what the provider says of itself, asking when that is not known or old. A new
// answer that is no good, or none, leaves the old one in force, and the log says so (FB-26).
func (p *Provider) discover(ctx context.Context) (*metadata, error) {
	p.mu.Lock()
	known := p.known
	p.mu.Unlock()
	if known != nil && p.Now().Sub(known.read) < discoverEvery {
		return known, nil
	}
	fresh, err := p.ask(ctx)
	if err != nil && known == nil {
		return nil, err
	}
	if err != nil {
		p.Log.ErrorContext(ctx, "an identity provider's description could not be read anew: the old one stays in force",
			"issuer", p.Issuer, "error", err)
		aged := *known
		aged.read = p.Now().Add(-discoverEvery + time.Minute)
		fresh = &aged
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known != nil && fresh.Keys == known.Keys {
		fresh.provider, fresh.verifier = known.provider, known.verifier // they hold the keys
	}
	p.known = fresh
	return fresh, nil
}

// ask reads the discovery document and refuses one that leads to where the configuration does not.
func (p *Provider) ask(ctx context.Context) (*metadata, error) {
	ctx = p.calling(ctx)
	if p.several() {
		ctx = gooidc.InsecureIssuerURLContext(ctx, p.Issuer) // the template is compared below
	}
	provider, err := gooidc.NewProvider(ctx, p.discoveryAddress())
	if err != nil {
		return nil, fmt.Errorf("asking an identity provider about itself: %w", err)
	}
	said := &metadata{provider: provider, read: p.Now()}
	if err := provider.Claims(said); err != nil {
		return nil, fmt.Errorf("reading what an identity provider says of itself: %w", err)
	}
	if said.Issuer != p.Issuer {
		return nil, fmt.Errorf("the identity provider calls itself %q, not %q", said.Issuer, p.Issuer)
	}
	for name, address := range map[string]string{
		"authorization_endpoint": said.Authorize, "token_endpoint": said.Token, "jwks_uri": said.Keys,
	} {
		if err := p.allowed(address); err != nil {
			return nil, fmt.Errorf("%s of the identity provider: %w", name, err)
		}
	}
	if said.Userinfo != "" && !p.NoUserinfo {
		if err := p.allowed(said.Userinfo); err != nil {
			return nil, fmt.Errorf("userinfo_endpoint of the identity provider: %w", err)
		}
	}
	said.verifier = provider.VerifierContext(ctx, &gooidc.Config{
		ClientID: p.ClientID, SupportedSigningAlgs: p.Algorithms, Now: p.Now,
		SkipIssuerCheck: p.several(), SkipExpiryCheck: true, // checkTimes is stricter
	})
	return said, nil
}

// allowed refuses addresses of other hosts than those of the configuration, which an attacker who
// gets at the document would lead us to (FB-26).
func (p *Provider) allowed(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Fragment != "" || !slices.Contains(p.Origins, outbound.Origin(u)) {
		return fmt.Errorf("%q is at none of: %s", address, strings.Join(p.Origins, ", "))
	}
	return nil
}

// oauth is the code flow's configuration.
func (p *Provider) oauth(said *metadata) *oauth2.Config {
	config := &oauth2.Config{
		ClientID: p.ClientID, RedirectURL: p.Callback, Scopes: append([]string{gooidc.ScopeOpenID}, p.Scopes...),
		Endpoint: oauth2.Endpoint{AuthURL: said.Authorize, TokenURL: said.Token, AuthStyle: oauth2.AuthStyleInParams},
	}
	switch p.Auth {
	case AuthBasic:
		config.ClientSecret, config.Endpoint.AuthStyle = p.Secret.Reveal(), oauth2.AuthStyleInHeader
	case AuthPost:
		config.ClientSecret = p.Secret.Reveal()
	}
	return config
}
