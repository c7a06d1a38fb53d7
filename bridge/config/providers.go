package config

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
)

// ProviderDeclaration is an identity provider in the configuration file whose identity assertions
// (ID-JAG) are taken.
type ProviderDeclaration struct {
	Issuer      string   `yaml:"issuer"`
	JWKS        any      `yaml:"jwks"`
	JWKSURI     string   `yaml:"jwks_uri"`
	Algorithms  []string `yaml:"algorithms"`   // all that are served when left out
	TenantClaim string   `yaml:"tenant_claim"` // with tenant: one tenant of a provider with several
	Tenant      string   `yaml:"tenant"`
	Clients     []string `yaml:"clients"` // ids of those that may bring its assertions
	Scope       string   `yaml:"scope"`   // the most that is given for them
	People      []struct {
		Subject        string `yaml:"subject"`
		TrinityKeyFile string `yaml:"trinity_key_file"`
	} `yaml:"people"`
}

func checkProviders(declared []ProviderDeclaration, m *Mistakes) []clients.Provider {
	var all []clients.Provider
	for i, d := range declared {
		provider := checkProvider(d, i+1, m)
		if slices.ContainsFunc(all, func(p clients.Provider) bool { return overlap(p, provider) }) {
			m.add("trusted_idps: %q stands twice and the tenants do not tell which is meant", d.Issuer)
		}
		all = append(all, provider)
	}
	return all
}

// overlap reports whether one assertion could be taken for both.
func overlap(a, b clients.Provider) bool {
	return a.Issuer == b.Issuer && (a.TenantClaim != b.TenantClaim || a.Tenant == b.Tenant)
}

func checkProvider(d ProviderDeclaration, n int, m *Mistakes) clients.Provider {
	p := clients.Provider{
		Issuer: d.Issuer, TenantClaim: d.TenantClaim, Tenant: d.Tenant, Algorithms: d.Algorithms, Clients: d.Clients,
		Keys: bridge.Client{ID: d.Issuer, Kind: bridge.ClientConfigured},
	}
	if clients.CheckKeysURI(d.Issuer) != nil {
		m.add("trusted_idps: entry %d needs an issuer such as https://login.example.com", n)
	}
	if (d.TenantClaim == "") != (d.Tenant == "") {
		m.add("trusted_idps: %q: tenant_claim and tenant belong together", d.Issuer)
	}
	if len(d.Algorithms) == 0 {
		p.Algorithms = bridge.AssertionAlgorithms()
	}
	for _, algorithm := range d.Algorithms {
		if !slices.Contains(bridge.AssertionAlgorithms(), algorithm) {
			m.add("trusted_idps: %q: the algorithm %q is not served", d.Issuer, algorithm)
		}
	}
	var unknown int
	if p.Scopes, unknown = bridge.ParseScopes(d.Scope); unknown > 0 || len(p.Scopes) == 0 {
		m.add("trusted_idps: %q needs a scope of known words: the most that is given", d.Issuer)
	}
	if len(d.Clients) == 0 {
		m.add("trusted_idps: %q needs clients: the ids of those that may bring its assertions", d.Issuer)
	}
	var jwks []byte
	if d.JWKS != nil {
		var err error
		if jwks, err = json.Marshal(d.JWKS); err != nil {
			m.add("trusted_idps: %q: jwks: %v", d.Issuer, err)
		}
	}
	if err := clients.SetKeys(&p.Keys, jwks, d.JWKSURI); err != nil {
		m.add("trusted_idps: %q: %v", d.Issuer, err)
	}
	for _, person := range d.People {
		whose := fmt.Sprintf("trusted_idps: %q: person %q", d.Issuer, person.Subject)
		if person.Subject == "" || person.TrinityKeyFile == "" {
			m.add("%s: needs subject and trinity_key_file", whose)
			continue
		}
		if slices.ContainsFunc(p.People, func(l clients.LinkedPerson) bool { return l.Subject == person.Subject }) {
			m.add("%s: stands twice", whose)
		}
		p.People = append(p.People, clients.LinkedPerson{Subject: person.Subject, Key: keyIn(person.TrinityKeyFile, whose, m)})
	}
	return p
}
