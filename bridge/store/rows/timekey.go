package rows

import (
	"encoding/binary"
	"math"
	"time"
)

// TimeBytes is the length of a time as a key.
const TimeBytes = 8

// signBit is flipped in keys, so that times before 1970 sort first.
const signBit = 1 << 63

// Nanoseconds is a time as indexes sort by it. What lies beyond the years 1678 to 2262 is put at the end it lies
// beyond; the record has it exactly.
func Nanoseconds(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// OldestFirstKey is a part of a key that sorts by time.
func OldestFirstKey(t time.Time) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(Nanoseconds(t))^signBit)) //nolint:gosec // the bits are meant
}

// NewestFirstKey is OldestFirstKey reversed.
func NewestFirstKey(t time.Time) string { return invert(OldestFirstKey(t)) }

// TimeOfKey is the time of an OldestFirstKey.
func TimeOfKey(part string) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64([]byte(part[:TimeBytes]))^signBit)).UTC() //nolint:gosec // as it was written
}

func invert(part string) string {
	inverted := []byte(part)
	for i := range inverted {
		inverted[i] ^= 0xff
	}
	return string(inverted)
}
