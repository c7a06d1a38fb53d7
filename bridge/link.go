package bridge

import "time"

// LinkOrigin says how a link was made.
type LinkOrigin string

// The ways a link is made.
const (
	LinkByCode   LinkOrigin = "code"   // the person proved the Trinity account by its e-mail code; the bridge minted the key
	LinkByImport LinkOrigin = "import" // the operator brought person and key
	LinkByPaste  LinkOrigin = "paste"  // the person brought the key
)

// Link ties a person to the Trinity account their calls run as. Its credential is sealed to the
// link's id; each grant made through the link holds a copy sealed to its own id and without a key
// id, so that the end of a grant leaves the key to the others.
type Link struct {
	ID         string     `json:"id"`
	Person     Person     `json:"person"`
	Account    Account    `json:"account"`
	Made       LinkOrigin `json:"made"`
	Credential Credential `json:"credential"`
	CreatedAt  time.Time  `json:"created_at"`
	EndedAt    time.Time  `json:"ended_at,omitzero"`
	EndReason  EndReason  `json:"end_reason,omitzero"`
}

// Live reports whether grants may be made through the link.
func (l *Link) Live() bool { return l.EndedAt.IsZero() }

// LinkOutcome is what CreateLink came to.
type LinkOutcome string

// The outcomes of CreateLink.
const (
	LinkMade   LinkOutcome = "made"
	LinkExists LinkOutcome = "exists" // the person has a live link; nothing stored
)
