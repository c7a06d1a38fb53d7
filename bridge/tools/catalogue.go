package tools

import (
	_ "embed" // the catalogue is part of the program
	"slices"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
)

//go:embed catalogue.yaml
var embedded string

// maxNameLength is the most that clients take for a tool's name.
const maxNameLength = 64

// Hints are MCP's tool annotations (MCP 2025-03-26, ToolAnnotations). They inform a client; nothing
// is allowed or refused by them.
type Hints struct {
	ReadOnly    bool
	Destructive bool
	Idempotent  bool
	OpenWorld   bool
}

// strictest is what is said of a tool that nobody has judged.
func strictest() Hints { return Hints{Destructive: true, OpenWorld: true} }

// Audience says whom a tool works for. The others would get an error from Trinity, so it is not
// theirs to see.
type Audience string

// The audiences. Those of static keys are Trinity's to know: the bridge cannot tell a key's kind.
const (
	ForAnyone    Audience = "anyone"
	ForPerson    Audience = "person"    // and the platform, not agents
	ForAgent     Audience = "agent"     // it acts as the calling agent
	ForConnector Audience = "connector" // Trinity's own connector keys; no grant is one
	ForNobody    Audience = "nobody"
)

// audiences are all of them.
func audiences() []Audience {
	return []Audience{ForAnyone, ForPerson, ForAgent, ForConnector, ForNobody}
}

// includes reports whether a grant that acts as kind is in the audience. A kind that is not known
// is treated as a person's: it is the common one, and has the fewest tools.
func (a Audience) includes(kind bridge.ActingKind) bool {
	switch a {
	case ForAnyone:
		return true
	case ForPerson:
		return kind != bridge.ActAsAgent
	case ForAgent:
		return kind == bridge.ActAsAgent
	case ForConnector, ForNobody:
	}
	return false
}

// Tool is one entry of the catalogue.
type Tool struct {
	Name     string // or a prefix that ends in *
	Title    string // with a * for the rest of a family's name
	Category string
	Scope    bridge.Scope
	For      Audience
	Hints    Hints
	Note     string // why it is judged as it is

	// Description replaces the upstream's, where the operator gave one.
	Description string
	// Hidden tools are neither shown nor let through, whoever calls. Only an operator hides.
	Hidden bool

	place  int  // in the catalogue: lists are in this order
	titled bool // by the operator, whose title wins over the upstream's
}

// Catalogue is what is known of the tools. It is read only.
type Catalogue struct {
	exact    map[string]Tool
	families []Tool // names ending in *
	profiles []Profile
	hides    bool // the operator hid a tool
}

// Lookup returns the entry for a tool's name: the one of that very name, or the family it belongs
// to. Names are compared byte by byte; look-alikes belong to nothing (RS-41).
func (c *Catalogue) Lookup(name string) (Tool, bool) {
	if t, ok := c.exact[name]; ok {
		return t, true
	}
	if len(name) > maxNameLength || !plain(name) {
		return Tool{}, false
	}
	for _, t := range c.families {
		if rest, ok := strings.CutPrefix(name, strings.TrimSuffix(t.Name, "*")); ok && rest != "" {
			return t, true
		}
	}
	return Tool{}, false
}

// Judge is Lookup with an answer for every name: a tool that the catalogue does not know is
// destructive and needs bridge.ScopeAdmin (RS-38).
func (c *Catalogue) Judge(name string) (t Tool, known bool) {
	if t, ok := c.Lookup(name); ok {
		return t, true
	}
	return Tool{
		Name: name, Title: spoken(name), Category: "unknown", Scope: bridge.ScopeAdmin, For: ForAnyone, Hints: strictest(),
		place: len(c.exact) + len(c.families),
	}, false
}

// Scope is what a call of the tool needs.
func (c *Catalogue) Scope(tool string) bridge.Scope {
	t, _ := c.Judge(tool)
	return t.Scope
}

// Tools are all entries in the catalogue's order.
func (c *Catalogue) Tools() []Tool {
	all := slices.Clone(c.families)
	for _, t := range c.exact {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b Tool) int { return a.place - b.place })
	return all
}

// titleOf is the title of the tool called name.
func (t *Tool) titleOf(name string) string {
	prefix, family := cutFamily(t.Name)
	if !family {
		return t.Title
	}
	return strings.ReplaceAll(t.Title, "*", strings.TrimPrefix(name, prefix))
}

// cutFamily is the prefix of a family's names, or the name of a single tool.
func cutFamily(name string) (prefix string, family bool) { return strings.CutSuffix(name, "*") }

// member is a name that belongs to the entry and to no other that is known.
func (t *Tool) member() string {
	if prefix, family := cutFamily(t.Name); family {
		return prefix + "x"
	}
	return t.Name
}

// spoken makes words of a name.
func spoken(name string) string {
	words := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' {
			return ' '
		}
		return r
	}, name))
	if words == "" || words[0] < 'a' || words[0] > 'z' {
		return words
	}
	return string(words[0]-'a'+'A') + words[1:]
}

func plain(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
	})
}
