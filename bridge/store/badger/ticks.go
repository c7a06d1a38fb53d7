package badger

import (
	"encoding/binary"
	"errors"
	"fmt"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// Every batch of writes leaves a tick: a row with its number, in a ring. Damage in the engine's logs
// drops whole batches, from the end or, while two logs wait to be written out, from the middle. The
// ring holds more batches than logs can, so that a gap in it shows any of that.
const (
	tickRing   = 1 << 17
	tickNumber = 16 // bytes of generation and sequence
)

// tickFromRow holds the first number of this generation: what was before may have gaps.
var tickFromRow = rows.Ref{Kind: rows.KindMeta, ID: "tick-from"}

func tickKey(sequence uint64) []byte {
	return binary.BigEndian.AppendUint32([]byte{firstTick}, uint32(sequence%tickRing))
}

func (p position) tick() *engine.Entry {
	number := binary.BigEndian.AppendUint64(make([]byte, 0, tickNumber), p.generation)
	return engine.NewEntry(tickKey(p.sequence), binary.BigEndian.AppendUint64(number, p.sequence))
}

// errGap says that batches are missing in the middle.
var errGap = errors.New("some of its latest writes are missing")

// readTicks returns where the store stands by its own account, and errGap when that has a gap.
func readTicks(t *tx, key bridge.RowKey) (position, error) {
	var from uint64
	begun, err := t.Get(tickFromRow)
	if err == nil && begun != nil {
		err = rows.Decode(key, tickFromRow, begun, &from)
	}
	if err != nil {
		return position{}, err
	}
	ring := make([]uint64, tickRing)
	var head position
	it := t.iterator(engine.IteratorOptions{Prefix: []byte{firstTick}})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		err := it.Item().Value(func(number []byte) error {
			if len(number) != tickNumber {
				return errors.New("a tick is no number")
			}
			p := position{binary.BigEndian.Uint64(number), binary.BigEndian.Uint64(number[8:])}
			ring[p.sequence%tickRing] = p.sequence
			if head.before(p) {
				head = p
			}
			return nil
		})
		if err != nil {
			return position{}, fmt.Errorf("reading from the store: %w", err)
		}
	}
	oldest := max(from, 1)
	if head.sequence >= tickRing {
		oldest = max(oldest, head.sequence-tickRing+1)
	}
	for sequence := oldest; sequence <= head.sequence; sequence++ {
		if ring[sequence%tickRing] != sequence {
			return head, errGap
		}
	}
	return head, nil
}
