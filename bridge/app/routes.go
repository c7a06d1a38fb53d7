package app

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/dpop"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/oauth"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/token"
	"github.com/abilityai/trinity-bridge/consent"
	"github.com/abilityai/trinity-bridge/federation"
	"github.com/abilityai/trinity-bridge/federation/trinity"
	"github.com/abilityai/trinity-bridge/static"
	"github.com/abilityai/trinity-bridge/templates"
)

// Fixed figures of the design (§6).
const (
	codeLife  = time.Minute
	auditDays = 90
	// firstProbe is how long the start waits for the upstream; the probe goes on behind it.
	firstProbe = 2 * time.Second
	// providerTimeout is for fetching the keys of an identity provider.
	providerTimeout = 5 * time.Second
)

// Connector is the URL a person adds to a client: the default resource.
func (b *Bridge) Connector() string { return b.resources.Default().URL }

// build makes every room and its routes.
func (b *Bridge) build(ctx context.Context) error {
	issuer := b.config.PublicURL.String()
	if err := b.openKeys(ctx); err != nil {
		return err
	}
	pages, err := templates.New(templates.Site{
		Issuer: issuer, Operator: b.config.OperatorName, Contact: b.config.OperatorContact, Log: b.log,
	})
	if err != nil {
		return fmt.Errorf("loading the pages: %w", err)
	}
	documents, err := b.documents()
	if err != nil {
		return err
	}
	api := trinity.NewAPI(b.config.TrinityURL)
	credentials := trinity.NewCredentials(trinity.CredentialsOptions{
		API: api, Ring: b.ring, Revocations: b.store, Links: b.store, Trail: b.trail, Log: b.log, Now: b.now,
		Grace: b.config.OutageGrace, Principals: &trinity.Principals{Keys: b.config.Principals.Keys, Policy: b.config.Principals.ByCode},
		Deployment: b.deployment, Owners: b.store, Flows: b.store,
	})
	b.custodian = trinity.NewCustodian(trinity.CustodianOptions{
		API: api, Ring: b.ring, Store: b.store, Trail: b.trail, Log: b.log, Now: b.now,
		Deployment: b.deployment, Done: b.metrics.Job,
	})
	r := mux.NewRouter().SkipClean(true) // the shell refuses what cleaning would redirect
	registry, err := b.registry()
	if err != nil {
		return err
	}
	if err := registry.Refresh(ctx); err != nil {
		return err
	}
	b.clients = registry
	flows := flow.New(flow.Options{
		Store: b.store, Ring: b.ring, Issuer: b.config.PublicURL, Now: b.now, Rand: b.rand, First: b.firstStep(), Allow: oauth.NewBeginners(b.now).Allow,
	})
	b.linker = trinity.NewLinker(trinity.LinkerOptions{
		Credentials: credentials, Store: b.store, Trail: b.trail, Rand: b.rand, Ended: b.custodian.Wake,
	})
	chooser, err := b.sources(flows, b.linker, registry, pages)
	if err != nil {
		return err
	}
	presence := federation.NewPresence(federation.PresenceOptions{
		Sources: chooser.Sources, Store: b.store, Links: b.linker, Ring: b.ring, Trail: b.trail, Log: b.log, Now: b.now,
		Grace: b.config.OutageGrace, Ended: b.custodian.Wake,
	})
	standing := &standings{Credentials: credentials, presence: presence, linker: b.linker}
	if err := b.makeGateway(standing, registry); err != nil {
		return err
	}
	if err := b.mountProtocol(r, registry, flows, pages, standing); err != nil {
		return err
	}
	chooser.Mount(r)
	presence.Mount(r)
	b.signIn = trinity.NewSignIn(trinity.SignInOptions{
		API: api, Flows: flows, Ring: b.ring, Counters: b.store, Clients: registry, Sources: chooser, Linker: b.linker, Pages: pages,
		Trail: b.trail, Log: b.log, Now: b.now,
	})
	b.signIn.Mount(r)
	b.mountConsent(r, registry, flows, pages, credentials, chooser)
	documents.Mount(r)
	b.mountPages(r, pages)
	b.handler = b.shell(b.gateway.Before(b.crossOrigin(r)))
	return b.mountOperator()
}

