package jsonrpc

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// WithExtensions is an answer to initialize or server/discover that names these extensions of the
// protocol among the server's capabilities, beside those it names already. Every other byte stays what
// it was; without capabilities there is nothing to add to.
func WithExtensions(data []byte, extensions []string) ([]byte, error) {
	if tooDeep(data) {
		return nil, errors.New("the JSON is nested too deeply")
	}
	c := &cutter{data: data, lists: &ToolLists{}, from: bytes.NewBuffer(data)}
	c.dec.Reset(c.from)
	var found capabilities
	if _, err := c.members(c.within("result", c.within("capabilities", found.read(c), &found.at), nil)); err != nil {
		return nil, err
	}
	if _, err := c.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON text")
	}
	return found.write(data, extensions), nil
}

// within takes the member of a name when it is an object, with its members, and tells where it is.
func (c *cutter) within(name string, take func([]byte) (bool, error), at *span) func([]byte) (bool, error) {
	return func(member []byte) (bool, error) {
		if string(member) != name || c.dec.PeekKind() != '{' {
			return false, nil
		}
		where, err := c.members(take)
		if at != nil {
			*at = where
		}
		return true, err
	}
}

// capabilities is where a server's capabilities and the extensions among them are.
type capabilities struct {
	at, extensions span
	names          []string // of the extensions
	members        int
	other          bool // extensions is there, and is no object
}

func (f *capabilities) read(c *cutter) func([]byte) (bool, error) {
	names := func(name []byte) (bool, error) {
		f.names = append(f.names, string(name))
		return false, nil
	}
	inner := c.within("extensions", names, &f.extensions)
	return func(member []byte) (bool, error) {
		f.members++
		taken, err := inner(member)
		f.other = f.other || string(member) == "extensions" && !taken
		return taken, err
	}
}

func (f *capabilities) write(data []byte, extensions []string) []byte {
	var added []byte
	for _, extension := range extensions {
		if slices.Contains(f.names, extension) {
			continue
		}
		if len(added) > 0 {
			added = append(added, ',')
		}
		added = append(quote(added, extension), `:{}`...)
	}
	if !f.at.present() || f.other || len(added) == 0 {
		return data
	}
	place, more := f.extensions, len(f.names) > 0
	if !place.present() {
		place, more = f.at, f.members > 0
		added = append(append([]byte(`"extensions":{`), added...), '}')
	}
	if more {
		added = append(added, ',')
	}
	return slices.Concat(data[:place.from+1], added, data[place.from+1:])
}
