package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/config"
)

func TestLoad_EX15_machines(t *testing.T) {
	t.Parallel()
	const hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	held, bad, empty := file(t, key+"\n"), file(t, "hunter2-is-no-key"), file(t, "")
	client := func(rest string) string { return "clients: [{id: a, name: A, " + rest + "}]" }
	const machine = "grant_types: [client_credentials], "
	tests := []fileTest{
		{"by secret", client(machine + "secret_sha256: [" + hash + "], scope: 'trinity:read', trinity_key_file: " + held), ""},
		{"by key", client(machine + "jwks_uri: 'https://a.example.com/jwks', scope: 'trinity:read', trinity_key_file: " + held), ""},
		{"with people", client("grant_types: [authorization_code, client_credentials], redirect_uris: ['https://a.example.com/cb'], secret_sha256: [" + hash + "], scope: 'trinity:read', trinity_key_file: " + held), ""},
		{"people without redirect URIs", client("grant_types: [authorization_code, client_credentials], secret_sha256: [" + hash + "], scope: 'trinity:read', trinity_key_file: " + held), "needs redirect_uris"},
		{"public", client(machine + "scope: 'trinity:read', trinity_key_file: " + held), "need secret_sha256, jwks or jwks_uri"},
		{"no scope", client(machine + "secret_sha256: [" + hash + "], trinity_key_file: " + held), "need a scope"},
		{"no known scope", client(machine + "secret_sha256: [" + hash + "], scope: offline_access, trinity_key_file: " + held), "need a scope"},
		{"unknown scope", client(machine + "secret_sha256: [" + hash + "], scope: 'trinity:read all', trinity_key_file: " + held), "unknown word"},
		{"no key file", client(machine + "secret_sha256: [" + hash + "], scope: 'trinity:read'"), "need a trinity_key_file"},
		{"absent key file", client(machine + "secret_sha256: [" + hash + "], scope: 'trinity:read', trinity_key_file: " + held + "s"), "no such file"},
		{"no key in it", client(machine + "secret_sha256: [" + hash + "], scope: 'trinity:read', trinity_key_file: " + bad), "is not a trinity_mcp_ key"},
		{"nothing in it", client(machine + "secret_sha256: [" + hash + "], scope: 'trinity:read', trinity_key_file: " + empty), "is not a trinity_mcp_ key"},
		{"key file without the grant", client("redirect_uris: ['https://a.example.com/cb'], trinity_key_file: " + held), "trinity_key_file is for clients with"},
		{"another grant", client("grant_types: [password], redirect_uris: ['https://a.example.com/cb']"), "is not served"},
	}
	loadEach(t, tests, nil, func(t *testing.T, _ string, got *config.Config) {
		t.Helper()
		if len(got.Machines) != 1 || got.Machines["a"].Reveal() != key {
			t.Fatalf("machines %+v", got.Machines)
		}
		if text := fmt.Sprintf("%v %+v", got, got.Machines); strings.Contains(text, "trinity_mcp_") {
			t.Errorf("the key is printed: %s", text)
		}
	})
}
