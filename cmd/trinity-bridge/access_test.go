package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sources = `
identity_sources:
  - name: company
    issuer: https://login.example.com
    client_id: bridge
    client_secret_file: /nowhere
    admit:
      - rule: admins
        groups: [admins]
        scope: trinity:admin
      - rule: staff
        domains: [example.com]
        scope: trinity:write
        profiles: [listed]
  - name: partner
    issuer: https://id.example.com
    client_id: bridge
    client_secret_file: /nowhere
    admit:
      - rule: listed
        addresses: [carol@partner.example.com]
        scope: trinity:read
`

// explain says which rule lets a person in, with what, and why; the file's secrets are not needed.
func TestAccess_explain(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := file("bridge.yaml", sources)
	bob := file("bob.json", `{"sub":"1","email":"bob@example.com","email_verified":true,"groups":["others"]}`)
	explain := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := run(t.Context(), append([]string{"access", "explain", "--config", config}, args...), &out, &out); code != want {
			t.Fatalf("%v: exit code %d, want %d: %s", args, code, want, out.String())
		}
		return out.String()
	}
	text := explain(exitDone, bob)
	for _, part := range []string{
		`company lets this person in: rule "staff", at most trinity:read trinity:write`, "profile listed",
		"no  admins: in none of the groups: admins", "yes staff: the e-mail address is of example.com", "partner does not let this person in",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
	var all []explained
	if err := json.Unmarshal([]byte(explain(exitDone, bob, "--json", "--source", "company")), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || !all[0].Admitted || all[0].Rule != "staff" || all[0].Scope != "trinity:read trinity:write" || len(all[0].Tried) != 2 {
		t.Errorf("in JSON: %+v", all)
	}
	explain(exitFailed, bob, "--source", "partner")
	explain(exitFailed, bob, "--source", "nobody")
	explain(exitFailed, file("nobody.json", `{}`))
	explain(exitFailed, file("twice.json", `{"groups":["admins"],"groups":["others"]}`))
	explain(exitFailed, filepath.Join(folder, "none.json"))
	explain(exitUsage)
	if broken := file("broken.yaml", "identity_sources: [{name: a, admit: [{rule: r}]}]"); broken != "" {
		var out bytes.Buffer
		if code := run(t.Context(), []string{"access", "explain", "--config", broken, bob}, &out, &out); code != exitUsage || !strings.Contains(out.String(), "needs a scope") {
			t.Errorf("a file with mistakes: %d %s", code, out.String())
		}
	}
}
