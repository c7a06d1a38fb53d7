package tools

import (
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
)

// MethodCall is the one method whose scope depends on what is called: ask Catalogue.Scope.
const MethodCall = "tools/call"

// MethodScope is what a JSON-RPC method of MCP needs, in any protocol version. It reports false
// for a method it has no rule for, which is refused (RS-40). MethodCall itself is as strong as the
// strongest tool.
func MethodScope(method string) (bridge.Scope, bool) {
	switch method {
	case MethodCall:
		return bridge.ScopeAdmin, true

	case "initialize", "ping", "server/discover", // the handshakes
		"tools/list", "prompts/list", "resources/list", "resources/templates/list": // what there is: names, not contents
		return bridge.ScopeRead, true

	case "prompts/get", "resources/read", "completion/complete": // fill in a text, read a document, suggest a value
		return bridge.ScopeRead, true

	case "resources/subscribe", "resources/unsubscribe", "subscriptions/listen", // to hear of changes
		"logging/setLevel": // how much this session hears
		return bridge.ScopeRead, true

	case "tasks/get", "tasks/list", "tasks/result": // look at what an allowed call began
		return bridge.ScopeRead, true

	case "tasks/update", "tasks/cancel": // change what an allowed call began
		return bridge.ScopeWrite, true
	}
	// A notification starts nothing: it tells of the client's own state, or withdraws its own
	// request. New ones appear with every revision and are ignored by servers that lack them.
	if strings.HasPrefix(method, "notifications/") {
		return bridge.ScopeRead, true
	}
	return "", false
}
