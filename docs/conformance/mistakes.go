package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// mistakes are the things that the rules, the clients and the tests say and that are not so.
func (p *page) mistakes() []string {
	var found []string
	known := map[string]bool{}
	for _, r := range p.rules {
		if known[r.ID] {
			found = append(found, r.ID+" stands there twice")
			continue
		}
		known[r.ID] = true
		switch {
		case r.Title == "" || r.Source == "":
			found = append(found, r.ID+" has no title or no source")
		case r.NotDone != "" && r.Later != "":
			found = append(found, r.ID+" is both not done and later")
		case r.Missing+r.Note != "" && len(r.Tests) == 0:
			found = append(found, r.ID+" has something to say of tests, and has none")
		case r.result() == unknown && (strings.Contains(r.Level, "MUST") || strings.Contains(r.Level, "SHOULD")):
			found = append(found, r.ID+" has neither a test nor a reason")
		}
		found = append(found, p.missing(r.ID, r.Tests)...)
		for _, name := range r.Except {
			if !slices.Contains(p.tests[name], r.ID) {
				found = append(found, r.ID+": "+name+" does not say it, and need not be excepted")
			}
		}
	}
	for i, r := range p.behaviours {
		if want := fmt.Sprintf("B%02d", i+1); r.ID != want {
			found = append(found, fmt.Sprintf("behaviour %s stands in the place of %s", r.ID, want))
		}
		known[r.ID] = true
		if r.Title == "" || r.result() == unknown {
			found = append(found, r.ID+" has no title, or neither a test nor a reason")
		}
		found = append(found, p.missing(r.ID, r.Tests)...)
	}
	for _, c := range p.clients {
		if len(c.Tests) == 0 {
			found = append(found, "client "+c.Name+" has no test")
		}
		found = append(found, p.missing("client "+c.Name, c.Tests)...)
	}
	for _, name := range slices.Sorted(maps.Keys(p.tests)) {
		for _, id := range p.tests[name] {
			if !known[id] {
				found = append(found, fmt.Sprintf("%s names %s, which is no rule", name, id))
			}
		}
	}
	return found
}

// missing are the names that are those of no test.
func (p *page) missing(who string, names []string) []string {
	var found []string
	for _, name := range names {
		if _, there := p.tests[name]; !there {
			found = append(found, fmt.Sprintf("%s: there is no test %s", who, name))
		}
	}
	return found
}
