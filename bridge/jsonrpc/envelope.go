package jsonrpc

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// metaProtocol begins the names in params._meta that 2026-07-28 wraps a request in.
const metaProtocol = "io.modelcontextprotocol/"

// Unwrap returns a request as the revisions before 2026-07-28 have it: without what that one says of
// version and client in params._meta. All other bytes stay. data is one that Reader.Read took. A
// request that a server of 2026-07-28 has to refuse, and one before would not, is an *Error.
func Unwrap(data []byte) ([]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	var meta wrapping
	responses := true
	err := eachMember(dec, func(name string) error {
		if name != "params" || dec.PeekKind() != '{' {
			return dec.SkipValue()
		}
		return eachMember(dec, func(name string) error {
			switch {
			case name == "_meta" && dec.PeekKind() == '{':
				return meta.read(dec)
			case name == "inputResponses":
				var err error
				responses, err = mapOfObjects(dec)
				return err
			}
			return dec.SkipValue()
		})
	})
	switch {
	case err != nil:
		return nil, err
	case !meta.capabilities:
		return nil, &Error{Code: CodeInvalidParams, Message: "params._meta has no client capabilities"}
	case !responses:
		return nil, &Error{Code: CodeInvalidParams, Message: "params.inputResponses has something else than results"}
	}
	out := make([]byte, 0, len(data))
	return append(append(append(out, data[:meta.from]...), meta.rest...), data[meta.to:]...), nil
}

// mapOfObjects reads a value and reports whether it is one.
func mapOfObjects(dec *jsontext.Decoder) (is bool, err error) {
	if dec.PeekKind() != '{' {
		return false, dec.SkipValue()
	}
	is = true
	err = eachMember(dec, func(string) error {
		is = is && dec.PeekKind() == '{'
		return dec.SkipValue()
	})
	return is, err
}

// wrapping is params._meta of 2026-07-28.
type wrapping struct {
	from, to     int    // where it is
	rest         []byte // what is left of it for the revisions before
	capabilities bool   // it says what the client can do
}

func (w *wrapping) read(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	w.to = int(dec.InputOffset())
	w.from = w.to - len(raw)
	w.rest = []byte{'{'}
	inner := jsontext.NewDecoder(bytes.NewBuffer(bytes.Clone(raw)))
	err = eachMember(inner, func(name string) error {
		value, err := inner.ReadValue()
		if err != nil {
			return err
		}
		if strings.HasPrefix(name, metaProtocol) {
			w.capabilities = w.capabilities || name == metaProtocol+"clientCapabilities" && value.Kind() == '{'
			return nil
		}
		if len(w.rest) > 1 {
			w.rest = append(w.rest, ',')
		}
		if w.rest, err = jsontext.AppendQuote(w.rest, name); err != nil {
			return err
		}
		w.rest = append(append(w.rest, ':'), value...)
		return nil
	})
	w.rest = append(w.rest, '}')
	return err
}