// documents makes what clients read first.
func (b *Bridge) documents() (*discovery.Documents, error) {
	issuer := b.config.PublicURL.String()
	settings := discovery.Settings{
		Issuer: issuer, Resources: b.resources, ResourceName: "Trinity", HelpURL: issuer + "/help/connect", PrivacyURL: issuer + "/privacy",
		Registration: b.config.Registration, ClientDocuments: b.config.Documents.Trust.Policy != clients.PolicyOff, Introspection: len(b.config.ResourceServers) > 0,
		Machines: len(b.config.Machines) > 0, Assertions: len(b.config.Providers) > 0, JWKS: b.signer.JWKS,
	}
	if b.config.DPoP != dpop.PolicyOff {
		settings.ProofAlgorithms, settings.ProofsRequired = bridge.AssertionAlgorithms(), b.config.DPoP == dpop.PolicyRequired
	}
	return discovery.New(settings)
}

// mountConsent adds what people decide here, and where they come back to.
func (b *Bridge) mountConsent(
	r *mux.Router, registry *clients.Registry, flows *flow.Keeper, pages *templates.Set, credentials *trinity.Credentials, chooser *federation.Step,
) {
	(&consent.Step{
		Issuer: b.config.PublicURL.String(), Resources: b.resources, Flows: flows, Codes: b.store, Credentials: credentials, Clients: registry, Pages: pages,
		Label: b.label,
		Life:  consent.Lifetimes{Code: codeLife, RefreshIdle: b.config.RefreshIdle, RefreshMax: b.config.RefreshMax},
		Trail: b.trail, Log: b.log, Now: b.now, Rand: b.rand,
	}).Mount(r)
	(&consent.Connections{
		Resources: b.resources, Flows: flows, Grants: b.store, Links: b.linker, Clients: registry, Sessions: credentials, Providers: chooser, Label: b.label,
		Pages: pages, Trail: b.trail, Log: b.log, Now: b.now, Ended: b.custodian.Wake,
	}).Mount(r)
}

// makeGateway makes what serves the MCP endpoints.
func (b *Bridge) makeGateway(credentials *standings, registry *clients.Registry) error {
	b.probe = &gateway.Probe{Upstream: b.config.MCPURL, Transport: outbound.Transport(), Trail: b.trail, Log: b.log}
	var err error
	b.gateway, err = gateway.New(gateway.Options{
		Issuer: b.config.PublicURL.String(), Upstream: b.config.MCPURL, Origins: b.config.AllowedOrigins,
		ListBeyondScope: b.config.ListBeyondScope,
		NoteCalls:       b.config.AuditCalls, StaticKeysOff: !b.config.StaticKeys, Tokens: b.signer, Grants: b.store.Remembered(), Credentials: credentials, Tools: b.config.Tools,
		Ring: b.ring, Trail: b.trail, Log: b.log, Now: b.now, Ready: b.probe.Ready, Ended: b.custodian.Wake,
		Obtainable: obtainable(registry), Barred: registry.Barred,
		Extensions: b.extensions(), Proofs: b.proofChecker(), ProofsRequired: b.config.DPoP == dpop.PolicyRequired,
	})
	if err != nil {
		return err
	}
	b.store.Watch(b.gateway.GrantChanged)
	b.metrics.UnknownTools(b.gateway.UnknownTools)
	return nil
}

// extensions are those of MCP that are configured.
func (b *Bridge) extensions() []string {
	var all []string
	if len(b.config.Providers) > 0 {
		all = append(all, discovery.ExtensionManaged)
	}
	if len(b.config.Machines) > 0 {
		all = append(all, discovery.ExtensionMachines)
	}
	return all
}

