package rows

import (
	"math"
	"time"
)

// Order is how an index sorts.
type Order int

// The orders of an index. Those by id, and of rows of one time, are an engine's own, as times within a millisecond may be one.
const (
	ByID Order = iota
	OldestFirst
	NewestFirst
)

// Index leads to rows of one kind.
type Index struct {
	Name  string
	Kind  Kind
	Whose int // how many keyed hashes say of which person, client or grant it is an index; 0: of all
	Order Order
}

// The indexes. IndexDue leads to rows of every kind: to those that Sweep removes.
var (
	IndexDue            = Index{Name: "due", Order: OldestFirst}
	IndexGrants         = Index{Name: "grants", Kind: KindGrant, Order: NewestFirst}
	IndexPersonGrants   = Index{Name: "grants-of-person", Kind: KindGrant, Whose: 1, Order: NewestFirst}
	IndexClientGrants   = Index{Name: "grants-of-client", Kind: KindGrant, Whose: 1, Order: NewestFirst}
	IndexLapses         = Index{Name: "lapses", Kind: KindGrant, Order: OldestFirst}
	IndexLinkGrants     = Index{Name: "grants-of-link", Kind: KindGrant, Whose: 1}  // those that have not ended
	IndexIdentityGrants = Index{Name: "grants-of-ident", Kind: KindGrant, Whose: 1} // those that have not ended
	IndexLinks          = Index{Name: "links", Kind: KindLink, Order: NewestFirst}
	IndexPersonLink     = Index{Name: "link-of", Kind: KindLink, Whose: 1}                 // the live one
	IndexSubjects       = Index{Name: "ident-subjects", Kind: KindIdentity, Whose: 2}      // issuer and subject: those that have not ended
	IndexSIDs           = Index{Name: "ident-sids", Kind: KindIdentity, Whose: 2}          // issuer and sid: those that have not ended
	IndexSessions       = Index{Name: "flow-sessions", Kind: KindFlow, Order: OldestFirst} // flows that hold a Trinity session
	IndexRevocations    = Index{Name: "revocations", Kind: KindRevocation, Order: OldestFirst}
	IndexPersonKeys     = Index{Name: "revocations-of", Kind: KindRevocation, Whose: 1}
	IndexGrantAudit     = Index{Name: "audit-of-grant", Kind: KindAudit, Whose: 1}
	// IndexAudit is the order of the ids themselves, as an index without a name is of any kind; no Place is
	// kept for it.
	IndexAudit = Index{Kind: KindAudit}
)

// Indexes are those that places are kept for.
func Indexes() []Index {
	return []Index{
		IndexDue, IndexGrants, IndexPersonGrants, IndexClientGrants, IndexLapses, IndexLinkGrants, IndexIdentityGrants,
		IndexLinks, IndexPersonLink, IndexSubjects, IndexSIDs, IndexSessions, IndexRevocations, IndexPersonKeys, IndexGrantAudit,
	}
}

// Place is where an index leads to a row.
type Place struct {
	Index Index
	Whose string    // a keyed hash of the person, client or grant, or several
	At    time.Time // when the index sorts by time
}

// Scan is a walk through an index.
type Scan struct {
	Index Index
	Whose string
	After *Position // begins behind this row
	Until time.Time // ends with rows of this time, unless zero; they may be later within a millisecond
	Limit int
}

// Position is a row's place in an index by time.
type Position struct {
	At time.Time
	ID string
}

// Nanoseconds is a time as ids of audit events, and engines that have no shorter form, sort by it. What lies beyond the years 1678 to 2262 is put at the end it lies
// beyond; the record has it exactly.
func Nanoseconds(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}
