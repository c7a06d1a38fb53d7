package bridge

import "time"

// Step is where a flow stands.
type Step string

// The steps of a flow. The dispatcher in bridge/flow knows which page serves which.
const (
	StepChoose       Step = "choose"        // the person has to choose an identity source
	StepAway         Step = "away"          // the browser is at an OIDC provider
	StepLink         Step = "link"          // the provider knows the person, Trinity does not yet
	StepSignIn       Step = "sign-in"       // the person has to name a mailbox
	StepCode         Step = "code"          // a code was asked for
	StepSecondFactor Step = "second-factor" // Trinity wants a second factor
	StepEnrol        Step = "enrol"         // Trinity wants one and the person has none yet
	StepRecovery     Step = "recovery"      // the recovery codes of a new one are shown
	StepConsent      Step = "consent"       // signed in, not yet decided
	StepVisit        Step = "visit"         // signed in, with nothing to decide: at the person's own connections
	StepDecided      Step = "decided"       // Exit waits to be taken once
	StepFinished     Step = "finished"      // nothing more will come of it
)

// AuthorizationRequest is a checked request: client and redirect URI matched, PKCE present,
// resource canonical, scopes known.
type AuthorizationRequest struct {
	ClientID      string `json:"client_id"`
	RedirectURI   string `json:"redirect_uri"`
	RedirectSent  bool   `json:"redirect_sent"` // false: the client left it out (RFC 6749 §3.1.2.3)
	State         string `json:"state,omitzero"`
	CodeChallenge string `json:"code_challenge"`     // S256 (RFC 7636 §4.2)
	ProofKey      Hash   `json:"proof_key,omitzero"` // the code is for the holder of this key (RFC 9449 §10); zero: for anybody
	Resource      string `json:"resource"`
	Scopes        Scopes `json:"scopes"`
	Refresh       bool   `json:"refresh,omitzero"` // a refresh family comes with the grant (AS-088)
	LoginHint     string `json:"login_hint,omitzero"`
	// Client is a ClientDocument as its document stood when the request was checked: what the person
	// sees and allows is what was checked, wherever the document is ten minutes later. Nil for clients
	// that store or configuration know.
	Client *Client `json:"client,omitzero"`
}

// SignIn is what the sign-in step keeps in the flow. Sealed values are bound to the flow's id.
type SignIn struct {
	Source     string    `json:"source,omitzero"`  // the identity source chosen, by the name the configuration gives it
	Trip       []byte    `json:"trip,omitzero"`    // sealed state, nonce and verifier of the way to the provider and back, good once
	Mailbox    string    `json:"mailbox,omitzero"` // canonical form of the address asked for; server-side state only (OT-08)
	CodeSentAt time.Time `json:"code_sent_at,omitzero"`
	Tries      int       `json:"tries,omitzero"`       // wrong codes typed for the newest code
	SendFailed bool      `json:"send_failed,omitzero"` // Trinity could not be asked to send the newest code
	Challenge  []byte    `json:"challenge,omitzero"`   // sealed second-factor challenge token
	Enrolment  []byte    `json:"enrolment,omitzero"`   // sealed secret of a second factor being set up
	Recovery   []byte    `json:"recovery,omitzero"`    // sealed recovery codes, until the person has kept them
	Session    []byte    `json:"session,omitzero"`     // sealed Trinity JWT, until the decision
	Person     Person    `json:"person,omitzero"`
	Account    Account   `json:"account,omitzero"`
	At         time.Time `json:"at,omitzero"` // when the sign-in was complete
	// Identity is the session at the provider, stored for itself when the person consents; its sealed
	// values are bound to its own id. Nil for Trinity's e-mail code.
	Identity *IdentitySession `json:"identity,omitzero"`
	Link     string           `json:"link,omitzero"` // the link the grant will come through
}

// Linking reports whether the e-mail code proves the Trinity account of a person whom a provider
// has signed in already. The mailbox is the provider's then, and nobody's to change.
func (s *SignIn) Linking() bool { return s.Identity != nil && s.Link == "" }

// Flow is one authorization request on its way from /oauth/authorize to its code. It belongs to
// one browser: whoever acts on it must show the cookie whose hash is Browser.
//
// A visit is a flow that nobody asked for: the person signs in to see their own connections. It has
// no request and never comes to StepConsent, so no code can come of it.
type Flow struct {
	ID        string               `json:"id"`
	Visit     bool                 `json:"visit,omitzero"`
	Browser   Hash                 `json:"browser"`
	Step      Step                 `json:"step"`
	Request   AuthorizationRequest `json:"request"`
	SignIn    SignIn               `json:"sign_in,omitzero"`
	Exit      []byte               `json:"exit,omitzero"` // sealed URL the browser is sent to, in StepDecided
	CreatedAt time.Time            `json:"created_at"`
	ExpiresAt time.Time            `json:"expires_at"`
}

// Open reports whether the flow may still be acted on.
func (f *Flow) Open(now time.Time) bool {
	return f.Step != StepFinished && now.Before(f.ExpiresAt)
}

// SignedIn is the step after the sign-in.
func (f *Flow) SignedIn() Step {
	if f.Visit {
		return StepVisit
	}
	return StepConsent
}
