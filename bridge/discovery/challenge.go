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
	// ProofAlgorithms are those of DPoP proofs (RFC 9449 §7.1); none: DPoP is off.
	ProofAlgorithms []string
	// ProofOnly: the error is about a proof, which says nothing to whoever shows a bearer token.
	ProofOnly bool
}

// Fields are the values of the WWW-Authenticate field, a line for each scheme: Bearer first, for naive
// clients read no further (RS-05). It stands there also where bearer tokens are not taken, because it
// is where clients look for the metadata, which say so.
func (c Challenge) Fields() []string {
	if len(c.ProofAlgorithms) == 0 {
		return []string{c.field("Bearer")}
	}
	proof := c.field("DPoP", parameter{"algs", strings.Join(c.ProofAlgorithms, " ")})
	if c.ProofOnly {
		return []string{proof}
	}
	return []string{c.field("Bearer"), proof}
}

type parameter struct{ name, value string }

// field is one line with quoted values, the parts first that naive clients look for. Values come from
// configuration and constants, never from a request.
func (c Challenge) field(scheme string, more ...parameter) string {
	parts := make([]string, 0, 5)
	for _, p := range append([]parameter{
		{"error", c.Error},
		{"error_description", c.Description},
		{"resource_metadata", c.Metadata},
		{"scope", c.Scopes.String()},
	}, more...) {
		if p.value != "" {
			parts = append(parts, p.name+`="`+p.value+`"`)
		}
	}
	return scheme + " " + strings.Join(parts, ", ")
}
