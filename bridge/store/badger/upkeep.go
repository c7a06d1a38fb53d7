package badger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// mostStrays is how many places that lead nowhere are named.
const mostStrays = 100

// Snapshot is Read: the engine keeps the versions a reader sees, however long it reads.
func (e transactions) Snapshot(ctx context.Context, run func(rows.Tx) error) error {
	return e.Read(ctx, run)
}

// Disk is the size of the folder and where the store stands.
func (e transactions) Disk(ctx context.Context) (bridge.StoreDisk, error) {
	at, err := e.position(ctx)
	if err != nil && !errors.Is(err, errGap) {
		return bridge.StoreDisk{}, err
	}
	size, err := folderSize(e.s.opts.Dir)
	return bridge.StoreDisk{Engine: "badger", Bytes: int64(size), Generation: at.generation, Writes: at.sequence}, err //nolint:gosec // the size of files
}

// Check compares the store with its watermark. That is read first: the store may go on meanwhile, but
// never back.
func (e transactions) Check(ctx context.Context) ([]string, error) {
	said, err := readMarks(e.s.opts.Watermark)
	if err != nil {
		return nil, err
	}
	at, err := e.position(ctx)
	if errors.Is(err, errGap) {
		return []string{errGap.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	var wrong []string
	newest, _, found := said.newest(e.s.key)
	switch {
	case !found:
		wrong = append(wrong, "the watermark is gone, or another store's")
	case newest.generation != at.generation || at.sequence < newest.sequence:
		wrong = append(wrong, fmt.Sprintf("the store ends with write %d of generation %d, its watermark says %d of %d",
			at.sequence, at.generation, newest.sequence, newest.generation))
	}
	if said.damaged(e.s.key) {
		wrong = append(wrong, "half of the watermark is damaged")
	}
	return wrong, nil
}

func (e transactions) position(ctx context.Context) (at position, err error) {
	err = e.view(ctx, func(t *tx) (err error) {
		at, err = readTicks(t, e.s.key)
		return err
	})
	return at, err
}

// Misplaced looks for the key of each place.
func (t *tx) Misplaced(some []rows.Row) ([]rows.Ref, error) {
	var wrong []rows.Ref
	for _, row := range some {
		for _, place := range row.Places {
			mark, err := t.get(placeKey(place, row.Ref))
			if err != nil {
				return nil, err
			}
			if mark == nil {
				wrong = append(wrong, row.Ref)
				break
			}
		}
	}
	return wrong, nil
}

// Strays counts the keys of all indexes, and the rows whose keys are places themselves. As many as are right, each of which Misplaced has found, leave
// none over; otherwise each is looked at.
func (t *tx) Strays(right int, places func(rows.Ref, []byte) []rows.Place) ([]string, error) {
	there := 0
	for range t.suffixes("", firstByte(firstIndex)) {
		there++
	}
	for range t.suffixes(firstByte(timedGrant), "") {
		there++
	}
	if there == right {
		return nil, nil
	}
	var strays []string
	for key := range t.suffixes("", firstByte(firstIndex)) {
		index, row, ok := placeOf(key)
		if !ok {
			strays = append(strays, fmt.Sprintf("%q is no place of any index", key))
			continue
		}
		record, err := t.Get(row)
		if err != nil {
			return nil, err
		}
		leads := func(place rows.Place) bool { return placeKey(place, row) == key }
		if record == nil || !slices.ContainsFunc(places(row, record), leads) {
			strays = append(strays, fmt.Sprintf("%s of a %s", index.Name, row.Kind))
		}
		if len(strays) == mostStrays {
			break
		}
	}
	return strays, nil
}
