package bridge

import (
	"context"
	"time"
)

// The interfaces below are what a store offers, one per kind of user. Shared rules: time is
// passed in and the store's own clock is never consulted; a read of a row past its time answers
// ErrNotFound even before it is swept; an error other than the named ones means that nothing is
// known to be stored, so answer 503. Functions handed to a store run inside its transaction,
// perhaps more than once, and must only look at and change what they are given. A list with a
// limit of 0 or less is empty.

// ClientStore keeps the clients that introduced themselves: registrations, and what the documents
// of clients last said.
type ClientStore interface {
	// CreateClient stores a new registered client. ErrFull when maxUnused clients are stored already
	// that never redeemed a code (DC-07), ErrConflict when the id exists. Once there are half as many, a new
	// one stays unused for a quarter of an hour at most.
	CreateClient(ctx context.Context, client Client, maxUnused int) error
	// PutClient stores what the document of a ClientDocument says, or replaces it. Of two documents
	// the one with the later CreatedAt stays, and of two UnusedUntil the later. ErrConflict when the
	// id belongs to a registration.
	PutClient(ctx context.Context, client Client, now time.Time) error
	// Client returns a stored client, blocked ones too.
	Client(ctx context.Context, id string, now time.Time) (Client, error)
}

// FlowStore keeps flows.
type FlowStore interface {
	// CreateFlow stores a new flow. ErrConflict when the id exists.
	CreateFlow(ctx context.Context, flow Flow) error
	// Flow returns an open or finished flow that has not expired.
	Flow(ctx context.Context, id string, now time.Time) (Flow, error)
	// UpdateFlow applies change to the stored flow in one transaction and returns the result.
	// When change returns an error nothing is stored and that error is returned as it is.
	UpdateFlow(ctx context.Context, id string, now time.Time, change func(*Flow) error) (Flow, error)
	// ExpiredFlows returns up to limit expired flows that still hold a Trinity session (SignIn.Session),
	// so that it can be logged out; DropFlow forgets one of them. Sweep gives them up a day after
	// they expired.
	ExpiredFlows(ctx context.Context, now time.Time, limit int) ([]Flow, error)
	DropFlow(ctx context.Context, id string) error
}

// Issue is everything an approval stores.
type Issue struct {
	FlowID  string
	Consent Consent
	Grant   Grant // Status GrantPending, Lapses set
	Code    Code
	Exit    []byte // sealed redirect for the flow
	// Identity is the session at the provider the grant came from; nil for Trinity's e-mail code.
	Identity *IdentitySession
}

// IssueOutcome is what IssueCode came to.
type IssueOutcome string

// The outcomes of IssueCode.
const (
	CodeIssued  IssueOutcome = "issued"
	FlowUsed    IssueOutcome = "flow_used"    // decided before, or not at the decision; nothing stored
	FlowExpired IssueOutcome = "flow_expired" // or unknown; nothing stored
	LinkEnded   IssueOutcome = "link_ended"   // the grant's link has ended since; nothing stored
)

