package gateway

import (
	"net/http"
	"slices"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// checkScope allows the request or says what it needs. A batch is allowed whole or not at all
// (GW-22). What a static key may do is Trinity's to say.
func (x *exchange) checkScope() *refusal {
	if x.who.static {
		return nil
	}
	var needed bridge.Scopes
	subject := "stream or session"
	if x.r.Method != http.MethodPost {
		needed = bridge.Scopes{bridge.ScopeRead}
	}
	for _, m := range x.body.Messages {
		scope, known := x.g.needs(m)
		if !known {
			return x.unknownMethod()
		}
		if !x.who.scopes.Allows(scope) {
			subject = x.g.subject(m)
		}
		if !slices.Contains(needed, scope) {
			needed = append(needed, scope)
		}
	}
	for _, scope := range needed {
		if !x.who.scopes.Allows(scope) {
			return x.insufficient(needed, subject)
		}
	}
	return nil
}

// unknownMethod refuses what has no rule (RS-40), in the words for a method that does not exist:
// 2026-07-28 has 404 for it (GW-21). In the revisions before, 404 means that the session is gone, and
// clients would begin a new one.
func (x *exchange) unknownMethod() *refusal {
	no := &refusal{
		status: http.StatusForbidden, code: jsonrpc.CodeMethodNotFound, message: "The method is not one the bridge lets through",
		outcome: "unknown_method",
	}
	if x.modern() {
		no.status = http.StatusNotFound
	}
	return no
}

// needs is the scope of one message. An answer to a request of the server goes on with a call that
// was allowed before, in a session that only its own grant can open.
func (g *Gateway) needs(m jsonrpc.Message) (bridge.Scope, bool) {
	switch {
	case m.Kind == jsonrpc.Response:
		return bridge.ScopeRead, true
	case m.Method == tools.MethodCall:
		return g.Tools.Scope(m.Name), true
	}
	return tools.MethodScope(m.Method)
}

// subject names a message in the audit trail. Names that the catalogue does not know are the
// client's words and stay out.
func (g *Gateway) subject(m jsonrpc.Message) string {
	if m.Method != tools.MethodCall {
		return m.Method
	}
	if _, known := g.Tools.Lookup(m.Name); !known {
		return "an unknown tool"
	}
	return "tool " + m.Name
}

// obtainable are the scopes that the connection could have by asking again.
func (x *exchange) obtainable() bridge.Scopes {
	if x.g.Obtainable == nil {
		return x.at.resource.Scopes
	}
	return x.at.resource.Scopes.Intersect(x.g.Obtainable(x.r.Context(), x.who.grant))
}

// insufficient is the step-up challenge (RFC 6750 §3.1). It names all that this request needs and all
// that the token holds: some clients unite the two, others drop what is not named (RS-28, RS-29).
// Who cannot be given more by asking again is not told to ask (RS-31).
func (x *exchange) insufficient(needed bridge.Scopes, subject string) *refusal {
	no := &refusal{
		status: http.StatusForbidden, code: jsonrpc.CodeServer, message: "The connection does not include the permission this needs",
		outcome: "insufficient_scope", detail: subject + " needs " + needed.String(),
	}
	obtainable := x.obtainable()
	for _, scope := range needed {
		if !obtainable.Allows(scope) {
			return no
		}
	}
	challenge := x.at.challenges.base
	challenge.Scopes, challenge.Error = x.who.scopes.Union(needed), "insufficient_scope"
	challenge.Description = "This needs a permission that was not given"
	no.challenge = challenge.Fields()
	return no
}
