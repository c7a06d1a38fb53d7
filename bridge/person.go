package bridge

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"slices"
)

// The identity sources that are no issuer of an OIDC provider.
const (
	// SourceTrinity signs people in by Trinity's e-mail code.
	SourceTrinity = "trinity"
	// SourceClient is for grants nobody stands behind: the configured client itself (RFC 6749 §4.4).
	SourceClient = "client"
)

// Person is a human being: an identity source and the subject it gave (invariant I6). An e-mail
// address is never part of it. A machine client stands in the place of one by SourceClient.
type Person struct {
	Source  string `json:"source"`  // SourceTrinity, SourceClient, or an issuer, with a blank and the tenant where it has several
	Subject string `json:"subject"` // Trinity's username, the client id, or the provider's sub
}

// IsZero reports whether nobody has signed in.
func (p Person) IsZero() bool { return p == Person{} }

// What the identifiers of persons begin with; behind it they are as IDOf has them.
const (
	PersonBegins  = "person-"
	MachineBegins = "machine-"
)

// ID is the person's opaque, stable identifier: the sub of access tokens and the key of the
// person's rows. It cannot be mistaken for a client's id (RFC 9068 §5) and shows no address. Those
// of machine clients begin with "machine-", so that none can equal a human being's (EX-18, AS-087).
func (p Person) ID() string {
	var usual [1 << 8]byte // asked on each call: what is hashed and what comes out seldom need the heap
	named := append(append(usual[:0], "person\x00"...), p.Source...)
	sum := sha256.Sum256(append(append(named, 0), p.Subject...))
	kind := PersonBegins
	if p.Source == SourceClient {
		kind = MachineBegins
	}
	id := base32.StdEncoding.WithPadding(base32.NoPadding).AppendEncode(append(usual[:0], kind...), sum[:16])
	return string(bytes.ToLower(id))
}

// Role is a Trinity role, from user up to admin.
type Role string

// Trinity's roles, weakest first.
const (
	RoleUser     Role = "user"
	RoleOperator Role = "operator"
	RoleCreator  Role = "creator"
	RoleAdmin    Role = "admin"
)

// AtLeast reports whether the role reaches as far as another. Roles that are not in the list reach
// no further than themselves; any role reaches as far as none.
func (r Role) AtLeast(other Role) bool {
	if r == other || other == "" {
		return true
	}
	ranks := []Role{RoleUser, RoleOperator, RoleCreator, RoleAdmin}
	least := slices.Index(ranks, other)
	return least >= 0 && slices.Index(ranks, r) >= least
}

// Account is the Trinity account of a person: the calls of a grant run as it, unless the grant acts as
// somebody else. Username is the handle; Email is
// shown, never looked up.
type Account struct {
	Username string `json:"username"`
	Email    string `json:"email,omitzero"`
	Role     Role   `json:"role,omitzero"`
}

// ActingKind is what a grant resolves to in Trinity's McpAuthContext.
type ActingKind string

// The principals a grant can act as. Only ActAsUser needs nothing from the operator.
const (
	ActAsUser   ActingKind = "user"
	ActAsAgent  ActingKind = "agent"
	ActAsSystem ActingKind = "system"
)

// ActingAs names the Trinity principal of a grant.
type ActingAs struct {
	Kind  ActingKind `json:"kind"`
	Agent string     `json:"agent,omitzero"` // the agent's name, for ActAsAgent
	// Owner is the Trinity account the operator's key belongs to, in a grant whose calls are made with
	// such a key. Where it is empty, the grant's own credential resolves to the principal.
	Owner string `json:"owner,omitzero"`
}

// Lent reports whether the principal is one that the operator lets the person act as.
func (a ActingAs) Lent() bool { return a.Owner != "" }

// Principal is a without its owner: what a person may act as, whoever owns the key.
func (a ActingAs) Principal() ActingAs { return ActingAs{Kind: a.Kind, Agent: a.Agent} }

// String names the principal in one word, as forms and the audit trail do: "agent:researcher".
func (a ActingAs) String() string {
	if a.Agent == "" {
		return string(a.Kind)
	}
	return string(a.Kind) + ":" + a.Agent
}

// Standing is what is known of a grant's credential at the moment.
type Standing string

// The standings of a credential and the person behind it. Those that Ends names a reason for are the
// definite word of Trinity or of an identity provider. One that cannot be asked throws nobody out, and
// lets in nobody for long.
const (
	StandingGood      Standing = "good"
	StandingDead      Standing = "dead"      // Trinity refuses the key
	StandingSuspended Standing = "suspended" // the key is active, and its owner is refused
	StandingChanged   Standing = "changed"   // the key answers for another account than the grant's
	StandingRescoped  Standing = "rescoped"  // the key is of another scope or agent than the grant's
	StandingLowered   Standing = "lowered"   // the account's role is lower than when the person agreed
	StandingWithdrawn Standing = "withdrawn" // the operator no longer lets the person act so
	StandingSignedOut Standing = "signed_out"
	// StandingNotAdmitted: the rules of the identity source no longer let the person in.
	StandingNotAdmitted Standing = "not_admitted"
	StandingUnknown     Standing = "unknown" // somebody could not be asked
	StandingOverdue     Standing = "overdue" // somebody could not be asked for longer than the grace
)

// Ends is why a grant whose credential stands so has to end, or "".
func (s Standing) Ends() EndReason {
	switch s {
	case StandingDead:
		return EndCredentialDead
	case StandingSuspended:
		return EndOwnerSuspended
	case StandingChanged:
		return EndAccountChanged
	case StandingRescoped:
		return EndScopeChanged
	case StandingLowered:
		return EndRoleLowered
	case StandingWithdrawn:
		return EndActingWithdrawn
	case StandingSignedOut:
		return EndSignedOut
	case StandingNotAdmitted:
		return EndNotAdmitted
	case StandingGood, StandingUnknown, StandingOverdue:
	}
	return ""
}
