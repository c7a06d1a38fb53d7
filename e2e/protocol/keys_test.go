package protocol_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/token"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// jwks fetches the key set: what goes with each kid, and the kids in order.
func jwks(t *testing.T, b *bridgetest.Bridge) (map[string]map[string]any, []string) {
	t.Helper()
	answer := b.Get(t, "/oauth/jwks")
	if answer.Status != http.StatusOK || answer.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Fatalf("the key set: %d, %v", answer.Status, answer.Header)
	}
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	answer.JSON(t, &set)
	byID, ids := map[string]map[string]any{}, []string{}
	for _, key := range set.Keys {
		id, _ := key["kid"].(string)
		byID[id], ids = key, append(ids, id)
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if _, shown := key[private]; shown {
				t.Errorf("OP-24, AS-017: key %s shows %q", id, private)
			}
		}
		if key["alg"] == nil || key["use"] != "sig" {
			t.Errorf("AS-017: key %v", key)
		}
	}
	return byID, ids
}

// kidOf is the key that an access token names.
func kidOf(t *testing.T, access string) string {
	t.Helper()
	head, _, _ := strings.Cut(access, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	return header.KeyID
}

func rotate(t *testing.T, b *bridgetest.Bridge, emergency bool) []app.ListedKey {
	t.Helper()
	keys, err := app.RotateKeys(t.Context(), b.Data, emergency)
	if err != nil {
		t.Fatal(err)
	}
	bridgetest.Settle()
	return keys
}

// OP-21, AS-017, RS-23: across a planned rotation nobody is refused, with the token from before or after,
// in a session that is open all the while, and through a restart.
func TestKeys_OP21_planned(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	old := b.Connect(t, client, alice)
	session := b.Session(t, old.Access)
	works := func(when string, tokens ...bridgetest.Tokens) {
		t.Helper()
		set, ids := jwks(t, b)
		if len(ids) < 2 {
			t.Errorf("AS-017: %s: the key set has %v, want the current and a next key", when, ids)
		}
		for _, one := range tokens {
			if set[kidOf(t, one.Access)] == nil {
				t.Errorf("AS-017: %s: the key of a live token is not published", when)
			}
			if answer := b.Tool(t, one.Access, session, "list_agents"); answer.Status != http.StatusOK {
				t.Errorf("OP-21: %s: %d %s", when, answer.Status, answer.Body)
			}
		}
	}
	works("before", old)

	keys := rotate(t, b, false)
	if len(keys) != 2 || keys[0].Phase != token.KeySigning || keys[1].SignsFrom == nil || keys[1].SignsFrom.Sub(b.Clock.Now()) < 5*time.Minute {
		t.Fatalf("the next key was made a moment ago and may not sign before caches know it: %+v", keys)
	}
	if _, err := app.RotateKeys(t.Context(), b.Data, false); err == nil || !strings.Contains(err.Error(), "under way") {
		t.Errorf("a second rotation: %v", err)
	}
	waiting := b.Token(t, b.RefreshForm(client, old.Refresh))
	if kidOf(t, waiting.Access) != keys[0].ID {
		t.Error("the next key signs before its time")
	}
	works("while the next key waits", old, waiting)

	b.Clock.Advance(keys[1].SignsFrom.Sub(b.Clock.Now()))
	next := b.Token(t, b.RefreshForm(client, waiting.Refresh))
	if kidOf(t, next.Access) != keys[1].ID {
		t.Error("the next key does not sign when its time has come")
	}
	works("after the takeover", old, waiting, next)
	b.Restart(t)
	works("after a restart", old, waiting, next)

	listed, err := app.ListKeys(t.Context(), b.Data)
	if err != nil {
		t.Fatal(err)
	}
	phases := []token.KeyPhase{}
	for _, key := range listed {
		phases = append(phases, key.Phase)
	}
	if diff := cmp.Diff([]token.KeyPhase{token.KeyVerifying, token.KeySigning, token.KeyNext}, phases); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	b.Clock.Advance(listed[0].RetiresAt.Sub(b.Clock.Now()))
	last := b.Token(t, b.RefreshForm(client, next.Refresh))
	works("at the end", last)
	if set, _ := jwks(t, b); set[keys[0].ID] != nil {
		t.Error("OP-21: the old key is still published when its last token is dead")
	}
	if n := b.Audited("signing_keys_rotated", "command"); n != 1 {
		t.Errorf("%d audit events, want one", n)
	}
}

// A leaked key: what it signed is refused at once, and clients recover with the refresh token they have.
func TestKeys_emergency(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	old := b.Connect(t, client, alice)
	if got := b.Works(t, old.Access); got != http.StatusOK { // so that the gateway remembers it
		t.Fatalf("before: %d", got)
	}
	_, before := jwks(t, b)
	rotate(t, b, true)
	if _, after := jwks(t, b); len(after) != 2 || slices.ContainsFunc(after, func(id string) bool { return slices.Contains(before, id) }) {
		t.Errorf("published %v before and %v after", before, after)
	}
	refused := b.Call(t, old.Access, bridgetest.Initialize)
	if refused.Status != http.StatusUnauthorized || !strings.Contains(refused.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("a token of the leaked key: %d %q", refused.Status, refused.Header.Get("WWW-Authenticate"))
	}
	next := b.Token(t, b.RefreshForm(client, old.Refresh))
	if got := b.Works(t, next.Access); got != http.StatusOK {
		t.Errorf("the refreshed token: %d", got)
	}
	b.Restart(t)
	if got := b.Works(t, old.Access); got != http.StatusUnauthorized {
		t.Errorf("a token of the leaked key after a restart: %d", got)
	}
	if got := b.Works(t, next.Access); got != http.StatusOK {
		t.Errorf("the refreshed token after a restart: %d", got)
	}
	if n := b.Audited("signing_keys_rotated", "emergency"); n != 1 {
		t.Errorf("%d audit events, want one", n)
	}
}

// The algorithm is a setting: a start with another one is a planned rotation. Ninety days later comes another.
func TestKeys_algorithmAndSchedule(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	tokens := b.Connect(t, client, alice)
	for _, algorithm := range []string{"EdDSA", "RS256", "ES256"} {
		b.Config.SigningAlgorithm = algorithm
		b.Restart(t)
		if got := b.Works(t, tokens.Access); got != http.StatusOK {
			t.Errorf("%s: the token of before: %d", algorithm, got)
		}
		b.Clock.Advance(bridge.Leeway + 6*time.Minute)
		next := b.Token(t, b.RefreshForm(client, tokens.Refresh))
		set, _ := jwks(t, b)
		if set[kidOf(t, next.Access)]["alg"] != algorithm {
			t.Errorf("%s: %v signs", algorithm, set[kidOf(t, next.Access)])
		}
		for _, access := range []string{tokens.Access, next.Access} {
			if got := b.Works(t, access); got != http.StatusOK {
				t.Errorf("%s: %d", algorithm, got)
			}
		}
		tokens = next
	}
	if n := b.Audited("signing_keys_rotated", "algorithm_changed"); n != 3 {
		t.Errorf("%d audit events, want three", n)
	}
	b.Restart(t)
	b.Clock.Advance(90 * 24 * time.Hour)
	b.Restart(t)
	if n := b.Audited("signing_keys_rotated", "scheduled"); n != 1 {
		t.Errorf("%d scheduled rotations in ninety days, want one", n)
	}
}
