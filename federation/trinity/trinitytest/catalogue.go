package trinitytest

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// toolTable lists Trinity's static tools: name, module, audience, "self" or "-", arguments, description.
// The names and the first four columns are Trinity's; the rest is the simulation's own. In arguments "!"
// marks a required one and a suffix its type: i integer, b boolean, o object, a array of strings.
//
//go:embed tools.tsv
var toolTable string

// tool is one simulated tool.
type tool struct {
	name        string
	audience    audience
	self        bool // acts as the calling agent and has nothing to say to a user key (contract §5)
	chats       bool // may be asked to be slow
	schema      jsontext.Value
	description string
}

// audience says which key scopes see a tool (contract §4.7).
type audience string

const (
	audienceOperator  audience = "operator"  // user, agent and system keys
	audiencePerson    audience = "person"    // user and system keys only
	audienceConnector audience = "connector" // connector keys
	audienceAnonymous audience = "anonymous" // keyless sessions with inline sign-in, which is off
)

func (a audience) includes(scope string) bool {
	switch a {
	case audienceOperator:
		return slices.Contains(operatorScopes, scope)
	case audiencePerson:
		return scope == scopeUser || scope == scopeSystem
	case audienceConnector:
		return scope == scopeConnector
	default:
		return false
	}
}

// readCatalogue parses the embedded table.
func readCatalogue() ([]tool, error) {
	var tools []tool
	for line := range strings.Lines(toolTable) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(columns) != 6 {
			return nil, fmt.Errorf("tool table: %d columns in %q, want 6", len(columns), line)
		}
		if columns[0] == "name" {
			continue
		}
		schema, err := inputSchema(columns[4])
		if err != nil {
			return nil, fmt.Errorf("tool table: %s: %w", columns[0], err)
		}
		tools = append(tools, tool{
			name: columns[0], audience: audience(columns[2]), self: columns[3] == "self",
			chats: columns[0] == "chat_with_agent", schema: schema, description: columns[5],
		})
	}
	return tools, nil
}

// dynamicTool is the tool of one exposed agent.
func dynamicTool(slug string) tool {
	schema, err := inputSchema("message!")
	if err != nil {
		panic(err) // the argument list is a constant
	}
	return tool{
		name: "chat_with_" + slug, audience: audienceOperator, chats: true, schema: schema,
		description: "Sends a message to the agent " + slug + " and returns its reply. The agent may act on it.",
	}
}

// inputSchema turns the table's shorthand into a JSON Schema.
func inputSchema(arguments string) (jsontext.Value, error) {
	properties := map[string]any{}
	required := []string{}
	for argument := range strings.FieldsSeq(strings.TrimPrefix(arguments, "-")) {
		name, kind, _ := strings.Cut(argument, ":")
		name, mandatory := strings.CutSuffix(name, "!")
		property, ok := schemaTypes[kind]
		if !ok {
			return nil, fmt.Errorf("unknown argument type %q of %q", kind, name)
		}
		properties[name] = property
		if mandatory {
			required = append(required, name)
		}
	}
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	return mustMarshal(schema), nil
}

var schemaTypes = map[string]any{
	"":  map[string]any{"type": "string"},
	"i": map[string]any{"type": "integer"},
	"b": map[string]any{"type": "boolean"},
	"o": map[string]any{"type": "object"},
	"a": map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
}
