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

// auditID sorts events newest first, and those of one instant by who came last.
func auditID(at time.Time, sequence uint64) string {
	return NewestFirstKey(at) + invert(string(binary.BigEndian.AppendUint64(nil, sequence)))
}

// AppendAudit stores events in their order, all or none.
func (s *Store) AppendAudit(ctx context.Context, events []bridge.AuditEvent) error {
	if len(events) == 0 {
		return nil
	}
	return s.write(ctx, func(t *tx) error {
		var sequence uint64
		if _, err := load(t, auditSequenceRow, &sequence); err != nil {
			return err
		}
		for i := range events {
			sequence++
			event := &events[i]
			if err := auditEvents.put(t, auditID(event.At, sequence), nil, event, event.At); err != nil {
				return fmt.Errorf("appending to the audit trail: %w", err)
			}
		}
		return save(t, auditSequenceRow, sequence)
	})
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
