package gateway

import (
	"encoding/base64"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// The header fields of MCP's transport, in the spelling of http.Header.
const (
	headerVersion     = "Mcp-Protocol-Version"
	headerMethod      = "Mcp-Method"
	headerName        = "Mcp-Name"
	headerParamPrefix = "Mcp-Param-"
	headerSession     = "Mcp-Session-Id"
	headerLastEvent   = "Last-Event-Id"
)

const (
	versionModern = "2026-07-28" // stateless: no sessions, header and body agree
	versionLegacy = "2025-03-26" // what a request without the header is read as; the only one with batches
)

func supportedVersions() []string {
	return []string{versionModern, "2025-11-25", "2025-06-18", versionLegacy, "2024-11-05"}
}

// readVersion reads the protocol version and refuses fields that stand twice, which two programs
// could read differently (GW-15).
func (x *exchange) readVersion() *refusal {
	for name, lines := range x.r.Header {
		ours := strings.HasPrefix(name, "Mcp-")
		if len(lines) > 1 && (ours || name == headerLastEvent) {
			return malformed(jsonrpc.CodeHeaderMismatch, "A header field stands twice")
		}
		x.parameters = x.parameters || ours && strings.HasPrefix(name, headerParamPrefix)
	}
	x.version = versionLegacy
	lines, sent := x.r.Header[headerVersion]
	if !sent {
		return nil
	}
	x.version = lines[0]
	switch x.version {
	case versionModern, versionLegacy, "2025-11-25", "2025-06-18", "2024-11-05": // supportedVersions
	default:
		no := malformed(jsonrpc.CodeUnsupportedVersion, "The protocol version is not supported")
		requested := x.version
		if len(requested) > 32 || !visible(requested) {
			requested = ""
		}
		no.data = struct {
			Supported []string `json:"supported"`
			Requested string   `json:"requested"`
		}{supportedVersions(), requested}
		return no
	}
	return nil
}

// checkForm holds the messages against the protocol version and against what headers say of them.
func (x *exchange) checkForm() *refusal {
	if x.body.Batch {
		if x.version != versionLegacy {
			return malformed(jsonrpc.CodeInvalidRequest, "This protocol version has no batches")
		}
		if x.r.Header[headerMethod] != nil || x.r.Header[headerName] != nil {
			return mismatch20("A batch has no one method or name")
		}
	}
	for _, m := range x.body.Messages {
		if m.Method == tools.MethodCall && (m.Name == "" || len(m.Name) > maxToolName) {
			return malformed(jsonrpc.CodeInvalidParams, "params.name is not the name of a tool")
		}
		if no := x.checkVersion(m); no != nil {
			return no
		}
	}
	if x.body.Batch {
		return nil
	}
	return x.checkHeaders(x.body.Messages[0])
}

const maxToolName = 128 // bytes; the longest that MCP allows

// checkVersion compares the version of the header with that of the body (GW-09, GW-10). Requests of
// 2026-07-28 carry both, and one missing in the body is a missing parameter; where a body names one,
// it is that of the header in every revision.
func (x *exchange) checkVersion(m jsonrpc.Message) *refusal {
	switch {
	case x.modern() && m.Kind == jsonrpc.Response:
		return malformed(jsonrpc.CodeInvalidRequest, "This protocol version has no posted responses")
	case m.Version != "" && (m.Version != x.version || x.r.Header[headerVersion] == nil):
		return mismatch20("MCP-Protocol-Version and the body's protocol version differ")
	case m.Version == "" && x.modern() && m.Kind == jsonrpc.Request:
		return malformed(jsonrpc.CodeInvalidParams, "params._meta has no protocol version")
	}
	return nil
}

// checkHeaders compares Mcp-Method and Mcp-Name with the message (GW-12, GW-13). In 2026-07-28 they
// must be there; a client of an older revision that sends them must mean them.
func (x *exchange) checkHeaders(m jsonrpc.Message) *refusal {
	method, sent := x.r.Header[headerMethod]
	if sent && method[0] != m.Method || !sent && x.modern() {
		return mismatch20("Mcp-Method and the body's method differ")
	}
	named, required := nameOf(m)
	lines, sent := x.r.Header[headerName]
	if !sent {
		if required && x.modern() {
			return mismatch20("Mcp-Name is missing")
		}
		return nil
	}
	name, ok := decodeField(lines[0])
	if !ok {
		return mismatch20("Mcp-Name is not well-formed")
	}
	if name != named {
		return mismatch20("Mcp-Name and the body differ")
	}
	return nil
}

// nameOf is what Mcp-Name repeats of a message, and whether it must.
func nameOf(m jsonrpc.Message) (name string, required bool) {
	switch m.Method {
	case tools.MethodCall, "prompts/get":
		return m.Name, true
	case "resources/read":
		return m.URI, true
	case "tasks/get", "tasks/update", "tasks/cancel":
		return m.TaskID, false
	}
	return "", false
}

func mismatch20(message string) *refusal { return malformed(jsonrpc.CodeHeaderMismatch, message) }

// decodeField is the value of a field that may be wrapped as =?base64?…?= (MCP 2026-07-28). Plain
// values are visible ASCII, blanks and tabs; wrapped ones are standard base64 of UTF-8.
func decodeField(field string) (string, bool) {
	const prefix, suffix = "=?base64?", "?="
	if len(field) < len(prefix) || !strings.EqualFold(field[:len(prefix)], prefix) {
		return field, !strings.ContainsFunc(field, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') })
	}
	wrapped, ok := strings.CutSuffix(field[len(prefix):], suffix)
	if !ok {
		return "", false
	}
	plain, err := base64.StdEncoding.Strict().DecodeString(wrapped)
	if err != nil || strings.ContainsAny(wrapped, "\r\n") || !utf8.Valid(plain) {
		return "", false
	}
	return string(plain), true
}

// visible reports whether s is visible ASCII without blanks, as session ids are.
func visible(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
}

// protocolFields copies what says again what the body says, and the Mcp-Param-* fields, which only
// the tool's schema gives a meaning (GW-19).
func (x *exchange) protocolFields(to http.Header) {
	from := x.r.Header
	for _, name := range []string{headerVersion, headerMethod, headerName} {
		if lines := from[name]; lines != nil {
			to[name] = lines
		}
	}
	if !x.parameters {
		return
	}
	for name, lines := range from {
		if strings.HasPrefix(name, headerParamPrefix) {
			to[name] = lines
		}
	}
}
