package main

import (
	"fmt"
	"slices"
	"strings"
)

// page is what docs/conformance.md says.
type page struct {
	rules      []rule
	behaviours []rule // of servers that broke real clients; without level and source
	clients    []client
	tests      map[string][]string // the ids that each test of the module names
}

// load reads the rules, the clients and the tests of the repository at root, and gives each rule its tests.
func load(root string) (*page, error) {
	p := &page{}
	var err error
	if p.tests, err = findTests(root); err != nil {
		return nil, err
	}
	if err := readYAML(root, "rules.yaml", &p.rules); err != nil {
		return nil, err
	}
	if err := readYAML(root, "behaviours.yaml", &p.behaviours); err != nil {
		return nil, err
	}
	if err := readYAML(root, "clients.yaml", &p.clients); err != nil {
		return nil, err
	}
	p.addTests(p.rules)
	p.addTests(p.behaviours)
	return p, nil
}

// addTests gives each rule the tests that say its id.
func (p *page) addTests(rules []rule) {
	for i, r := range rules {
		for name, ids := range p.tests {
			if slices.Contains(ids, r.ID) && !slices.Contains(r.Except, name) {
				r.Tests = append(r.Tests, name)
			}
		}
		slices.Sort(r.Tests)
		rules[i].Tests = slices.Compact(r.Tests)
	}
}

// counts is the table at the top of the page: rules by level and result.
func (p *page) counts() string {
	var b strings.Builder
	b.WriteString("| level | rules |")
	for _, result := range results {
		if p.count("", result) > 0 {
			fmt.Fprintf(&b, " %s |", result)
		}
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", strings.Count(b.String(), "|")-2) + "\n")
	for _, level := range []string{"MUST", "SHOULD", "MAY", "other", ""} {
		name := level
		if level == "" {
			name = "all"
		}
		fmt.Fprintf(&b, "| %s | %d |", name, p.count(level, ""))
		for _, result := range results {
			if p.count("", result) > 0 {
				fmt.Fprintf(&b, " %d |", p.count(level, result))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// behaviourCounts is one line: the behaviours by result.
func (p *page) behaviourCounts() string {
	of := map[result]int{}
	for _, r := range p.behaviours {
		of[r.result()]++
	}
	var parts []string
	for _, result := range results {
		if of[result] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", of[result], result))
		}
	}
	return fmt.Sprintf("%d behaviours that broke real clients: %s", len(p.behaviours), strings.Join(parts, ", "))
}

// count is the number of rules of a level with a result; "" stands for any.
func (p *page) count(level string, result result) int {
	n := 0
	for _, r := range p.rules {
		if (level == "" || r.level() == level) && (result == "" || r.result() == result) {
			n++
		}
	}
	return n
}

const introduction = `# Conformance

<!-- Written by "make conformance" from docs/conformance/rules.yaml, docs/conformance/clients.yaml and the tests. Change those. -->

The rules that the specifications of MCP authorization, and those they stand on, have for an authorization server, a resource server and a
gateway: which test shows that the bridge keeps each, or why none does.

`

const legend = "`make test` and `make e2e` run the tests, `make conformance` writes this page and prints the table above. A test of the project fails when the page is\n" +
	"not what would be written, when it names a test that does not exist, and when a MUST or SHOULD has neither a test nor a reason.\n" + `
- **Level** is that of the source, counted by its first word. *Derived*, *policy*, *design* and the like: no text says it in this form, but it follows from others.
- **Source**: M0326, M0618, M1125 and M0728 are the MCP specification of 2025-03-26, 2025-06-18, 2025-11-25 and 2026-07-28, a plus means "and later"; SEP is a
  proposal to it, SBP its security best practices, EMA its extension for enterprise-managed authorization. CIMD is the draft on client ID metadata documents, ID-JAG the
  draft on identity assertion grants.
- **Tests** are called by their folder, without the leading "bridge/", and their function.
- **Result**: *tested in part* says what no test shows, *later* with which part of the project the rule comes, *not done* why nothing shows it.

`

var sections = [...]struct{ prefix, title string }{
	{"AS", "Authorization server"}, {"RS", "Resource server"}, {"GW", "Gateway"}, {"EX", "Extensions"},
}

// String is the page in Markdown.
func (p *page) String() string {
	var b strings.Builder
	b.WriteString(introduction + p.counts() + "\n" + legend)
	for _, section := range sections {
		fmt.Fprintf(&b, "## %s\n\n| id | level | source | rule | tests | result |\n| --- | --- | --- | --- | --- | --- |\n", section.title)
		for _, r := range p.rules {
			if strings.HasPrefix(r.ID, section.prefix+"-") {
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.ID, r.Level, r.Source, r.Title, code(r.Tests), r.words())
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString("## What has broken real clients\n\nWhat other servers did, and what shows that the bridge does not. " + p.behaviourCounts() + ".\n\n")
	b.WriteString("| id | what a server did | tests | result |\n| --- | --- | --- | --- |\n")
	for _, r := range p.behaviours {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.ID, r.Title, code(r.Tests), r.words())
	}
	b.WriteString("\n## Clients\n\nSoftware of others that is run against the program, each by the test that is named.\n\n")
	b.WriteString("| client | version | registration | what is shown | tests |\n| --- | --- | --- | --- | --- |\n")
	for _, c := range p.clients {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", c.Name, c.Version, c.Registration, c.Shows, code(c.Tests))
	}
	return b.String()
}

// code sets names in the type of code, one beside the other.
func code(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`, `") + "`"
}
