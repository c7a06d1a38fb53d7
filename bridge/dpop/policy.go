package dpop

// Policy says what the operator wants of DPoP.
type Policy string

// The policies.
const (
	PolicyOff      Policy = "off"      // it is neither announced nor looked at
	PolicyOn       Policy = "on"       // a client that shows a proof gets bound tokens
	PolicyRequired Policy = "required" // there are no other tokens
)

// Policies are all policies, the default first.
func Policies() []Policy { return []Policy{PolicyOff, PolicyOn, PolicyRequired} }
