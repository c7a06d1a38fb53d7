package rows

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// packer writes a record as the set of its fields and what is in each, or reads one: the list of fields of a record
// (packed.go) serves both ways. Fields that are zero are left out, as they are where a record was written before there
// was such a field. They come in the order of the list; their numbers, up to 63, are never given to another one.
type packer struct {
	reading bool
	base    string      // of the store's key
	old     bool        // what is read was written as oldPackedRecord
	set     uint64      // a bit for each field that was written, or is left to read; see usually
	buf     []byte      // what was written, or what is left to read
	texts   []string    // that came before in this record; the id of its row is the first
	times   []time.Time // as well, packedFrom first
	err     error
}

var errPacked = errors.New("it is not a record as this program writes it")

// pack writes a record.
func pack(base, id string, fields func(*packer)) []byte {
	p := newPacker(base, id, make([]byte, 0, 512))
	p.record(func() { fields(p) })
	return p.buf
}

// unpack reads a record, all of it; fields are nil for a kind that is never packed.
func unpack(base, id string, packed []byte, fields func(*packer)) error {
	if fields == nil {
		return errPacked
	}
	p := newPacker(base, id, packed)
	p.reading = true
	p.record(func() { fields(p) })
	return p.end()
}

func newPacker(base, id string, buf []byte) *packer {
	const usual = 12 // texts and times at most
	return &packer{base: base, texts: append(make([]string, 0, usual), id), times: append(make([]time.Time, 0, usual), packedFrom), buf: buf}
}

// end is what reading came to.
func (p *packer) end() error {
	if len(p.buf) > 0 {
		p.fail()
	}
	return p.err
}

// fail is for what this program does not know. Nothing of it is read.
func (p *packer) fail() { p.err, p.buf, p.set = cmp.Or(p.err, errPacked), nil, 0 }

// record writes the set of the fields and then the fields, or reads them.
func (p *packer) record(fields func()) {
	around := p.set
	if p.set = 0; p.reading {
		p.unsigned(&p.set)
		if fields(); p.set != 0 {
			p.fail() // a field that a newer program knows
		}
	} else {
		begin, set := len(p.buf), [binary.MaxVarintLen64]byte{}
		fields()
		p.buf = slices.Insert(p.buf, begin, set[:binary.PutUvarint(set[:], p.set)]...)
	}
	p.set = around
}

// usually begins a record with the fields that most of its kind have: the bit of one of these is set where the field is
// left out. They stay what they are.
func (p *packer) usually(fields ...byte) {
	for _, n := range fields {
		p.set ^= 1 << n
	}
}

// field reports whether field n is to be written or read now; set says whether there is anything to write.
func (p *packer) field(n byte, set bool) bool {
	switch {
	case p.old:
		return p.fieldOld(n)
	case p.reading:
		set = p.set>>n&1 == 1
	}
	if set {
		p.set ^= 1 << n
	}
	return set
}

func (p *packer) unsigned(v *uint64) {
	if !p.reading {
		p.buf = binary.AppendUvarint(p.buf, *v)
		return
	}
	read, n := binary.Uvarint(p.buf)
	if n <= 0 {
		p.fail()
		return
	}
	*v, p.buf = read, p.buf[n:]
}

func (p *packer) signed(v *int64) {
	u := zigzag(*v)
	p.unsigned(&u)
	*v = zagzig(u)
}

// zigzag makes the sign the last bit, zagzig undoes it.
func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) } //nolint:gosec // bits
func zagzig(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// head is a number and the form of what it begins, in its last two bits.
func (p *packer) head(n uint64, form int) { p.buf = binary.AppendUvarint(p.buf, n<<2|uint64(form)) } //nolint:gosec // one of four

func (p *packer) readHead() (n uint64, form int) {
	p.unsigned(&n)
	return n >> 2, int(n & 3)
}

// bytes reads or writes exactly len(v) bytes.
func (p *packer) bytes(v []byte) {
	if !p.reading {
		p.buf = append(p.buf, v...)
		return
	}
	if len(p.buf) < len(v) {
		p.fail()
		return
	}
	p.buf = p.buf[copy(v, p.buf):]
}

// length is how many of something follow.
func (p *packer) length(n int) int {
	v := uint64(n) //nolint:gosec // not negative
	p.unsigned(&v)
	if p.reading && (v == 0 || v > uint64(len(p.buf))) { // each takes a byte at least, and none is a field left out
		p.fail()
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

func (p *packer) tokenHash(n byte, v *bridge.TokenHash) {
	switch {
	case !p.field(n, !v.IsZero()):
	case p.old:
		p.oldTokenHash(v)
	default:
		p.bytes(v[:])
	}
}

// flag has no more than its bit.
func (p *packer) flag(n byte, v *bool) { *v = p.field(n, *v) }

func (p *packer) count(n byte, v *int) {
	if p.field(n, *v != 0) {
		wide := int64(*v)
		p.signed(&wide)
		*v = int(wide)
	}
}

// The forms of a text.
const (
	literal = iota // its length, then itself
	word           // one of words
	again          // one that came before in the record
	coded          // one of a form below
)

// The forms of coded texts.
const (
	randomID = iota // as bridge.NewID makes them: 16 bytes
	keyID           // as Trinity makes those of keys: 16 bytes in base64url
	aroundID        // what stands before the id of the row, and behind it: the name of a grant's key says whose it is
	grantID         // as bridge.GrantID makes them: 10 bytes
	fromBase        // what stands behind the base of the store's key
)

// idForms are those of identifiers, by how many bytes they are made of.
var idForms = map[int]uint64{bridge.IDBytes: randomID, bridge.GrantIDBytes: grantID}

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
	} else if rest, ok := strings.CutPrefix(v, p.base); ok && p.base != "" {
		p.head(fromBase, coded)
		p.text(rest)
	} else {
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
	case form == coded && head == randomID && len(p.buf) >= bridge.IDBytes:
		v, p.buf = bridge.IDOf(p.buf[:bridge.IDBytes]), p.buf[bridge.IDBytes:]
	case form == coded && head == grantID && len(p.buf) >= bridge.GrantIDBytes:
		v, p.buf = bridge.IDOf(p.buf[:bridge.GrantIDBytes]), p.buf[bridge.GrantIDBytes:]
	case form == coded && head == keyID && len(p.buf) >= bridge.IDBytes:
		v, p.buf = keyIDForm.EncodeToString(p.buf[:bridge.IDBytes]), p.buf[bridge.IDBytes:]
	case form == coded && head == aroundID:
		before := p.readText()
		v = before + p.texts[0] + p.readText()
	case form == coded && head == fromBase && p.base != "":
		v = p.base + p.readText()
	default:
		p.fail()
		return ""
	}
	p.texts = append(p.texts, v)
	return v
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
