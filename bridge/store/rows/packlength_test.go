package rows

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
)

// usualBase is what texts of these begin with.
const usualBase = "https://bridge.example.com"

// usualGrant is a live grant of Claude's with its first refresh token, as there are most, and usualConsent what it came of.
func usualGrant() *grantRow {
	const id = "abcdefghijklmnopqrstuvwxya"
	agreed := time.Date(2026, 11, 2, 9, 30, 0, 123e6, time.UTC)
	redeemed := agreed.Add(1234 * time.Millisecond)
	idle := redeemed.Add(30 * 24 * time.Hour)
	return &grantRow{
		Grant: bridge.Grant{
			ID: id, Status: bridge.GrantLive, Person: bridge.Person{Source: bridge.SourceTrinity, Subject: "alice"},
			Account:  bridge.Account{Username: "alice", Email: "alice@example.com", Role: bridge.RoleUser},
			ActingAs: bridge.ActingAs{Kind: bridge.ActAsUser}, ClientID: "https://claude.ai/oauth/mcp-oauth-client-metadata", ClientName: "Claude",
			Redirect: "https://claude.ai/api/mcp/auth_callback", Resource: "https://bridge.example.com/mcp",
			Scopes: bridge.BaselineScopes(), Asked: bridge.BaselineScopes(), Refresh: true,
			Credential: bridge.Credential{KeyID: "AAECAwQFBgcICQoLDA0ODw", KeyName: "trinity-bridge:claude:" + id + "@abcdefgh", Sealed: []byte("sealed")},
			CreatedAt:  agreed, Lapses: idle,
		},
		Looked: idle,
		Family: bridge.Family{
			GrantID: id, ClientID: "https://claude.ai/oauth/mcp-oauth-client-metadata",
			Shared: bridge.TokenHashOf("shared"), Head: bridge.TokenHashOf("first"),
			CreatedAt: redeemed, IdleUntil: idle, EndsAt: redeemed.Add(180 * 24 * time.Hour),
		},
	}
}

func usualConsent() *bridge.Consent {
	grant := usualGrant()
	return &bridge.Consent{
		PersonID: grant.Person.ID(), ClientID: grant.ClientID, RedirectURI: grant.Redirect, Resource: grant.Resource,
		Scopes: grant.Scopes, ActingAs: grant.ActingAs, GivenAt: grant.CreatedAt,
	}
}

// TestPack_length: there may be a million of these, so that a byte more is seen here first.
func TestPack_length(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		record, read any
		most         int
	}{
		{"grant", usualGrant(), &grantRow{}, 135},
		{"consent", usualConsent(), &bridge.Consent{}, 51},
	} {
		packed := pack(usualBase, usualGrant().ID, packing(tt.record))
		if len(packed) > tt.most {
			t.Errorf("a %s takes %d bytes, %d before: %q", tt.name, len(packed), tt.most, packed)
		}
		if err := unpack(usualBase, usualGrant().ID, packed, packing(tt.read)); err != nil || !cmp.Equal(tt.record, tt.read) {
			t.Errorf("a %s: %v\n%s", tt.name, err, cmp.Diff(tt.record, tt.read))
		}
		t.Logf("a %s takes %d bytes", tt.name, len(packed))
	}
}
