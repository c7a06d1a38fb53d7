package rows

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// packer writes a record as which of its fields are not as usual and what is in each field, or reads one: the list of
// fields of a record (packed.go) serves both ways. Fields that are zero are left out, as they are where a record was
// written before there was such a field. They come in the order of the list; their numbers, 1 to 63, are never given to
// another one.
type packer struct {
	reading bool
	base    string      // of the store's key
	old     bool        // what is read was written as oldPackedRecord
	set     uint64      // a bit for each field that was written, or is left to read; but see usually
	buf     []byte      // what was written, or what is left to read
	texts   []string    // that came before in this record; the id of its row is the first
	times   []time.Time // as well: packedFrom, and that of the id if it says one
	err     error
}

// mostFields bounds their numbers.
const mostFields = 64

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
	p := &packer{base: base, texts: append(make([]string, 0, usual), id), times: append(make([]time.Time, 0, usual), packedFrom), buf: buf}
	if begun, ok := bridge.GrantTime(id); ok {
		p.times = append(p.times, begun)
	}
	return p
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

// record writes the numbers of the fields in the set, 0 behind them and then the fields, or reads them.
func (p *packer) record(fields func()) {
	around := p.set
	if p.set = 0; p.reading {
		p.readSet()
		if fields(); p.set != 0 {
			p.fail() // a field that a newer program knows
		}
	} else {
		begin, set := len(p.buf), make([]byte, 0, mostFields)
		fields()
		for left := p.set; left != 0; left &= left - 1 {
			set = append(set, byte(bits.TrailingZeros64(left))) //nolint:gosec // below 64
		}
		p.buf = slices.Insert(p.buf, begin, append(set, 0)...)
	}
	p.set = around
}

func (p *packer) readSet() {
	for n := []byte{0}; ; {
		p.bytes(n)
		switch {
		case n[0] == 0, p.err != nil:
			return
		case n[0] >= mostFields, p.set>>n[0] != 0: // they ascend
			p.fail()
			return
		}
		p.set |= 1 << n[0]
	}
}

// usually begins a record with the fields that most of its kind have: one of these is in the set where the field is left
// out. They stay what they are.
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
