package rows

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// auditKept is how long audit events stay.
const auditKept = 90 * 24 * time.Hour

var auditEvents = table[bridge.AuditEvent]{
	kind: KindAudit,
	places: func(t *tx, e *bridge.AuditEvent) []Place {
		if e.GrantID == "" {
			return nil
		}
		return []Place{{Index: IndexGrantAudit, Whose: t.foreign(e.GrantID)}}
	},
	due:   func(e *bridge.AuditEvent) time.Time { return e.At.Add(auditKept) },
	broom: true,
}

// auditID sorts events newest first, and those of one instant and one process by who came last.
func auditID(at time.Time, sequence uint64) string {
	const sign = 1 << 63                                                        // turned, so that times before 1970 sort behind those after it
	id := binary.BigEndian.AppendUint64(nil, ^(uint64(Nanoseconds(at)) ^ sign)) //nolint:gosec // the bits are meant
	return string(binary.BigEndian.AppendUint64(id, ^sequence))
}

// AppendAudit stores events in their order, as many in one write as it takes: after an error the first of them may be
// stored. They are sealed before the writes begin, which others wait for.
func (s *Store) AppendAudit(ctx context.Context, events []bridge.AuditEvent) error {
	if len(events) == 0 {
		return nil
	}
	sequence := s.audited.Add(uint64(len(events))) - uint64(len(events)) // those of one call stay together
	sealing := &tx{key: s.key}
	batch := make([]Row, len(events))
	for i := range events {
		event := &events[i]
		row, err := auditEvents.row(sealing, auditID(event.At, sequence+uint64(i)), event, event.At)
		if err != nil {
			return fmt.Errorf("appending to the audit trail: %w", err)
		}
		row.Places = auditEvents.all(sealing, event)
		batch[i] = row
	}
	if err := s.putAll(ctx, batch, len(batch)); err != nil {
		return fmt.Errorf("appending to the audit trail: %w", err)
	}
	return nil
}

// AuditTrail lists events newest first.
func (s *Store) AuditTrail(ctx context.Context, grantID string, limit int) ([]bridge.AuditEvent, error) {
	return read(ctx, s, func(t *tx) ([]bridge.AuditEvent, error) {
		scan := Scan{Index: IndexAudit, Limit: limit}
		if grantID != "" {
			scan.Index, scan.Whose = IndexGrantAudit, t.foreign(grantID)
		}
		return list(t, auditEvents, scan)
	})
}
