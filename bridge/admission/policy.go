package admission

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Policy are the rules of one identity source.
type Policy struct {
	Verified string // the claim that vouches for the e-mail address
	Groups   Path   // where the groups stand
	Rules    []Rule
	Acting   []Acting // what else people may act as, once a rule has let them in
}

// Rule lets people in for whom all of its conditions hold, and one of the values of each.
type Rule struct {
	Name      string
	Anyone    bool // no condition: whoever the provider signs in
	Domains   []string
	Addresses []string
	Groups    []string
	Claims    []Requirement
	Ceiling   bridge.Scopes // the most that people it lets in can allow
	Profiles  []string      // the profiles they may use; empty means all
}

// Requirement is a claim and the values of which it must have one.
type Requirement struct {
	Claim  Path
	Values []string
}

// Verdict is what a policy says of a person.
type Verdict struct {
	Admitted bool
	Rule     *Rule  // the rule that let the person in
	Why      string // why it held, or why nobody is let in
	Tried    []Try  // every rule that was looked at, in order
	ActAs    []bridge.ActingAs
}

// Try is one rule that was looked at.
type Try struct {
	Rule string `json:"rule"`
	Held bool   `json:"held"`
	Why  string `json:"why"`
}

// Decide tries the rules. The verdict tells rule names, claim names and what the rules ask for,
// never what else the claims hold.
func (p *Policy) Decide(claims Claims) Verdict {
	seen := person{claims: claims, email: claims.Email(p.Verified)}
	_, seen.domain, _ = strings.Cut(seen.email, "@")
	seen.groups, seen.groupsWhole = claims.groups(p.Groups)
	v := Verdict{Why: "no rule holds"}
	for i := range p.Rules {
		rule := &p.Rules[i]
		held, sure, why := p.judge(rule, &seen)
		v.Tried = append(v.Tried, Try{Rule: rule.Name, Held: held && sure, Why: why})
		switch {
		case !sure:
			v.Why = fmt.Sprintf("rule %q looks at groups, and they did not come whole", rule.Name)
			return v
		case held:
			v.Admitted, v.Rule, v.Why, v.ActAs = true, rule, why, p.actAs(&seen)
			return v
		}
	}
	return v
}

// Admission is the verdict as it is stored; the zero value, which admits nobody, for a refusal.
func (v *Verdict) Admission(now time.Time) bridge.Admission {
	if !v.Admitted {
		return bridge.Admission{CheckedAt: now}
	}
	return bridge.Admission{
		Rule: v.Rule.Name, Ceiling: v.Rule.Ceiling, Profiles: v.Rule.Profiles, ActAs: v.ActAs, CheckedAt: now,
	}
}

// person is what the rules look at.
type person struct {
	claims        Claims
	email, domain string
	groups        []string
	groupsWhole   bool
}

// judge reports whether a rule holds and whether that can be known.
func (p *Policy) judge(rule *Rule, who *person) (held, sure bool, why string) {
	if rule.Anyone {
		return true, true, "it lets in anyone the provider signs in"
	}
	var because []string
	if len(rule.Domains)+len(rule.Addresses) > 0 {
		ok, reason := p.judgeEmail(rule, who)
		if !ok {
			return false, true, reason
		}
		because = append(because, reason)
	}
	for _, required := range rule.Claims {
		if !who.claims.holds(required.Claim, required.Values) {
			return false, true, fmt.Sprintf("the claim %s is none of: %s", required.Claim, strings.Join(required.Values, ", "))
		}
		because = append(because, fmt.Sprintf("the claim %s fits", required.Claim))
	}
	if len(rule.Groups) > 0 { // last: what else fails needs no groups to fail
		if !who.groupsWhole {
			return false, false, fmt.Sprintf("the groups in the claim %s did not come whole", p.Groups)
		}
		at := slices.IndexFunc(rule.Groups, func(g string) bool { return slices.Contains(who.groups, g) })
		if at < 0 {
			return false, true, "in none of the groups: " + strings.Join(rule.Groups, ", ")
		}
		because = append(because, "in the group "+rule.Groups[at])
	}
	if len(because) == 0 {
		return false, true, "it has no condition"
	}
	return true, true, strings.Join(because, "; ")
}

func (p *Policy) judgeEmail(rule *Rule, who *person) (bool, string) {
	switch {
	case who.email == "":
		return false, fmt.Sprintf("no e-mail address that the provider vouches for with %s: true", p.Verified)
	case slices.Contains(rule.Addresses, who.email):
		return true, "the e-mail address is listed"
	case slices.Contains(rule.Domains, who.domain):
		return true, "the e-mail address is of " + who.domain
	}
	return false, "the e-mail address is none of those named: " + strings.Join(slices.Concat(rule.Addresses, rule.Domains), ", ")
}
