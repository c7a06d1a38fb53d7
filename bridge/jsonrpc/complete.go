package jsonrpc

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Answer is a message of a server of the revisions before 2026-07-28, and where that revision wants
// more than those had.
type Answer struct {
	Kind   Kind
	ID     ID
	Method string // "" in a Response
	Level  string // params.level: of a logging message

	data       []byte
	result     bool // the result is an object
	end        int  // where its closing brace is
	empty      bool
	resultType bool // it says of what kind it is
	ttl, scope bool // … and how long it may be kept, by whom
}

// ReadAnswer reads one message. Bytes that are not one strict JSON object are an error.
func ReadAnswer(data []byte) (Answer, error) {
	if tooDeep(data) {
		return Answer{}, errors.New("the JSON is nested too deeply")
	}
	a := Answer{data: data}
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	var has shape
	err := eachMember(dec, func(name string) error {
		switch name {
		case "id":
			has.id = true
			raw, err := dec.ReadValue()
			a.ID = ID(raw)
			return err
		case "method":
			has.method = true
			return readText(dec, &a.Method)
		case "params":
			return a.params(dec)
		case "result":
			has.result = true
			return a.readResult(dec)
		case "error":
			has.failure = true
		}
		return dec.SkipValue()
	})
	if err != nil {
		return Answer{}, err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return Answer{}, errors.New("there is something after the JSON text")
	}
	switch {
	case has.method && has.id:
		a.Kind = Request
	case has.method:
		a.Kind = Notification
	case has.result != has.failure:
		a.Kind = Response
	default:
		return Answer{}, errors.New("the object is neither a request nor a response")
	}
	return a, nil
}

// eachMember reads an object; take reads the value of each member.
func eachMember(dec *jsontext.Decoder, take func(name string) error) error {
	if dec.PeekKind() != '{' {
		return errors.New("something else than a JSON object")
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if err := take(name.String()); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

func readText(dec *jsontext.Decoder, into *string) error {
	if dec.PeekKind() != '"' {
		return dec.SkipValue()
	}
	text, err := dec.ReadToken()
	if err == nil {
		*into = text.String()
	}
	return err
}

func (a *Answer) params(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return dec.SkipValue()
	}
	return eachMember(dec, func(name string) error {
		if name == "level" {
			return readText(dec, &a.Level)
		}
		return dec.SkipValue()
	})
}

func (a *Answer) readResult(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return dec.SkipValue()
	}
	a.result, a.empty = true, true
	err := eachMember(dec, func(name string) error {
		a.empty = false
		switch name {
		case "resultType":
			a.resultType = true
		case "ttlMs":
			a.ttl = true
		case "cacheScope":
			a.scope = true
		}
		return dec.SkipValue()
	})
	a.end = int(dec.InputOffset()) - 1
	return err
}

// Complete returns the message with what 2026-07-28 wants of every result, and of one that may be
// kept if kept is set: nobody but the caller may keep it, and not at all without asking again.
func (a *Answer) Complete(kept bool) []byte {
	var more []byte
	if !a.resultType {
		more = append(more, `,"resultType":"complete"`...)
	}
	if kept && !a.ttl {
		more = append(more, `,"ttlMs":0`...)
	}
	if kept && !a.scope {
		more = append(more, `,"cacheScope":"private"`...)
	}
	if !a.result || len(more) == 0 {
		return a.data
	}
	if a.empty {
		more = more[1:]
	}
	out := make([]byte, 0, len(a.data)+len(more))
	out = append(append(out, a.data[:a.end]...), more...)
	return append(out, a.data[a.end:]...)
}