// proofChecker checks DPoP proofs; nil while DPoP is off.
func (b *Bridge) proofChecker() *dpop.Checker {
	if b.config.DPoP == dpop.PolicyOff {
		return nil
	}
	checker := &dpop.Checker{Once: b.store, Now: b.now}
	if b.config.DPoPNonces {
		checker.Nonces = dpop.NewNonces(b.ring.DeriveAll("dpop nonce"), b.now)
	}
	return checker
}

// mountOperator makes the operator's port.
func (b *Bridge) mountOperator() error {
	b.operator = &operator{
		store: b.store, trail: b.trail, log: b.log, now: b.now, ended: b.custodian.Wake,
		ready: b.ready, keys: b.signer, clients: b.clients, linker: b.linker, sources: b.config.Sources, metrics: b.metrics.Handler(),
	}
	return b.operator.mount()
}

// RefuseOpenUpstream probes the upstream MCP server once and fails if it serves whoever asks:
// everybody would be its administrator (OP-34). An upstream that is down is no reason not to start.
func (b *Bridge) RefuseOpenUpstream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, firstProbe)
	defer cancel()
	if b.probe.Check(ctx) == gateway.ProbeOpen {
		return fmt.Errorf("the MCP server at %s answers without a key, so everybody would be its administrator: "+
			"set MCP_REQUIRE_API_KEY=true for it and start again", b.config.MCPURL)
	}
	return nil
}

// registry makes the registry of clients, with the guard that fetches what strangers say of themselves.
func (b *Bridge) registry() (*clients.Registry, error) {
	documents := b.config.Documents
	guard := outbound.NewGuard(outbound.GuardOptions{
		OwnHosts: []string{b.config.PublicURL.Hostname(), b.config.TrinityURL.Hostname(), b.config.MCPURL.Hostname()},
		Ports:    documents.Ports, Networks: documents.Networks, Roots: documents.Roots, Now: b.now,
	})
	return clients.New(clients.Options{
		Store: b.store, Verdicts: b.store, Configured: b.config.Clients, Pinned: documents.Pinned, Trust: documents.Trust, Guard: guard,
		Trail: b.trail, Now: b.now, Rand: b.rand,
	})
}

// providerKeys fetches and remembers the keys of trusted identity providers, as those of clients are
// but from the addresses the operator wrote down.
func (b *Bridge) providerKeys() (*clients.Registry, error) {
	var addresses []string
	for _, provider := range b.config.Providers {
		if provider.Keys.KeysURI != "" {
			addresses = append(addresses, provider.Keys.KeysURI)
		}
	}
	named, err := outbound.NewNamed(addresses, providerTimeout)
	if err != nil {
		return nil, err
	}
	return clients.New(clients.Options{Guard: named, Now: b.now})
}

