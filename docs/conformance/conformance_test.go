package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

func TestPage_isUpToDate(t *testing.T) {
	t.Parallel()
	p, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, pagePath))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(p.String(), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s is not what `make conformance` writes (-written +there):\n%s", pagePath, diff)
	}
	t.Logf("\n%s", p.counts())
}

func TestPage_isTrue(t *testing.T) {
	t.Parallel()
	p, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range p.mistakes() {
		t.Error(wrong)
	}
	// 145 for the authorization server, 34 for the resource server, 68 for the gateway, 34 of extensions.
	if len(p.rules) != 145+34+68+34 {
		t.Errorf("there are %d rules", len(p.rules))
	}
	if len(p.behaviours) != 79 {
		t.Errorf("there are %d behaviours", len(p.behaviours))
	}
}

// A check that finds nothing wrong with anything is worth nothing.
func TestPage_mistakesAreFound(t *testing.T) {
	t.Parallel()
	p := &page{
		tests: map[string][]string{"oauth.TestA": {"AS-001", "AS-999"}},
		rules: []rule{
			{ID: "AS-001", Level: "MUST", Title: "t", Source: "s", Tests: []string{"oauth.TestA"}},
			{ID: "AS-001", Level: "MAY", Title: "t", Source: "s"},
			{ID: "AS-002", Level: "MUST", Title: "t", Source: "s"},
			{ID: "AS-003", Level: "policy (graceful end SHOULD)", Title: "t", Source: "s"},
			{ID: "AS-004", Level: "MUST", Title: "t", Source: "s", Tests: []string{"oauth.TestGone"}},
			{ID: "AS-005", Level: "MUST", Title: "t", Source: "s", NotDone: "a", Later: "b"},
			{ID: "AS-006", Level: "MUST", NotDone: "a"},
			{ID: "AS-007", Level: "MUST", Title: "t", Source: "s", NotDone: "not needed here"},
			{ID: "AS-008", Level: "MAY", Title: "t", Source: "s", Missing: "half of it"},
			{ID: "AS-009", Level: "MAY", Title: "t", Source: "s", Except: []string{"oauth.TestA"}},
		},
		behaviours: []rule{
			{ID: "B01", Title: "t", NotDone: "the operator's"},
			{ID: "B03", Title: "t", Tests: []string{"oauth.TestGone"}},
			{ID: "B03", Title: "t"},
		},
		clients: []client{{Name: "c", Tests: []string{"e2e.TestGone"}}, {Name: "d"}},
	}
	want := []string{
		"AS-001 stands there twice",
		"AS-002 has neither a test nor a reason",
		"AS-003 has neither a test nor a reason",
		"AS-004: there is no test oauth.TestGone",
		"AS-005 is both not done and later",
		"AS-006 has no title or no source",
		"AS-008 has something to say of tests, and has none",
		"AS-009: oauth.TestA does not say it, and need not be excepted",
		"behaviour B03 stands in the place of B02",
		"B03: there is no test oauth.TestGone",
		"B03 has no title, or neither a test nor a reason",
		"client c: there is no test e2e.TestGone",
		"client d has no test",
		"oauth.TestA names AS-999, which is no rule",
	}
	if diff := cmp.Diff(want, p.mistakes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRule_level(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]string{
		"MUST": "MUST", "MUST NOT": "MUST", "MUST; SHOULD": "MUST", "MUST, SHOULD": "MUST", "SHOULD / MUST": "SHOULD",
		"MAY": "MAY", "OPTIONAL": "MAY", "derived": "other", "policy": "other", "": "other",
	} {
		if got := (rule{Level: level}).level(); got != want {
			t.Errorf("%q is counted as %s, want %s", level, got, want)
		}
	}
}

func TestIdsIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"// AS-034, GW-67: both":             {"AS-034", "GW-67"},
		"func TestX_AS34_AS131_EX02(":        {"AS-034", "AS-131", "EX-02"},
		`"AS-001, AS-006…AS-008 (-want"`:     {"AS-001", "AS-006", "AS-007", "AS-008"},
		"AS-001…003":                         {"AS-001", "AS-002", "AS-003"},
		"// B31, TestX_B05_B06 (B79)":        {"B05", "B06", "B31", "B79"},
		"AB12 B123 B1a B7 xB01":              nil,
		"RS-01, RS256, ALIAS-01, AS-1, TK01": nil,
	} {
		if diff := cmp.Diff(want, idsIn(text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}
