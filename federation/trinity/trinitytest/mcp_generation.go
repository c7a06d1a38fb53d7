package trinitytest

import (
	"net/http"
	"strings"
)

// transportRules are what differs between the generations of the MCP transport. The status codes and
// texts are contract §4.4; which requests of an open session are authenticated at all was measured on
// FastMCP with each version pinned.
type transportRules struct {
	// refuseCreation answers a bad key on initialize with a bare 500, for want of a better word.
	refuseCreation bool
	// authenticatePOST: a POST to an open session needs a good key and runs as its owner. Otherwise it
	// needs none and runs as whoever opened the session.
	authenticatePOST bool
	// authenticateStreams: GET and DELETE need a good key.
	authenticateStreams bool
	// challenge adds WWW-Authenticate to every 401.
	challenge bool
	// missingSession is the status of a request that needs a session id and has none; missingText its
	// message. plainSessionErrors answers GET and DELETE without a good session id with 400 in plain text.
	missingSession     int
	missingText        string
	missingEchoesID    bool
	plainSessionErrors bool
	// charset marks JSON and event streams as UTF-8; unbuffered adds X-Accel-Buffering; untyped leaves
	// the Content-Type off the transport's own short answers.
	charset    bool
	unbuffered bool
	untyped    bool
	// primeInitialize opens the answer to an initialize of 2025-11-25 with an empty event.
	primeInitialize bool
	// parseError is the message for a body that is not JSON-RPC, versionError that for an unknown
	// protocol version, with the version where it has a place for it.
	parseError   string
	versionError string
	// allowHeaders is the CORS list; allowCredentials adds the header of that name.
	allowHeaders     string
	allowCredentials bool
}

const (
	noSession400       = "Bad Request: No valid session ID provided"
	noSession401       = "Unauthorized: No valid session ID provided"
	notJSONRPC         = "Parse error: Invalid JSON-RPC message"
	unsupportedVersion = "Bad Request: Unsupported protocol version: %s"
	oldestCORSHeaders  = "Content-Type, Authorization, Accept, Mcp-Session-Id, Last-Event-Id"
	olderCORSHeaders   = "Content-Type, Authorization, Accept, Mcp-Session-Id, Mcp-Protocol-Version, Last-Event-Id"
	newestCORSHeaders  = olderCORSHeaders + ", Mcp-Method, Mcp-Name"
)

// rules returns what is in force. Without required keys the transport has no authenticate function, and
// then a missing session id is never a 401.
func (s Switches) rules() transportRules {
	rules := generationRules(s.Generation)
	if s.AnonymousAllowed {
		rules.missingSession, rules.missingText = http.StatusBadRequest, noSession400
		rules.missingEchoesID, rules.plainSessionErrors = false, true
	}
	return rules
}

func generationRules(g Generation) transportRules {
	switch g {
	case Proxy5_12_5:
		return transportRules{
			refuseCreation: true,
			missingSession: http.StatusBadRequest, missingText: noSession400, plainSessionErrors: true,
			primeInitialize: true, untyped: true,
			parseError: "Parse error", versionError: "Bad Request: Unsupported protocol version",
			allowHeaders: oldestCORSHeaders, allowCredentials: true,
		}
	case Proxy6_5_1:
		return transportRules{
			authenticatePOST: true,
			missingSession:   http.StatusBadRequest, missingText: noSession400, plainSessionErrors: true,
			primeInitialize: true, parseError: notJSONRPC, versionError: unsupportedVersion,
			allowHeaders: olderCORSHeaders, allowCredentials: true,
		}
	default:
		return transportRules{
			authenticatePOST: true, authenticateStreams: true, challenge: true,
			missingSession: http.StatusUnauthorized, missingText: noSession401, missingEchoesID: true,
			charset: true, unbuffered: true, parseError: notJSONRPC, versionError: unsupportedVersion,
			allowHeaders: newestCORSHeaders,
		}
	}
}

func (r transportRules) jsonType() string {
	if r.charset {
		return "application/json; charset=utf-8"
	}
	return "application/json"
}

// plainType is the type of an empty answer.
func (r transportRules) plainType() string {
	if r.untyped {
		return ""
	}
	return "text/plain; charset=UTF-8"
}

// streamHeader describes an event stream; a standing one was always protected from transformation.
func (r transportRules) streamHeader(h http.Header, standing bool) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	if r.charset {
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
	}
	if standing || r.unbuffered {
		h.Set("Cache-Control", "no-cache, no-transform")
	}
	if r.unbuffered {
		h.Set("X-Accel-Buffering", "no")
	}
}

// refuseVersion is the message for a protocol version that is not spoken.
func (r transportRules) refuseVersion(version string) string {
	text, _, named := strings.Cut(r.versionError, "%s")
	if named {
		text += version
	}
	return text + " (supported versions: " + strings.Join(protocolVersions, ", ") + ")"
}
