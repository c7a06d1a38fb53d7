package config

import (
	"fmt"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// PrincipalDeclaration is an agent, or the platform, that some people may act as.
type PrincipalDeclaration struct {
	ActAs          string                `yaml:"act_as"` // agent or system
	Agent          string                `yaml:"agent"`  // the agent's name
	TrinityKeyFile string                `yaml:"trinity_key_file"`
	Who            []AudienceDeclaration `yaml:"who"`
}

// AudienceDeclaration are some people of one identity source: those for whom all that it names holds.
type AudienceDeclaration struct {
	Source    string           `yaml:"source"` // the name of an identity source, or trinity
	Subjects  words            `yaml:"subjects"`
	Domains   words            `yaml:"domains"`
	Addresses words            `yaml:"addresses"`
	Groups    words            `yaml:"groups"`
	Claims    map[string]words `yaml:"claims"`
}

// Principals are what people may act as besides themselves, and who of those that sign in by
// Trinity's e-mail code; who of a provider's people stands in the policy of their source.
type Principals struct {
	Keys   map[bridge.ActingAs]secret.Token
	ByCode admission.Policy
}

// checkPrincipals reads the keys of the principals and tells each source who of its people may act
// as which.
func checkPrincipals(declared []PrincipalDeclaration, sources []Source, m *Mistakes) Principals {
	all := Principals{
		Keys: map[bridge.ActingAs]secret.Token{},
		ByCode: admission.Policy{
			Verified: "email_verified", Groups: admission.ParsePath("groups"),
			Rules: []admission.Rule{{Name: "signed in by code", Anyone: true}},
		},
	}
	policies := map[string]*admission.Policy{bridge.SourceTrinity: &all.ByCode}
	for i := range sources {
		policies[sources[i].Name] = &sources[i].Policy
	}
	lend(declared, policies, m)
	for _, d := range declared {
		as := d.principal()
		whose := "principals: " + as.String()
		if _, twice := all.Keys[as]; twice {
			m.add("%s: stands twice", whose)
		}
		if d.TrinityKeyFile == "" {
			m.add("%s: needs a trinity_key_file", whose)
			continue
		}
		all.Keys[as] = keyIn(d.TrinityKeyFile, whose, m)
	}
	return all
}

func (d *PrincipalDeclaration) principal() bridge.ActingAs {
	return bridge.ActingAs{Kind: bridge.ActingKind(d.ActAs), Agent: d.Agent}
}

// lend tells each policy who of its people may act as which principal.
func lend(declared []PrincipalDeclaration, policies map[string]*admission.Policy, m *Mistakes) {
	for i, d := range declared {
		as := d.principal()
		whose := fmt.Sprintf("principals: entry %d", i+1)
		switch {
		case as.Kind != bridge.ActAsAgent && as.Kind != bridge.ActAsSystem:
			m.add("%s: act_as is agent or system", whose)
			continue
		case (as.Kind == bridge.ActAsAgent) != (as.Agent != ""), strings.TrimSpace(as.Agent) != as.Agent, len(as.Agent) > maxAgentName:
			m.add("%s: an agent needs its name in agent, the system none", whose)
			continue
		}
		whose = "principals: " + as.String()
		if len(d.Who) == 0 {
			m.add("%s: needs who: the people that may act so", whose)
		}
		for _, who := range d.Who {
			policy := policies[who.Source]
			if policy == nil {
				m.add("%s: who: source %q is neither trinity nor one of identity_sources", whose, who.Source)
				continue
			}
			policy.Acting = append(policy.Acting, audience(as, who, whose, m))
		}
	}
}

const maxAgentName = 128

func audience(as bridge.ActingAs, d AudienceDeclaration, whose string, m *Mistakes) admission.Acting {
	whose += ": who"
	acting := admission.Acting{As: as, Subjects: d.Subjects, Rule: admission.Rule{
		Domains: domains(d.Domains, whose+": domains", m), Addresses: addresses(d.Addresses, whose, m), Groups: d.Groups,
		Claims: requirements(d.Claims),
	}}
	if len(d.Subjects)+len(d.Domains)+len(d.Addresses)+len(d.Groups)+len(d.Claims) == 0 {
		m.add("%s: needs subjects, addresses, domains, groups or claims: nobody is everybody", whose)
	}
	if d.Source == bridge.SourceTrinity && len(d.Groups)+len(d.Claims) > 0 {
		m.add("%s: Trinity's people have no groups and no claims", whose)
	}
	return acting
}
