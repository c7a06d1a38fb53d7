package rows

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
)

// The forms of a text.
const (
	literal = iota // its length, then itself
	word           // one of words
	again          // one that came before in the record
	coded          // one of a form below
)

// The forms of coded texts.
const (
	randomID  = iota // as bridge.NewID makes them: 16 bytes
	keyID            // as Trinity makes those of keys: 16 bytes in base64url
	aroundID         // what stands before the id of the row, and behind it: the name of a grant's key says whose it is
	grantID          // as bridge.GrantID makes them: 10 bytes
	fromBase         // what stands behind the base of the store's key
	personID         // as bridge.Person has them: 16 bytes
	machineID        // as well
)

// madeForms are those of texts that are made of so many bytes, which may stand behind what they begin with.
var madeForms = []struct {
	form   uint64
	begins string
	bytes  int
	of     func(string) []byte
	text   func([]byte) string
}{
	{randomID, "", bridge.IDBytes, bridge.BytesOf, bridge.IDOf},
	{grantID, "", bridge.GrantIDBytes, bridge.BytesOf, bridge.IDOf},
	{keyID, "", bridge.IDBytes, keyIDBytes, keyIDForm.EncodeToString},
	{personID, bridge.PersonBegins, bridge.IDBytes, bridge.BytesOf, bridge.IDOf},
	{machineID, bridge.MachineBegins, bridge.IDBytes, bridge.BytesOf, bridge.IDOf},
}

var keyIDForm = base64.RawURLEncoding.Strict()

func keyIDBytes(id string) []byte {
	if len(id) != keyIDForm.EncodedLen(bridge.IDBytes) {
		return nil
	}
	raw, err := keyIDForm.DecodeString(id)
	if err != nil || keyIDForm.EncodeToString(raw) != id {
		return nil
	}
	return raw
}

// made writes a text of madeForms, or reports that it is none.
func (p *packer) made(v string) bool {
	for _, f := range madeForms {
		id, ok := strings.CutPrefix(v, f.begins)
		if !ok {
			continue
		}
		if raw := f.of(id); len(raw) == f.bytes {
			p.head(f.form, coded)
			p.buf = append(p.buf, raw...)
			return true
		}
	}
	return false
}

func (p *packer) readMade(form uint64) string {
	for _, f := range madeForms {
		if f.form == form && len(p.buf) >= f.bytes {
			raw := p.buf[:f.bytes]
			p.buf = p.buf[f.bytes:]
			return f.begins + f.text(raw)
		}
	}
	p.fail()
	return ""
}

func text[T ~string](p *packer, n byte, v *T) {
	if p.field(n, *v != "") {
		*v = T(p.text(string(*v)))
	}
}

// like is text for one that is most often the same as another, and then but field same.
func like[T ~string](p *packer, n, same byte, v *T, other T) {
	if p.field(same, *v != "" && *v == other) {
		*v = other
		return
	}
	text(p, n, v)
}

// likeAll is texts for such a list.
func likeAll[T ~[]E, E ~string](p *packer, n, same byte, v *T, other T) {
	switch {
	case !p.field(same, len(*v) > 0 && slices.Equal(*v, other)):
		texts(p, n, v)
	case p.reading:
		*v = slices.Clone(other)
	}
}

func texts[T ~[]E, E ~string](p *packer, n byte, v *T) {
	if !p.field(n, len(*v) > 0) {
		return
	}
	length := p.length(len(*v))
	if p.reading {
		*v = make(T, length)
		for i := range *v {
			(*v)[i] = E(p.readText())
		}
		return
	}
	for _, one := range *v { // others may be reading the list
		p.text(string(one))
	}
}

// repeated is how many texts or times of a record are looked through for one that comes again, more than any has but for
// lists whose length strangers choose. Records are packed by the writer, whom all others wait for.
const repeated = 64

func (p *packer) text(v string) string {
	if p.reading {
		return p.readText()
	}
	if i := slices.Index(words, v); i >= 0 {
		p.head(uint64(i), word)
		return v
	}
	if i := slices.Index(p.texts[:min(len(p.texts), repeated)], v); i >= 0 {
		p.head(uint64(i), again)
		return v
	}
	before, behind, around := strings.Cut(v, p.texts[0])
	rest, based := strings.CutPrefix(v, p.base)
	switch {
	case p.made(v):
	case around && p.texts[0] != "":
		p.head(aroundID, coded)
		p.text(before)
		p.text(behind)
	case based && p.base != "":
		p.head(fromBase, coded)
		p.text(rest)
	default:
		p.head(uint64(len(v)), literal)
		p.buf = append(p.buf, v...)
	}
	p.texts = append(p.texts, v)
	return v
}

func (p *packer) readText() (v string) {
	long, form := p.readHead()
	head := int(min(long, maxRecordBytes))
	switch {
	case p.err != nil:
		return ""
	case form == word && head < len(words):
		return words[head]
	case form == again && head < len(p.texts):
		return p.texts[head]
	case form == literal && head <= len(p.buf):
		v, p.buf = string(p.buf[:head]), p.buf[head:]
	case form == coded && head == aroundID:
		before := p.readText()
		v = before + p.texts[0] + p.readText()
	case form == coded && head == fromBase && p.base != "":
		v = p.base + p.readText()
	case form == coded:
		v = p.readMade(long)
	default:
		p.fail()
		return ""
	}
	p.texts = append(p.texts, v)
	return v
}
