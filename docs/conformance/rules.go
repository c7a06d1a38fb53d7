package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// rule is one requirement of the specifications and how the bridge stands to it.
type rule struct {
	ID     string // AS-001
	Level  string // as in the source: MUST, SHOULD, MAY, …
	Source string
	Title  string
	// Tests show the rule, as findTests calls them: those listed, and after load those that say its id except those of Except.
	Tests   []string
	Except  []string // say the id and show something else
	Note    string   // more about what is shown
	Missing string   // what the tests do not show of it
	Later   string   // which part of the project brings it, until a test shows it
	NotDone string   `yaml:"not_done"` // why nothing shows it, until a test does
}

// result says how the rule stands.
func (r rule) result() result {
	switch {
	case len(r.Tests) > 0 && r.Missing != "":
		return inPart
	case len(r.Tests) > 0:
		return tested
	case r.Later != "":
		return later
	case r.NotDone != "":
		return notDone
	}
	return unknown
}

// words is the result for people, with what there is to say about it.
func (r rule) words() string {
	reason := map[result]string{tested: r.Note, inPart: r.Missing, later: r.Later, notDone: r.NotDone}[r.result()]
	if reason == "" {
		return string(r.result())
	}
	if r.result() == inPart {
		reason = "missing: " + reason
	}
	return string(r.result()) + "; " + reason
}

type result string

const (
	tested  result = "tested"
	inPart  result = "tested in part"
	later   result = "later"
	notDone result = "not done"
	unknown result = "unknown"
)

var results = [...]result{tested, inPart, later, notDone, unknown}

// client is software that was tried with the bridge.
type client struct {
	Name         string
	Version      string
	Registration string // how it says who it is
	Shows        string
	Tests        []string
}

// level is the column a rule is counted in: the first word of its level.
func (r rule) level() string {
	first, _, _ := strings.Cut(r.Level, " ")
	first = strings.TrimRight(first, ";,")
	if first == "OPTIONAL" { // RFC 2119 §5: the same as MAY
		return "MAY"
	}
	if slices.Contains([]string{"MUST", "SHOULD", "MAY"}, first) {
		return first
	}
	return "other"
}

// readYAML reads a file of this folder into list. A key that list does not know is an error.
func readYAML(root, name string, list any) error {
	text, err := os.ReadFile(filepath.Join(root, "docs/conformance", name)) //nolint:gosec // a file of this folder
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(list); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}
