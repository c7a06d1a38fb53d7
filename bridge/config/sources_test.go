package config_test

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/config"
)

func TestLoad_sources(t *testing.T) {
	t.Parallel()
	word, empty, broken := file(t, "hunter2-of-the-provider\n"), file(t, "\n"), file(t, "hunter2-is-no-key")
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	const issuer = "issuer: 'https://login.example.com/', client_id: bridge, "
	secret := "client_secret_file: " + word + ", "
	const admit = "admit: [{rule: all, anyone: true, scope: 'trinity:read'}]"
	one := func(text string) string { return "identity_sources: [{name: company, " + text + "}]" }
	rule := func(text string) string { return one(issuer + secret + "admit: [{rule: r, " + text + "}]") }
	tests := []fileTest{
		{"plain", one(issuer + secret + admit), ""},
		{"with a key", one(issuer + "client_key_file: " + key + ", " + admit), ""},
		{"loopback by http", one("issuer: 'http://127.0.0.1:9998/', client_id: bridge, " + secret + admit), ""},
		{"tenants", one("issuer: 'https://login.example.com/{tenantid}/v2.0', tenants: [a, b], client_id: bridge, " + secret + admit), ""},
		{"google", one("preset: google, client_id: bridge, " + secret + admit), ""},
		{"no name", "identity_sources: [{" + issuer + secret + admit + "}]", "needs a name"},
		{"a name in capitals", "identity_sources: [{name: Company, " + issuer + secret + admit + "}]", "needs a name"},
		{"a name of ours", "identity_sources: [{name: choose, " + issuer + secret + admit + "}]", "needs a name"},
		{"twice", "identity_sources: [{name: a, " + issuer + secret + admit + "}, {name: a, issuer: 'https://id.example.com', client_id: x, " + secret + admit + "}]", "stands twice"},
		{"one provider twice", "identity_sources: [{name: a, " + issuer + secret + admit + "}, {name: b, " + issuer + secret + admit + "}]", "the same provider"},
		{"a domain twice", "identity_sources: [{name: a, domains: [example.com], " + issuer + secret + admit + "}, {name: b, domains: [example.com], issuer: 'https://id.example.com', client_id: x, " + secret + admit + "}]", "bound to both"},
		{"no issuer", one("client_id: bridge, " + secret + admit), "needs an issuer"},
		{"issuer by http", one("issuer: 'http://login.example.com', client_id: bridge, " + secret + admit), "has to be https"},
		{"issuer with a query", one("issuer: 'https://login.example.com/?a=b', client_id: bridge, " + secret + admit), "needs an issuer"},
		{"FB-11/everybody's issuer", one("issuer: 'https://login.example.com/common/v2.0', client_id: bridge, " + secret + admit), "everybody's"},
		{"FB-11/a template without tenants", one("issuer: 'https://login.example.com/{tenantid}/v2.0', client_id: bridge, " + secret + admit), "belong together"},
		{"FB-11/tenants without a template", one(issuer + "tenants: [a], " + secret + admit), "belong together"},
		{"no client id", one("issuer: 'https://login.example.com', " + secret + admit), "needs the client_id"},
		{"no secret", one(issuer + admit), "needs either"},
		{"secret and key", one(issuer + secret + "client_key_file: " + key + ", " + admit), "needs either"},
		{"an empty secret", one(issuer + "client_secret_file: " + empty + ", " + admit), "is empty"},
		{"a missing secret", one(issuer + "client_secret_file: " + word + ".none, " + admit), "client_secret_file"},
		{"no key in the file", one(issuer + "client_key_file: " + broken + ", " + admit), "no PEM file"},
		{"a method there is not", one(issuer + secret + "client_secret_method: jwt, " + admit), "neither basic nor post"},
		{"algorithm HS256", one(issuer + secret + "algorithms: [HS256], " + admit), "none of RS256"},
		{"another's origin with a path", one(issuer + secret + "endpoint_origins: ['https://keys.example.com/x'], " + admit), "is not an origin"},
		{"another's origin by http", one(issuer + secret + "endpoint_origins: ['http://keys.example.com'], " + admit), "is not an origin"},
		{"a parameter of ours", one(issuer + secret + "parameters: {redirect_uri: x}, " + admit), "the bridge's own"},
		{"a preset there is not", one(issuer + secret + "preset: adfs, " + admit), "there is no preset"},
		{"a way to link there is not", one(issuer + secret + "link: [mail], " + admit), "none of code, key and none"},
		{"signing out here alone", one(issuer + secret + "sign_out: here, " + admit), ""},
		{"signing out everywhere", one(issuer + secret + "sign_out: everywhere, " + admit), "neither there nor here"},
		{"a domain that is an address", one(issuer + secret + "domains: ['a@example.com'], " + admit), "is not a domain"},
		{"no rules", one(issuer + secret + "label: x"), "needs admit"},
		{"a rule without a name", one(issuer + secret + "admit: [{anyone: true, scope: 'trinity:read'}]"), "needs a name"},
		{"a rule twice", one(issuer + secret + "admit: [{rule: r, groups: [a], scope: 'trinity:read'}, {rule: r, groups: [b], scope: 'trinity:read'}]"), "stands twice"},
		{"a rule never reached", one(issuer + secret + "admit: [{rule: r, anyone: true, scope: 'trinity:read'}, {rule: s, groups: [b], scope: 'trinity:read'}]"), "never reached"},
		{"a rule without conditions", rule("scope: 'trinity:read'"), "needs either conditions"},
		{"a rule with both", rule("anyone: true, groups: [a], scope: 'trinity:read'"), "needs either conditions"},
		{"a rule with an empty list", rule("groups: [], scope: 'trinity:read'"), "needs either conditions"},
		{"a rule with an empty word", rule("groups: [''], scope: 'trinity:read'"), "identity_sources"},
		{"a rule without a scope", rule("groups: [a]"), "needs a scope"},
		{"a rule with an unknown scope", rule("groups: [a], scope: 'trinity:read all'"), "needs a scope"},
		{"an address that is none", rule("addresses: ['*@example.com'], scope: 'trinity:read'"), "is no e-mail address"},
		{"a profile there is not", rule("groups: [a], scope: 'trinity:read', profiles: [nothing]"), "there is no profile"},
		{"an unknown member", one(issuer + secret + "group: x, " + admit), "identity_sources"},
	}
	codeOff := func(f *config.Flags) { f.EmailCode = "off" }
	loadEach(t, tests, codeOff, func(t *testing.T, _ string, got *config.Config) {
		t.Helper()
		if len(got.Sources) != 1 || got.Sources[0].Auth == "" || got.EmailCode {
			t.Errorf("Load = %+v", got)
		}
	})
	if _, err := loadFile(t, "log_level: info", codeOff); err == nil || !strings.Contains(err.Error(), "no way to sign in") {
		t.Errorf("no way to sign in: %v", err)
	}
}

