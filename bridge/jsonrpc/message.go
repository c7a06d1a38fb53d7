package jsonrpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Error codes of JSON-RPC 2.0 §5.1, and those that MCP adds for its HTTP transport.
const (
	CodeParse              = -32700
	CodeInvalidRequest     = -32600
	CodeMethodNotFound     = -32601
	CodeInvalidParams      = -32602
	CodeInternal           = -32603
	CodeServer             = -32000 // server-defined; what 2025-era servers answer for a missing session
	CodeNoSession          = -32001 // what 2025-era servers answer for an unknown session
	CodeHeaderMismatch     = -32020 // MCP 2026-07-28: header and body do not agree
	CodeUnsupportedVersion = -32022 // MCP 2026-07-28
)

// ID is a request's id as it stood in the body: a JSON string or a whole number. "" means none.
type ID string

// Kind is what a message is.
type Kind int

// The kinds of message.
const (
	Request      Kind = iota + 1 // has a method and an id
	Notification                 // has a method and no id
	Response                     // answers a request of the server
)

// Message is what decisions are made on. Arguments and results are checked for their form and
// are not kept.
type Message struct {
	Kind   Kind
	ID     ID
	Method string // "" in a Response
	Name   string // params.name: the tool or the prompt
	URI    string // params.uri
	TaskID string // params.taskId
	// In params._meta (MCP 2026-07-28): the protocol version, and from which level on the client wants
	// to hear what the server logs; "" when it wants nothing.
	Version, LogLevel string
}

// Body is a whole POST body: one message, or several in a JSON array.
type Body struct {
	Messages []Message
	Batch    bool
}

// ID is the id an answer to the whole body carries: that of its only request, or "".
func (b Body) ID() ID {
	if b.Batch || len(b.Messages) != 1 {
		return ""
	}
	return b.Messages[0].ID
}

// Error says why a body is refused. Its text is a constant and holds nothing of the body.
type Error struct {
	Code    int // CodeParse or CodeInvalidRequest; of Unwrap, CodeInvalidParams
	Message string
	ID      ID // of the request, when it could still be read
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// AsError returns the *Error in err's chain, or nil.
func AsError(err error) *Error {
	e, _ := errors.AsType[*Error](err)
	return e
}

// Refusal is an error answer. Without an id the member is left out: MCP has no null ids, and
// clients that check answers against its schema would not recognise one.
func Refusal(id ID, code int, message string, data any) []byte {
	out := append(make([]byte, 0, 256), `{"jsonrpc":"2.0"`...)
	if id != "" {
		out = append(append(out, `,"id":`...), id...)
	}
	out = strconv.AppendInt(append(out, `,"error":{"code":`...), int64(code), 10)
	out, err := jsontext.AppendQuote(append(out, `,"message":`...), message)
	if data != nil && err == nil {
		var text []byte
		text, err = json.Marshal(data)
		out = append(append(out, `,"data":`...), text...)
	}
	if err != nil { // only for data that is no JSON, which callers do not pass
		return fmt.Appendf(nil, `{"jsonrpc":"2.0","error":{"code":%d,"message":"internal error"}}`, CodeInternal)
	}
	return append(out, "}}"...)
}
