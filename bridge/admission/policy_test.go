package admission_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
)

var read, write = bridge.Scopes{bridge.ScopeRead}, bridge.BaselineScopes()

// policy has a rule of each kind.
func policy() *admission.Policy {
	return &admission.Policy{
		Verified: "email_verified", Groups: admission.ParsePath("groups"),
		Rules: []admission.Rule{
			{Name: "auditors", Domains: []string{"example.com"}, Claims: []admission.Requirement{
				{Claim: admission.ParsePath("department"), Values: []string{"audit", "legal"}},
			}, Ceiling: read, Profiles: []string{"listed"}},
			{Name: "contractor", Addresses: []string{"carol@partner.example.com"}, Ceiling: read},
			{Name: "staff", Groups: []string{"staff", "Staff"}, Ceiling: write},
			{Name: "robots", Claims: []admission.Requirement{
				{Claim: admission.ParsePath("robot"), Values: []string{"true"}},
				{Claim: admission.ParsePath("realm_access.roles"), Values: []string{"mcp"}},
				{Claim: admission.ParsePath("https://example.com/team"), Values: []string{"a"}},
			}, Ceiling: read},
		},
	}
}

func TestPolicy_Decide(t *testing.T) {
	t.Parallel()
	many := func(n int, last string) []any {
		groups := make([]any, n)
		for i := range groups {
			groups[i] = fmt.Sprintf("g%d", i)
		}
		groups[n-1] = last
		return groups
	}
	verified := func(email string, more map[string]any) admission.Claims {
		claims := admission.Claims{"email": email, "email_verified": true}
		for name, value := range more {
			claims[name] = value
		}
		return claims
	}
	byName := func(names ...string) map[string]any {
		roles := map[string]any{}
		for _, name := range names {
			roles[name] = map[string]any{"217": "company.example.com"} // the organization that gave it
		}
		return roles
	}
	texts := func(values []any) (all []string) {
		for _, value := range values {
			all = append(all, fmt.Sprint(value))
		}
		return all
	}
	robot := admission.Claims{
		"robot": true, "realm_access": map[string]any{"roles": []any{"x", "mcp"}}, "https://example.com/team": "a",
	}
	without := func(name string) admission.Claims {
		rest := admission.Claims{}
		for n, v := range robot {
			if n != name {
				rest[n] = v
			}
		}
		return rest
	}
	tests := map[string]struct {
		claims admission.Claims
		want   string // the rule, "" for nobody
	}{
		"domain and claim":                    {verified("bob@example.com", map[string]any{"department": "legal"}), "auditors"},
		"domain in capitals, claim in a list": {verified("Bob@EXAMPLE.com", map[string]any{"department": []any{"x", "audit"}}), "auditors"},
		"domain without the claim":            {verified("bob@example.com", nil), ""},
		"another domain that ends the same":   {verified("bob@notexample.com", map[string]any{"department": "legal"}), ""},
		"a domain below":                      {verified("bob@a.example.com", map[string]any{"department": "legal"}), ""},
		"two @":                               {verified("bob@evil.com@example.com", map[string]any{"department": "legal"}), ""},
		"letters that fold":                   {verified("bob@eXample.\u212aom", map[string]any{"department": "legal"}), ""},
		"a listed address":                    {verified("carol@partner.example.com", nil), "contractor"},
		"FB-17/not verified":                  {admission.Claims{"email": "carol@partner.example.com", "email_verified": false}, ""},
		"FB-17/absent":                        {admission.Claims{"email": "carol@partner.example.com"}, ""},
		"FB-17/text":                          {admission.Claims{"email": "carol@partner.example.com", "email_verified": "true"}, ""},
		"FB-17/number":                        {admission.Claims{"email": "carol@partner.example.com", "email_verified": 1.0}, ""},
		"a group":                             {admission.Claims{"groups": []any{"x", "staff"}}, "staff"},
		"one group as a text":                 {admission.Claims{"groups": "staff"}, "staff"},
		"a group in another case":             {admission.Claims{"groups": []any{"STAFF"}}, ""},
		"over 100 groups":                     {admission.Claims{"groups": many(150, "staff")}, "staff"},
		"FB-22/256 groups":                    {admission.Claims{"groups": many(256, "staff")}, "staff"},
		"FB-22/257 groups":                    {admission.Claims{"groups": many(257, "staff")}, ""},
		"FB-22/an overage pointer":            {admission.Claims{"_claim_names": map[string]any{"groups": "src1"}}, ""},
		"FB-22/a pointer of another form":     {admission.Claims{"groups": []any{"staff"}, "_claim_names": "groups"}, ""},
		"FB-22/the short form":                {admission.Claims{"hasgroups": true}, ""},
		"a pointer to something else":         {admission.Claims{"groups": []any{"staff"}, "_claim_names": map[string]any{"address": "src1"}}, "staff"},
		"groups of another form":              {admission.Claims{"groups": map[string]any{"staff": true}}, ""},
		"groups that are an object's names":   {admission.Claims{"groups": byName("x", "staff")}, "staff"},
		"none of the names":                   {admission.Claims{"groups": byName("x")}, ""},
		"an object without names":             {admission.Claims{"groups": map[string]any{}}, ""},
		"a name that says nothing more":       {admission.Claims{"groups": map[string]any{"staff": map[string]any{}}}, ""},
		"a name that may mean no":             {admission.Claims{"groups": map[string]any{"staff": map[string]any{"1": "x"}, "y": false}}, ""},
		"FB-22/257 names":                     {admission.Claims{"groups": byName(texts(many(257, "staff"))...)}, ""},
		"a group that is a number":            {admission.Claims{"groups": []any{"staff", 7.0}}, ""},
		"no groups":                           {admission.Claims{"groups": nil}, ""},
		"nested, boolean and URL claims":      {robot, "robots"},
		"one of them missing":                 {without("robot"), ""},
		"the nested one missing":              {without("realm_access"), ""},
		"the URL one missing":                 {without("https://example.com/team"), ""},
		"I12/no claims":                       {admission.Claims{}, ""},
		"I12/no claims at all":                {nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			verdict := policy().Decide(tt.claims)
			got := verdict.Admission(time.Time{})
			if got.Rule != tt.want || verdict.Admitted != (tt.want != "") || (tt.want == "") != (len(got.Ceiling) == 0) {
				t.Errorf("Decide = %+v (%s), want rule %q", got, verdict.Why, tt.want)
			}
			for _, try := range verdict.Tried {
				if try.Why == "" {
					t.Errorf("nothing is said of rule %q", try.Rule)
				}
			}
		})
	}
}

