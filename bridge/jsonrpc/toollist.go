package jsonrpc

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// ToolLists is an answer cut around the lists of tools in it, so that a list can be changed and every
// other byte stays what it was.
type ToolLists struct {
	data  []byte
	Lists []ToolList
}

// ToolList is the result of one tools/list. Change Tools, and set Private and Complete, before Append.
type ToolList struct {
	Tools []ListedTool
	// Private says of the answer that it is one caller's own (MCP 2026-07-28, cacheScope): in the
	// place of what it says, and where it says nothing if Complete is set.
	Private bool
	// Complete adds what 2026-07-28 wants of every list and its sender left out.
	Complete bool

	array           span // the tools, with their brackets
	cacheScope, ttl span // the values of these members
	end             int  // of the result: where its closing brace is
}

// ListedTool is one tool as the server describes it, and what is to be said instead.
type ListedTool struct {
	Name        string
	Title       string // "" for none
	Description string
	Hints       ClaimedHints
	Set         ToolEdit

	raw                             []byte
	title, description, annotations span
	inner                           annotated
}

// ClaimedHints are MCP's tool annotations as far as a server makes a claim.
type ClaimedHints struct{ ReadOnly, Destructive, Idempotent, OpenWorld Claim }

// Claim is what a server says of a hint.
type Claim int8

// The claims. What is no boolean claims nothing.
const (
	Unsaid Claim = iota
	No
	Yes
)

// ToolEdit is what a tool's description gets. Empty texts and a nil Hints change nothing.
type ToolEdit struct {
	Title       string // also of the annotations, which is where the older revisions look
	Description string
	Hints       *[4]bool // readOnly, destructive, idempotent, openWorld
}

// hintNames are the members of a tool's annotations, in the order of ToolEdit.Hints.
func hintNames() [4]string {
	return [4]string{"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
}

// span is data[from:to]; the zero span is nowhere.
type span struct{ from, to int }

func (s span) present() bool { return s.to > 0 }

// annotated is where the values of a tool's annotations are, counted from the tool's beginning.
type annotated struct {
	object bool // there is an object, empty or not
	empty  bool
	end    int // where its closing brace is
	title  span
	hints  [4]span
}

// errNoTools is for a list whose members are not tools: nobody could say who may see them.
var errNoTools = errors.New("the list of tools holds something else")

// ReadToolLists finds the lists of tools in an answer: one message, or several in a JSON array. The
// bytes have to be one strict JSON text, for a client must not read another list than this one.
// Neither data nor the result may be changed otherwise while both are in use.
func ReadToolLists(data []byte) (*ToolLists, error) {
	if tooDeep(data) {
		return nil, errors.New("the JSON is nested too deeply")
	}
	c := &cutter{data: data, lists: &ToolLists{data: data}, from: bytes.NewBuffer(data)}
	c.dec.Reset(c.from)
	if err := c.messages(); err != nil {
		return nil, err
	}
	if _, err := c.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON text")
	}
	return c.lists, nil
}

// cutter reads an answer once and remembers where things are.
type cutter struct {
	dec   jsontext.Decoder
	from  *bytes.Buffer
	data  []byte
	lists *ToolLists
}

