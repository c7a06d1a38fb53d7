package tools

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/abilityai/trinity-bridge/bridge"
)

// entry is a Tool as it is written. Pointers tell what is left out: in the catalogue that is a
// mistake, in an overlay it means that the catalogue's judgement stays.
type entry struct {
	Name        string        `yaml:"name"`
	Title       *string       `yaml:"title,omitempty"`
	Category    *string       `yaml:"category,omitempty"`
	Scope       *bridge.Scope `yaml:"scope,omitempty"`
	For         *Audience     `yaml:"for,omitempty"`
	Hints       hintsEntry    `yaml:"hints,omitempty"`
	Description *string       `yaml:"description,omitempty"`
	Hidden      *bool         `yaml:"hidden,omitempty"`
	Note        *string       `yaml:"note,omitempty"`
}

type hintsEntry struct {
	ReadOnly    *bool `yaml:"read_only"`
	Destructive *bool `yaml:"destructive"`
	Idempotent  *bool `yaml:"idempotent"`
	OpenWorld   *bool `yaml:"open_world"`
}

// Load reads the embedded catalogue and profiles.
func Load() (*Catalogue, error) {
	c, err := read([]byte(embedded))
	if err != nil {
		return nil, fmt.Errorf("reading the tool catalogue: %w", err)
	}
	if err := c.readProfiles([]byte(embeddedProfiles)); err != nil {
		return nil, fmt.Errorf("reading the profiles: %w", err)
	}
	return c, nil
}

// read reads a catalogue. Unknown members, a second document and every mistake of an entry are
// errors; all of them are reported together.
func read(document []byte) (*Catalogue, error) {
	entries, err := decode(document)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, errors.New("it is empty")
	}
	c := &Catalogue{exact: make(map[string]Tool, len(entries))}
	return c, c.addAll(entries, false)
}

// Overlay returns the catalogue with an operator's file on top. An entry for a known tool replaces
// what it names, any other entry is a new tool and has to be whole. The error tells every mistake,
// one to a line, and where there is one the catalogue is not changed.
func (c *Catalogue) Overlay(document []byte) (*Catalogue, error) {
	entries, err := decode(document)
	if err != nil {
		return nil, err
	}
	over := &Catalogue{exact: make(map[string]Tool, len(c.exact)), families: slices.Clone(c.families), profiles: c.profiles, hides: c.hides}
	for name, t := range c.exact {
		over.exact[name] = t
	}
	if err := over.addAll(entries, true); err != nil {
		return nil, err
	}
	return over, nil
}

func decode(document []byte) ([]entry, error) {
	var file struct {
		Tools []entry `yaml:"tools"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(document))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		var mistakes *yaml.TypeError
		if errors.As(err, &mistakes) {
			return nil, errors.New(strings.Join(mistakes.Errors, "\n"))
		}
		return nil, err
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after it")
	}
	return file.Tools, nil
}

// addAll adds entries, or lays them over what is there.
func (c *Catalogue) addAll(entries []entry, over bool) error {
	var mistakes []error
	seen := map[string]bool{}
	for _, e := range entries {
		var err error
		if seen[e.Name] {
			err = errors.New("stands twice")
		} else {
			err = c.add(e, over)
		}
		seen[e.Name] = true
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("tool %q: %w", e.Name, err))
		}
	}
	return errors.Join(mistakes...)
}

func (c *Catalogue) add(e entry, over bool) error {
	prefix, family := strings.CutSuffix(e.Name, "*")
	if prefix == "" || !plain(prefix) || len(e.Name) > maxNameLength {
		return fmt.Errorf("a name is 1 to %d letters, digits, '_', '-' and '.'", maxNameLength)
	}
	if !over && (e.Description != nil || e.Hidden != nil) {
		return errors.New("only an operator hides or describes")
	}
	t, err := c.under(e.Name).with(e)
	if err != nil {
		return err
	}
	t.titled = over && e.Title != nil || t.titled
	c.hides = c.hides || t.Hidden
	if !family {
		c.exact[t.Name] = t
		return nil
	}
	c.families = slices.DeleteFunc(c.families, func(f Tool) bool { return f.Name == t.Name })
	c.families = append(c.families, t)
	// The longest prefix is the closest judgement.
	slices.SortStableFunc(c.families, func(a, b Tool) int { return len(b.Name) - len(a.Name) })
	return nil
}

// under is what an entry of that name is laid over: the tool itself, the family it belongs to, or
// a new tool, which has nothing but its place at the end.
func (c *Catalogue) under(name string) Tool {
	for _, f := range c.families {
		if f.Name == name {
			return f
		}
	}
	prefix, family := cutFamily(name)
	t, known := c.Lookup(prefix)
	if !known || family && t.Name == prefix { // a tool says nothing about names that begin as its own does
		return Tool{Name: name, For: ForAnyone, place: len(c.exact) + len(c.families)}
	}
	if t.Name != name {
		t.Title, t.Name = t.titleOf(name), name // a family within a family keeps the star
	}
	return t
}

// with returns the tool with what e says of it, or why that cannot be.
func (t Tool) with(e entry) (Tool, error) {
	fresh := t.Category == ""
	h := e.Hints
	if fresh && (h.ReadOnly == nil || h.Destructive == nil || h.Idempotent == nil || h.OpenWorld == nil) {
		return Tool{}, errors.New("lacks a hint")
	}
	replace(&t.Title, e.Title)
	replace(&t.Category, e.Category)
	replace(&t.Scope, e.Scope)
	replace(&t.For, e.For)
	replace(&t.Hints.ReadOnly, h.ReadOnly)
	replace(&t.Hints.Destructive, h.Destructive)
	replace(&t.Hints.Idempotent, h.Idempotent)
	replace(&t.Hints.OpenWorld, h.OpenWorld)
	replace(&t.Description, e.Description)
	replace(&t.Hidden, e.Hidden)
	replace(&t.Note, e.Note)
	switch {
	case t.Title == "" || t.Category == "":
		return Tool{}, errors.New("has no title or no category")
	case len(titleFaults(t.Title)) > 0:
		return Tool{}, fmt.Errorf("its title %s", titleFaults(t.Title)[0])
	case e.Description != nil && len(descriptionFaults(t.Description)) > 0:
		return Tool{}, fmt.Errorf("its description %s", descriptionFaults(t.Description)[0])
	case !slices.Contains(bridge.AllScopes(), t.Scope):
		return Tool{}, fmt.Errorf("has the unknown scope %q", t.Scope)
	case !slices.Contains(audiences(), t.For):
		return Tool{}, fmt.Errorf("is for %q, which is none of anyone, person, agent, connector and nobody", t.For)
	case t.Hints.ReadOnly && t.Hints.Destructive:
		return Tool{}, errors.New("cannot be both read-only and destructive")
	case t.Scope == bridge.ScopeRead && !t.Hints.ReadOnly:
		return Tool{}, errors.New("acts, so it needs more than the scope for reading")
	}
	return t, nil
}

func replace[T any](field *T, with *T) {
	if with != nil {
		*field = *with
	}
}
