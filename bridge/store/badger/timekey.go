package badger

import (
	"encoding/binary"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// timeBytes is the length of a time in a key: its milliseconds, with the sign turned so that those before 1970 sort first.
// What they do not hold is put at the end it lies beyond; the record has it exactly.
const timeBytes = 6

const signBit = 1 << (8*timeBytes - 1)

// timePart is when a place is, in the form of its index.
func timePart(index rows.Index, at time.Time) string {
	switch index.Order {
	case rows.OldestFirst:
		return timeKey(at)
	case rows.NewestFirst:
		return inverted(timeKey(at))
	case rows.ByID:
	}
	return ""
}

// timeKey is a time as it stands in an index oldest first.
func timeKey(t time.Time) string {
	millis := min(max(t.UnixMilli(), -signBit), signBit-1)
	return string(binary.BigEndian.AppendUint64(nil, uint64(millis)^signBit)[8-timeBytes:])
}

// timeOf is the time of a timeKey.
func timeOf(key string) time.Time {
	millis := binary.BigEndian.Uint64(append(make([]byte, 8-timeBytes, 8), key[:timeBytes]...))
	return time.UnixMilli(int64(millis) - signBit).UTC() //nolint:gosec // of six bytes
}

// inverted is the same key in an index newest first, and what comes behind it as it is.
func inverted(key string) string {
	raw := []byte(key)
	for i := range timeBytes {
		raw[i] ^= 0xff
	}
	return string(raw)
}

// turned gives an id of bridge.GrantID, which begins with its milliseconds, the form of an index newest first, and back.
func turned(id string) string {
	const sign = 1 << 7
	return inverted(firstByte(int(id[0]^sign)) + id[1:])
}