// mountProtocol adds authorize, token, register and revoke.
func (b *Bridge) mountProtocol(r *mux.Router, registry *clients.Registry, flows *flow.Keeper, pages *templates.Set, credentials *standings) error {
	issuer := b.config.PublicURL.String()
	authenticator := oauth.NewAuthenticator(issuer, registry, b.store, b.now)
	// A request may be pushed by a client that nobody has allowed yet.
	newcomers := func(from string) oauth.Authenticator {
		return authenticator.Knowing(clients.Newcomers{Registry: registry, From: from})
	}
	providerKeys, err := b.providerKeys()
	if err != nil {
		return err
	}
	proofs := oauth.Proofs{Issuer: issuer, Checker: b.proofChecker(), Required: b.config.DPoP == dpop.PolicyRequired}
	authorize := &oauth.Authorize{
		Issuer: b.config.PublicURL.String(), Resources: b.resources, Clients: registry, Flows: flows, Pages: pages,
		Pushed: oauth.Pushed{Ring: b.ring, Once: b.store, Now: b.now}, Proofs: proofs, Trail: b.trail, Log: b.log,
	}
	authorize.Mount(r)
	(&oauth.Push{Authorize: authorize, Clients: newcomers, Log: b.log}).Mount(r)
	(&oauth.Token{
		Issuer: issuer, Resources: b.resources, Clients: authenticator, Grants: b.store, Signer: b.signer, Standing: credentials,
		Machines: oauth.NewMachines(b.config.Machines), Adopter: credentials,
		People: &people{
			store: b.store, linker: b.linker, sources: b.config.Sources, grace: b.config.OutageGrace, now: b.now,
		},
		Providers: b.config.Providers, ProviderKeys: providerKeys, Replays: b.store, Proofs: proofs,
		Refresh: token.DefaultRefreshPolicy().Decide,
		Life: oauth.Lifetimes{
			AccessToken: b.config.AccessLifetime, RefreshIdle: b.config.RefreshIdle, RefreshAbsolute: b.config.RefreshMax,
			ClientUnused: clients.UnusedAfter,
		},
		Trail: b.trail, Log: b.log, Now: b.now, Ended: b.custodian.Wake,
	}).Mount(r)
	(&oauth.Revoke{
		Clients: authenticator, Grants: b.store, Signer: b.signer, Trail: b.trail, Log: b.log, Now: b.now,
		Ended: b.custodian.Wake,
	}).Mount(r)
	if len(b.config.ResourceServers) > 0 {
		(&oauth.Introspect{
			Issuer: b.config.PublicURL.String(), Servers: b.config.ResourceServers, Signer: b.signer, Grants: b.store,
			Log: b.log, Now: b.now,
		}).Mount(r)
	}
	if b.config.Registration {
		(&oauth.Register{
			Clients: registry, Proofs: proofs, Initial: b.config.RegistrationToken, Limit: oauth.NewRegistrations(b.now), Trail: b.trail, Log: b.log,
		}).Mount(r)
	}
	return nil
}

// mountPages adds the pages that belong to no flow, and the answers for what does not exist.
func (b *Bridge) mountPages(r *mux.Router, pages *templates.Set) {
	page := func(content any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { pages.Write(w, http.StatusOK, content) }
	}
	get := []string{http.MethodGet, http.MethodHead}
	r.HandleFunc("/", page(templates.HomePage{Ways: b.ways(), Connector: b.Connector()})).Methods(get...)
	r.HandleFunc("/help/connect", page(templates.HelpPage{Ways: b.ways(), Connector: b.Connector()})).Methods(get...)
	r.HandleFunc("/privacy", page(templates.PrivacyPage{
		IdleDays: wholeDays(b.config.RefreshIdle), MaxDays: wholeDays(b.config.RefreshMax), AuditDays: auditDays,
		Sources: len(b.config.Sources) > 0,
	})).Methods(get...)
	static.Mount(r)
	missing := func(status int, key, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/oauth/") {
				pages.Write(w, status, templates.ProblemPage{Status: status, Key: key, Reference: audit.RequestID(r.Context())})
				return
			}
			refuse(w, status, text)
		}
	}
	r.NotFoundHandler = missing(http.StatusNotFound, "not-found", "There is nothing at this path")
	r.MethodNotAllowedHandler = missing(http.StatusMethodNotAllowed, "method", "The method does not exist here")
}

// crossOrigin opens exactly the routes that browser-based clients need: documents and direct
// endpoints. Pages never get these headers (AS-044).
func (b *Bridge) crossOrigin(next http.Handler) http.Handler {
	open := openCORS(next, b.config.DPoP != dpop.PolicyOff)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, "/.well-known/"),
			path == discovery.PathToken, path == discovery.PathPush, path == discovery.PathRegister, path == discovery.PathRevoke, path == discovery.PathKeys,
			path == "/token", path == "/register":
			open.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// wholeDays rounds up, as the consent page does.
func wholeDays(d time.Duration) int { return int((d + 24*time.Hour - 1) / (24 * time.Hour)) }
