package config

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Source is a checked identity source: an OpenID provider of a company, and who of it may come in.
type Source struct {
	Name, Label string
	Issuer      string   // with {tenantid} where there are several tenants
	Tenants     []string // whose people may come, where there are several
	Origins     []string // that belong to the provider besides the issuer's
	ClientID    string
	Auth        string // client_secret_basic, client_secret_post or private_key_jwt
	Secret      secret.Token
	Key         crypto.Signer
	KeyID       string
	Scopes      []string // besides openid
	Algorithms  []string
	Audiences   []string
	Userinfo    bool
	Parameters  url.Values
	ACR, AMR    []string      // how people have to have signed in there: one of each
	MaxAge      time.Duration // and so long ago at most; 0 is any time
	Domains     []string
	KeepSession bool // signing out here leaves the session there alone
	ByCode      bool // a person may prove their Trinity account by its e-mail code
	ByKey       bool // or with a key of theirs
	Policy      admission.Policy
}

// SourceDeclaration is an identity source in the configuration file.
type SourceDeclaration struct {
	Name               string            `yaml:"name"`   // in addresses: /signin/NAME/callback
	Label              string            `yaml:"label"`  // on buttons; the name when left out
	Preset             string            `yaml:"preset"` // what is particular to a product
	Issuer             string            `yaml:"issuer"`
	Tenants            words             `yaml:"tenants"`
	ClientID           string            `yaml:"client_id"`
	ClientSecretFile   string            `yaml:"client_secret_file"`
	ClientSecretMethod string            `yaml:"client_secret_method"` // basic (default) or post
	ClientKeyFile      string            `yaml:"client_key_file"`      // for private_key_jwt
	ClientKeyID        string            `yaml:"client_key_id"`
	Scopes             words             `yaml:"scopes"`
	Algorithms         words             `yaml:"algorithms"`
	Audiences          words             `yaml:"audiences"`
	EndpointOrigins    words             `yaml:"endpoint_origins"`
	Parameters         map[string]string `yaml:"parameters"`
	Userinfo           *bool             `yaml:"userinfo"`
	ACR                words             `yaml:"acr"`
	AMR                words             `yaml:"amr"`
	MaxAge             string            `yaml:"max_age"`
	VerifiedClaim      string            `yaml:"verified_claim"` // email_verified when left out
	GroupsClaim        string            `yaml:"groups_claim"`   // groups when left out
	Domains            words             `yaml:"domains"`
	SignOut            string            `yaml:"sign_out"` // there (default) or here
	Link               *words            `yaml:"link"`     // code, key, both or none; code when left out
	Admit              []RuleDeclaration `yaml:"admit"`
}

// RuleDeclaration is one rule of an identity source.
type RuleDeclaration struct {
	Rule      string           `yaml:"rule"`
	Anyone    bool             `yaml:"anyone"`
	Domains   words            `yaml:"domains"`
	Addresses words            `yaml:"addresses"`
	Groups    words            `yaml:"groups"`
	Claims    map[string]words `yaml:"claims"`
	Scope     string           `yaml:"scope"`
	Profiles  words            `yaml:"profiles"`
}

var sourceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// taken are names whose addresses the sign-in itself has.
func taken() []string {
	return []string{"code", "choose", "leave", "link", "second-factor", bridge.SourceTrinity, bridge.SourceClient}
}

func checkSources(declared []SourceDeclaration, emailCode bool, m *Mistakes) []Source {
	var all []Source
	for i, d := range declared {
		if !sourceName.MatchString(d.Name) || slices.Contains(taken(), d.Name) {
			m.add("identity_sources: entry %d needs a name of small letters, digits and hyphens that is none of %s", i+1, strings.Join(taken(), ", "))
			continue
		}
		source := checkSource(d, m)
		for _, other := range all {
			switch {
			case other.Name == source.Name:
				m.add("identity_sources: %q stands twice", d.Name)
			case other.Issuer == source.Issuer && slices.Equal(other.Tenants, source.Tenants):
				m.add("identity_sources: %q and %q are the same provider: its people would be let in by either's rules", other.Name, d.Name)
			}
			for _, domain := range source.Domains {
				if slices.Contains(other.Domains, domain) {
					m.add("identity_sources: the domain %s is bound to both %q and %q", domain, other.Name, d.Name)
				}
			}
		}
		all = append(all, source)
	}
	if len(all) == 0 && !emailCode {
		m.add("--email-code: off leaves no way to sign in: name identity_sources first")
	}
	return all
}

