package rows

import (
	"maps"
	"slices"
	"time"
)

func (p *packer) time(n byte, v *time.Time) {
	if p.field(n, !v.IsZero()) {
		p.instant(v)
	}
}

// The forms of a time. A distance is to the last one in the record that was another.
const (
	seconds = iota // the distance
	millis         // the distance
	nanos          // the distance of its fractions of a second, and behind it the seconds
	equal          // one that came before in the record
)

// farSeconds is from where on a distance is written in nanos, which has room for any.
const farSeconds = 1 << 40

func (p *packer) instant(v *time.Time) {
	switch {
	case p.old:
		p.readOldInstant(v)
	case p.reading:
		*v = p.readInstant()
	default:
		p.writeInstant(*v)
	}
}

func (p *packer) writeInstant(at time.Time) {
	if i := slices.IndexFunc(p.times[:min(len(p.times), repeated)], at.Equal); i >= 0 {
		p.head(uint64(i), equal)
		return
	}
	last := p.times[len(p.times)-1]
	whole, part := at.Unix()-last.Unix(), int64(at.Nanosecond()-last.Nanosecond())
	switch near := -farSeconds < whole && whole < farSeconds; {
	case near && part == 0:
		p.head(zigzag(whole), seconds)
	case near && part%1e6 == 0:
		p.head(zigzag(whole*1e3+part/1e6), millis)
	default:
		p.head(zigzag(part), nanos)
		p.signed(&whole)
	}
	p.times = append(p.times, at)
}

func (p *packer) readInstant() time.Time {
	head, form := p.readHead()
	whole, part := zagzig(head), int64(0)
	switch form {
	case equal:
		if head >= uint64(len(p.times)) {
			p.fail()
			return time.Time{}
		}
		return p.times[head]
	case millis:
		whole, part = whole/1e3, whole%1e3*1e6
	case nanos:
		part = whole
		p.signed(&whole)
	}
	last := p.times[len(p.times)-1]
	at := time.Unix(last.Unix()+whole, int64(last.Nanosecond())+part).UTC()
	p.times = append(p.times, at)
	return at
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
