package protocol_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// GW-58, EX-11: people of identity assertions come in through the same links, by the same rules and
// with the same end as everybody else.
func TestIdentity_EX11_linked(t *testing.T) {
	t.Parallel()
	p, _ := startTrusting(t)
	b := p.b
	text, err := os.ReadFile(b.Config.Config)
	if err != nil {
		t.Fatal(err)
	}
	word := filepath.Join(t.TempDir(), "word")
	writeText(t, word, "a word of the provider's")
	writeText(t, b.Config.Config, string(text)+`
identity_sources:
  - name: company
    issuer: `+firstIDP+`
    client_id: bridge
    client_secret_file: `+word+`
    admit:
      - {rule: readers, groups: [readers], scope: "trinity:read"}
      - {rule: staff, groups: [staff], scope: "trinity:admin"}
      - {rule: listed, groups: [listed], scope: "trinity:read", profiles: [listed]}
`)
	b.Restart(t)
	ask := func(subject string, groups ...any) (int, string, string) {
		answer := p.ask(t, p.assert(t, claims{"sub": subject, "groups": groups}, nil))
		var tokens struct {
			Access string `json:"access_token"`
			Scope  string `json:"scope"`
		}
		if answer.Status == http.StatusOK {
			answer.JSON(t, &tokens)
			b.Secret(tokens.Access)
		}
		return answer.Status, tokens.Scope, tokens.Access
	}
	if status, _, _ := ask("u-alice"); status != http.StatusBadRequest {
		t.Errorf("without a group that the rules name: %d", status)
	}
	if status, _, _ := ask("u-alice", "listed"); status != http.StatusBadRequest {
		t.Errorf("whose rule opens another tool set: %d", status)
	}
	if status, scope, _ := ask("u-alice", "readers"); status != http.StatusOK || scope != "trinity:read" {
		t.Errorf("within the rule's ceiling: %d %q", status, scope)
	}
	if status, scope, _ := ask("u-alice", "staff"); status != http.StatusOK || scope != "trinity:read trinity:write" {
		t.Errorf("within the provider's scope: %d %q", status, scope)
	}
	if status, _, _ := ask("u-bob", "staff"); status != http.StatusBadRequest {
		t.Errorf("who is linked to no key: %d", status)
	}
	key, err := b.Trinity.MintKey("bob@example.com", "imported", "user", "")
	if err != nil {
		t.Fatal(err)
	}
	b.Secret(key)
	results, err := app.ImportLinks(t.Context(), b.Data, []app.LinkRow{
		{Line: 2, Source: firstIDP, Subject: "u-bob", Username: "bob@example.com", Key: key},
	}, false)
	if err != nil || results[0].Outcome != app.ImportStored {
		t.Fatalf("import: %+v, %v", results, err)
	}
	status, _, access := ask("u-bob", "staff")
	if status != http.StatusOK || b.Works(t, access) != http.StatusOK {
		t.Fatalf("who is linked now: %d", status)
	}
	links, err := bridgetest.All(app.ListLinks(t.Context(), b.Data))
	if err != nil || len(links) != 1 {
		t.Fatalf("links: %+v, %v", links, err)
	}
	if ended, err := app.EndLink(t.Context(), b.Data, links[0].ID); err != nil || ended.Ended != 1 {
		t.Errorf("ending the link ended %+v, %v", ended, err)
	}
	if status := b.Works(t, access); status != http.StatusUnauthorized {
		t.Errorf("a call after the link's end: %d", status)
	}
	if status, _, _ := ask("u-bob", "staff"); status != http.StatusBadRequest {
		t.Errorf("an assertion after the link's end: %d", status)
	}
	got := map[string]int{}
	for _, kind := range []string{"grant_started", "token_issued", "token_refused", "link_made", "link_ended", "grant_ended"} {
		got[kind] = b.Audited(kind, "")
	}
	want := map[string]int{"grant_started": 2, "token_issued": 3, "token_refused": 4, "link_made": 1, "link_ended": 1, "grant_ended": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the trail (-want +got):\n%s", diff)
	}
}