// GrantStore keeps consents, grants, codes and refresh families, and is where every security
// transition is one call.
type GrantStore interface {
	// IssueCode stores consent, pending grant, identity session and code, and moves the flow from
	// StepConsent to StepDecided with its exit, all in one transaction. The flow forgets the identity session, which
	// ends without it from now on. It keeps its sealed Trinity session until that is logged out, so that whoever dies in
	// between leaves it to ExpiredFlows. Outcomes:
	//
	//  1. CodeIssued: all of it is stored. This flow makes no other code.
	//  2. FlowUsed: the flow was decided before, or has not come to the decision; nothing is stored.
	//  3. FlowExpired: it has, or is unknown; nothing is stored.
	//  4. LinkEnded: the grant has a link that is over or another person's; nothing is stored.
	//
	// ErrConflict when grant or code exist.
	IssueCode(ctx context.Context, issue Issue, now time.Time) (IssueOutcome, error)

	// StartGrant stores a grant that is live at once: no code, no refresh family, nobody who
	// consented. It sets Started. If its id is stored already, an ended grant is returned as it is and stays ended; a
	// live one takes over ClientName, Resource, Scopes and Asked, for they are the operator's, and
	// keeps the rest. ErrConflict when the id belongs to another client or person, ErrNotFound when its
	// link has ended.
	StartGrant(ctx context.Context, grant Grant, now time.Time) (Grant, error)

	// RedeemCode spends an authorization code (Code.Judge) in one transaction:
	//
	//  1. CodeRedeemed: the code is spent, its grant live, its family begun if Code.Refresh,
	//     the client kept. This call, and no other ever, may answer 200.
	//  2. CodeReplayed: grant and family are ended, its key queued for revocation (RFC 9700 §4.4).
	//  3. CodeMismatch: counted; the fifth spends the code and ends the pending grant.
	//  4. CodeWrongTarget, CodeExpired, CodeUnknown: nothing changed. A good code whose grant was
	//     ended before is CodeExpired.
	//
	// The grant is returned for every outcome but CodeUnknown.
	RedeemCode(ctx context.Context, use CodeUse, now time.Time) (CodeOutcome, Grant, error)

	// RefreshGrant returns grant and family of any refresh token ever issued until a day after its family's
	// absolute end, so that a request can be validated before anything changes (B64). Ended grants are
	// returned too.
	RefreshGrant(ctx context.Context, token RefreshToken, now time.Time) (Grant, Family, error)
	// RotateRefresh presents a refresh token in one transaction. The first three come before use.Rule, which
	// says which of the others it is:
	//
	//  1. RefreshUnknown: nobody's token; nothing changed.
	//  2. RefreshMismatch: the family does not Belong to the client and key of the use; nothing changed.
	//  3. RefreshEnded: the grant ended before; nothing changed.
	//  4. RefreshRotated: the successor is the head, the token its predecessor.
	//  5. RefreshRepeated: the predecessor again, of which the successor is the head; counted.
	//  6. RefreshReused: grant and family are ended, its key queued for revocation (RFC 9700 §4.14.2).
	//  7. RefreshExpired: nothing changed.
	//
	// A rule that rotates another token than the head, repeats another than its predecessor, or gives an
	// outcome that is not its to give is an error, and nothing changed. The grant is returned for every
	// outcome but RefreshUnknown.
	RotateRefresh(ctx context.Context, use RefreshUse, now time.Time) (Rotation, error)

	// Grant returns a grant in any state. It is on the path of every call.
	Grant(ctx context.Context, id string) (Grant, error)
	// TouchGrant notes that the grant was used, to the minute.
	TouchGrant(ctx context.Context, id string, now time.Time) error
	// EndGrant ends a grant and queues its key for revocation, in one transaction. A reason that Forgets
	// takes the consent with it. It reports whether this call ended it; ending an ended grant changes nothing.
	EndGrant(ctx context.Context, id string, reason EndReason, now time.Time) (Grant, bool, error)
	// RevokeToken marks one access token of a live grant as revoked until it expires. It does nothing
	// when the grant is not live.
	RevokeToken(ctx context.Context, grantID, tokenID string, expires, now time.Time) error
	// Consent returns the remembered yes of a person to a client at a redirect URI and resource.
	Consent(ctx context.Context, personID, clientID, redirectURI, resource string) (Consent, error)
	// Grants lists grants newest first; personID and clientID narrow it when not empty. after is
	// the id of the last grant of the page before; ErrNotFound when there is no such grant.
	Grants(ctx context.Context, personID, clientID, after string, limit int) ([]Grant, error)
	// LapsedGrants returns up to limit grants that have not ended and whose Lapses has passed.
	LapsedGrants(ctx context.Context, now time.Time, limit int) ([]Grant, error)
}

