package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge"
)

// The kinds of event.
const (
	AuthorizeRejected = "authorize_rejected"
	ClientRegistered  = "client_registered"
	RegisterRefused   = "register_refused"
	ClientChanged     = "client_changed"
	ClientAllowed     = "client_allowed" // by the operator's command
	ClientBlocked     = "client_blocked"
	CodeRequested     = "sign_in_code_requested"
	SignedIn          = "signed_in"
	SignInFailed      = "sign_in_failed"
	ConsentShown      = "consent_shown"
	ConsentGiven      = "consent_given"
	ConsentDenied     = "consent_denied"
	ConsentRefused    = "consent_refused"
	VisitBegun        = "visit_begun" // a person looks at their own connections
	VisitEnded        = "visit_ended"
	VisitRefused      = "visit_refused"
	TokenIssued       = "token_issued"
	TokenRefreshed    = "token_refreshed"
	TokenRefused      = "token_refused"
	TokenRevoked      = "token_revoked"
	GrantStarted      = "grant_started" // without a person: client credentials
	GrantEnded        = "grant_ended"
	LinkMade          = "link_made"
	LinkEnded         = "link_ended"
	KeyRevoked        = "key_revoked"
	KeyRevokeFailed   = "key_revoke_failed"
	CallRefused       = "call_refused"
	CallAllowed       = "call_allowed" // in the log alone, and only where the operator wants it
	UpstreamOpen      = "upstream_open"
	CredentialEchoed  = "credential_echoed" // the upstream put a key into an answer; it was taken out

	SigningKeysRotated = "signing_keys_rotated"
	SigningKeyDropped  = "signing_key_dropped"
)

const (
	maxWaiting = 4096
	// gathered is how long an event waits for others, so that the store is not asked for a write of its own
	// by each request. The log has it at once.
	gathered = 100 * time.Millisecond
	// How many refusals are stored, per second and at once: anybody can cause them, and what is stored stays for
	// months. All are in the log and counted.
	refusalRate, refusalBurst = 1, 1000
)

// refuses reports whether events of a kind say that somebody, perhaps a stranger, was refused.
func refuses(kind string) bool {
	switch kind {
	case AuthorizeRejected, RegisterRefused, SignInFailed, ConsentRefused, VisitRefused, TokenRefused, CallRefused:
		return true
	}
	return false
}

// Trail takes events. Use New.
type Trail struct {
	store bridge.AuditStore
	log   *slog.Logger
	now   func() time.Time
	also  func(bridge.AuditEvent)

	mu      sync.Mutex
	waiting []bridge.AuditEvent
	lost    int
	refused *rate.Limiter
	wake    chan struct{}
}

// New makes a trail that logs to log and, while Run runs, stores to store.
func New(store bridge.AuditStore, log *slog.Logger, now func() time.Time) *Trail {
	return &Trail{
		store: store, log: log, now: now, also: func(bridge.AuditEvent) {}, wake: make(chan struct{}, 1),
		refused: rate.NewLimiter(refusalRate, refusalBurst),
	}
}

// Also has every event handed to count, too. It is called before the first Record.
func (t *Trail) Also(count func(bridge.AuditEvent)) { t.also = count }

// Record takes an event; At and RequestID are filled in when empty. It never blocks.
func (t *Trail) Record(ctx context.Context, event bridge.AuditEvent) {
	event = t.tell(ctx, event)
	t.mu.Lock()
	if len(t.waiting) < maxWaiting && (!refuses(event.Kind) || t.refused.AllowN(t.now(), 1)) {
		t.waiting = append(t.waiting, event)
	} else {
		t.lost++
	}
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Note takes an event as Record does, for what is too frequent to be stored.
func (t *Trail) Note(ctx context.Context, event bridge.AuditEvent) { t.tell(ctx, event) }

// tell fills in what is missing of an event, logs it and has it counted.
func (t *Trail) tell(ctx context.Context, event bridge.AuditEvent) bridge.AuditEvent {
	if event.At.IsZero() {
		event.At = t.now()
	}
	if event.RequestID == "" {
		event.RequestID = RequestID(ctx)
	}
	t.log.LogAttrs(ctx, slog.LevelInfo, "audit", slog.Any("event", loggable(event)))
	t.also(event)
	return event
}

// Run stores events until ctx ends, then stores what is left.
func (t *Trail) Run(ctx context.Context) {
	for {
		select {
		case <-t.wake:
			select {
			case <-time.After(gathered):
				t.Flush(ctx)
			case <-ctx.Done():
			}
		case <-ctx.Done():
			t.flushLast(ctx)
			return
		}
	}
}

func (t *Trail) flushLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	t.Flush(ctx)
}

// Flush stores what is waiting. Events that cannot be stored are in the log all the same.
func (t *Trail) Flush(ctx context.Context) {
	t.mu.Lock()
	batch, lost := t.waiting, t.lost
	t.waiting, t.lost = nil, 0
	t.mu.Unlock()
	if lost > 0 {
		t.log.WarnContext(ctx, "audit events were logged but not stored: too many at once", "count", lost)
	}
	if len(batch) == 0 {
		return
	}
	if err := t.store.AppendAudit(ctx, batch); err != nil {
		t.log.ErrorContext(ctx, "audit events were logged but not stored", "count", len(batch), "error", err)
	}
}

type loggable bridge.AuditEvent

// LogValue writes the fields that are set.
func (e loggable) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind)}
	for _, field := range []struct{ name, value string }{
		{"request_id", e.RequestID},
		{"person_id", e.PersonID},
		{"client_id", e.ClientID},
		{"grant_id", e.GrantID},
		{"outcome", e.Outcome},
		{"detail", e.Detail},
	} {
		if field.value != "" {
			attrs = append(attrs, slog.String(field.name, field.value))
		}
	}
	return slog.GroupValue(attrs...)
}
