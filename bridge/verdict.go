package bridge

import "time"

// MaxVerdicts bounds the list, which every call is held against.
const MaxVerdicts = 1000

// Verdict is what the operator decided about clients while the program ran. Entry is a host name,
// "*." and a name for all below it, or a whole client id.
type Verdict struct {
	Entry     string    `json:"entry"`
	Allowed   bool      `json:"allowed"` // else shut out
	DecidedAt time.Time `json:"decided_at"`
}
