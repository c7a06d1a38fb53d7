package tools

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

// Rule is what an audit looks at.
type Rule string

// The rules, in the order of reports.
const (
	RuleName        Rule = "name"
	RuleTitle       Rule = "title"
	RuleHints       Rule = "hints"
	RuleDescription Rule = "description"
	RuleProhibited  Rule = "prohibited"
	RuleAudience    Rule = "audience" // it answers an error to a person
	RuleDrift       Rule = "drift"    // the catalogue does not know it
)

// Rules are all of them.
func Rules() []Rule {
	return []Rule{RuleName, RuleTitle, RuleHints, RuleDescription, RuleProhibited, RuleAudience, RuleDrift}
}

// Finding is what one rule says of one tool.
type Finding struct {
	Tool string `json:"tool"`
	Rule Rule   `json:"rule"`
	Text string `json:"text"`
	// Note is for what a person should look at and no directory refuses.
	Note bool `json:"note,omitempty"`
}

// Report is what an audit found.
type Report struct {
	Tools    int       `json:"tools"`
	Findings []Finding `json:"findings"`
}

// Gaps are the findings that are no notes.
func (r *Report) Gaps() int {
	return len(slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Note }))
}

// Audit holds a server's list of tools against what directories of connectors want and what the
// catalogue knows. With unlisted, what only a directory refuses is let be: prohibited categories
// and tools that do not work for a person.
func (c *Catalogue) Audit(listed []jsonrpc.ListedTool, unlisted bool) Report {
	report := Report{Tools: len(listed), Findings: []Finding{}}
	names := make(map[string]bool, len(listed))
	for _, t := range listed {
		names[t.Name] = true
	}
	seen := map[string]bool{}
	for _, t := range listed {
		a := audited{report: &report, tool: t}
		if seen[t.Name] {
			a.find(RuleName, "stands twice")
		}
		seen[t.Name] = true
		judged, known := c.Judge(t.Name)
		a.texts(names)
		a.hints(judged, known)
		switch {
		case !known:
			a.find(RuleDrift, "not in the catalogue")
		case unlisted:
		case slices.Contains(Prohibited(), judged.Category):
			a.find(RuleProhibited, judged.Category)
		case !judged.For.includes(bridge.ActAsUser):
			a.find(RuleAudience, "works for "+string(judged.For)+" only")
		}
	}
	return report
}

// audited is one tool that is looked at.
type audited struct {
	report *Report
	tool   jsonrpc.ListedTool
}

func (a *audited) find(rule Rule, text string) {
	a.report.Findings = append(a.report.Findings, Finding{Tool: a.tool.Name, Rule: rule, Text: text})
}

func (a *audited) note(rule Rule, text string) {
	a.report.Findings = append(a.report.Findings, Finding{Tool: a.tool.Name, Rule: rule, Text: text, Note: true})
}

func (a *audited) texts(names map[string]bool) {
	for _, fault := range nameFaults(a.tool.Name) {
		a.find(RuleName, fault)
	}
	if a.tool.Title == "" {
		a.find(RuleTitle, "missing")
	} else {
		for _, fault := range titleFaults(a.tool.Title) {
			a.find(RuleTitle, fault)
		}
	}
	for _, fault := range descriptionFaults(a.tool.Description) {
		a.find(RuleDescription, fault)
	}
	for _, word := range strings.FieldsFunc(a.tool.Description, func(r rune) bool { return !plain(string(r)) }) {
		if word = strings.Trim(word, ".-"); word != a.tool.Name && names[word] && strings.Contains(word, "_") {
			a.note(RuleDescription, "names another tool: "+word)
			break
		}
	}
}

func (a *audited) hints(judged Tool, known bool) {
	h := a.tool.Hints
	claims := [4]jsonrpc.Claim{h.ReadOnly, h.Destructive, h.Idempotent, h.OpenWorld}
	ours := [4]bool{judged.Hints.ReadOnly, judged.Hints.Destructive, judged.Hints.Idempotent, judged.Hints.OpenWorld}
	names := [4]string{"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
	stricter := [4]bool{false, true, false, true} // the value that warns
	var missing, laxer, harder []string
	for i, claim := range claims {
		switch {
		case claim == jsonrpc.Unsaid:
			if i != 2 { // idempotence is asked for by no directory
				missing = append(missing, names[i])
			}
		case !known || (claim == jsonrpc.Yes) == ours[i]:
		case ours[i] == stricter[i]:
			laxer = append(laxer, fmt.Sprintf("%s is %v", names[i], claim == jsonrpc.Yes))
		default:
			harder = append(harder, fmt.Sprintf("%s is %v", names[i], claim == jsonrpc.Yes))
		}
	}
	switch {
	case len(missing) == 3:
		a.find(RuleHints, "missing")
	case len(missing) > 0:
		a.find(RuleHints, strings.Join(missing, " and ")+" missing")
	}
	if h.ReadOnly == jsonrpc.Yes && h.Destructive == jsonrpc.Yes {
		a.find(RuleHints, "read-only and destructive at once")
	}
	if len(laxer) > 0 {
		a.find(RuleHints, strings.Join(laxer, ", ")+" against the catalogue")
	}
	if len(harder) > 0 {
		a.note(RuleHints, strings.Join(harder, ", ")+", stricter than the catalogue")
	}
}

// Write prints a table with a line for each tool something was found about, and what was found in all.
func (r *Report) Write(w io.Writer) error {
	lines := map[string][]string{}
	var order []string
	for _, f := range r.Findings {
		if lines[f.Tool] == nil {
			order = append(order, f.Tool)
		}
		text := string(f.Rule) + ": " + f.Text
		if f.Note {
			text = "(" + text + ")"
		}
		lines[f.Tool] = append(lines[f.Tool], text)
	}
	if len(order) > 0 {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "TOOL\tFINDINGS")
		for _, name := range order {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", printable(name), printable(strings.Join(lines[name], "; ")))
		}
		if err := table.Flush(); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(w)
	}
	_, err := fmt.Fprintln(w, r.summary())
	return err
}

// summary counts the tools that have gaps, by rule.
func (r *Report) summary() string {
	of := map[Rule]map[string]bool{}
	all, notes := map[string]bool{}, 0
	for _, f := range r.Findings {
		if f.Note {
			notes++
			continue
		}
		if of[f.Rule] == nil {
			of[f.Rule] = map[string]bool{}
		}
		of[f.Rule][f.Tool], all[f.Tool] = true, true
	}
	text := fmt.Sprintf("%d tools, ", r.Tools)
	if len(all) == 0 {
		text += "no gaps"
	} else {
		counts := []string{}
		for _, rule := range Rules() {
			if n := len(of[rule]); n > 0 {
				counts = append(counts, fmt.Sprintf("%s %d", rule, n))
			}
		}
		text += fmt.Sprintf("%d with gaps: %s", len(all), strings.Join(counts, ", "))
	}
	switch {
	case notes == 1:
		text += "; 1 note"
	case notes > 1:
		text += fmt.Sprintf("; %d notes", notes)
	}
	return text
}

// printable keeps an upstream's own words from moving the terminal's cursor or hiding in it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || hasHidden(string(r)) {
			return '?'
		}
		return r
	}, text)
}
