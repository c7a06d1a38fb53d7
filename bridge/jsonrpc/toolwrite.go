package jsonrpc

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// What is said of a list whose sender says nothing: it is one caller's own, and may have changed by
// the next time.
const (
	scopePrivate = `"private"`
	ttlNone      = `0`
)

// Append writes the answer with its lists as they are now.
func (l *ToolLists) Append(dst []byte) []byte {
	at := 0
	for i := range l.Lists {
		list := &l.Lists[i]
		for _, p := range list.patches() {
			dst = append(dst, l.data[at:p.at.from]...)
			dst = p.write(dst)
			at = p.at.to
		}
	}
	return append(dst, l.data[at:]...)
}

// patch replaces a part; an empty part is a place to insert at.
type patch struct {
	at    span
	write func(dst []byte) []byte
}

// patches are in the order of their places, of which no two overlap.
func (l *ToolList) patches() []patch {
	all := []patch{{l.array, l.appendTools}}
	if l.Private && l.cacheScope.present() {
		all = append(all, patch{l.cacheScope, literal(scopePrivate)})
	}
	sortPatches(all)
	missing := ""
	if l.Private && l.Complete && !l.cacheScope.present() {
		missing += `,"cacheScope":` + scopePrivate
	}
	if l.Complete && !l.ttl.present() {
		missing += `,"ttlMs":` + ttlNone
	}
	if missing != "" { // the result has a member: its tools
		all = append(all, patch{span{l.end, l.end}, literal(missing)})
	}
	return all
}

func (l *ToolList) appendTools(dst []byte) []byte {
	dst = append(dst, '[')
	for i := range l.Tools {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = l.Tools[i].append(dst)
	}
	return append(dst, ']')
}

// append writes the tool with what is set. Everything else is the very bytes of its sender.
func (t *ListedTool) append(dst []byte) []byte {
	patches := make([]patch, 0, 12)
	var missing []byte // members, each with the comma before it: a tool has a name
	set := func(name, text string, at span) {
		switch {
		case text == "" || t.says(at, text):
		case at.present():
			patches = append(patches, patch{at, literal(string(quote(nil, text)))})
		default:
			missing = append(append(append(missing, ',', '"'), name...), '"', ':')
			missing = quote(missing, text)
		}
	}
	set("title", t.Set.Title, t.title)
	set("description", t.Set.Description, t.description)
	switch {
	case t.Set.Hints == nil && t.Set.Title == "":
	case t.inner.object:
		patches = append(patches, t.hintPatches()...)
	case t.annotations.present(): // null, or something no client could use
		patches = append(patches, patch{t.annotations, t.appendAnnotations})
	default:
		missing = t.appendAnnotations(append(missing, `,"annotations":`...))
	}
	sortPatches(patches)
	at := 0
	for _, p := range patches {
		dst = p.write(append(dst, t.raw[at:p.at.from]...))
		at = p.at.to
	}
	last := len(t.raw) - 1
	return append(append(append(dst, t.raw[at:last]...), missing...), t.raw[last:]...)
}

// hintPatches change annotations that are there.
func (t *ListedTool) hintPatches() []patch {
	var patches []patch
	var missing []byte
	add := func(name string, at span, value []byte) {
		if at.present() {
			if string(t.raw[at.from:at.to]) != string(value) {
				patches = append(patches, patch{at, literal(string(value))})
			}
			return
		}
		if !t.inner.empty || len(missing) > 0 {
			missing = append(missing, ',')
		}
		missing = append(append(append(append(missing, '"'), name...), '"', ':'), value...)
	}
	if t.Set.Title != "" && !t.says(t.inner.title, t.Set.Title) {
		add("title", t.inner.title, quote(nil, t.Set.Title))
	}
	if t.Set.Hints != nil {
		for i, name := range hintNames() {
			add(name, t.inner.hints[i], strconv.AppendBool(nil, t.Set.Hints[i]))
		}
	}
	if len(missing) > 0 {
		patches = append(patches, patch{span{t.inner.end, t.inner.end}, literal(string(missing))})
	}
	return patches
}

// says reports whether the string at a place is text already, however it is written.
func (t *ListedTool) says(at span, text string) bool {
	if !at.present() || t.raw[at.from] != '"' {
		return false
	}
	said, err := unquote(t.raw[at.from:at.to])
	return err == nil && string(said) == text
}

func (t *ListedTool) appendAnnotations(dst []byte) []byte {
	dst = append(dst, '{')
	comma := false
	if t.Set.Title != "" {
		dst = quote(append(dst, `"title":`...), t.Set.Title)
		comma = true
	}
	if t.Set.Hints != nil {
		for i, name := range hintNames() {
			if comma {
				dst = append(dst, ',')
			}
			comma = true
			dst = append(append(append(dst, '"'), name...), '"', ':')
			dst = strconv.AppendBool(dst, t.Set.Hints[i])
		}
	}
	return append(dst, '}')
}

func literal(text string) func([]byte) []byte {
	return func(dst []byte) []byte { return append(dst, text...) }
}

// quote writes a JSON string. What is no UTF-8 becomes replacement characters; no text that comes
// here has any.
func quote(dst []byte, text string) []byte {
	quoted, err := jsontext.AppendQuote(dst, text)
	if err != nil {
		return strconv.AppendQuoteToASCII(dst, "")
	}
	return quoted
}

// sortPatches sorts the few patches of one object.
func sortPatches(patches []patch) {
	for i := 1; i < len(patches); i++ {
		for j := i; j > 0 && patches[j].at.from < patches[j-1].at.from; j-- {
			patches[j], patches[j-1] = patches[j-1], patches[j]
		}
	}
}