func (c *cutter) messages() error {
	if c.dec.PeekKind() != '[' {
		return c.message()
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	for c.dec.PeekKind() != ']' {
		if err := c.message(); err != nil {
			return err
		}
	}
	_, err := c.dec.ReadToken()
	return err
}

func (c *cutter) message() error {
	_, err := c.members(func(name []byte) (bool, error) {
		if string(name) != "result" || c.dec.PeekKind() != '{' {
			return false, nil
		}
		return true, c.result()
	})
	return err
}

// members reads an object and tells where it is, or skips what is none. take reads the value of the
// members it knows.
func (c *cutter) members(take func(name []byte) (bool, error)) (span, error) {
	if c.dec.PeekKind() != '{' {
		return span{}, c.dec.SkipValue()
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return span{}, err
	}
	from := int(c.dec.InputOffset()) - 1
	for c.dec.PeekKind() != '}' {
		raw, err := c.dec.ReadValue()
		if err != nil {
			return span{}, err
		}
		name, err := unquote(raw)
		if err != nil {
			return span{}, err
		}
		taken, err := take(name)
		if err == nil && !taken {
			err = c.dec.SkipValue()
		}
		if err != nil {
			return span{}, err
		}
	}
	_, err := c.dec.ReadToken()
	return span{from, int(c.dec.InputOffset())}, err
}

// value reads a value and where it is.
func (c *cutter) value() (jsontext.Value, span, error) {
	raw, err := c.dec.ReadValue()
	to := int(c.dec.InputOffset())
	return raw, span{to - len(raw), to}, err
}

// text reads a string and where it is. Anything else is no text.
func (c *cutter) text(into *string, at *span) error {
	raw, where, err := c.value()
	if err != nil {
		return err
	}
	*at = where
	if raw.Kind() == '"' {
		text, err := unquote(raw)
		*into = string(text)
		return err
	}
	return nil
}

func (c *cutter) result() error {
	var list ToolList
	at, err := c.members(func(name []byte) (bool, error) {
		var err error
		switch string(name) {
		case "tools":
			if c.dec.PeekKind() != '[' {
				return false, nil
			}
			err = c.tools(&list)
		case "cacheScope":
			_, list.cacheScope, err = c.value()
		case "ttlMs":
			_, list.ttl, err = c.value()
		default:
			return false, nil
		}
		return true, err
	})
	list.end = at.to - 1
	if err == nil && list.array.present() {
		c.lists.Lists = append(c.lists.Lists, list)
	}
	return err
}

func (c *cutter) tools(list *ToolList) error {
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	list.array.from = int(c.dec.InputOffset()) - 1
	list.Tools = make([]ListedTool, 0, 192) // Trinity names 154
	for c.dec.PeekKind() != ']' {
		if c.dec.PeekKind() != '{' {
			return errNoTools
		}
		list.Tools = append(list.Tools, ListedTool{})
		if err := c.tool(&list.Tools[len(list.Tools)-1]); err != nil {
			return err
		}
	}
	_, err := c.dec.ReadToken()
	list.array.to = int(c.dec.InputOffset())
	return err
}

func (c *cutter) tool(t *ListedTool) error {
	at, err := c.members(func(name []byte) (bool, error) {
		switch string(name) {
		case "name":
			var where span
			return true, c.text(&t.Name, &where)
		case "title":
			return true, c.text(&t.Title, &t.title)
		case "description":
			return true, c.text(&t.Description, &t.description)
		case "annotations":
			return true, c.annotations(t)
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	if t.Name == "" {
		return errNoTools
	}
	t.raw = c.data[at.from:at.to]
	t.shift(-at.from)
	return nil
}

func (c *cutter) annotations(t *ListedTool) error {
	if c.dec.PeekKind() != '{' {
		var err error
		_, t.annotations, err = c.value()
		return err
	}
	in := annotated{object: true, empty: true}
	claims := [4]*Claim{&t.Hints.ReadOnly, &t.Hints.Destructive, &t.Hints.Idempotent, &t.Hints.OpenWorld}
	title := ""
	at, err := c.members(func(name []byte) (bool, error) {
		in.empty = false
		if string(name) == "title" {
			return true, c.text(&title, &in.title)
		}
		for i, hint := range hintNames() {
			if string(name) != hint {
				continue
			}
			raw, at, err := c.value()
			in.hints[i] = at
			switch raw.Kind() {
			case 't':
				*claims[i] = Yes
			case 'f':
				*claims[i] = No
			}
			return true, err
		}
		return false, nil
	})
	if t.Title == "" {
		t.Title = title
	}
	in.end = at.to - 1
	t.annotations, t.inner = at, in
	return err
}

// shift moves where things are, so that they count from the tool's beginning.
func (t *ListedTool) shift(by int) {
	spans := []*span{&t.title, &t.description, &t.annotations, &t.inner.title}
	for i := range t.inner.hints {
		spans = append(spans, &t.inner.hints[i])
	}
	for _, s := range spans {
		if s.present() {
			s.from, s.to = s.from+by, s.to+by
		}
	}
	t.inner.end += by
}
