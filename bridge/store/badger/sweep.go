package badger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// sweepAtOnce is how many rows one write removes, so that others are not kept waiting.
const sweepAtOnce = 100

// Sweep removes up to limit rows whose time is over for good, the longest overdue first, and
// reports how many. Rows that turn out to be wanted still count towards limit but not into the
// report.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	overdue, err := read(ctx, s, func(t *tx) ([]string, error) { return dueRows(t, now, limit), nil })
	if err != nil {
		return 0, fmt.Errorf("sweeping: %w", err)
	}
	total := 0
	for len(overdue) > 0 {
		some := overdue[:min(sweepAtOnce, len(overdue))]
		overdue = overdue[len(some):]
		n, err := write(ctx, s, func(t *tx) (int, error) { return sweepRows(t, some, now) })
		total += n
		if err != nil {
			return total, fmt.Errorf("sweeping: %w", err)
		}
	}
	return total, nil
}

// dueRows returns what stands behind indexDue in the keys that are due.
func dueRows(t *tx, now time.Time, limit int) []string {
	var rows []string
	last := oldestFirst(now)
	for row := range t.suffixes(indexDue, "") {
		if len(rows) >= limit || row[:timeBytes] > last {
			break
		}
		rows = append(rows, row)
	}
	return rows
}

func sweepRows(t *tx, rows []string, now time.Time) (int, error) {
	swept := 0
	for _, row := range rows {
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

func sweepRow(t *tx, row string, now time.Time) (bool, error) {
	kind, id, _ := strings.Cut(row[timeBytes:], "/")
	switch kind {
	case clients.kind:
		return sweepOne(t, clients, row, id, now, sweepClient)
	case grants.kind:
		return sweepOne(t, grants, row, id, now, sweepGrant)
	case links.kind:
		return sweepOne(t, links, row, id, now, nil)
	case identities.kind:
		return sweepOne(t, identities, row, id, now, nil)
	case flows.kind:
		return sweepOne(t, flows, row, id, now, nil)
	case codes.kind:
		return sweepOne(t, codes, row, id, now, nil)
	case refreshTokens.kind:
		return sweepOne(t, refreshTokens, row, id, now, nil)
	case consents.kind:
		return sweepOne(t, consents, row, id, now, nil)
	case counters.kind:
		return sweepOne(t, counters, row, id, now, nil)
	case usedIDs.kind:
		return sweepOne(t, usedIDs, row, id, now, nil)
	case auditEvents.kind:
		return sweepOne(t, auditEvents, row, id, now, nil)
	}
	return false, fmt.Errorf("rows of kind %q are not known", kind)
}

// sweepOne removes a record if it is due still. how takes the place of a plain removal.
func sweepOne[T any](t *tx, records table[T], row, id string, now time.Time,
	how func(t *tx, id string, record *T, now time.Time) (bool, error),
) (bool, error) {
	record, found, err := records.get(t, id)
	if err != nil {
		return false, err
	}
	if !found {
		t.remove(indexDue + row) // the engine's broom was here
		return false, nil
	}
	if due := records.due(&record); due.IsZero() || now.Before(due) {
		return false, nil // changed since the rows were listed
	}
	if how != nil {
		return how(t, id, &record, now)
	}
	records.remove(t, id, &record)
	return true, nil
}

// sweepGrant removes an ended grant and its family.
func sweepGrant(t *tx, id string, grant *bridge.Grant, _ time.Time) (bool, error) {
	over, found, err := families.get(t, id)
	if err != nil {
		return false, err
	}
	if found {
		families.remove(t, id, &over)
	}
	grants.remove(t, id, grant)
	return true, nil
}
