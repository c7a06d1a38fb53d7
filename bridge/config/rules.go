package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// words is one text or a list of them.
type words []string

// UnmarshalYAML reads either form. Numbers and booleans are taken as they are written.
func (w *words) UnmarshalYAML(node *yaml.Node) error {
	nodes := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		nodes = node.Content
	}
	*w = words{}
	for _, one := range nodes {
		if one.Kind != yaml.ScalarNode || one.Value == "" {
			return fmt.Errorf("line %d: is neither a text nor a list of texts", one.Line)
		}
		*w = append(*w, one.Value)
	}
	return nil
}

func policy(d SourceDeclaration, whose string, m *Mistakes) admission.Policy {
	p := admission.Policy{Verified: or(d.VerifiedClaim, "email_verified"), Groups: admission.ParsePath(or(d.GroupsClaim, "groups"))}
	if len(d.Admit) == 0 {
		m.add("%s: needs admit: without a rule nobody comes in", whose)
	}
	for i, r := range d.Admit {
		if r.Rule == "" {
			m.add("%s: admit: rule %d needs a name (rule: …)", whose, i+1)
		}
		if slices.ContainsFunc(p.Rules, func(other admission.Rule) bool { return other.Name == r.Rule }) {
			m.add("%s: admit: the rule %q stands twice", whose, r.Rule)
		}
		if slices.ContainsFunc(p.Rules, func(other admission.Rule) bool { return other.Anyone }) {
			m.add("%s: admit: the rule %q comes after one that lets in anyone and is never reached", whose, r.Rule)
		}
		p.Rules = append(p.Rules, rule(r, fmt.Sprintf("%s: admit: rule %q", whose, r.Rule), m))
	}
	return p
}

func rule(d RuleDeclaration, whose string, m *Mistakes) admission.Rule {
	r := admission.Rule{
		Name: d.Rule, Anyone: d.Anyone, Domains: domains(d.Domains, whose+": domains", m), Groups: d.Groups, Profiles: d.Profiles,
	}
	r.Addresses = addresses(d.Addresses, whose, m)
	r.Claims = requirements(d.Claims)
	conditions := len(d.Domains) + len(d.Addresses) + len(d.Groups) + len(d.Claims)
	if d.Anyone == (conditions > 0) {
		m.add("%s: needs either conditions (domains, addresses, groups, claims) or anyone: true", whose)
	}
	scopes, unknown := bridge.ParseScopes(d.Scope)
	if unknown > 0 || len(scopes) == 0 {
		m.add("%s: needs a scope of known words: the most that people it lets in can allow", whose)
	}
	for _, scope := range bridge.AllScopes() { // a scope contains those before it
		if scopes.Allows(scope) {
			r.Ceiling = append(r.Ceiling, scope)
		}
	}
	return r
}

// checkProfiles refuses rules that name a profile there is not.
func checkProfiles(sources []Source, catalogue *tools.Catalogue, m *Mistakes) {
	if catalogue == nil {
		return // it has mistakes of its own
	}
	for _, source := range sources {
		for _, r := range source.Policy.Rules {
			for _, name := range r.Profiles {
				if _, known := catalogue.Profile(name); !known && name != bridge.ProfileDefault {
					m.add("identity_sources: %s: admit: rule %q: there is no profile %q", source.Name, r.Name, name)
				}
			}
		}
	}
}

func addresses(declared words, whose string, m *Mistakes) []string {
	var all []string
	for _, address := range declared {
		if strings.Count(address, "@") != 1 || strings.ContainsAny(address, " *,") {
			m.add("%s: addresses: %q is no e-mail address", whose, address)
		}
		all = append(all, strings.ToLower(address))
	}
	return all
}

func requirements(declared map[string]words) []admission.Requirement {
	var all []admission.Requirement
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		all = append(all, admission.Requirement{Claim: admission.ParsePath(name), Values: declared[name]})
	}
	return all
}

func domains(declared words, whose string, m *Mistakes) []string {
	var all []string
	for _, domain := range declared {
		if domain != strings.ToLower(domain) || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "@ */") {
			m.add("%s: %q is not a domain such as example.com", whose, domain)
		}
		all = append(all, domain)
	}
	return all
}

// NamedPolicy are the rules of an identity source.
type NamedPolicy struct {
	Source string
	Policy admission.Policy
}

// Policies reads the rules of the identity sources in a configuration file, and nothing else of it:
// they can be tried without a bridge.
func Policies(file string) ([]NamedPolicy, error) {
	var mistakes Mistakes
	flags := Flags{Config: file}
	declared := fromFile(&flags, &mistakes)
	all := make([]NamedPolicy, len(declared.sources))
	policies := map[string]*admission.Policy{bridge.SourceTrinity: {}}
	for i, d := range declared.sources {
		whose := "identity_sources: " + d.Name
		all[i] = NamedPolicy{Source: d.Name, Policy: policy(preset(d, whose, &mistakes), whose, &mistakes)}
		policies[d.Name] = &all[i].Policy
	}
	lend(declared.principals, policies, &mistakes)
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return all, nil
}
