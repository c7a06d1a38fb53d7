package gateway

import (
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

// introduces reports whether the answer says what the server can do, and the bridge has something to
// add to that.
func (x *exchange) introduces() bool {
	return len(x.g.Extensions) > 0 && (x.initializes() || x.only().Method == "server/discover")
}

// announce adds the bridge's extensions to the upstream's (GW-53). They are the same for everybody, so
// that whoever may cache the answer still may. What cannot be read goes on as it is: there is nothing in
// it that somebody must not see.
func (x *exchange) announce(answer []byte) ([]byte, error) {
	if announced, err := jsonrpc.WithExtensions(answer, x.g.Extensions); err == nil {
		return announced, nil
	}
	return answer, nil
}
