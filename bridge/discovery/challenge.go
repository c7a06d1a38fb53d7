package discovery

import (
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Challenge is a WWW-Authenticate answer of the resource server (RFC 6750 §3, RFC 9728 §5.1).
// Every challenge of the program is built from one.
type Challenge struct {
	Metadata    string        // absolute URL of the protected resource metadata
	Scopes      bridge.Scopes // what this request needs, with what the token holds already
	Error       string        // "" when no credential was sent (RFC 6750 §3.1)
	Description string
}

// Header is the value of the WWW-Authenticate field: one line, quoted values, the parts that
// naive clients look for first. Values come from configuration and constants, never from a request.
func (c Challenge) Header() string {
	parts := make([]string, 0, 4)
	for _, part := range []struct{ name, value string }{
		{"error", c.Error},
		{"error_description", c.Description},
		{"resource_metadata", c.Metadata},
		{"scope", c.Scopes.String()},
	} {
		if part.value != "" {
			parts = append(parts, part.name+`="`+part.value+`"`)
		}
	}
	return "Bearer " + strings.Join(parts, ", ")
}
