package templates

import (
	"bytes"
	_ "embed" // the messages are part of the program
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed messages.yaml
var messageFile []byte

var (
	placeholder = regexp.MustCompile(`\{[a-z_]+\}`)
	// errMessage: a template asks for a sentence in a way the message file does not know.
	errMessage = errors.New("message")
)

// messages are the sentences people read, by key. Their {placeholders} are filled by name.
type messages map[string]string

// part is a piece of a sentence: words of ours, or a value put between them. Pages set values in
// <bdi>, so that a name in another script cannot turn the sentence around it.
type part struct {
	Text  string
	Value bool
}

// loadMessages reads a flat YAML map. A key that stands twice, a value that is no text, an empty
// sentence and a brace that belongs to no placeholder are refused.
func loadMessages(file []byte) (messages, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(file))
	decoder.KnownFields(true)
	var m messages
	if err := decoder.Decode(&m); err != nil {
		return nil, fmt.Errorf("reading the messages: %w", err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the messages: %w: more than one document", errMessage)
	}
	for key, sentence := range m {
		if strings.TrimSpace(sentence) == "" {
			return nil, fmt.Errorf("%w %q is empty", errMessage, key)
		}
		if strings.ContainsAny(placeholder.ReplaceAllString(sentence, ""), "{}") {
			return nil, fmt.Errorf("%w %q has a brace that belongs to no placeholder", errMessage, key)
		}
	}
	return m, nil
}

// parts returns the sentence of key with its placeholders filled from pairs of name and value.
// An unknown key, a placeholder without a value and a value without a placeholder are errors: a
// page with a hole in a sentence is not sent.
func (m messages) parts(key string, pairs ...string) ([]part, error) {
	sentence, ok := m[key]
	if !ok {
		return nil, fmt.Errorf("%w %q is unknown", errMessage, key)
	}
	values, err := valuesOf(key, pairs)
	if err != nil {
		return nil, err
	}
	var parts []part
	used := map[string]bool{}
	rest := 0
	for _, span := range placeholder.FindAllStringIndex(sentence, -1) {
		name := sentence[span[0]+1 : span[1]-1]
		value, ok := values[name]
		if !ok {
			return nil, fmt.Errorf("%w %q: no value for {%s}", errMessage, key, name)
		}
		used[name] = true
		parts = append(parts, part{Text: sentence[rest:span[0]]}, part{Text: clean(value), Value: true})
		rest = span[1]
	}
	if len(used) != len(values) {
		return nil, fmt.Errorf("%w %q: a value has no place", errMessage, key)
	}
	return append(parts, part{Text: sentence[rest:]}), nil
}

// text is parts as plain text, for titles and attributes.
func (m messages) text(key string, pairs ...string) (string, error) {
	parts, err := m.parts(key, pairs...)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, p := range parts {
		text.WriteString(p.Text)
	}
	return text.String(), nil
}

func valuesOf(key string, pairs []string) (map[string]string, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("%w %q: names and values do not pair", errMessage, key)
	}
	values := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if _, twice := values[pairs[i]]; twice {
			return nil, fmt.Errorf("%w %q: {%s} is given twice", errMessage, key, pairs[i])
		}
		values[pairs[i]] = pairs[i+1]
	}
	return values, nil
}
