package rows

import (
	"iter"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
)

// usualBase is what texts of these begin with.
const usualBase = "https://bridge.example.com"

// usualGrant is a live grant of Claude's with its first refresh token, as there are most, and usualConsent what it came of.
func usualGrant() *grantRow {
	signedIn := time.Date(2026, 11, 2, 9, 30, 0, 123e6, time.UTC)
	id := bridge.GrantID(signedIn, "flow")
	redeemed := signedIn.Add(12345 * time.Millisecond)
	idle := redeemed.Add(30 * 24 * time.Hour)
	return &grantRow{
		Grant: bridge.Grant{
			ID: id, Status: bridge.GrantLive, Person: bridge.Person{Source: bridge.SourceTrinity, Subject: "alice"},
			Account:  bridge.Account{Username: "alice", Email: "alice@example.com", Role: bridge.RoleUser},
			ActingAs: bridge.ActingAs{Kind: bridge.ActAsUser}, ClientID: "https://claude.ai/oauth/mcp-oauth-client-metadata", ClientName: "Claude",
			Redirect: "https://claude.ai/api/mcp/auth_callback", Resource: "https://bridge.example.com/mcp",
			Scopes: bridge.BaselineScopes(), Asked: bridge.BaselineScopes(), Refresh: true,
			Credential: bridge.Credential{KeyID: "AAECAwQFBgcICQoLDA0ODw", KeyName: "trinity-bridge:claude:" + id + "@abcdefgh", Sealed: make([]byte, 53)},
			CreatedAt:  signedIn, Lapses: idle,
		},
		Looked: idle,
		Family: bridge.Family{
			GrantID: id, ClientID: "https://claude.ai/oauth/mcp-oauth-client-metadata",
			Shared: bridge.TokenHashOf("shared"), Head: bridge.TokenHashOf("first"),
			CreatedAt: redeemed, IdleUntil: idle, EndsAt: redeemed.Add(180 * 24 * time.Hour),
		},
	}
}

// refreshedGrant is usualGrant an hour later.
func refreshedGrant() *grantRow {
	grant := usualGrant()
	now := grant.Family.CreatedAt.Add(time.Hour + 21*time.Millisecond)
	grant.LastUsedAt, grant.Lapses = now.Add(-7*time.Minute-3*time.Millisecond), now.Add(30*24*time.Hour)
	family := &grant.Family
	family.Head, family.RotatedAt, family.IdleUntil = bridge.TokenHashOf("second"), now, grant.Lapses
	return grant
}

func usualConsent() *bridge.Consent {
	grant := usualGrant()
	return &bridge.Consent{
		PersonID: grant.Person.ID(), ClientID: grant.ClientID, RedirectURI: grant.Redirect, Resource: grant.Resource,
		Scopes: grant.Scopes, ActingAs: grant.ActingAs, Fingerprint: bridge.HashOf("document"), GivenAt: grant.CreatedAt.Add(10 * time.Second),
	}
}

// TestPack_length: there may be a million of these, so that a byte more is seen here first.
func TestPack_length(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, id     string
		record, read any
		most         int
	}{
		{"grant", usualGrant().ID, usualGrant(), &grantRow{}, 160},
		{"refreshed grant", usualGrant().ID, refreshedGrant(), &grantRow{}, 174},
		{"consent", "row", usualConsent(), &bridge.Consent{}, 59},
	} {
		packed := pack(usualBase, tt.id, packing(tt.record))
		if len(packed) > tt.most {
			t.Errorf("a %s takes %d bytes, %d before: %q", tt.name, len(packed), tt.most, packed)
		}
		if err := unpack(usualBase, tt.id, packed, packing(tt.read)); err != nil || !cmp.Equal(tt.record, tt.read) {
			t.Errorf("a %s: %v\n%s", tt.name, err, cmp.Diff(tt.record, tt.read))
		}
		t.Logf("a %s takes %d bytes: %q", tt.name, len(packed), packed)
	}
}

// TestPack_unusual: what most records say may be missing in one or otherwise, each by itself.
func TestPack_unusual(t *testing.T) {
	t.Parallel()
	for _, usual := range []func() any{func() any { return usualGrant() }, func() any { return refreshedGrant() }, func() any { return usualConsent() }} {
		for path := range leaves(reflect.TypeOf(usual()).Elem()) {
			for change, edit := range map[string]func(reflect.Value){
				"missing":   reflect.Value.SetZero,
				"otherwise": func(v reflect.Value) { (&filler{}).fill(t, v) },
			} {
				record := reflect.ValueOf(usual())
				edit(record.Elem().FieldByIndex(path))
				read := reflect.New(record.Type().Elem())
				packed := pack(usualBase, usualGrant().ID, packing(record.Interface()))
				if err := unpack(usualBase, usualGrant().ID, packed, packing(read.Interface())); err != nil || !cmp.Equal(record.Interface(), read.Interface()) {
					t.Errorf("%s %v %s: %v\n%s", record.Type(), path, change, err, cmp.Diff(record.Interface(), read.Interface()))
				}
			}
		}
	}
}

// leaves yields where the fields are that are no record themselves.
func leaves(of reflect.Type) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		for i := range of.NumField() {
			field := of.Field(i).Type
			if field.Kind() != reflect.Struct || field == reflect.TypeFor[time.Time]() {
				if !yield([]int{i}) {
					return
				}
				continue
			}
			for path := range leaves(field) {
				if !yield(append([]int{i}, path...)) {
					return
				}
			}
		}
	}
}
