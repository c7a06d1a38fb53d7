package rows

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// sweepAtOnce is how many rows one write removes, so that others are not kept waiting. Clients that are wanted still it
// writes anew, and those are as long as a stranger makes them.
const sweepAtOnce = 50

// Sweep removes up to limit rows whose time is over for good, the longest overdue first, and
// reports how many. Rows that turn out to be wanted still count towards limit but not into the
// report.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	overdue, err := read(ctx, s, func(t *tx) ([]Due, error) { return t.Due(now, limit) })
	if err != nil {
		return 0, fmt.Errorf("sweeping: %w", err)
	}
	total := 0
	for some := range slices.Chunk(overdue, sweepAtOnce) {
		n, err := write(ctx, s, func(t *tx) (int, error) { return sweepRows(t, some, now) })
		total += n
		if err != nil {
			return total, fmt.Errorf("sweeping: %w", err)
		}
	}
	return total, nil
}

// sweepOrder is the order in which rows are read (see the package's words).
var sweepOrder = []Kind{KindFlow, KindCode, KindConsent, KindCounter, KindUsed, KindAudit, KindLink, KindGrant, KindIdentity, KindClient}

func sweepRows(t *tx, overdue []Due, now time.Time) (int, error) {
	ordered := slices.SortedStableFunc(slices.Values(overdue), func(a, b Due) int {
		return cmp.Compare(slices.Index(sweepOrder, a.Kind), slices.Index(sweepOrder, b.Kind))
	})
	ahead := make([]Ref, len(ordered))
	for i, row := range ordered {
		ahead[i] = row.Ref
	}
	if err := t.Ahead(ahead...); err != nil {
		return 0, err
	}
	swept := 0
	for _, row := range ordered {
		gone, err := sweepRow(t, row, now)
		if err != nil {
			return 0, err
		}
		if gone {
			swept++
		}
	}
	return swept, nil
}

func sweepRow(t *tx, row Due, now time.Time) (bool, error) {
	switch row.Kind {
	case KindClient:
		return sweepOne(t, clients, row, now, sweepClient)
	case KindGrant:
		return sweepOne(t, grants, row, now, nil)
	case KindLink:
		return sweepOne(t, links, row, now, nil)
	case KindIdentity:
		return sweepOne(t, identities, row, now, nil)
	case KindFlow:
		return sweepOne(t, flows, row, now, nil)
	case KindCode:
		return sweepOne(t, codes, row, now, nil)
	case KindConsent:
		return sweepOne(t, consents, row, now, nil)
	case KindCounter:
		return sweepOne(t, counters, row, now, nil)
	case KindUsed:
		return sweepOne(t, usedIDs, row, now, nil)
	case KindAudit:
		return sweepOne(t, auditEvents, row, now, nil)
	}
	return false, fmt.Errorf("rows of kind %q are not swept", row.Kind)
}

// sweepOne removes a record if it is due still. how takes the place of a plain removal.
func sweepOne[T any](t *tx, records table[T], row Due, now time.Time,
	how func(t *tx, id string, record *T, now time.Time) (bool, error),
) (bool, error) {
	record, found, err := records.get(t, row.ID)
	if err != nil {
		return false, err
	}
	if !found { // the engine's broom was here
		return false, t.Remove(row.Ref, []Place{{Index: IndexDue, At: row.At}})
	}
	if due := records.due(&record); due.IsZero() || now.Before(due) {
		return false, nil // changed since the rows were listed
	}
	if how != nil {
		return how(t, row.ID, &record, now)
	}
	return true, records.remove(t, row.ID, &record)
}
