package rows

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// packer writes a record as numbered fields, or reads one: the list of fields of a record
// (packed.go) serves both ways. Fields that are zero are left out, as they are where a record was
// written before there was such a field. Numbers are written in ascending order and never given to
// another field.
type packer struct {
	reading bool
	buf     []byte   // what was written, or what is left to read
	texts   []string // that came before in this record; the id of its row is the first
	last    time.Time
	err     error
}

var errPacked = errors.New("it is not a record as this program writes it")

// pack writes a record.
func pack(id string, fields func(*packer)) []byte {
	p := &packer{texts: []string{id}, last: packedFrom, buf: make([]byte, 0, 512)}
	fields(p)
	return p.buf
}

// unpack reads a record, all of it; fields are nil for a kind that is never packed.
func unpack(id string, packed []byte, fields func(*packer)) error {
	if fields == nil {
		return errPacked
	}
	p := &packer{reading: true, texts: []string{id}, last: packedFrom, buf: packed}
	fields(p)
	if p.err == nil && len(p.buf) > 0 {
		return errPacked // a field that a newer program knows
	}
	return p.err
}

// field reports whether field n is to be written or read now; set says whether there is anything to write.
func (p *packer) field(n byte, set bool) bool {
	switch {
	case p.err != nil:
		return false
	case !p.reading:
		if set {
			p.buf = append(p.buf, n)
		}
		return set
	case len(p.buf) == 0 || p.buf[0] != n:
		return false
	}
	p.buf = p.buf[1:]
	return true
}

func (p *packer) unsigned(v *uint64) {
	if !p.reading {
		p.buf = binary.AppendUvarint(p.buf, *v)
		return
	}
	read, n := binary.Uvarint(p.buf)
	if n <= 0 {
		p.err, p.buf = errPacked, nil
		return
	}
	*v, p.buf = read, p.buf[n:]
}

func (p *packer) signed(v *int64) {
	u := uint64(*v<<1) ^ uint64(*v>>63) //nolint:gosec // zigzag: the sign is the last bit
	p.unsigned(&u)
	*v = int64(u>>1) ^ -int64(u&1)
}

// bytes reads or writes exactly len(v) bytes.
func (p *packer) bytes(v []byte) {
	if !p.reading {
		p.buf = append(p.buf, v...)
		return
	}
	if len(p.buf) < len(v) {
		p.err, p.buf = errPacked, nil
		return
	}
	p.buf = p.buf[copy(v, p.buf):]
}

// length is how many of something follow.
func (p *packer) length(n int) int {
	v := uint64(n) //nolint:gosec // not negative
	p.unsigned(&v)
	if p.reading && (v == 0 || v > uint64(len(p.buf))) { // each takes a byte at least, and none is a field left out
		p.err, p.buf = errPacked, nil
		return 0
	}
	return int(v) //nolint:gosec // at most the length of a record
}

func (p *packer) blob(n byte, v *[]byte) {
	if p.field(n, len(*v) > 0) {
		length := p.length(len(*v))
		if p.reading {
			*v = make([]byte, length)
		}
		p.bytes(*v)
	}
}

func (p *packer) hash(n byte, v *bridge.Hash) {
	if p.field(n, !v.IsZero()) {
		p.bytes(v[:])
	}
}

// flag has no more than its number.
func (p *packer) flag(n byte, v *bool) { *v = p.field(n, *v) }

func (p *packer) count(n byte, v *int) {
	if p.field(n, *v != 0) {
		wide := int64(*v)
		p.signed(&wide)
		*v = int(wide)
	}
}

// time is the distance to the time before in the record, whose fraction of a second it often shares.
func (p *packer) time(n byte, v *time.Time) {
	if p.field(n, !v.IsZero()) {
		p.instant(v)
	}
}

func (p *packer) instant(v *time.Time) {
	seconds, nanos := v.Unix()-p.last.Unix(), int64(v.Nanosecond()-p.last.Nanosecond())
	p.signed(&seconds)
	p.signed(&nanos)
	p.last = time.Unix(p.last.Unix()+seconds, int64(p.last.Nanosecond())+nanos).UTC()
	if p.reading {
		*v = p.last
	}
}

// The forms of a text, in the last bits of its first number.
const (
	literal = iota // its length, then itself
	word           // one of words
	again          // one that came before in the record
	coded          // one of a form below
	forms
)

