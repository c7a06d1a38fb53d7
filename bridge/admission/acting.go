package admission

import (
	"slices"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Acting is a principal besides themselves that some people of a source may act as.
type Acting struct {
	As       bridge.ActingAs
	Subjects []string // the source's own ids of people; empty means that the conditions alone decide
	Rule     Rule     // its conditions; a ceiling is none
}

// actAs lists what a person who was let in may act as besides themselves. What cannot be known is
// not allowed.
func (p *Policy) actAs(who *person) []bridge.ActingAs {
	var all []bridge.ActingAs
	for i := range p.Acting {
		acting := &p.Acting[i]
		if slices.Contains(all, acting.As) {
			continue
		}
		named := slices.Contains(acting.Subjects, who.claims.Text("sub"))
		if len(acting.Subjects) > 0 && !named {
			continue
		}
		held, sure := named, true
		if acting.Rule.conditions() {
			held, sure, _ = p.judge(&acting.Rule, who)
		}
		if held && sure {
			all = append(all, acting.As)
		}
	}
	return all
}

func (r *Rule) conditions() bool {
	return r.Anyone || len(r.Domains)+len(r.Addresses)+len(r.Groups)+len(r.Claims) > 0
}
