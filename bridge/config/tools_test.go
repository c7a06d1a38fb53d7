package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/config"
)

func TestTools_overlayAndProfiles(t *testing.T) {
	t.Parallel()
	overlay := file(t, "tools:\n  - {name: list_agents, category: people, scope: trinity:write}\n")
	flags := good()
	flags.Config = file(t, "tools_overlay: "+overlay+"\ntools_beyond_scope: on\nprofiles:\n  - {name: desk, title: Help desk, only: {categories: [people]}}\n")
	got, err := config.Load(flags, noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	desk, ok := got.Tools.Profile("desk")
	if !ok || desk.Title != "Help desk" || got.Tools.Scope("list_agents") != bridge.ScopeWrite || !got.ListBeyondScope {
		t.Errorf("profile %+v, scope %s", desk, got.Tools.Scope("list_agents"))
	}
	alone, err := config.Tools(config.Flags{Config: flags.Config}, noEnvironment)
	if err != nil || len(alone.Profiles()) != len(got.Tools.Profiles()) {
		t.Errorf("for commands: %v", err)
	}
	plain, err := config.Load(good(), noEnvironment)
	if err != nil || plain.ListBeyondScope || len(plain.Tools.Profiles()) != 3 {
		t.Errorf("by default: %+v, %v", plain, err)
	}
}

// TestTools_mistakes: all of them are told, with where they are.
func TestTools_mistakes(t *testing.T) {
	t.Parallel()
	overlay := file(t, "tools:\n  - {name: list_agents, scope: all}\n  - {name: new_one}\n")
	flags := good()
	flags.ToolsOverlay, flags.ToolsBeyondScope = overlay, "maybe"
	check := func(flags config.Flags, want ...string) {
		t.Helper()
		_, err := config.Load(flags, noEnvironment)
		var mistakes config.Mistakes
		if !errors.As(err, &mistakes) || len(mistakes) != len(want) {
			t.Fatalf("mistakes %v, want %d", err, len(want))
		}
		for _, part := range want {
			if !slices.ContainsFunc(mistakes, func(m string) bool { return strings.Contains(m, part) }) {
				t.Errorf("no %q in %v", part, mistakes)
			}
		}
	}
	check(flags, "--tools-overlay: "+overlay+`: tool "list_agents": has the unknown scope`, "--tools-overlay: "+overlay+`: tool "new_one": lacks a hint`, "--tools-beyond-scope")
	flags = good()
	flags.Config = file(t, "profiles:\n  - {name: Desk}\n  - {name: a, only: {tools: [no_tool]}}\n")
	check(flags, `profiles: profile "Desk": a name is`, `profiles: profile "a": there is no tool "no_tool"`)
	flags.Config = file(t, "profiles:\n  - {name: desk, other: {}}\n")
	check(flags, "other")
	flags = good()
	flags.ToolsOverlay = overlay + ".missing"
	check(flags, "--tools-overlay: open")
}
