package config_test

import (
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/config"
)

func TestLoad_EX04_providers(t *testing.T) {
	t.Parallel()
	const keys = "jwks_uri: 'https://login.example.com/keys', "
	held, bad := file(t, key+"\n"), file(t, "hunter2-is-no-key")
	const issuer = "issuer: 'https://login.example.com', "
	const rest = "clients: [desk], scope: 'trinity:read'"
	one := func(text string) string { return "trusted_idps: [{" + text + "}]" }
	tests := []fileTest{
		{"without people", one(issuer + keys + rest), ""},
		{"with people", one(issuer + keys + "algorithms: [ES256], " + rest + ", people: [{subject: u-1, trinity_key_file: " + held + "}]"), ""},
		{"two tenants", "trusted_idps: [{" + issuer + keys + "tenant_claim: tid, tenant: a, " + rest + "}, {" + issuer + keys + "tenant_claim: tid, tenant: b, " + rest + "}]", ""},
		{"one issuer twice", "trusted_idps: [{" + issuer + keys + rest + "}, {" + issuer + keys + "tenant_claim: tid, tenant: b, " + rest + "}]", "stands twice"},
		{"one tenant twice", "trusted_idps: [{" + issuer + keys + "tenant_claim: tid, tenant: b, " + rest + "}, {" + issuer + keys + "tenant_claim: tid, tenant: b, " + rest + "}]", "stands twice"},
		{"half a tenant", one(issuer + keys + "tenant_claim: tid, " + rest), "belong together"},
		{"no issuer", one(keys + rest), "needs an issuer"},
		{"issuer by http", one("issuer: 'http://login.example.com', " + keys + rest), "needs an issuer"},
		{"no keys", one(issuer + rest), "jwks or jwks_uri"},
		{"keys by http", one(issuer + "jwks_uri: 'http://login.example.com/keys', " + rest), "https"},
		{"shared key", one(issuer + "jwks: {keys: [{kty: oct, k: AAAA}]}, " + rest), "shared key"},
		{"algorithm none", one(issuer + keys + "algorithms: [none], " + rest), "is not served"},
		{"algorithm HS256", one(issuer + keys + "algorithms: [HS256], " + rest), "is not served"},
		{"no clients", one(issuer + keys + "scope: 'trinity:read'"), "needs clients"},
		{"no scope", one(issuer + keys + "clients: [desk]"), "needs a scope"},
		{"unknown scope", one(issuer + keys + "clients: [desk], scope: 'trinity:read all'"), "needs a scope"},
		{"person without a key", one(issuer + keys + rest + ", people: [{subject: u-1}]"), "needs subject and trinity_key_file"},
		{"person without a subject", one(issuer + keys + rest + ", people: [{trinity_key_file: " + held + "}]"), "needs subject and trinity_key_file"},
		{"person twice", one(issuer + keys + rest + ", people: [{subject: u-1, trinity_key_file: " + held + "}, {subject: u-1, trinity_key_file: " + held + "}]"), "stands twice"},
		{"no key in the file", one(issuer + keys + rest + ", people: [{subject: u-1, trinity_key_file: " + bad + "}]"), "is not a trinity_mcp_ key"},
		{"unknown member", one(issuer + keys + rest + ", audience: x"), "trusted_idps"},
	}
	loadEach(t, tests, nil, func(t *testing.T, _ string, got *config.Config) {
		t.Helper()
		if len(got.Providers) == 0 || len(got.Providers[0].Algorithms) == 0 || len(got.Providers[0].Scopes) != 1 {
			t.Errorf("providers %+v", got.Providers)
		}
	})
}
