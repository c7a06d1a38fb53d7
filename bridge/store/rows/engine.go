package rows

import (
	"context"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Kind is a kind of row.
type Kind string

// The kinds of row. Rows of KindMeta are one of a kind: whom the store belongs to and the like.
const (
	KindAudit      Kind = "audit"
	KindClient     Kind = "client"
	KindCode       Kind = "code"
	KindConsent    Kind = "consent"
	KindCounter    Kind = "counter"
	KindFlow       Kind = "flow"
	KindGrant      Kind = "grant"
	KindIdentity   Kind = "identity"
	KindLink       Kind = "link"
	KindMeta       Kind = "meta"
	KindRevocation Kind = "revocation"
	KindUsed       Kind = "used"
)

// Kinds lists them in the order of their names.
func Kinds() []Kind {
	return []Kind{
		KindAudit, KindClient, KindCode, KindConsent, KindCounter, KindFlow, KindGrant,
		KindIdentity, KindLink, KindMeta, KindRevocation, KindUsed,
	}
}

// Ref names a row.
type Ref struct {
	Kind Kind
	ID   string
}

// Row is a record on its way into a store.
type Row struct {
	Ref
	Record []byte
	// Places are where indexes lead to it, Before where they led to what it replaces.
	Places, Before []Place
	// Broom is how long from now an engine keeps the row at least if nobody sweeps; 0 is for good.
	// Only rows whose absence costs a person nothing have one.
	Broom time.Duration
	// New is set on a row whose id was made for it: where there is one, Put or the commit is bridge.ErrConflict.
	New bool
	// Stays is set on a row of which only the record is new: indexes go on leading to it as they did.
	Stays bool
	// Told is set on a grant of which copies kept elsewhere are no longer good.
	Told bool
}

// Found is a row that an index led to.
type Found struct {
	ID     string
	Record []byte
}

// Due is a row whose time is over.
type Due struct {
	Ref
	At time.Time
}

// Tx is what one read or one write sees: what is committed, and for Get what the write itself has
// changed. Rows that a write has got are changed by nobody else until the write is over, and rows it
// found missing are made by nobody else; an engine that cannot hold others off runs the write again.
type Tx interface {
	// Get returns the record of a row, nil when there is none.
	Get(row Ref) ([]byte, error)
	// Ahead says which rows Get will be asked for next, for engines that fetch several at once.
	Ahead(rows ...Ref) error
	// Put stores a row in the place of what was there.
	Put(row Row) error
	// Remove deletes a row, if it is there, and the places that led to it.
	Remove(row Ref, places []Place) error
	// Scan returns the rows an index leads to, in its order: the index as it is committed, the records as
	// this write has left them. It keeps nobody from changing them: Get does.
	Scan(scan Scan) ([]Found, error)
	// Misplaced returns those of the rows, as they are stored, that indexes do not lead to from all of their
	// places, or that they lead to from elsewhere.
	Misplaced(rows []Row) ([]Ref, error)
	// Strays names places of indexes that lead to no row, or to one that is not there, when so many are
	// right; none where places go with their row. places are those of a row as it is stored.
	Strays(right int, places func(row Ref, record []byte) []Place) ([]string, error)
	// Due returns up to limit rows that Sweep has to look at, the longest overdue first.
	Due(now time.Time, limit int) ([]Due, error)
}

// Engine runs closures in transactions.
type Engine interface {
	// Read runs a closure on one state of the store.
	Read(ctx context.Context, run func(Tx) error) error
	// ReadRow returns the record of one row, nil when there is none.
	ReadRow(ctx context.Context, row Ref) ([]byte, error)
	// Find is a Read of one Scan.
	Find(ctx context.Context, scan Scan) ([]Found, error)
	// Swap stores a row in the place of one whose record is before, or of none where before is nil, and reports
	// whether it was so still. It is a Write that keeps nobody off meanwhile.
	Swap(ctx context.Context, before []byte, row Row) (bool, error)
	// Write runs a closure and commits what it changed, all or nothing. A closure that returns an error
	// has changed nothing. It may run more than once. When ctx ends before its turn, nothing comes of it;
	// afterwards its result is waited for, since a write that may have happened must not be reported as
	// one that did not.
	Write(ctx context.Context, run func(Tx) error) error
	// Snapshot is Read for what takes long. It runs the closure once, keeps nobody waiting, and ends early
	// when ctx does.
	Snapshot(ctx context.Context, run func(Tx) error) error
	// Disk is what the engine knows of itself; Check says what is wrong beside the rows.
	Disk(ctx context.Context) (bridge.StoreDisk, error)
	Check(ctx context.Context) ([]string, error)
	// WrappedKey is the store's row key under a master secret.
	WrappedKey(ctx context.Context) ([]byte, error)
	// Rewrap puts the same key under another one in its place. It fails when from is not there any more.
	Rewrap(ctx context.Context, from, to []byte) error
}