// LinkStore keeps who is linked to which Trinity account.
type LinkStore interface {
	// CreateLink stores a live link. A person has one at a time:
	//
	//  1. LinkMade: it is stored and returned.
	//  2. LinkExists: nothing is stored; the person's live link is returned.
	//
	// ErrConflict when the id exists.
	CreateLink(ctx context.Context, link Link, now time.Time) (LinkOutcome, Link, error)
	// Link returns a link in any state.
	Link(ctx context.Context, id string) (Link, error)
	// LinkOf returns the live link of a person.
	LinkOf(ctx context.Context, personID string) (Link, error)
	// Links lists links newest first, ended ones too. after is the id of the last link of the page
	// before; ErrNotFound when there is no such link.
	Links(ctx context.Context, after string, limit int) ([]Link, error)
	// EndLink ends a link and every grant that came through it, and queues the link's key for revocation. It returns
	// the link and the grants this call ended. Ending an ended link is reported as false, and ends what was left of
	// its grants.
	//
	// The link ends first, so that no grant comes through it any more, and its grants a bounded number in a
	// transaction, those of most links in the same one. After an error or a crash some may be left: for EndUnlinked.
	EndLink(ctx context.Context, id string, reason EndReason, now time.Time) (Link, []Grant, bool, error)
	// EndUnlinked ends grants whose link has ended in an EndLink that was cut short, a bounded number in one
	// transaction, and returns them. Callers go on while there are any.
	EndUnlinked(ctx context.Context, now time.Time) ([]Grant, error)
}

// IdentityStore keeps the sessions people have at OIDC providers, from IssueCode until they end:
// by EndIdentity, or with the last grant that came from them.
type IdentityStore interface {
	// Identity returns an identity session in any state.
	Identity(ctx context.Context, id string) (IdentitySession, error)
	// OpenIdentities returns the sessions that have not ended of one subject at an issuer
	// (Person.Source), narrowed by sid when that is not empty; without a subject, all of the sid.
	OpenIdentities(ctx context.Context, issuer, subject, sid string) ([]IdentitySession, error)
	// UpdateIdentity applies change to a session that has not ended. In the same transaction its grants
	// are cut down to the new admission (Grant.Narrow), and those of which nothing is left end with
	// EndNotAdmitted and are returned. ErrNotFound when the session has ended. When change returns an
	// error nothing is stored and that error is returned as it is.
	UpdateIdentity(ctx context.Context, id string, now time.Time, change func(*IdentitySession) error) (IdentitySession, []Grant, error)
	// EndIdentity ends a session and its grants in one transaction and returns the grants this call
	// ended. Ending an ended session changes nothing and is reported as false.
	EndIdentity(ctx context.Context, id string, reason EndReason, now time.Time) (IdentitySession, []Grant, bool, error)
}

// RevocationStore is the queue of Trinity keys still to be revoked.
type RevocationStore interface {
	// DueKeyRevocations returns up to limit entries with DueAt not after now, oldest first.
	DueKeyRevocations(ctx context.Context, now time.Time, limit int) ([]KeyRevocation, error)
	// KeyRevocationsOf returns the entries of one person.
	KeyRevocationsOf(ctx context.Context, personID string) ([]KeyRevocation, error)
	// QueueKeyRevocation stores or replaces the entry of a grant or link.
	QueueKeyRevocation(ctx context.Context, revocation KeyRevocation) error
	// FinishKeyRevocation removes an entry: Trinity has confirmed.
	FinishKeyRevocation(ctx context.Context, grantID string) error
}

// VerdictStore keeps what the operator decided about clients, as one versioned list.
type VerdictStore interface {
	// Verdicts returns all of them and the revision of the list; none and revision 0 at first.
	Verdicts(ctx context.Context) ([]Verdict, int, error)
	// SwapVerdicts replaces the list if its revision is still rev, else ErrConflict.
	SwapVerdicts(ctx context.Context, verdicts []Verdict, rev int) error
}

// SigningKeyStore keeps the signing keys as one versioned list.
type SigningKeyStore interface {
	// SigningKeys returns all keys and the revision of the list; no keys and revision 0 at first.
	SigningKeys(ctx context.Context) ([]SigningKey, int, error)
	// SwapSigningKeys replaces the list if its revision is still rev, else ErrConflict.
	SwapSigningKeys(ctx context.Context, keys []SigningKey, rev int) error
}

// Count is the state of a counter after Hit.
type Count struct {
	Allowed bool      // the hit was within the limit and counted
	N       int       // hits in the current window
	ResetAt time.Time // when the window ends
}

