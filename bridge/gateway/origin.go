package gateway

import (
	"net/http"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

const (
	corsHeaders = "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID"
	corsExposed = "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After, X-Request-ID"
)

// checkOrigin refuses a browser page of a foreign origin before anything else (GW-01, RS-43), and
// lets one of an allowed origin read the answer. Clients that are no browser send no Origin (GW-02).
func (x *exchange) checkOrigin() *refusal {
	origins := x.r.Header["Origin"]
	if len(origins) == 0 {
		return nil
	}
	if len(origins) > 1 || !x.g.origins[origins[0]] { // "null" is never allowed
		return &refusal{
			status: http.StatusForbidden, code: jsonrpc.CodeInvalidRequest, message: "The Origin is not allowed",
			outcome: "origin_refused",
		}
	}
	h := x.w.Header()
	h["Access-Control-Allow-Origin"] = origins
	exposed := corsExposed
	if x.g.Proofs != nil {
		exposed += ", DPoP-Nonce"
	}
	h["Access-Control-Expose-Headers"] = []string{exposed}
	return nil
}

// preflight answers OPTIONS, which carries no credential (GW-07). It allows no cookies (GW-08).
func (x *exchange) preflight() {
	h := x.w.Header()
	x.standardHeaders(h)
	h["Allow"] = []string{allowed}
	if h["Access-Control-Allow-Origin"] != nil {
		h["Access-Control-Allow-Methods"] = []string{allowed}
		headers := corsHeaders + parameterHeaders(x.r.Header)
		if x.g.Proofs != nil {
			headers += ", DPoP"
		}
		h["Access-Control-Allow-Headers"] = []string{headers}
		h["Access-Control-Max-Age"] = []string{"600"}
	}
	x.w.WriteHeader(http.StatusNoContent)
}

// parameterHeaders are the Mcp-Param-* fields a page asks for, which tools name as they like
// (MCP 2026-07-28).
func parameterHeaders(h http.Header) string {
	var list strings.Builder
	for _, line := range h["Access-Control-Request-Headers"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if strings.HasPrefix(name, headerParamPrefix) && tokenChars(name) && list.Len() < 1024 {
				list.WriteString(", " + name)
			}
		}
	}
	return list.String()
}

// tokenChars reports whether s could be a field name (RFC 9110 §5.6.2).
func tokenChars(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