// The first rule that holds decides; a later one gives nothing more.
func TestPolicy_firstDecides(t *testing.T) {
	t.Parallel()
	verdict := policy().Decide(admission.Claims{
		"email": "bob@example.com", "email_verified": true, "department": "audit", "groups": []any{"staff"},
	})
	now := time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC)
	want := bridge.Admission{Rule: "auditors", Ceiling: read, Profiles: []string{"listed"}, CheckedAt: now}
	if diff := cmp.Diff(want, verdict.Admission(now)); diff != "" {
		t.Errorf("admission (-want +got):\n%s", diff)
	}
	if len(verdict.Tried) != 1 || !strings.Contains(verdict.Why, "example.com") || !strings.Contains(verdict.Why, "department") {
		t.Errorf("why: %q after %+v", verdict.Why, verdict.Tried)
	}
}

// FB-22: groups that did not come whole end the trying: a rule that would have given less cannot be
// passed by having too many groups.
func TestPolicy_overage_FB22(t *testing.T) {
	t.Parallel()
	p := &admission.Policy{Groups: admission.ParsePath("groups"), Rules: []admission.Rule{
		{Name: "visitors", Groups: []string{"visitors"}, Ceiling: read},
		{Name: "all", Anyone: true, Ceiling: bridge.AllScopes()},
	}}
	if v := p.Decide(admission.Claims{"_claim_names": map[string]any{"groups": "src1"}}); v.Admitted || !strings.Contains(v.Why, "did not come whole") {
		t.Errorf("admitted by %+v: %s", v.Rule, v.Why)
	}
	if v := p.Decide(admission.Claims{}); !v.Admitted || v.Rule.Name != "all" {
		t.Errorf("without groups: %s", v.Why)
	}
	// A rule that fails for another reason needs no groups to fail.
	p.Rules[0].Claims = []admission.Requirement{{Claim: admission.ParsePath("a"), Values: []string{"b"}}}
	if v := p.Decide(admission.Claims{"_claim_names": map[string]any{"groups": "src1"}}); !v.Admitted {
		t.Errorf("without the groups being looked at: %s", v.Why)
	}
}

// A rule without conditions holds for nobody, and neither do no rules.
func TestPolicy_empty_I12(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*admission.Policy{
		"no rules": {}, "a rule without conditions": {Rules: []admission.Rule{{Name: "empty", Ceiling: bridge.AllScopes()}}},
		"an empty requirement": {Rules: []admission.Rule{{Name: "x", Claims: []admission.Requirement{{}}, Ceiling: read}}},
	} {
		if v := p.Decide(admission.Claims{"email": "alice@example.com", "email_verified": true}); v.Admitted {
			t.Errorf("%s: admitted by %+v", name, v.Rule)
		}
	}
}

// Two sources, 10,000 people, 50 groups each.
func BenchmarkPolicy_Decide(b *testing.B) {
	policies := []*admission.Policy{policy(), policy()}
	for i := range 40 { // and more rules than anybody writes
		policies[0].Rules = append(policies[0].Rules, admission.Rule{Name: fmt.Sprint(i), Groups: []string{fmt.Sprintf("team-%d", i)}, Ceiling: write})
	}
	people := make([]admission.Claims, 10_000)
	for i := range people {
		groups := make([]any, 50)
		for j := range groups {
			groups[j] = fmt.Sprintf("group-%d", (i*31+j*7)%5000)
		}
		people[i] = admission.Claims{"sub": fmt.Sprint(i), "email": fmt.Sprintf("p%d@example.com", i), "email_verified": true, "groups": groups}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		policies[i%2].Decide(people[i%len(people)])
	}
}