// CounterStore counts exactly, across replicas. It keeps a counter under a keyed hash of its key, which
// may hold an address.
type CounterStore interface {
	// Hit counts one event under key unless limit is reached in the current fixed window.
	Hit(ctx context.Context, key string, limit int, window time.Duration, now time.Time) (Count, error)
	// Peek tells what Hit would find, without counting.
	Peek(ctx context.Context, key string, limit int, now time.Time) (Count, error)
	// ResetCount forgets the counter.
	ResetCount(ctx context.Context, key string) error
}

// ReplayStore remembers what may be used once, across replicas.
type ReplayStore interface {
	// UseOnce reports whether this call, and no other, is the first to use id in namespace. The id is
	// remembered until expires at least; one whose expires is not after now is refused.
	UseOnce(ctx context.Context, namespace, id string, expires, now time.Time) (bool, error)
}

// AuditStore appends to and reads the audit trail.
type AuditStore interface {
	AppendAudit(ctx context.Context, events []AuditEvent) error
	// AuditTrail lists events newest first; grantID narrows it when not empty.
	AuditTrail(ctx context.Context, grantID string, limit int) ([]AuditEvent, error)
}

// GrantWatch tells whoever keeps copies of grants when a copy is no longer good.
type GrantWatch interface {
	// WatchGrants has changed called with the id of each grant that was changed otherwise than by being
	// redeemed, used or refreshed: ended, a token of it revoked, cut down, started anew. An empty id stands
	// for every grant: some changes may have gone unseen. For a change made through this store the call
	// comes before the change is acknowledged; for any change made on another replica within 2 s, and while
	// the others cannot be heard of, an empty id comes at least every 2 s.
	//
	// A copy read before the call may be older than the change: who reads a grant while changed is called
	// with its id must not keep what it read. LastUsedAt and Lapses of a copy may be older than stored, so a
	// copy is good for a yes, and a no is read from the store.
	//
	// changed is called by many goroutines, must not block and must not call the store. stop ends the calls.
	WatchGrants(changed func(grantID string)) (stop func())
}

// Deployment is what a store remembers about whom it belongs to.
type Deployment struct {
	ID        string    `json:"id"`
	Issuer    string    `json:"issuer"`     // the public URL at first start (AS-130)
	SealCheck []byte    `json:"seal_check"` // opens only with the right master secret (OP-13)
	CreatedAt time.Time `json:"created_at"`
}

// Store is a whole engine.
type Store interface {
	ClientStore
	FlowStore
	GrantStore
	LinkStore
	IdentityStore
	RevocationStore
	SigningKeyStore
	VerdictStore
	CounterStore
	ReplayStore
	AuditStore
	GrantWatch
	Upkeep

	// MAC is the keyed hash of a value for one purpose, which must not contain a zero byte. The key is the store's own:
	// random, sealed with its rows, the same in a copy of them, and not changed with the master secret.
	MAC(purpose, value string) Hash
	// Deployment returns ErrNotFound in a new store.
	Deployment(ctx context.Context) (Deployment, error)
	// SaveDeployment stores whom the store belongs to; ErrConflict when it is another's.
	SaveDeployment(ctx context.Context, deployment Deployment) error
	// Sweep deletes up to limit rows that are past their time for good and reports how many: flows and
	// counters at their end, codes a day after theirs, clients past UnusedUntil, audit events after 90 days,
	// ended links and grants after a year but for grants of StartGrant, which would start again, ended identity sessions after a day,
	// consents 13 months after they were given last.
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
	// Lead runs work while this process is the one of all replicas that does what is to be done once, and
	// returns when ctx ends. Work's context ends when another one may lead; it runs again when this one
	// leads again. With one process it just runs.
	Lead(ctx context.Context, work func(context.Context))
	// StartGeneration makes good for writes the store has lost, as one put back from a copy has: what
	// they may have ended is over from now on. Every grant and link that has not ended ends with
	// EndStoreLost, its key queued for revocation and its consent forgotten; every sign-in is over, its
	// Trinity session waiting to be logged out; and the list of signing keys is emptied. It reports how
	// many grants it ended. It is many transactions: after an error, call it again.
	StartGeneration(ctx context.Context, now time.Time) (int, error)
	// Ping reports whether the store takes writes.
	Ping(ctx context.Context) error
	Close() error
}
