package bridge_test

import (
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestCode_Judge(t *testing.T) {
	t.Parallel()
	fresh := bridge.Code{
		ClientID: "client", RedirectURI: "https://app.example.com/cb", CodeChallenge: "challenge", Resource: "https://h/mcp",
		ExpiresAt: start.Add(time.Minute),
	}
	good := bridge.CodeUse{ClientID: "client", RedirectURI: "https://app.example.com/cb", Challenge: "challenge", Resource: "https://h/mcp"}
	spent := func(c *bridge.Code, _ *bridge.CodeUse) { c.SpentAt = start }
	late, key := start.Add(time.Minute), bridge.HashOf("key")
	tests := []struct {
		id   string
		edit func(*bridge.Code, *bridge.CodeUse)
		now  time.Time
		want bridge.CodeOutcome
	}{
		{"AS-068/good", nil, start, bridge.CodeRedeemed},
		{"AS-074/redirect not repeated", func(_ *bridge.Code, u *bridge.CodeUse) { u.RedirectURI = "" }, start, bridge.CodeRedeemed},
		{"AS-083/resource not repeated", func(_ *bridge.Code, u *bridge.CodeUse) { u.Resource = "" }, start, bridge.CodeRedeemed},
		{"TK-03/another client", func(_ *bridge.Code, u *bridge.CodeUse) { u.ClientID = "other" }, start, bridge.CodeMismatch},
		{"TK-04/another verifier", func(_ *bridge.Code, u *bridge.CodeUse) { u.Challenge = "other" }, start, bridge.CodeMismatch},
		{"TK-04/no verifier", func(_ *bridge.Code, u *bridge.CodeUse) { u.Challenge = "" }, start, bridge.CodeMismatch},
		{"TK-05/another redirect", func(_ *bridge.Code, u *bridge.CodeUse) { u.RedirectURI = "https://app.example.com/x" }, start, bridge.CodeMismatch},
		{"TK-08/another resource", func(_ *bridge.Code, u *bridge.CodeUse) { u.Resource = "https://h/other" }, start, bridge.CodeWrongTarget},
		{"TK-06/at its end", nil, late, bridge.CodeExpired},
		{"TK-01/spent", spent, start, bridge.CodeReplayed},
		{"TK-01/spent and past its end", spent, late, bridge.CodeReplayed},
		{"AS-070/spent, wrong verifier", func(c *bridge.Code, u *bridge.CodeUse) { c.SpentAt, u.Challenge = start, "other" }, start, bridge.CodeUnknown},
		{"TK-04/spent by guessing", func(c *bridge.Code, _ *bridge.CodeUse) { c.SpentAt, c.Mismatches = start, 5 }, start, bridge.CodeUnknown},
		{"AZ-26, AS-073/issued without a challenge", func(c *bridge.Code, u *bridge.CodeUse) { c.CodeChallenge, u.Challenge = "", "" }, start, bridge.CodeMismatch},
		{"AZ-26/a verifier for a code without challenge", func(c *bridge.Code, _ *bridge.CodeUse) { c.CodeChallenge = "" }, start, bridge.CodeMismatch},
		{"EX-27/bound, no key", func(c *bridge.Code, _ *bridge.CodeUse) { c.ProofKey = key }, start, bridge.CodeMismatch},
		{"EX-27/bound, another key", func(c *bridge.Code, u *bridge.CodeUse) { c.ProofKey, u.ProofKey = key, bridge.HashOf("other") }, start, bridge.CodeMismatch},
		{"EX-27/bound, its key", func(c *bridge.Code, u *bridge.CodeUse) { c.ProofKey, u.ProofKey = key, key }, start, bridge.CodeRedeemed},
		{"EX-27/not bound, a key", func(_ *bridge.Code, u *bridge.CodeUse) { u.ProofKey = key }, start, bridge.CodeRedeemed},
		{"EX-27/spent, another key", func(c *bridge.Code, _ *bridge.CodeUse) { c.SpentAt, c.ProofKey = start, key }, start, bridge.CodeUnknown},
		{"I12/no client", func(c *bridge.Code, u *bridge.CodeUse) { c.ClientID, u.ClientID = "", "x" }, start, bridge.CodeMismatch},
		{"I12/no expiry", func(c *bridge.Code, _ *bridge.CodeUse) { c.ExpiresAt = time.Time{} }, start, bridge.CodeExpired},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			code, use := fresh, good
			if tt.edit != nil {
				tt.edit(&code, &use)
			}
			if got := code.Judge(use, tt.now); got != tt.want {
				t.Errorf("Judge = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	parse := []struct {
		id, parameter, want string
		unknown             int
	}{
		{"AS-034/in any order", "trinity:write trinity:read", "trinity:read trinity:write", 0},
		{"B53/blanks", "  trinity:read \t trinity:admin ", "trinity:read trinity:admin", 0},
		{"B52/offline_access", "offline_access", "", 0},
		{"AS-034/unknown", "trinity:read openid email", "trinity:read", 2},
		{"AS-059/twice", "trinity:read trinity:read", "trinity:read", 0},
		{"case matters", "Trinity:Read", "", 1},
		{"nothing", "", "", 0},
	}
	for _, tt := range parse {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			if got, unknown := bridge.ParseScopes(tt.parameter); got.String() != tt.want || unknown != tt.unknown {
				t.Errorf("ParseScopes = %q, %d, want %q, %d", got, unknown, tt.want, tt.unknown)
			}
		})
	}
	read, write, admin := bridge.ScopeRead, bridge.ScopeWrite, bridge.ScopeAdmin
	allows := []struct {
		id     string
		held   bridge.Scopes
		needed bridge.Scope
		want   bool
	}{
		{"RS-30/admin reads", bridge.Scopes{admin}, read, true},
		{"RS-30/write reads", bridge.Scopes{write}, read, true},
		{"read does not write", bridge.Scopes{read}, write, false},
		{"write does not administer", bridge.Scopes{read, write}, admin, false},
		{"I12/nothing held", nil, read, false},
		{"I12/nothing needed", bridge.AllScopes(), "", false},
		{"I12/unknown needed", bridge.AllScopes(), "trinity:other", false},
		{"I12/unknown held", bridge.Scopes{"trinity:other"}, read, false},
		{"offline_access allows nothing", bridge.Scopes{bridge.ScopeOfflineAccess}, read, false},
	}
	for _, tt := range allows {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			if got := tt.held.Allows(tt.needed); got != tt.want {
				t.Errorf("%v allows %q: %v, want %v", tt.held, tt.needed, got, tt.want)
			}
		})
	}
}

// I6: two sources never make one person, and the identifier shows no address.
func TestPerson_ID_I6(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, p := range []bridge.Person{
		{Source: "trinity", Subject: "alice@example.com"},
		{Source: "https://id.example.com", Subject: "alice@example.com"},
		{Source: "trinity\x00alice", Subject: "@example.com"},
		{Source: "trinity", Subject: "Alice@example.com"},
	} {
		ids[p.ID()] = true
	}
	if len(ids) != 4 {
		t.Errorf("four people have %d identifiers", len(ids))
	}
}
