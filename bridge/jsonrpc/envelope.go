package jsonrpc

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// metaProtocol begins the names in params._meta that 2026-07-28 wraps a request in.
const metaProtocol = "io.modelcontextprotocol/"

// Unwrap returns a request as the revisions before 2026-07-28 have it: without what that one says of
// version and client in params._meta. All other bytes stay. data is one that Reader.Read took.
func Unwrap(data []byte) ([]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	from, to := 0, 0
	var rest []byte
	err := eachMember(dec, func(name string) error {
		if name != "params" || dec.PeekKind() != '{' {
			return dec.SkipValue()
		}
		return eachMember(dec, func(name string) error {
			if name != "_meta" || dec.PeekKind() != '{' {
				return dec.SkipValue()
			}
			var err error
			from, to, rest, err = unwrapMeta(dec)
			return err
		})
	})
	if err != nil || rest == nil {
		return data, err
	}
	out := make([]byte, 0, len(data))
	return append(append(append(out, data[:from]...), rest...), data[to:]...), nil
}

// unwrapMeta reads params._meta and returns where it is and what is left of it.
func unwrapMeta(dec *jsontext.Decoder) (from, to int, rest []byte, err error) {
	rest = []byte{'{'}
	raw, err := dec.ReadValue()
	if err != nil {
		return 0, 0, nil, err
	}
	to = int(dec.InputOffset())
	inner := jsontext.NewDecoder(bytes.NewBuffer(bytes.Clone(raw)))
	err = eachMember(inner, func(name string) error {
		value, err := inner.ReadValue()
		if err != nil || strings.HasPrefix(name, metaProtocol) {
			return err
		}
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		if rest, err = jsontext.AppendQuote(rest, name); err != nil {
			return err
		}
		rest = append(append(rest, ':'), value...)
		return nil
	})
	return to - len(raw), to, append(rest, '}'), err
}
