//go:build e2e

package foreign_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// realm is a company at Keycloak with two people, one of them in the group the rules ask for.
func realm(bridgeURL string) map[string]any {
	user := func(name, email string, groups ...string) map[string]any {
		return map[string]any{
			"username": name, "email": email, "emailVerified": true, "enabled": true, "firstName": name, "lastName": "Example", "groups": groups,
			"credentials": []any{map[string]any{"type": "password", "value": "verysecure", "temporary": false}},
		}
	}
	return map[string]any{
		"realm": "company", "enabled": true, "sslRequired": "none",
		"groups": []any{map[string]any{"name": "staff"}},
		"users":  []any{user("alice", alice, "/staff"), user("mallory", "mallory@example.com")},
		"clients": []any{map[string]any{
			"clientId": providerID, "secret": providerWord, "protocol": "openid-connect", "publicClient": false, "standardFlowEnabled": true,
			"redirectUris": []any{bridgeURL + "/signin/keycloak/callback"},
			"attributes":   map[string]any{"post.logout.redirect.uris": bridgeURL + "/connections/signed-out"},
			"protocolMappers": []any{map[string]any{
				"name": "groups", "protocol": "openid-connect", "protocolMapper": "oidc-group-membership-mapper",
				"config": map[string]any{
					"full.path": "false", "claim.name": "groups", "id.token.claim": "true", "userinfo.token.claim": "true", "access.token.claim": "false",
				},
			}},
		}},
	}
}

// startKeycloak starts the distribution that make e2e unpacked, with a database in memory.
func startKeycloak(t *testing.T, bridgeURL string) idp {
	t.Helper()
	found, err := filepath.Glob("../node/.providers/keycloak-*/bin/kc.sh")
	if err != nil || len(found) == 0 {
		t.Skip("NOTICE: Keycloak is not there, so nothing is shown of it: Maven or a JDK was out of reach when make e2e looked for it")
	}
	home, err := filepath.Abs(filepath.Dir(filepath.Dir(found[0])))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(realm(bridgeURL))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(home, "data", "import")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "company-realm.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(bridgetest.FreePort(t))
	base := "http://127.0.0.1:" + port
	command := exec.CommandContext(t.Context(), filepath.Join(home, "bin", "kc.sh"), "start", "--optimized", "--import-realm", "--cache=local",
		"--http-enabled=true", "--http-host=127.0.0.1", "--http-port="+port, "--hostname="+base)
	command.Env = append(os.Environ(), "JAVA_OPTS_KC_HEAP=-Xms64m -Xmx512m", "JAVA_OPTS_APPEND=-XX:TieredStopAtLevel=1")
	source := idp{
		name: "keycloak", issuer: base + "/realms/company", id: providerID, secret: providerWord,
		more: `    preset: keycloak
    domains: [example.com]
    admit:
      - rule: staff
        groups: [staff]
        scope: trinity:write
`,
		steps: []map[string]any{
			{"fill": map[string]string{"[name=username]": "alice", "[name=password]": "verysecure"}, "press": "[name=login]"},
		},
	}
	start(t, command, source.issuer, 5*time.Minute)
	return source
}

// A full connection through Keycloak, and somebody without the group is told whom to ask.
func TestProvider_keycloak(t *testing.T) {
	t.Parallel()
	address := bridgeAddress(t)
	source := startKeycloak(t, "http://"+address)
	b := startBehind(t, address, []idp{source})
	stranger := source
	stranger.steps = []map[string]any{
		{"fill": map[string]string{"[name=username]": "mallory", "[name=password]": "verysecure"}, "press": "[name=login]"},
	}
	client := b.Register(t, redirect)
	query := b.Query(client)
	last := chromiumWalk(t, b, stranger, true, b.URL+"/oauth/authorize?"+query.Encode(), "", "You are not let in here")
	if last["event"] != "stopped" || !strings.Contains(last["text"], "ops@example.com") {
		t.Errorf("the refusal does not say whom to ask: %v", last)
	}
	// Who signs out of their connections is signed out there without another question, for the ID token says of what.
	visitor := source
	visitor.visit = []map[string]string{{"text": "No apps are connected"}, {"press": "Sign out"}, {"text": "has sent you back"}}
	if last := chromiumWalk(t, b, visitor, true, b.URL+"/connections", "", ""); last["event"] != "visited" {
		t.Errorf("the visit ended with %v", last)
	}
	walkLinked(t, b, connectAs(t, b, "none", chromiumPerson(b, source, true, alice))) // last: it lets hours pass
}
