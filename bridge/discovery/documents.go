package discovery

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// The well-known paths (RFC 8414 §3, RFC 9728 §3.1) and the endpoints the metadata names.
const (
	pathResource  = "/.well-known/oauth-protected-resource"
	pathServer    = "/.well-known/oauth-authorization-server"
	pathWellKnown = "/.well-known/"

	PathAuthorize = "/oauth/authorize"
	PathToken     = "/oauth/token"
	PathRegister  = "/oauth/register"
	PathRevoke    = "/oauth/revoke"
	PathKeys      = "/oauth/jwks"
	PathPush      = "/oauth/par"
	// PathIntrospect is there only where resource servers are configured.
	PathIntrospect = "/oauth/introspect"
	PathMCP        = "/mcp"
)

// The extensions of MCP that a deployment may serve: how clients get tokens without a person at hand. DPoP
// is none of them, for its extension is a draft.
const (
	ExtensionManaged  = "io.modelcontextprotocol/enterprise-managed-authorization" // Settings.Assertions
	ExtensionMachines = "io.modelcontextprotocol/oauth-client-credentials"         // Settings.Machines
)

// Settings are what the documents are made of.
type Settings struct {
	Issuer          string // the public origin
	Resources       bridge.Resources
	ResourceName    string
	HelpURL         string
	PrivacyURL      string
	Registration    bool     // dynamic registration is on
	ClientDocuments bool     // ids that are URLs are taken
	Introspection   bool     // resource servers are configured
	Machines        bool     // clients are configured that act for themselves
	Assertions      bool     // identity providers are trusted
	ProofAlgorithms []string // of DPoP proofs; none: DPoP is off
	ProofsRequired  bool     // no token is taken without a proof
	JWKS            func() []byte
}

// Documents serves the well-known tree and the key set. The documents are made once: a request
// costs no store read and cannot vary them, whatever Host or version header it carries.
type Documents struct {
	resources map[string][]byte // by path
	root      []byte            // the default resource's
	server    []byte
	jwks      func() []byte
}

type resourceMetadata struct {
	Resource               string   `json:"resource"`
	AuthorizationServers   []string `json:"authorization_servers"`
	ScopesSupported        []string `json:"scopes_supported"`
	BearerMethodsSupported []string `json:"bearer_methods_supported"`
	ResourceName           string   `json:"resource_name,omitempty"`
	ResourceDocumentation  string   `json:"resource_documentation,omitempty"`
	ResourcePolicyURI      string   `json:"resource_policy_uri,omitempty"`
	ProofAlgorithms        []string `json:"dpop_signing_alg_values_supported,omitempty"`
	ProofsRequired         bool     `json:"dpop_bound_access_tokens_required,omitempty"`
}

