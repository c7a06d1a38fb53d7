package rows

import (
	"encoding/binary"
	"time"
)

// TimeBytes is the length of a time as a key.
const TimeBytes = 12

// OldestFirstKey is a part of a key that sorts by time: seconds, then nanoseconds, big-endian.
// Nanoseconds alone would overflow for times a configuration can name.
func OldestFirstKey(t time.Time) string {
	var part [TimeBytes]byte
	binary.BigEndian.PutUint64(part[:], uint64(t.Unix())^1<<63)  //nolint:gosec // the sign bit is flipped so that negative sorts first
	binary.BigEndian.PutUint32(part[8:], uint32(t.Nanosecond())) //nolint:gosec // below 1e9
	return string(part[:])
}

// NewestFirstKey is OldestFirstKey reversed.
func NewestFirstKey(t time.Time) string { return invert(OldestFirstKey(t)) }

// TimeOfKey is the time of an OldestFirstKey.
func TimeOfKey(part string) time.Time {
	seconds := int64(binary.BigEndian.Uint64([]byte(part[:8])) ^ 1<<63) //nolint:gosec // as it was written
	return time.Unix(seconds, int64(binary.BigEndian.Uint32([]byte(part[8:TimeBytes])))).UTC()
}

func invert(part string) string {
	inverted := []byte(part)
	for i := range inverted {
		inverted[i] ^= 0xff
	}
	return string(inverted)
}
