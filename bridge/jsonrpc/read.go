package jsonrpc

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on a body beside its size. No client comes near them.
const (
	MaxDepth    = 128 // arrays and objects inside each other
	MaxBatch    = 128 // messages in an array
	maxIDBytes  = 512
	maxMethod   = 128
	maxWholeNum = 1<<53 - 1 // what JavaScript holds exactly
)

// Members of params._meta (MCP 2026-07-28).
const (
	metaVersion  = "io.modelcontextprotocol/protocolVersion"
	metaLogLevel = "io.modelcontextprotocol/logLevel"
)

// Reader reads bodies one after the other; the zero value is ready. It holds what reading needs, so
// that a caller with many bodies need not make it anew for each.
type Reader struct {
	dec  jsontext.Decoder
	from bytes.Buffer
	// fault is the first thing that is wrong with the current message. Reading goes on, so that
	// the answer can carry the request's id.
	fault string
}

// Read reads a body. An error is an *Error: CodeParse when the bytes are not one strict JSON
// text, CodeInvalidRequest when they are, but no MCP message or a doubtful one.
//
// Read takes arrays; whether the protocol version has them is the caller's to say. Neither the
// Body nor the Reader refers to data afterwards.
func (r *Reader) Read(data []byte) (Body, error) {
	if tooDeep(data) {
		return Body{}, invalid("the JSON is nested too deeply")
	}
	r.reset(data)
	defer r.reset(nil)
	var body Body
	var err error
	switch r.dec.PeekKind() {
	case '{':
		var m Message
		m, err = r.message()
		body.Messages = []Message{m}
	case '[':
		body.Batch = true
		body.Messages, err = r.batch()
	default:
		if _, err = r.dec.ReadValue(); err == nil {
			err = invalid("a message is a JSON object")
		}
	}
	if err != nil {
		return Body{}, refuse(err)
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return Body{}, parse("there is something after the JSON text")
	}
	return body, nil
}

func (r *Reader) reset(data []byte) {
	r.from = *bytes.NewBuffer(data) // the decoder reads a bytes.Buffer where it lies
	r.dec.Reset(&r.from)
}

func refuse(err error) error {
	if AsError(err) != nil {
		return err
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return parse("a member stands twice in an object")
	}
	return parse("the body is not one JSON text in UTF-8")
}

func parse(message string) *Error   { return &Error{Code: CodeParse, Message: message} }
func invalid(message string) *Error { return &Error{Code: CodeInvalidRequest, Message: message} }

// tooDeep counts brackets outside strings. It is exact for well-formed JSON, and anything else is
// refused by the decoder.
func tooDeep(data []byte) bool {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case '}', ']':
			depth--
		case '"':
			i = stringEnd(data, i+1)
		}
	}
	return false
}

// stringEnd is the index of the quote that ends the string whose text begins at i, or len(data).
func stringEnd(data []byte, i int) int {
	for {
		next := bytes.IndexByte(data[i:], '"')
		if next < 0 {
			return len(data)
		}
		end, slashes := i+next, 0
		for end-slashes > i && data[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end
		}
		i = end + 1
	}
}

func (r *Reader) batch() ([]Message, error) {
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	var all []Message
	for r.dec.PeekKind() != ']' {
		if r.dec.PeekKind() != '{' {
			if _, err := r.dec.ReadValue(); err != nil {
				return nil, err
			}
			return nil, invalid("a message is a JSON object")
		}
		m, err := r.message()
		if err != nil {
			return nil, err
		}
		if all = append(all, m); len(all) > MaxBatch {
			return nil, invalid("the batch holds too many messages")
		}
	}
	if len(all) == 0 {
		return nil, invalid("the batch is empty")
	}
	_, err := r.dec.ReadToken()
	return all, err
}

// object reads an object member by member. take reads the value of the member it is given and
// reports whether the name is one it knows; known are the names that others must not resemble.
func (r *Reader) object(known []string, take func(name []byte) (bool, error)) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for r.dec.PeekKind() != '}' {
		name, err := r.name()
		if err != nil {
			return err
		}
		taken, err := take(name)
		if err != nil {
			return err
		}
		if taken {
			continue
		}
		if doubtful(name, known) {
			r.wrong("a member's name resembles a known one")
		}
		if _, err := r.dec.ReadValue(); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// name is the text of the next member's name. It lives until the next read.
func (r *Reader) name() ([]byte, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	return unquote(raw)
}

// text reads a string of at most limit bytes. Anything else is a fault, and "" is returned.
func (r *Reader) text(limit int, fault string) (string, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return "", err
	}
	if raw.Kind() != '"' {
		r.wrong(fault)
		return "", nil
	}
	text, err := unquote(raw)
	if limit > 0 && len(text) > limit {
		r.wrong(fault)
		return "", nil
	}
	return string(text), err
}

func unquote(raw jsontext.Value) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 && len(raw) >= 2 {
		return raw[1 : len(raw)-1], nil
	}
	return jsontext.AppendUnquote(nil, raw)
}

func (r *Reader) wrong(fault string) {
	if r.fault == "" {
		r.fault = fault
	}
}

// doubtful reports whether some parser might take name for one of known: names that differ in
// case or by Unicode folding (RS-32), that hold control characters (RS-33), or that reach a
// JavaScript object's prototype.
func doubtful(name []byte, known []string) bool {
	if string(name) == "__proto__" || bytes.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return true
	}
	for _, k := range known {
		if bytes.EqualFold(name, []byte(k)) {
			return true
		}
	}
	return false
}

// wholeNumber reports whether raw is an integer that every language holds exactly.
func wholeNumber(raw string) bool {
	n, err := strconv.ParseInt(raw, 10, 64)
	return err == nil && n >= -maxWholeNum && n <= maxWholeNum && raw != "-0"
}
