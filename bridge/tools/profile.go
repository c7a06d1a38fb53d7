package tools

import (
	"bytes"
	_ "embed" // the profiles of every deployment
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/abilityai/trinity-bridge/bridge"
)

//go:embed profiles.yaml
var embeddedProfiles string

// Prohibited are the categories that no directory profile holds, whatever a tool of them does.
func Prohibited() []string {
	return []string{
		"payments", "telephony", "messaging", "speech", "media", "secrets", "memory", "login", "exposure", "approvals",
	}
}

// Profile is a named tool set, served at a resource of its own.
type Profile struct {
	Name      string // "" for the one at the connector's own address
	Title     string // the operator's words for people; "" for the profiles of every deployment
	Scopes    bridge.Scopes
	ReadOnly  bool
	Directory bool // fit for a directory of connectors: tools that were judged and work for a person, none of Prohibited

	only, except selection
}

// selection is a choice of tools by what they are about and by name; a name may end in *.
type selection struct {
	Categories []string `yaml:"categories"`
	Tools      []string `yaml:"tools"`
}

func (s selection) empty() bool { return len(s.Categories)+len(s.Tools) == 0 }

func (s selection) has(t Tool) bool {
	return slices.Contains(s.Categories, t.Category) || slices.Contains(s.Tools, t.Name)
}

// hasNamed is has for the tool called name, which may be one of a family.
func (s selection) hasNamed(t Tool, name string) bool {
	return s.has(t) || t.Name != name && slices.Contains(s.Tools, name)
}

// Declaration is a profile as it is written.
type Declaration struct {
	Name      string    `yaml:"name"`
	Title     string    `yaml:"title"`
	Scope     string    `yaml:"scope"` // the most a grant for it can carry; all when left out
	ReadOnly  bool      `yaml:"read_only"`
	Directory bool      `yaml:"directory"`
	Only      selection `yaml:"only"` // all when left out
	Except    selection `yaml:"except"`
}

// whole reports whether the set leaves nothing out.
func (p *Profile) whole() bool {
	return !p.ReadOnly && !p.Directory && p.only.empty() && p.except.empty() && p.Scopes.Contains(bridge.AllScopes())
}

// offers reports whether the tool called name is in the set. What the catalogue does not know is
// only in a set that takes all there is.
func (p *Profile) offers(t Tool, name string, known bool) bool {
	switch {
	case !p.Scopes.Allows(t.Scope), p.ReadOnly && !t.Hints.ReadOnly:
		return false
	case p.Directory && (!known || slices.Contains(Prohibited(), t.Category) || !t.For.includes(bridge.ActAsUser)):
		return false
	case !p.only.empty() && !p.only.hasNamed(t, name):
		return false
	}
	return !p.except.hasNamed(t, name)
}

// Profiles are the tool sets, the default one first.
func (c *Catalogue) Profiles() []Profile { return slices.Clone(c.profiles) }

// Profile finds a tool set by its name.
func (c *Catalogue) Profile(name string) (*Profile, bool) {
	for i := range c.profiles {
		if c.profiles[i].Name == name {
			return &c.profiles[i], true
		}
	}
	return nil, false
}

func (c *Catalogue) readProfiles(document []byte) error {
	var file struct {
		Profiles []Declaration `yaml:"profiles"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(document))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return err
	}
	with, err := c.WithProfiles(file.Profiles)
	if err == nil {
		c.profiles = with.profiles
	}
	return err
}

// WithProfiles returns the catalogue with profiles added, or put in the place of those of their
// name. The error tells every mistake, one to a line.
func (c *Catalogue) WithProfiles(declared []Declaration) (*Catalogue, error) {
	with := *c
	with.profiles = slices.Clone(c.profiles)
	var mistakes []error
	seen := map[string]bool{}
	for _, d := range declared {
		p, errs := c.profile(d)
		if seen[d.Name] {
			errs = append(errs, errors.New("stands twice"))
		}
		seen[d.Name] = true
		for _, err := range errs {
			mistakes = append(mistakes, fmt.Errorf("profile %q: %w", d.Name, err))
		}
		if at := slices.IndexFunc(with.profiles, func(known Profile) bool { return known.Name == p.Name }); at >= 0 {
			with.profiles[at] = p
		} else {
			with.profiles = append(with.profiles, p)
		}
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	return &with, nil
}

// profileName is a part of a URL's path.
var profileName = regexp.MustCompile(`^(?:[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?)?$`)

func (c *Catalogue) profile(d Declaration) (Profile, []error) {
	var mistakes []error
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }
	p := Profile{
		Name: d.Name, Title: d.Title, Scopes: bridge.AllScopes(), ReadOnly: d.ReadOnly, Directory: d.Directory,
		only: d.Only, except: d.Except,
	}
	if !profileName.MatchString(d.Name) {
		wrong("a name is 1 to 32 lower-case letters, digits and inner hyphens")
	}
	if d.Title != "" && len(titleFaults(d.Title)) > 0 {
		wrong("its title %s", titleFaults(d.Title)[0])
	}
	if d.Scope != "" {
		var unknown int
		if p.Scopes, unknown = bridge.ParseScopes(d.Scope); unknown > 0 || !p.Scopes.Allows(bridge.ScopeRead) {
			wrong("its scope %q is not made of %s", d.Scope, bridge.AllScopes())
		}
	}
	for _, s := range []selection{d.Only, d.Except} {
		for _, category := range s.Categories {
			if !c.hasCategory(category) {
				wrong("there is no category %q", category)
			}
		}
		for _, name := range s.Tools {
			if !c.names(name) {
				wrong("there is no tool %q", name)
			}
		}
	}
	if len(mistakes) == 0 && !slices.ContainsFunc(c.Tools(), func(t Tool) bool { return !t.Hidden && p.offers(t, t.Name, true) }) {
		wrong("there is no tool in it")
	}
	return p, mistakes
}

func (c *Catalogue) hasCategory(category string) bool {
	return slices.Contains(Prohibited(), category) || slices.ContainsFunc(c.Tools(), func(t Tool) bool { return t.Category == category })
}

// names reports whether a selection may hold the name: a tool, a family as it is written, or one of a family.
func (c *Catalogue) names(name string) bool {
	_, known := c.Lookup(strings.TrimSuffix(name, "*"))
	return known || slices.ContainsFunc(c.families, func(f Tool) bool { return f.Name == name })
}
