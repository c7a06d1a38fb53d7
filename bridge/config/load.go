package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// Mistakes are everything wrong with a configuration, one line each.
type Mistakes []string

// Error lists the mistakes.
func (m Mistakes) Error() string { return strings.Join(m, "\n") }

func (m *Mistakes) add(format string, args ...any) { *m = append(*m, fmt.Sprintf(format, args...)) }

// Load merges flags over environment over file and checks the result. A failure is Mistakes.
func Load(flags Flags, lookup func(string) (string, bool)) (*Config, error) {
	declared, mistakes := merge(&flags, lookup)
	config := check(flags, declared, &mistakes)
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return config, nil
}

// DataFolder reads where state is kept, for commands that ask the running bridge for the rest. A failure is Mistakes.
func DataFolder(flags Flags, lookup func(string) (string, bool)) (string, error) {
	if _, mistakes := merge(&flags, lookup); len(mistakes) > 0 {
		return "", mistakes
	}
	return dataFolder(flags), nil
}

func dataFolder(flags Flags) string { return or(flags.Data, "data") }

// merge fills what flags leave open from environment and file.
func merge(flags *Flags, lookup func(string) (string, bool)) (declared declarations, mistakes Mistakes) {
	for _, s := range flags.settings() {
		if *s.value == "" {
			*s.value = fromEnvironment(s, lookup, &mistakes)
		}
	}
	if flags.Config != "" {
		declared = fromFile(flags, &mistakes)
	}
	return declared, mistakes
}

func fromEnvironment(s setting, lookup func(string) (string, bool), mistakes *Mistakes) string {
	value, set := lookup(s.environment)
	path, fromFile := lookup(s.environment + "_FILE")
	switch {
	case set && fromFile:
		mistakes.add("%s and %s_FILE are both set: keep one", s.environment, s.environment)
	case fromFile:
		text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
		if err != nil {
			mistakes.add("%s_FILE: %v", s.environment, err)
			return ""
		}
		return strings.TrimSpace(string(text))
	}
	return value
}

// declarations are what only the file can hold.
type declarations struct {
	clients   []ClientDeclaration
	resources []ResourceServerDeclaration
	providers []ProviderDeclaration
	profiles  []tools.Declaration
	sources   []SourceDeclaration

	principals []PrincipalDeclaration
}

// fromFile fills what flags and environment left open. Values are text or lists of text.
func fromFile(flags *Flags, mistakes *Mistakes) declarations {
	var declared declarations
	text, err := os.ReadFile(flags.Config)
	if err != nil {
		mistakes.add("--config: %v", err)
		return declared
	}
	var document map[string]yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		mistakes.add("%s: %s", flags.Config, oneLine(err))
		return declared
	}
	section(document, "clients", &declared.clients, flags.Config, mistakes)
	section(document, "resource_servers", &declared.resources, flags.Config, mistakes)
	section(document, "profiles", &declared.profiles, flags.Config, mistakes)
	section(document, "identity_sources", &declared.sources, flags.Config, mistakes)
	section(document, "principals", &declared.principals, flags.Config, mistakes)
	section(document, "trusted_idps", &declared.providers, flags.Config, mistakes)
	for _, s := range flags.settings() {
		node, ok := document[s.key]
		delete(document, s.key)
		if !ok || *s.value != "" {
			continue
		}
		if *s.value, err = plain(node); err != nil {
			mistakes.add("%s: %s: %v", flags.Config, s.key, err)
		}
	}
	for key := range document {
		mistakes.add("%s: there is no setting %q", flags.Config, key)
	}
	return declared
}

// section decodes a list of declarations strictly and takes it out of the document.
func section[T any](document map[string]yaml.Node, name string, into *[]T, file string, mistakes *Mistakes) {
	node, ok := document[name]
	if !ok {
		return
	}
	delete(document, name)
	text, err := yaml.Marshal(&node)
	if err != nil {
		mistakes.add("%s: %s: %s", file, name, oneLine(err))
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		mistakes.add("%s: %s: %s", file, name, oneLine(err))
	}
}

func plain(node yaml.Node) (string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		return node.Value, nil
	case yaml.SequenceNode:
		var list []string
		if err := node.Decode(&list); err != nil {
			return "", errors.New("is a list of something else than text")
		}
		return strings.Join(list, ","), nil
	}
	return "", errors.New("is neither text nor a list of text")
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
