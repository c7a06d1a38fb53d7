package bridge

import "time"

// AuditEvent is one line of the audit trail. It carries ids and reasons, never a secret, an
// argument or an address in clear.
type AuditEvent struct {
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"` // "code_issued", "refresh_token_reused" …
	RequestID string    `json:"request_id,omitzero"`
	PersonID  string    `json:"person_id,omitzero"`
	ClientID  string    `json:"client_id,omitzero"`
	GrantID   string    `json:"grant_id,omitzero"`
	Outcome   string    `json:"outcome,omitzero"`
	Detail    string    `json:"detail,omitzero"`
}
