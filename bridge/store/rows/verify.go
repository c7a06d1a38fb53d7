package rows

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// firstFaults is how many faults are named.
const firstFaults = 100

// report collects what Verify finds.
type report struct {
	bridge.StoreReport

	places int // that are right
}

func (r *report) fault(format string, args ...any) {
	r.Faults++
	if len(r.First) < firstFaults {
		r.First = append(r.First, fmt.Sprintf(format, args...))
	}
}

// Verify reads everything and names what is wrong. A row that cannot be read does not keep the others from
// being looked at.
func (s *Store) Verify(ctx context.Context, now time.Time) (bridge.StoreReport, error) {
	r := report{StoreReport: bridge.StoreReport{Rows: map[string]int{}}}
	err := s.engine.Snapshot(ctx, func(t Tx) error {
		err := everyRow(ctx, t, func(kind Kind, found []Found) error { return s.verifyRows(t, &r, kind, found, now) })
		if err != nil {
			return err
		}
		strays, err := t.Strays(r.places, func(row Ref, record []byte) []Place {
			described, err := Describe(s.key, row, record, now)
			if err != nil {
				return nil // it is a fault already
			}
			return described.Places
		})
		for _, stray := range strays {
			r.fault("an index leads to nothing: %s", stray)
		}
		return err
	})
	if err != nil {
		return r.StoreReport, fmt.Errorf("verifying the store: %w", err)
	}
	wrong, err := s.engine.Check(ctx)
	for _, what := range wrong {
		r.fault("%s", what)
	}
	return r.StoreReport, err
}

func (s *Store) verifyRows(t Tx, r *report, kind Kind, found []Found, now time.Time) error {
	var readable []Row
	for _, f := range found {
		r.Rows[string(kind)]++
		row, record, err := examine(s.key, Ref{kind, f.ID}, f.Record, now)
		if err != nil {
			r.fault("%s cannot be read: %v", name(Ref{kind, f.ID}), err)
			continue
		}
		readable = append(readable, row)
		for _, value := range sealedIn(record) {
			r.Sealed++
			if _, err := s.sealer.Reseal(value.Kind, value.Row, *value.In); err != nil {
				r.Lost++
				r.fault("%s of %s: %v", value.Kind, name(row.Ref), err)
			}
		}
	}
	misplaced, err := t.Misplaced(readable)
	for _, row := range misplaced {
		r.fault("indexes do not lead to %s as it says", name(row))
	}
	for _, row := range readable {
		r.places += len(row.Places)
	}
	return err
}

// name shows a row without what it says; ids may be hashes.
func name(row Ref) string {
	for _, c := range row.ID {
		if c < ' ' || c > '~' {
			return string(row.Kind) + " " + hex.EncodeToString([]byte(row.ID))
		}
	}
	return string(row.Kind) + " " + row.ID
}

// sealedIn are the sealed values in what examine returned.
func sealedIn(record any) []bridge.SealedValue {
	switch r := record.(type) {
	case interface{ SealedValues() []bridge.SealedValue }:
		return r.SealedValues()
	case *keyList:
		var all []bridge.SealedValue
		for i := range r.Keys {
			all = append(all, r.Keys[i].SealedValues()...)
		}
		return all
	}
	return nil
}

// Stats counts rows and their bytes.
func (s *Store) Stats(ctx context.Context, now time.Time) (bridge.StoreStats, error) {
	var stats bridge.StoreStats
	of := map[Kind]*bridge.KindStats{}
	for _, kind := range Kinds() {
		of[kind] = &bridge.KindStats{Kind: string(kind)}
	}
	err := s.engine.Snapshot(ctx, func(t Tx) error {
		return everyRow(ctx, t, func(kind Kind, found []Found) error {
			for _, f := range found {
				row, record, err := examine(s.key, Ref{kind, f.ID}, f.Record, now)
				if err != nil {
					return fmt.Errorf("%s: %w", name(Ref{kind, f.ID}), err)
				}
				count(of[kind], row, record, now)
			}
			return nil
		})
	})
	if err == nil {
		stats.Disk, err = s.engine.Disk(ctx)
	}
	for _, kind := range Kinds() {
		stats.Kinds = append(stats.Kinds, *of[kind])
		stats.Rows, stats.Bytes = stats.Rows+of[kind].Rows, stats.Bytes+of[kind].Bytes
	}
	return stats, err
}

func count(stats *bridge.KindStats, row Row, record any, now time.Time) {
	stats.Rows++
	stats.Bytes += int64(len(row.ID) + len(row.Record))
	if made := madeAt(record); !made.IsZero() && (stats.Oldest.IsZero() || made.Before(stats.Oldest)) {
		stats.Oldest = made
	}
	for _, place := range row.Places {
		if place.Index != IndexDue || place.At.After(now) {
			continue
		}
		stats.Overdue++
		if stats.DueFrom.IsZero() || place.At.Before(stats.DueFrom) {
			stats.DueFrom = place.At
		}
	}
}

// madeAt is when a record was made, the zero time for those that do not say.
func madeAt(record any) time.Time {
	switch r := record.(type) {
	case *bridge.AuditEvent:
		return r.At
	case *bridge.Client:
		return r.CreatedAt
	case *bridge.Consent:
		return r.GivenAt
	case *bridge.Deployment:
		return r.CreatedAt
	case *bridge.Flow:
		return r.CreatedAt
	case *grantRow:
		return r.CreatedAt
	case *bridge.IdentitySession:
		return r.CreatedAt
	case *bridge.Link:
		return r.CreatedAt
	case *counter:
		return r.From
	}
	return time.Time{}
}