type serverMetadata struct {
	Issuer                  string   `json:"issuer"`
	AuthorizationEndpoint   string   `json:"authorization_endpoint"`
	TokenEndpoint           string   `json:"token_endpoint"`
	PushEndpoint            string   `json:"pushed_authorization_request_endpoint"`
	RegistrationEndpoint    string   `json:"registration_endpoint,omitempty"`
	RevocationEndpoint      string   `json:"revocation_endpoint"`
	IntrospectionEndpoint   string   `json:"introspection_endpoint,omitempty"`
	IntrospectionMethods    []string `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	JWKSURI                 string   `json:"jwks_uri"`
	ScopesSupported         []string `json:"scopes_supported"`
	ResponseTypesSupported  []string `json:"response_types_supported"`
	ResponseModesSupported  []string `json:"response_modes_supported"`
	GrantTypesSupported     []string `json:"grant_types_supported"`
	GrantProfiles           []string `json:"authorization_grant_profiles_supported,omitempty"`
	TokenAuthMethods        []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuthMethods   []string `json:"revocation_endpoint_auth_methods_supported"`
	AssertionAlgorithms     []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationAlgorithms    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	ProofAlgorithms         []string `json:"dpop_signing_alg_values_supported,omitempty"`
	ClientDocuments         bool     `json:"client_id_metadata_document_supported,omitempty"`
	CodeChallengeMethods    []string `json:"code_challenge_methods_supported"`
	IssParameterSupported   bool     `json:"authorization_response_iss_parameter_supported"`
	ProtectedResources      []string `json:"protected_resources"`
	ServiceDocumentation    string   `json:"service_documentation,omitempty"`
	OPPolicyURI             string   `json:"op_policy_uri,omitempty"`
	UILocalesSupported      []string `json:"ui_locales_supported"`
	RequestParameterSupport bool     `json:"request_parameter_supported"`
	RequestURISupport       bool     `json:"request_uri_parameter_supported"`
}

// Resources are the endpoints of a deployment, one for each profile, the default one first.
func Resources(issuer string, profiles []tools.Profile) bridge.Resources {
	var all bridge.Resources
	for _, p := range profiles {
		path := PathMCP
		if p.Name != "" {
			path += "/" + p.Name
		}
		all = append(all, bridge.Resource{URL: issuer + path, Path: path, Profile: p.Name, Title: p.Title, Scopes: p.Scopes})
	}
	return all
}

// New makes the documents.
func New(s Settings) (*Documents, error) {
	d := &Documents{resources: map[string][]byte{}, jwks: s.JWKS}
	protected := make([]string, 0, len(s.Resources))
	for _, r := range s.Resources {
		document, err := s.resource(r)
		if err != nil {
			return nil, err
		}
		d.resources[r.Path] = document
		protected = append(protected, r.URL)
	}
	d.root = d.resources[s.Resources.Default().Path]
	var err error
	d.server, err = s.server(protected)
	return d, err
}

// resource is the metadata of one resource (RFC 9728 §2).
func (s *Settings) resource(r bridge.Resource) ([]byte, error) {
	name := s.ResourceName
	switch {
	case r.Title != "":
		name += ": " + r.Title
	case r.Profile != "":
		name += ": " + r.Profile
	}
	document, err := json.Marshal(resourceMetadata{
		Resource: r.URL, AuthorizationServers: []string{s.Issuer},
		ScopesSupported: words(r.Baseline()), BearerMethodsSupported: []string{"header"},
		ResourceName: name, ResourceDocumentation: s.HelpURL, ResourcePolicyURI: s.PrivacyURL,
		ProofAlgorithms: s.ProofAlgorithms, ProofsRequired: s.ProofsRequired,
	})
	if err != nil {
		return nil, fmt.Errorf("making the protected resource metadata: %w", err)
	}
	return document, nil
}

// server is the metadata of the authorization server (RFC 8414 §2).
func (s *Settings) server(protected []string) ([]byte, error) {
	methods := []string{string(bridge.AuthNone), string(bridge.AuthPost), string(bridge.AuthBasic), string(bridge.AuthKey)}
	metadata := serverMetadata{
		Issuer: s.Issuer, AuthorizationEndpoint: s.Issuer + PathAuthorize, TokenEndpoint: s.Issuer + PathToken, PushEndpoint: s.Issuer + PathPush,
		RevocationEndpoint: s.Issuer + PathRevoke, JWKSURI: s.Issuer + PathKeys,
		// One small list everywhere, for clients take whichever they find (B51); admin comes by step-up.
		ScopesSupported:        append(words(bridge.BaselineScopes()), string(bridge.ScopeOfflineAccess)),
		ResponseTypesSupported: []string{"code"}, ResponseModesSupported: []string{"query"},
		GrantTypesSupported: []string{bridge.GrantTypeCode, bridge.GrantTypeRefresh},
		TokenAuthMethods:    methods, RevocationAuthMethods: methods,
		AssertionAlgorithms: bridge.AssertionAlgorithms(), RevocationAlgorithms: bridge.AssertionAlgorithms(),
		ClientDocuments: s.ClientDocuments, ProofAlgorithms: s.ProofAlgorithms,
		CodeChallengeMethods: []string{"S256"}, IssParameterSupported: true,
		ProtectedResources:   protected,
		ServiceDocumentation: s.HelpURL, OPPolicyURI: s.PrivacyURL, UILocalesSupported: []string{"en"},
	}
	if s.Introspection {
		metadata.IntrospectionEndpoint = s.Issuer + PathIntrospect
		metadata.IntrospectionMethods = []string{string(bridge.AuthPost), string(bridge.AuthBasic)} // never none (AS-016)
	}
	if s.Machines {
		metadata.GrantTypesSupported = append(metadata.GrantTypesSupported, bridge.GrantTypeClient)
	}
	if s.Assertions { // whose is nobody's business (EX-01)
		metadata.GrantTypesSupported = append(metadata.GrantTypesSupported, bridge.GrantTypeAssertion)
		metadata.GrantProfiles = []string{"urn:ietf:params:oauth:grant-profile:id-jag"}
	}
	if s.Registration {
		metadata.RegistrationEndpoint = s.Issuer + PathRegister
	}
	server, err := json.Marshal(metadata)
	if err != nil {
		return nil, fmt.Errorf("making the authorization server metadata: %w", err)
	}
	return server, nil
}

// MetadataURL is where the metadata of the resource at path is, for challenges.
func MetadataURL(issuer, path string) string { return issuer + pathResource + path }

// Mount adds the documents, and the JSON 404 for every other well-known path.
func (d *Documents) Mount(r *mux.Router) {
	get := []string{http.MethodGet, http.MethodHead}
	// Clients that find no path-inserted document ask at the root: it stands for what is meant where no
	// resource is named.
	r.HandleFunc(pathResource, serve(func() []byte { return d.root })).Methods(get...)
	for path, document := range d.resources {
		r.HandleFunc(pathResource+path, serve(func() []byte { return document })).Methods(get...)
	}
	r.HandleFunc(pathServer, serve(func() []byte { return d.server })).Methods(get...)
	r.HandleFunc(PathKeys, serve(d.jwks)).Methods(get...)
	r.PathPrefix(pathWellKnown).HandlerFunc(notFound)
}

func serve(document func() []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		header(w, "public, max-age=300")
		_, _ = w.Write(document())
	}
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	header(w, "no-store")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"error":"not_found","error_description":"There is no such document"}`))
}

func header(w http.ResponseWriter, cache string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", cache)
	h.Set("X-Content-Type-Options", "nosniff")
}

func words(scopes bridge.Scopes) []string {
	list := make([]string, len(scopes))
	for i, scope := range scopes {
		list[i] = string(scope)
	}
	return list
}
