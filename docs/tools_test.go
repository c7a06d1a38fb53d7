package docs

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// docs/tools.md, its table of methods: each has the scope that the program asks for, and none is left out.
func TestDocs_methodScopes(t *testing.T) {
	t.Parallel()
	_, section, _ := strings.Cut(read(t, "docs/tools.md"), "## What each method needs")
	section, _, _ = strings.Cut(section, "\n## ")
	row := regexp.MustCompile("(?m)^\\| (`[^|]+`) \\| `(trinity:[a-z]+)` \\|$")
	told := map[string]bool{}
	for _, match := range row.FindAllStringSubmatch(section, -1) {
		for method := range strings.SplitSeq(match[1], ", ") {
			method = strings.Trim(method, "`")
			asked := strings.Replace(method, "…", "x", 1)
			if scope, known := tools.MethodScope(asked); !known || scope != bridge.Scope(match[2]) {
				t.Errorf("%s needs %s, the page says %s", method, scope, match[2])
			}
			told[method] = true
		}
	}
	if len(told) != 20 || !strings.Contains(section, "| `tools/call` | the tool's |") {
		t.Errorf("the page tells of %d methods, want 20 and tools/call", len(told))
	}
}

// docs/tools.md, its table of addresses: so many of Trinity's names are at each.
func TestDocs_toolCounts(t *testing.T) {
	t.Parallel()
	catalogue, err := tools.Load()
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(read(t, "bridge/tools/testdata/names.txt"))
	page := read(t, "docs/tools.md")
	for _, profile := range catalogue.Profiles() {
		view := tools.View{Catalogue: catalogue, Profile: &profile, Scopes: bridge.AllScopes(), ActingAs: bridge.ActAsUser}
		n := 0
		for _, name := range names {
			if view.Offers(name) {
				n++
			}
		}
		address := strings.TrimSuffix("/mcp/"+profile.Name, "/")
		row := regexp.MustCompile("(?m)^\\| `" + address + "` \\|.*\\| " + fmt.Sprint(n) + " \\|$")
		if !row.MatchString(page) {
			t.Errorf("docs/tools.md does not say that %s has %d of the names", address, n)
		}
	}
}

// docs/tools.md, its overlay can be laid over the catalogue.
func TestDocs_overlay(t *testing.T) {
	t.Parallel()
	catalogue, err := tools.Load()
	if err != nil {
		t.Fatal(err)
	}
	found := blocks(read(t, "docs/tools.md"), "yaml")
	if len(found) != 1 {
		t.Fatalf("docs/tools.md has %d overlays", len(found))
	}
	over, err := catalogue.Overlay([]byte(found[0]))
	if err != nil {
		t.Fatal(err)
	}
	if scope := over.Scope("count_beans"); scope != bridge.ScopeRead {
		t.Errorf("count_beans needs %s", scope)
	}
}
