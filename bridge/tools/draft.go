package tools

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

const draftHead = `# Judgements about tools that the catalogue does not know, to be laid over it: --tools-overlay FILE.
#
# Each begins as the strictest there is, which is how it is treated without this file, too. Look at what the tool
# does, say so in category, scope and hints, and give the reason in note.
`

// Draft is an overlay for the tools of a list that the catalogue does not know, and how many they are.
// A title that is fit to be shown is taken over; a claim that a tool is harmless is not.
func (c *Catalogue) Draft(listed []jsonrpc.ListedTool) ([]byte, int, error) {
	yes, no := true, false
	scope, category, note := bridge.ScopeAdmin, "unjudged", "Nobody has looked at it yet."
	var file struct {
		Tools []entry `yaml:"tools"`
	}
	var unusable []string
	seen := map[string]bool{}
	for _, t := range listed {
		if _, known := c.Lookup(t.Name); known || seen[t.Name] {
			continue
		}
		seen[t.Name] = true
		if !usableName(t.Name) {
			unusable = append(unusable, fmt.Sprintf("# %.100q has no name that clients take: it is never shown.\n", t.Name))
			continue
		}
		title := t.Title
		if len(titleFaults(title)) > 0 {
			title = spoken(t.Name)
		}
		if len(titleFaults(title)) > 0 {
			title = t.Name
		}
		file.Tools = append(file.Tools, entry{
			Name: t.Name, Title: &title, Category: &category, Scope: &scope, Note: &note,
			Hints: hintsEntry{ReadOnly: &no, Destructive: &yes, Idempotent: &no, OpenWorld: &yes},
		})
	}
	var out bytes.Buffer
	out.WriteString(draftHead)
	for _, line := range unusable {
		out.WriteString(line)
	}
	if len(file.Tools) == 0 {
		out.WriteString("tools: []\n")
		return out.Bytes(), 0, nil
	}
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(file); err != nil {
		return nil, 0, fmt.Errorf("writing an overlay: %w", err)
	}
	return out.Bytes(), len(file.Tools), nil
}
