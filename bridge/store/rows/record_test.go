package rows

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

// oldRecords are a consent in JSON and a packed grant as the program stored them when it sealed with XAES-256-GCM.
type oldRecords struct {
	RowKey  []byte `json:"row_key"` // under secrettest.Master
	Consent []byte `json:"consent"`
	Grant   []byte `json:"grant"`
}

func readOldRecords(t *testing.T) (old oldRecords, key bridge.RowKey) {
	t.Helper()
	document, err := os.ReadFile("testdata/old-records.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(document, &old); err != nil {
		t.Fatal(err)
	}
	if key, err = secrettest.Ring().OpenRowKey(old.RowKey); err != nil {
		t.Fatal(err)
	}
	return old, key
}

func oldConsent() bridge.Consent {
	return bridge.Consent{PersonID: "person", Scopes: bridge.AllScopes(), GivenAt: packedFrom}
}

func oldGrant() grantRow {
	const id = "abcdefghijklmnopqrstuvwxya"
	at := time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.UTC)
	return grantRow{
		Grant: bridge.Grant{
			ID: id, Status: bridge.GrantLive, Person: bridge.Person{Source: bridge.SourceTrinity, Subject: "alice"},
			Account:  bridge.Account{Username: "alice", Email: "alice@example.com", Role: bridge.RoleUser},
			ActingAs: bridge.ActingAs{Kind: bridge.ActAsUser}, ClientID: "bbcdefghijklmnopqrstuvwxya", ClientName: "Example client",
			Resource: "https://bridge.example.com/mcp", Redirect: "https://client.example.com/callback",
			Scopes: bridge.BaselineScopes(), Asked: bridge.AllScopes(), Refresh: true, Started: true,
			Credential: bridge.Credential{KeyID: "AAECAwQFBgcICQoLDA0ODw", KeyName: "trinity-bridge:claude:" + id + "@abcdefgh", Sealed: []byte("sealed key")},
			CreatedAt:  at, LastUsedAt: at.Add(time.Hour), Lapses: at.AddDate(0, 1, 0), RevokedTokens: map[string]time.Time{"token": at.Add(time.Minute)},
		},
		Family: bridge.Family{
			GrantID: id, ClientID: "bbcdefghijklmnopqrstuvwxya", Shared: bridge.TokenHashOf("shared"), ProofKey: bridge.HashOf("proof"),
			Head:      bridge.TokenHashOf("head"),
			RotatedAt: at.Add(time.Hour), Repeats: 1, CreatedAt: at, IdleUntil: at.AddDate(0, 1, 0), EndsAt: at.AddDate(0, 6, 0),
		},
		Looked: at.AddDate(0, 1, 0),
	}
}

// TestDecode_old: records of before are read, and written in the newer seal.
func TestDecode_old(t *testing.T) {
	t.Parallel()
	old, key := readOldRecords(t)
	consentRow, grantRef := Ref{KindConsent, "row"}, Ref{KindGrant, oldGrant().ID}
	var consent bridge.Consent
	if err := Decode(key, consentRow, old.Consent, &consent); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(oldConsent(), consent); diff != "" {
		t.Errorf("the consent (-written +read):\n%s", diff)
	}
	var grant grantRow
	if err := Decode(key, grantRef, old.Grant, &grant); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(oldGrant(), grant); diff != "" {
		t.Errorf("the grant (-written +read):\n%s", diff)
	}
	again, err := Encode(key, grantRef, &grant)
	if err != nil || again[0] != packedRecord {
		t.Fatalf("stored again as version %d, %v", again[0], err)
	}
	var read grantRow
	if err := Decode(key, grantRef, again, &read); err != nil || !cmp.Equal(grant, read) {
		t.Errorf("stored again: %v", err)
	}
}

// TestDecode_OP11_firstByte: no record, old or new, is taken for one of another version, and none opens for another row.
func TestDecode_OP11_firstByte(t *testing.T) {
	t.Parallel()
	old, key := readOldRecords(t)
	grantRef, consentRow := Ref{KindGrant, oldGrant().ID}, Ref{KindConsent, "row"}
	grant, consent := oldGrant(), oldConsent()
	packed, err := Encode(key, grantRef, &grant)
	if err != nil {
		t.Fatal(err)
	}
	document, err := encodeJSON(key, consentRow, &consent)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		row    Ref
		record any
		value  []byte
	}{
		{consentRow, &bridge.Consent{}, old.Consent},
		{grantRef, &grantRow{}, old.Grant},
		{consentRow, &bridge.Consent{}, document},
		{grantRef, &grantRow{}, packed},
	} {
		version := tt.value[0]
		if err := Decode(key, tt.row, tt.value, tt.record); err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		if err := Decode(key, Ref{tt.row.Kind, tt.row.ID + "2"}, tt.value, tt.record); err == nil {
			t.Errorf("version %d: read for another row", version)
		}
		for first := range 256 {
			flipped := bytes.Clone(tt.value)
			flipped[0] = byte(first)
			if err := Decode(key, tt.row, flipped, tt.record); err == nil && flipped[0] != version {
				t.Errorf("version %d: read as %d", version, first)
			}
		}
	}
}
