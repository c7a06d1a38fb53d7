package config_test

import (
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/config"
)

func TestLoad_principals(t *testing.T) {
	t.Parallel()
	held, bad, secret := file(t, key+"\n"), file(t, "hunter2-is-no-key"), file(t, "client-secret")
	source := `
identity_sources:
  - {name: company, issuer: 'https://login.example.com', client_id: c, client_secret_file: ` + secret + `, admit: [{rule: all, anyone: true, scope: 'trinity:admin'}]}
`
	one := func(rest string) string {
		return source + "principals: [{trinity_key_file: " + held + ", " + rest + "}]"
	}
	const alice = "who: [{source: trinity, addresses: Alice@example.com}]"
	tests := []fileTest{
		{"agent", one("act_as: agent, agent: researcher, " + alice), ""},
		{"system", one("act_as: system, " + alice), ""},
		{"by a source's groups", one("act_as: system, who: [{source: company, groups: [ops]}, {source: trinity, subjects: [carol]}]"), ""},
		{"a person", one("act_as: user, " + alice), "act_as is agent or system"},
		{"connector", one("act_as: connector, agent: a, " + alice), "act_as is agent or system"},
		{"nothing", one(alice), "act_as is agent or system"},
		{"agent without a name", one("act_as: agent, " + alice), "an agent needs its name"},
		{"agent's name of blanks", one("act_as: agent, agent: ' ', " + alice), "an agent needs its name"},
		{"system with a name", one("act_as: system, agent: a, " + alice), "the system none"},
		{"nobody", one("act_as: system"), "needs who"},
		{"everybody", one("act_as: system, who: [{source: company}]"), "nobody is everybody"},
		{"source unknown", one("act_as: system, who: [{source: other, groups: [ops]}]"), "neither trinity nor one of"},
		{"source absent", one("act_as: system, who: [{groups: [ops]}]"), "neither trinity nor one of"},
		{"groups at Trinity", one("act_as: system, who: [{source: trinity, groups: [ops]}]"), "no groups"},
		{"no address", one("act_as: system, who: [{source: trinity, addresses: ['*@example.com']}]"), "is no e-mail address"},
		{"no domain", one("act_as: system, who: [{source: company, domains: [EXAMPLE]}]"), "is not a domain"},
		{"twice", source + "principals: [{trinity_key_file: " + held + ", act_as: system, " + alice + "}, {trinity_key_file: " + held + ", act_as: system, " + alice + "}]", "stands twice"},
		{"no key", "principals: [{act_as: system, " + alice + "}]", "needs a trinity_key_file"},
		{"absent key", "principals: [{act_as: system, trinity_key_file: " + held + "s, " + alice + "}]", "no such file"},
		{"no key in it", "principals: [{act_as: system, trinity_key_file: " + bad + ", " + alice + "}]", "is not a trinity_mcp_ key"},
		{"unknown member", one("act_as: system, role: admin, " + alice), "role"},
	}
	loadEach(t, tests, nil, func(t *testing.T, id string, got *config.Config) {
		t.Helper()
		if len(got.Principals.Keys) != 1 {
			t.Fatalf("principals %+v", got.Principals)
		}
		for as, token := range got.Principals.Keys {
			if token.Reveal() != key || as.Kind == bridge.ActAsUser || len(got.Principals.ByCode.Acting) != 1 || got.Principals.ByCode.Acting[0].As != as {
				t.Errorf("%s, %+v", as, got.Principals.ByCode)
			}
		}
		if id == "by a source's groups" && (len(got.Sources[0].Policy.Acting) != 1 || got.Sources[0].Policy.Acting[0].Rule.Groups[0] != "ops") {
			t.Errorf("the source's policy %+v", got.Sources[0].Policy)
		}
	})
}
