package trinitytest

import (
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The error codes that occur (JSON-RPC 2.0 §5.1 and the transport's own).
const (
	codeParseError      = -32700
	codeInvalidRequest  = -32600
	codeMethodNotFound  = -32601
	codeInternalError   = -32603
	codeServerError     = -32000
	codeSessionNotFound = -32001
)

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// proxyError is an error of the proxy around the transport, with its own order of members.
func (r transportRules) proxyError(w http.ResponseWriter, status int, id jsontext.Value, code int, text string) {
	r.writeJSON(w, status, struct {
		Error   rpcError       `json:"error"`
		ID      jsontext.Value `json:"id"`
		JSONRPC string         `json:"jsonrpc"`
	}{rpcError{code, text}, id, "2.0"})
}

// transportError is an error of the transport itself. It never names the request.
func (r transportRules) transportError(w http.ResponseWriter, status, code int, text string) {
	body := mustMarshal(struct {
		JSONRPC string         `json:"jsonrpc"`
		Error   rpcError       `json:"error"`
		ID      jsontext.Value `json:"id"`
	}{"2.0", rpcError{code, text}, nil})
	contentType := r.jsonType()
	if r.untyped {
		contentType = ""
	}
	writeText(w, status, contentType, string(body))
}

func (r transportRules) writeJSON(w http.ResponseWriter, status int, body any) {
	writeText(w, status, r.jsonType(), string(mustMarshal(body)))
}

func mustMarshal(v any) []byte {
	data, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if err != nil {
		panic(err) // all that is encoded here came out of a decoder or is made of plain values
	}
	return data
}

// message is one JSON-RPC message of any kind.
type message struct {
	id     jsontext.Value // nil for a notification
	method string         // "" for a response to a request of ours
	params jsontext.Value
}

func (m message) isRequest() bool { return m.method != "" && m.id != nil }

// document is a POST body: what the proxy in front can tell without validating, and the messages.
type document struct {
	readable bool // it is JSON at all
	valid    bool // every message is valid JSON-RPC
	batch    bool
	messages []message
	id       jsontext.Value // of a single message, valid or not; nil means null
}

// readDocument takes duplicate names as Node does: the last one wins.
func readDocument(body []byte) document {
	var raw jsontext.Value
	if json.Unmarshal(body, &raw, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
		return document{}
	}
	doc := document{readable: true, valid: true, batch: raw.Kind() == '['}
	elements := []jsontext.Value{raw}
	if doc.batch && unmarshal(raw, &elements) != nil {
		return document{}
	}
	for _, element := range elements {
		m, ok := readMessage(element)
		doc.valid = doc.valid && ok
		doc.messages = append(doc.messages, m)
	}
	if !doc.batch {
		doc.id = doc.messages[0].id
	}
	return doc
}

func unmarshal(data jsontext.Value, into any) error {
	return json.Unmarshal(data, into, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// readMessage is strict about the envelope: no other members, and an id that is a string or a number.
func readMessage(raw jsontext.Value) (message, bool) {
	var members map[string]jsontext.Value
	if raw.Kind() != '{' || unmarshal(raw, &members) != nil {
		return message{}, false
	}
	var m message
	valid := string(members["jsonrpc"]) == `"2.0"`
	answers := 0
	for name, value := range members {
		switch name {
		case "jsonrpc":
		case "id":
			if k := value.Kind(); k == '"' || k == '0' {
				m.id = value
			} else {
				valid = false
			}
		case "method":
			valid = valid && unmarshal(value, &m.method) == nil && m.method != ""
		case "params":
			m.params = value
			valid = valid && value.Kind() == '{'
		case "result", "error":
			answers++
		default:
			valid = false
		}
	}
	isAnswer := m.method == "" && answers == 1 && m.id != nil
	return m, valid && (isAnswer || m.method != "" && answers == 0)
}

// initializeParams are what makes an initialize request recognisable.
type initializeParams struct {
	ProtocolVersion string         `json:"protocolVersion"`
	Capabilities    jsontext.Value `json:"capabilities"`
	ClientInfo      struct {
		Name    *string `json:"name"`
		Version *string `json:"version"`
	} `json:"clientInfo"`
}

// initialization reports whether a message is a complete initialize request.
func (m message) initialization() (initializeParams, bool) {
	var p initializeParams
	if m.method != "initialize" || m.id == nil || m.params == nil || unmarshal(m.params, &p) != nil {
		return initializeParams{}, false
	}
	complete := p.ProtocolVersion != "" && p.Capabilities.Kind() == '{' && p.ClientInfo.Name != nil && p.ClientInfo.Version != nil
	return p, complete
}
