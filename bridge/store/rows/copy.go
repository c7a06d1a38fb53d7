package rows

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	// copyAtOnce is how many rows one transaction of a copy holds.
	copyAtOnce = 200
	// bytesAtOnce is how long what one transaction writes may be together: strangers say how long some records are,
	// and no engine takes any number of bytes. One record is always taken.
	bytesAtOnce = 1 << 20
)

// Inventory is what a store holds: how many rows of each kind, and a keyed hash over all of them.
type Inventory struct {
	Rows map[Kind]int
	MAC  bridge.Hash
}

// Total is the number of rows.
func (i Inventory) Total() int {
	total := 0
	for _, n := range i.Rows {
		total += n
	}
	return total
}

// ErrDiffers says that a copy is not what it was made of.
var ErrDiffers = errors.New("the copy differs from what it was made of")

// Copy copies the rows of one store to another that is empty and sealed under the same key, and
// compares both: each row opens under the key, for its place, and there are as many and the same. Nobody
// else may write to either meanwhile.
func Copy(ctx context.Context, from, to *Store, now time.Time) (Inventory, error) {
	held, err := to.Inventory(ctx, now)
	if err != nil {
		return Inventory{}, err
	}
	if held.Total() > 0 {
		return Inventory{}, fmt.Errorf("the store to copy to holds %d rows: it has to be empty", held.Total())
	}
	err = from.walk(ctx, now, func(some []Row) error { return to.Fill(ctx, some) })
	if err != nil {
		return Inventory{}, err
	}
	want, err := from.Inventory(ctx, now)
	if err != nil {
		return Inventory{}, err
	}
	got, err := to.Inventory(ctx, now)
	if err == nil && got.MAC != want.MAC {
		err = fmt.Errorf("%w: %v rows of %v", ErrDiffers, got.Rows, want.Rows)
	}
	return got, err
}

// Fill stores rows that were read from a backup or another store.
func (s *Store) Fill(ctx context.Context, some []Row) error { return s.putAll(ctx, some, copyAtOnce) }

// putAll stores rows, as many at a time as one transaction writes, at most so many.
func (s *Store) putAll(ctx context.Context, all []Row, most int) error {
	for part := range inParts(all, most, Row.bytes) {
		err := s.engine.Write(ctx, func(t Tx) error {
			for _, row := range part {
				if err := t.Put(row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bytes is about what an engine writes for a row: its record, and keys with its id in them.
func (r Row) bytes() int {
	const besideID = 64
	return len(r.Record) + (1+len(r.Places))*(len(r.ID)+besideID)
}

// inParts yields as many at a time as one transaction writes, at most so many.
func inParts[T any](all []T, most int, bytes func(T) int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for len(all) > 0 {
			n, total := 1, bytes(all[0])
			for n < min(len(all), most) && total+bytes(all[n]) <= bytesAtOnce {
				total += bytes(all[n])
				n++
			}
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

// Inventory reads every row, and fails at the first that does not open under the store's key.
func (s *Store) Inventory(ctx context.Context, now time.Time) (Inventory, error) {
	held := Inventory{Rows: map[Kind]int{}}
	var all bridge.Hash // of each row's, in any order: an engine has one of its own
	err := s.walk(ctx, now, func(some []Row) error {
		for _, row := range some {
			held.Rows[row.Kind]++
			place, record := bridge.HashOf(row.place()), sha256.Sum256(row.Record)
			one := s.key.MAC("inventory row", string(append(place[:], record[:]...)))
			subtle.XORBytes(all[:], all[:], one[:])
		}
		return nil
	})
	held.MAC = s.key.MAC("inventory", string(all[:]))
	return held, err
}

// walk goes over all rows of one state of the store that are no engine's own, in the order of kinds and ids.
func (s *Store) walk(ctx context.Context, now time.Time, visit func([]Row) error) error {
	return s.engine.Snapshot(ctx, func(t Tx) error {
		return everyRow(ctx, t, func(kind Kind, found []Found) error {
			some := make([]Row, 0, len(found))
			for _, f := range found {
				row, err := Describe(s.key, Ref{kind, f.ID}, f.Record, now)
				if err != nil {
					return fmt.Errorf("a row of kind %s: %w", kind, err)
				}
				some = append(some, row)
			}
			return visit(some)
		})
	})
}

// everyRow visits all rows that are no engine's own, some at a time.
func everyRow(ctx context.Context, t Tx, visit func(Kind, []Found) error) error {
	for _, kind := range Kinds() {
		for after := (*Position)(nil); ; {
			if err := ctx.Err(); err != nil {
				return err
			}
			found, err := t.Scan(Scan{Index: Index{Kind: kind}, After: after, Limit: copyAtOnce})
			if err != nil {
				return err
			}
			if len(found) == 0 {
				break
			}
			after = &Position{ID: found[len(found)-1].ID}
			if kind == KindMeta {
				found = slices.DeleteFunc(found, func(f Found) bool { return !slices.Contains(ourMeta(), Ref{kind, f.ID}) })
			}
			if err := visit(kind, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// ourMeta are the rows of KindMeta that are not an engine's own.
func ourMeta() []Ref {
	return []Ref{deploymentRow, signingKeysRow, verdictsRow, unusedClientsRow, unlinkingRow}
}
