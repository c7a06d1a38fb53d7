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
	// Tests, when set, are the only ones that count, as package.Test. Otherwise those count that say the id.
	Tests []string
	// NotDone and Later say why nothing, or with tests not everything, shows the rule: it is not kept, or
	// not shown, or it comes with another part of the project.
	NotDone string `yaml:"not_done"`
	Later   string
}

// result says how the rule stands.
func (r rule) result() result {
	switch {
	case len(r.Tests) > 0 && r.NotDone+r.Later != "":
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

// words is the result for people, with its reason.
func (r rule) words() string {
	switch reason := strings.TrimSpace(r.NotDone + r.Later); {
	case reason == "":
		return string(r.result())
	default:
		return string(r.result()) + ": " + reason
	}
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
	if slices.Contains([]string{"MUST", "SHOULD", "MAY"}, first) {
		return first
	}
	return "other"
}

// readYAML reads a file of this folder into list. A key that list does not know is an error.
func readYAML(root, name string, list any) error {
	text, err := os.ReadFile(filepath.Join(root, "docs/conformance", name))
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
