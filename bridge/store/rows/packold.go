package rows

import (
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// What is here only reads: records were packed so before, and databases and backups hold them.
// Each field came behind its number, in ascending order, and 0 behind a record within a record.

// unpackOld is unpack for oldPackedRecord.
func unpackOld(base, id string, packed []byte, fields func(*packer)) error {
	if fields == nil {
		return errPacked
	}
	p := newPacker(base, id, packed)
	p.reading, p.old, p.times = true, true, p.times[:1]
	fields(p)
	return p.end()
}

func (p *packer) fieldOld(n byte) bool {
	if len(p.buf) == 0 || p.buf[0] != n {
		return false
	}
	p.buf = p.buf[1:]
	return true
}

func (p *packer) endOld() {
	end := []byte{0}
	if p.bytes(end); end[0] != 0 {
		p.fail() // a field that a newer program knows
	}
}

// readOldInstant is the distance to the time before in the record, in seconds and in nanoseconds.
func (p *packer) readOldInstant(v *time.Time) {
	var seconds, nanos int64
	p.signed(&seconds)
	p.signed(&nanos)
	last := p.times[len(p.times)-1]
	*v = time.Unix(last.Unix()+seconds, int64(last.Nanosecond())+nanos).UTC()
	p.times = append(p.times, *v)
}

// oldTokenHash was a whole hash.
func (p *packer) oldTokenHash(v *bridge.TokenHash) {
	var whole bridge.Hash
	p.bytes(whole[:])
	*v = whole.OfToken()
}
