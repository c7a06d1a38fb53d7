package gateway

import (
	"errors"
	"net/http"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/gateway/carry"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

const (
	retryAfter = 5 * time.Second // what a client is told to wait for when something is down
	allowed    = "POST, GET, DELETE, OPTIONS"
)

// exchange is one request and what is known of it so far.
type exchange struct {
	g         *Gateway
	at        *endpoint
	w         http.ResponseWriter
	control   *http.ResponseController // of w
	r         *http.Request
	reference string   // of the request; "" when nobody gave it one
	named     []string // the same, as the line of a field

	who        caller
	data       []byte         // the body as it came, and as it is forwarded
	body       jsonrpc.Body   // what data says
	version    string         // protocol version in force; versionLegacy when none was sent
	parameters bool           // fields Mcp-Param-* came along
	session    string         // the upstream's id of the session; "" when none was named
	sealed     []string       // the same, as the line the client sent
	carried    *carry.Session // in which a call of 2026-07-28 runs upstream; nil for one that goes as it came
	told       carriedSoFar
	ended      func() error // why what goes on upstream was ended, or nil while it was not
}

func (x *exchange) run() {
	defer x.settle()
	if no := x.serve(); no != nil {
		x.refuse(no)
	}
}

// serve takes the request through the steps of the package comment. It returns what to refuse with,
// or nil when an answer has been written.
func (x *exchange) serve() *refusal {
	if no := x.checkOrigin(); no != nil {
		return no
	}
	if x.r.Method == http.MethodOptions {
		x.preflight()
		return nil
	}
	if no := x.identify(); no != nil {
		return no
	}
	if err := x.g.Ready(); err != nil {
		return unavailable("The bridge has not reached Trinity's MCP server yet", err)
	}
	for _, step := range []func() *refusal{x.readRequest, x.checkTool, x.checkScope, x.openSession, x.forward} {
		if no := step(); no != nil {
			return no
		}
	}
	return nil
}

// readRequest reads what kind of request it is: a message, a stream or the end of a session.
func (x *exchange) readRequest() *refusal {
	switch x.r.Method {
	case http.MethodPost:
		return x.readMessage()
	case http.MethodGet, http.MethodDelete:
		if no := x.readVersion(); no != nil {
			return no
		}
		if x.modern() { // sessions and their streams are gone since 2026-07-28
			return &refusal{status: http.StatusMethodNotAllowed, code: jsonrpc.CodeServer, message: "This protocol version has POST only", allow: "POST"}
		}
		return nil
	}
	return &refusal{status: http.StatusMethodNotAllowed, code: jsonrpc.CodeServer, message: "The method does not exist here", allow: allowed}
}

func (x *exchange) modern() bool { return x.version == versionModern }

// only is the message of a POST that holds exactly one.
func (x *exchange) only() jsonrpc.Message {
	if x.body.Batch || len(x.body.Messages) != 1 {
		return jsonrpc.Message{}
	}
	return x.body.Messages[0]
}

func (x *exchange) initializes() bool {
	for _, m := range x.body.Messages {
		if m.Kind == jsonrpc.Request && m.Method == "initialize" {
			return true
		}
	}
	return false
}

// listens reports whether the answer is a stream that carries what happens to happen.
func (x *exchange) listens() bool {
	return x.r.Method == http.MethodGet || x.only().Method == methodListen
}

// quick reports whether the upstream has nothing to work for before it answers.
func (x *exchange) quick() bool {
	if x.r.Method == http.MethodGet { // servers send a stream's header with its first event
		return false
	}
	for _, m := range x.body.Messages {
		switch m.Method {
		case tools.MethodCall, "prompts/get", "resources/read", "completion/complete", "tasks/result", methodListen:
			return false
		}
	}
	return true
}

// settle is what remains to be done when the answer is out.
func (x *exchange) settle() {
	x.who.release()
	x.touch()
}

// touch notes the use of a grant, at most once a minute: it is a write, and is shown in minutes.
func (x *exchange) touch() {
	const every = time.Minute
	now := x.g.Now()
	if !x.who.admitted || x.who.static || now.Sub(x.who.grant.LastUsedAt) < every || !x.who.key.touch(now, every) {
		return
	}
	ctx, cancel := x.afterwards()
	defer cancel()
	if err := x.g.Grants.TouchGrant(ctx, x.who.grant.ID, now); err != nil {
		x.g.Log.DebugContext(ctx, "the use of a grant was not noted", "request_id", x.reference, "grant_id", x.who.grant.ID, "error", err)
	}
}

// Why something that was going on ended. They are causes of contexts and reach no client.
var (
	errClientGone   = errors.New("the client has left")
	errGrantEnded   = errors.New("the grant has ended")
	errTokenExpired = errors.New("the token of a listening stream has expired")
	errImpatient    = errors.New("the upstream took too long to begin its answer")
	errStuck        = errors.New("the upstream stopped in the middle of its answer")
	errLingered     = errors.New("the client left long ago")
	errDraining     = errors.New("the bridge is shutting down")
)
