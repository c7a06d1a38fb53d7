package tools

import (
	"bytes"
	_ "embed" // the catalogue is part of the program
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/abilityai/trinity-bridge/bridge"
)

//go:embed catalogue.yaml
var embedded string

// MaxNameLength is the most that clients take for a tool's name.
const MaxNameLength = 64

// Hints are MCP's tool annotations (MCP 2025-03-26, ToolAnnotations). They inform a client; nothing
// is allowed or refused by them.
type Hints struct {
	ReadOnly    bool
	Destructive bool
	Idempotent  bool
	OpenWorld   bool
}

// Tool is one entry of the catalogue.
type Tool struct {
	Name     string // or a prefix that ends in *
	Title    string
	Category string
	Scope    bridge.Scope
	Hints    Hints
	Note     string // why it is judged as it is
}

// Catalogue is what is known of the tools. It is read only.
type Catalogue struct {
	exact    map[string]Tool
	families []Tool // names ending in *
}

// entry is a Tool as it is written. Hints are pointers because a hint that is left out is a
// mistake, not a no.
type entry struct {
	Name     string       `yaml:"name"`
	Title    string       `yaml:"title"`
	Category string       `yaml:"category"`
	Scope    bridge.Scope `yaml:"scope"`
	Hints    struct {
		ReadOnly    *bool `yaml:"read_only"`
		Destructive *bool `yaml:"destructive"`
		Idempotent  *bool `yaml:"idempotent"`
		OpenWorld   *bool `yaml:"open_world"`
	} `yaml:"hints"`
	Note string `yaml:"note"`
}

// Load reads the embedded catalogue.
func Load() (*Catalogue, error) { return read([]byte(embedded)) }

// read reads a catalogue. Unknown members, a second document and every mistake of an entry are
// errors; all of them are reported together.
func read(document []byte) (*Catalogue, error) {
	var file struct {
		Tools []entry `yaml:"tools"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(document))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("reading the tool catalogue: %w", err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading the tool catalogue: there is something after it")
	}
	c := &Catalogue{exact: make(map[string]Tool, len(file.Tools))}
	var mistakes []error
	for _, e := range file.Tools {
		if err := c.add(e); err != nil {
			mistakes = append(mistakes, fmt.Errorf("tool %q: %w", e.Name, err))
		}
	}
	if len(file.Tools) == 0 {
		mistakes = append(mistakes, errors.New("it is empty"))
	}
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("reading the tool catalogue: %w", errors.Join(mistakes...))
	}
	return c, nil
}

func (c *Catalogue) add(e entry) error {
	h := e.Hints
	prefix, family := strings.CutSuffix(e.Name, "*")
	switch {
	case prefix == "" || !plain(prefix) || len(e.Name) > MaxNameLength:
		return fmt.Errorf("a name is 1 to %d letters, digits, '_', '-' and '.'", MaxNameLength)
	case c.has(e.Name):
		return errors.New("stands twice")
	case e.Title == "" || e.Category == "":
		return errors.New("has no title or no category")
	case !slices.Contains(bridge.AllScopes(), e.Scope):
		return fmt.Errorf("has the unknown scope %q", e.Scope)
	case h.ReadOnly == nil || h.Destructive == nil || h.Idempotent == nil || h.OpenWorld == nil:
		return errors.New("lacks a hint")
	case *h.ReadOnly && *h.Destructive:
		return errors.New("cannot be both read-only and destructive")
	case e.Scope == bridge.ScopeRead && !*h.ReadOnly:
		return errors.New("acts, so it needs more than the scope for reading")
	}
	t := Tool{
		Name: e.Name, Title: e.Title, Category: e.Category, Scope: e.Scope, Note: e.Note,
		Hints: Hints{ReadOnly: *h.ReadOnly, Destructive: *h.Destructive, Idempotent: *h.Idempotent, OpenWorld: *h.OpenWorld},
	}
	if family {
		c.families = append(c.families, t)
	} else {
		c.exact[t.Name] = t
	}
	return nil
}

func (c *Catalogue) has(name string) bool {
	_, exact := c.exact[name]
	return exact || slices.ContainsFunc(c.families, func(t Tool) bool { return t.Name == name })
}

// Lookup returns the entry for a tool's name: the one of that very name, or the family it belongs
// to. Names are compared byte by byte; look-alikes belong to nothing (RS-41).
func (c *Catalogue) Lookup(name string) (Tool, bool) {
	if t, ok := c.exact[name]; ok {
		return t, true
	}
	if len(name) > MaxNameLength || !plain(name) {
		return Tool{}, false
	}
	for _, t := range c.families {
		if rest, ok := strings.CutPrefix(name, strings.TrimSuffix(t.Name, "*")); ok && rest != "" {
			return t, true
		}
	}
	return Tool{}, false
}

// Scope is what a call of the tool needs. A tool that the catalogue does not know needs
// bridge.ScopeAdmin (RS-38).
func (c *Catalogue) Scope(tool string) bridge.Scope {
	if t, ok := c.Lookup(tool); ok {
		return t.Scope
	}
	return bridge.ScopeAdmin
}

func plain(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
	})
}
