package admission_test

import (
	"slices"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
)

func TestPolicy_Decide_actAs(t *testing.T) {
	t.Parallel()
	agent := func(name string) bridge.ActingAs { return bridge.ActingAs{Kind: bridge.ActAsAgent, Agent: name} }
	policy := admission.Policy{
		Verified: "email_verified", Groups: admission.ParsePath("groups"),
		Rules: []admission.Rule{{Name: "staff", Domains: []string{"example.com"}, Ceiling: bridge.AllScopes()}},
		Acting: []admission.Acting{
			{As: agent("by group"), Rule: admission.Rule{Groups: []string{"research"}}},
			{As: agent("by address"), Rule: admission.Rule{Addresses: []string{"alice@example.com"}}},
			{As: agent("by subject"), Subjects: []string{"1"}},
			{As: agent("by both"), Subjects: []string{"1"}, Rule: admission.Rule{Groups: []string{"research"}}},
			{As: agent("by claim"), Rule: admission.Rule{Claims: []admission.Requirement{{Claim: admission.ParsePath("level"), Values: []string{"high"}}}}},
			{As: agent("by group"), Rule: admission.Rule{Addresses: []string{"alice@example.com"}}}, // or so
			{As: agent("by nothing")},
		},
	}
	many := make([]any, 300)
	for i := range many {
		many[i] = "research"
	}
	tests := []struct {
		id     string
		claims admission.Claims
		want   []string
	}{
		{"nothing", admission.Claims{}, nil},
		{"group", admission.Claims{"groups": []any{"research"}}, []string{"by group"}},
		{"subject", admission.Claims{"sub": "1"}, []string{"by subject"}},
		{"subject and group", admission.Claims{"sub": "1", "groups": []any{"research"}}, []string{"by group", "by subject", "by both"}},
		{"subject of another form", admission.Claims{"sub": float64(1)}, nil},
		{"claim", admission.Claims{"level": "high"}, []string{"by claim"}},
		{"claim of another form", admission.Claims{"level": map[string]any{"high": true}}, nil},
		{"address", admission.Claims{"email": "alice@example.com"}, []string{"by address", "by group"}},
		{"FB-22/too many groups", admission.Claims{"groups": many}, nil},
		{"FB-22/groups elsewhere", admission.Claims{"_claim_names": map[string]any{"groups": "src1"}, "sub": "1"}, []string{"by subject"}},
		{"FB-17/nobody vouches for the address", admission.Claims{"email": "alice@example.com", "email_verified": "true"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			if _, said := tt.claims["email_verified"]; !said {
				tt.claims["email_verified"] = true
			}
			if _, said := tt.claims["email"]; !said {
				tt.claims["email"] = "bob@example.com"
			}
			verdict := policy.Decide(tt.claims)
			var got []string
			for _, as := range verdict.ActAs {
				got = append(got, as.Agent)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("may act as %q, want %q", got, tt.want)
			}
			if admitted := verdict.Admission(time.Now()); !slices.Equal(admitted.ActAs, verdict.ActAs) {
				t.Errorf("stored is %v", admitted.ActAs)
			}
		})
	}
	if verdict := policy.Decide(admission.Claims{"sub": "1", "groups": []any{"research"}}); verdict.Admitted || verdict.ActAs != nil {
		t.Errorf("somebody nobody lets in may act as %v", verdict.ActAs)
	}
}