func checkSource(d SourceDeclaration, m *Mistakes) Source {
	whose := "identity_sources: " + d.Name
	d = preset(d, whose, m)
	s := Source{
		Name: d.Name, Label: or(d.Label, d.Name), Issuer: d.Issuer, Tenants: d.Tenants, ClientID: d.ClientID, KeyID: d.ClientKeyID,
		Scopes: d.Scopes, Algorithms: d.Algorithms, Audiences: d.Audiences, Userinfo: d.Userinfo == nil || *d.Userinfo,
		Parameters: url.Values{}, ByCode: true,
	}
	checkIssuer(&s, whose, m)
	if d.ClientID == "" {
		m.add("%s: needs the client_id that the provider gave the bridge", whose)
	}
	proof(&s, d, whose, m)
	for name, value := range d.Parameters {
		if slices.Contains([]string{
			"acr_values", "max_age",
			"client_id", "redirect_uri", "response_type", "response_mode", "state", "nonce", "scope", "code_challenge", "code_challenge_method", "login_hint",
		}, name) {
			m.add("%s: parameters: %s is the bridge's own", whose, name)
		}
		s.Parameters.Set(name, value)
	}
	for _, algorithm := range s.Algorithms {
		if !slices.Contains([]string{"RS256", "ES256", "EdDSA"}, algorithm) {
			m.add("%s: algorithms: %q is none of RS256, ES256 and EdDSA", whose, algorithm)
		}
	}
	for _, text := range d.EndpointOrigins {
		u, err := url.Parse(text)
		if err != nil || outbound.Origin(u) != text || u.Scheme == "http" && !loopback(u.Hostname()) {
			m.add("%s: endpoint_origins: %q is not an origin such as https://keys.example.com", whose, text)
		}
		s.Origins = append(s.Origins, text)
	}
	s.ACR, s.AMR = d.ACR, d.AMR
	if d.MaxAge != "" {
		s.MaxAge = duration(whose+": max_age", d.MaxAge, 0, time.Minute, 30*24*time.Hour, m)
	}
	s.Domains = domains(d.Domains, whose+": domains", m)
	switch d.SignOut {
	case "", "there":
	case "here":
		s.KeepSession = true
	default:
		m.add("%s: sign_out: %q is neither there nor here", whose, d.SignOut)
	}
	if d.Link != nil {
		s.ByCode = slices.Contains(*d.Link, "code")
		s.ByKey = slices.Contains(*d.Link, "key")
		for _, way := range *d.Link {
			if way != "code" && way != "key" && way != "none" {
				m.add("%s: link: %q is none of code, key and none", whose, way)
			}
		}
	}
	s.Policy = policy(d, whose, m)
	return s
}

// checkIssuer checks the issuer, which is compared byte by byte with what the provider says.
func checkIssuer(s *Source, whose string, m *Mistakes) {
	several := strings.Contains(s.Issuer, bridge.TenantMark)
	u, err := url.Parse(strings.ReplaceAll(s.Issuer, bridge.TenantMark, "tenant"))
	switch {
	case err != nil || outbound.Origin(u) == "" || u.RawQuery != "" || u.Fragment != "":
		m.add("%s: needs an issuer such as https://login.example.com, byte for byte as the provider writes it", whose)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		m.add("%s: the issuer has to be https", whose)
	case several != (len(s.Tenants) > 0):
		m.add("%s: an issuer with %s and tenants belong together: the ids of those whose people may come", whose, bridge.TenantMark)
	}
	for _, tenant := range []string{"/common/", "/organizations/", "/consumers/"} {
		if strings.Contains(s.Issuer+"/", tenant) && !several {
			m.add("%s: the issuer is everybody's: write %s in the place of %q and list tenants", whose, bridge.TenantMark, strings.Trim(tenant, "/")) // FB-11
		}
	}
}

// proof is how the bridge proves to the provider that it is its client.
func proof(s *Source, d SourceDeclaration, whose string, m *Mistakes) {
	switch {
	case (d.ClientSecretFile == "") == (d.ClientKeyFile == ""):
		m.add("%s: needs either client_secret_file or client_key_file", whose)
	case d.ClientKeyFile != "":
		s.Auth = "private_key_jwt"
		s.Key = signerIn(d.ClientKeyFile, whose, m)
	default:
		text, err := os.ReadFile(d.ClientSecretFile)
		if err != nil {
			m.add("%s: client_secret_file: %v", whose, err)
		} else if strings.TrimSpace(string(text)) == "" {
			m.add("%s: %s is empty", whose, d.ClientSecretFile)
		}
		s.Secret = secret.New(strings.TrimSpace(string(text)))
		s.Auth = "client_secret_basic"
	}
	switch d.ClientSecretMethod {
	case "", "basic":
	case "post":
		s.Auth = "client_secret_post"
	default:
		m.add("%s: client_secret_method: %q is neither basic nor post", whose, d.ClientSecretMethod)
	}
}

// signerIn reads a private key: PKCS #8 in PEM, of P-256, Ed25519 or RSA.
func signerIn(path, whose string, m *Mistakes) crypto.Signer {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		m.add("%s: client_key_file: %v", whose, err)
		return nil
	}
	block, _ := pem.Decode(text)
	if block == nil {
		m.add("%s: %s is no PEM file", whose, path)
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		m.add("%s: %s holds no private key in PKCS #8", whose, path)
		return nil
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() >= 2048 {
			return k
		}
	case ed25519.PrivateKey:
		return k
	case *ecdsa.PrivateKey:
		if k.Curve.Params().BitSize == 256 {
			return k
		}
	}
	m.add("%s: %s is a key of a kind that is not served: P-256, Ed25519, or RSA of 2048 bits", whose, path)
	return nil
}