// A rule as it is written, and what it becomes: a ceiling contains the scopes before it.
func TestLoad_rules(t *testing.T) {
	t.Parallel()
	word := file(t, "word")
	got, err := loadFile(t, `
identity_sources:
  - name: company
    preset: entra
    issuer: https://login.example.com/{tenantid}/v2.0
    tenants: one
    client_id: bridge
    client_secret_file: `+word+`
    groups_claim: realm_access.roles
    scopes: [email]
    admit:
      - rule: some
        domains: example.com
        addresses: [Audit@Example.com]
        groups: [a, b]
        claims: {hd: example.com, level: 3, active: true, a.b: [x, y]}
        scope: trinity:admin
        profiles: [default, listed]
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := got.Sources[0]
	want := admission.Policy{
		Verified: "xms_edov", Groups: admission.Path{"realm_access", "roles"},
		Rules: []admission.Rule{{
			Name: "some", Domains: []string{"example.com"}, Addresses: []string{"audit@example.com"}, Groups: []string{"a", "b"},
			Claims: []admission.Requirement{
				{Claim: admission.Path{"a", "b"}, Values: []string{"x", "y"}},
				{Claim: admission.Path{"active"}, Values: []string{"true"}},
				{Claim: admission.Path{"hd"}, Values: []string{"example.com"}},
				{Claim: admission.Path{"level"}, Values: []string{"3"}},
			},
			Ceiling: bridge.AllScopes(), Profiles: []string{"default", "listed"},
		}},
	}
	if diff := gocmp.Diff(want, s.Policy); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	if s.Userinfo || !s.ByCode || s.ByKey || s.Label != "company" || len(s.Scopes) != 1 || len(s.Tenants) != 1 || !got.EmailCode {
		t.Errorf("source %+v", s)
	}
}

// What each preset fills in, as docs/sign-in.md says, where the operator has written no more than has to be; and what the
// operator has written stays.
func TestLoad_presets(t *testing.T) {
	t.Parallel()
	word := file(t, "word")
	load := func(t *testing.T, preset, issuer, more string) config.Source {
		t.Helper()
		got, err := loadFile(t, `
identity_sources:
  - name: company
    preset: `+preset+`
    issuer: `+issuer+`
    client_id: bridge
    client_secret_file: `+word+`
    admit: [{rule: staff, groups: [staff], scope: trinity:write}]
`+more, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.Sources[0]
	}
	type filled struct {
		Issuer           string
		Scopes, Origins  []string
		Parameters       string
		Userinfo         bool
		Verified, Groups string
	}
	of := func(s config.Source) filled {
		return filled{s.Issuer, s.Scopes, s.Origins, s.Parameters.Encode(), s.Userinfo, s.Policy.Verified, s.Policy.Groups.String()}
	}
	tests := map[string]struct {
		issuer string
		want   filled
	}{
		"okta": {"https://okta.example.com/oauth2/default", filled{Scopes: []string{"profile", "email", "groups", "offline_access"}, Userinfo: true}},
		"entra": {"https://login.example.com/0f5a/v2.0", filled{
			Scopes: []string{"profile", "email", "offline_access"}, Origins: []string{"https://graph.microsoft.com"}, Verified: "xms_edov",
		}},
		"google": {"", filled{
			Issuer: "https://accounts.google.com", Scopes: []string{"profile", "email"}, Userinfo: true, Parameters: "access_type=offline&prompt=consent",
			Origins: []string{"https://oauth2.googleapis.com", "https://openidconnect.googleapis.com", "https://www.googleapis.com"},
		}},
		"keycloak": {"https://keycloak.example.com/realms/company", filled{Scopes: []string{"profile", "email"}, Userinfo: true}},
		"auth0":    {"https://company.example.com/", filled{Scopes: []string{"profile", "email", "offline_access"}, Userinfo: true}},
		"zitadel": {"https://zitadel.example.com", filled{
			Scopes: []string{"profile", "email", "offline_access"}, Userinfo: true, Groups: "urn:zitadel:iam:org:project:roles",
		}},
		"dex": {"https://dex.example.com", filled{Scopes: []string{"profile", "email", "groups", "offline_access"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.want.Issuer = cmp.Or(tt.want.Issuer, tt.issuer)
			tt.want.Verified, tt.want.Groups = cmp.Or(tt.want.Verified, "email_verified"), cmp.Or(tt.want.Groups, "groups")
			if diff := gocmp.Diff(tt.want, of(load(t, name, tt.issuer, ""))); diff != "" {
				t.Errorf("filled in (-want +got):\n%s", diff)
			}
			own := load(t, name, "https://login.example.com", `
    scopes: [email]
    userinfo: true
    verified_claim: sure
    groups_claim: realm_access.roles
    endpoint_origins: ['https://keys.example.com']
    parameters: {prompt: login, access_type: online}
`)
			got := of(own)
			if got.Issuer != "https://login.example.com" || !slices.Equal(got.Scopes, []string{"email"}) || !got.Userinfo || got.Verified != "sure" ||
				got.Groups != "realm_access.roles" || got.Origins[0] != "https://keys.example.com" || got.Parameters != "access_type=online&prompt=login" {
				t.Errorf("what the operator wrote became %+v", got)
			}
		})
	}
}