// The forms of coded texts.
const (
	randomID = iota // as bridge.NewID makes them: 16 bytes
	keyID           // as Trinity makes those of keys: 16 bytes in base64url
	aroundID        // what stands before the id of the row, and behind it: the name of a grant's key says whose it is
	grantID         // as bridge.GrantID makes them: 10 bytes
)

// idForms are those of identifiers, by how many bytes they are made of.
var idForms = map[int]int{bridge.IDBytes: randomID, bridge.GrantIDBytes: grantID}

var keyIDForm = base64.RawURLEncoding.Strict()

func text[T ~string](p *packer, n byte, v *T) {
	if p.field(n, *v != "") {
		*v = T(p.text(string(*v)))
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

// repeated is how many texts of a record are looked through for one that comes again, more than any has but for lists whose
// length strangers choose. Records are packed by the writer, whom all others wait for.
const repeated = 64

func (p *packer) text(v string) string {
	if p.reading {
		return p.readText()
	}
	if i := slices.Index(words, v); i >= 0 {
		p.head(i, word)
		return v
	}
	if i := slices.Index(p.texts[:min(len(p.texts), repeated)], v); i >= 0 {
		p.head(i, again)
		return v
	}
	if raw := bridge.BytesOf(v); raw != nil {
		p.head(idForms[len(raw)], coded)
		p.buf = append(p.buf, raw...)
	} else if raw, err := keyIDForm.DecodeString(v); err == nil && len(raw) == bridge.IDBytes && keyIDForm.EncodeToString(raw) == v {
		p.head(keyID, coded)
		p.buf = append(p.buf, raw...)
	} else if before, behind, ok := strings.Cut(v, p.texts[0]); ok && p.texts[0] != "" {
		p.head(aroundID, coded)
		p.text(before)
		p.text(behind)
	} else {
		p.head(len(v), literal)
		p.buf = append(p.buf, v...)
	}
	p.texts = append(p.texts, v)
	return v
}

func (p *packer) head(n, form int) { p.buf = binary.AppendUvarint(p.buf, uint64(n*forms+form)) } //nolint:gosec // not negative

func (p *packer) readText() string {
	var first uint64
	p.unsigned(&first)
	form, v := first%forms, ""
	head := int(min(first/forms, uint64(maxRecordBytes)))
	switch {
	case p.err != nil:
		return ""
	case form == word && head < len(words):
		return words[head]
	case form == again && head < len(p.texts):
		return p.texts[head]
	case form == literal && head <= len(p.buf):
		v, p.buf = string(p.buf[:head]), p.buf[head:]
	case form == coded && head == randomID && len(p.buf) >= bridge.IDBytes:
		v, p.buf = bridge.IDOf(p.buf[:bridge.IDBytes]), p.buf[bridge.IDBytes:]
	case form == coded && head == grantID && len(p.buf) >= bridge.GrantIDBytes:
		v, p.buf = bridge.IDOf(p.buf[:bridge.GrantIDBytes]), p.buf[bridge.GrantIDBytes:]
	case form == coded && head == keyID && len(p.buf) >= bridge.IDBytes:
		v, p.buf = keyIDForm.EncodeToString(p.buf[:bridge.IDBytes]), p.buf[bridge.IDBytes:]
	case form == coded && head == aroundID:
		before := p.readText()
		v = before + p.texts[0] + p.readText()
	default:
		p.err, p.buf = errPacked, nil
		return ""
	}
	p.texts = append(p.texts, v)
	return v
}

// timesByText is a map in the order of its keys.
func (p *packer) timesByText(n byte, v *map[string]time.Time) {
	if !p.field(n, len(*v) > 0) {
		return
	}
	length := p.length(len(*v))
	if !p.reading {
		for _, key := range slices.Sorted(maps.Keys(*v)) {
			at := (*v)[key]
			p.text(key)
			p.instant(&at)
		}
		return
	}
	*v = make(map[string]time.Time, length)
	for range length {
		var at time.Time
		key := p.text("")
		p.instant(&at)
		(*v)[key] = at
	}
}

func hashes(p *packer, n byte, v *[]bridge.Hash) {
	if !p.field(n, len(*v) > 0) {
		return
	}
	length := p.length(len(*v))
	if p.reading {
		*v = make([]bridge.Hash, length)
	}
	for i := range *v {
		p.bytes((*v)[i][:])
	}
}
