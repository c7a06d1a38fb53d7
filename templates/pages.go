package templates

import "time"

// Client is what a page says about the software that asks.
type Client struct {
	Visit        bool   // nobody asks: the person comes to see their own connections
	Name         string // cleaned, cut; "" when it gave none
	Verified     bool   // named by the operator, not by itself
	RedirectHost string // host[:port] the answer goes to; shown in ASCII form
	DocumentHost string // host[:port] that describes it, proven; "" where nobody does
	Loopback     bool   // the answer goes to a program on the person's own computer
	Website      string // linked only where it is https and on one of the two hosts; "" for none
}

// ChoosePage asks how to sign in.
type ChoosePage struct {
	Flow     string
	Client   Client
	Sources  []SourceChoice
	EmailURL string // same-origin, or "" where Trinity's e-mail code is not offered
}

// SourceChoice is one identity source on the page.
type SourceChoice struct {
	Label string
	URL   string // same-origin
}

func (p ChoosePage) urls() []string {
	var all []string
	for _, source := range p.Sources {
		all = append(all, source.URL)
	}
	return all
}

// LinkPage asks a person whom a provider has signed in to prove their Trinity account, once.
type LinkPage struct {
	Flow, Ticket string
	Client       Client
	Source       string // its label
	Mailbox      string // where a code would go; "" where no code is offered
	ByKey        bool   // a key may be pasted
	ChooseURL    string // same-origin: back to the choice
	Notice       string
}

// BoundPage says that an address signs in at a source, and leads there.
type BoundPage struct {
	Source string // its label
	URL    string // same-origin
	Back   string // same-origin
}

// SourceProblemPage says that signing in at a source led to nothing. Title and text are messages
// problem.<Key>.title and .text; the flow is kept.
type SourceProblemPage struct {
	Key       string
	Source    string // its label
	Reference string
	Subject   string // what the operator has to be told to help, or ""
	RetryURL  string // same-origin
	ReturnURL string // the client's redirect URI with an error
}

// SignInPage asks for a mailbox.
type SignInPage struct {
	Flow, Ticket string
	Client       Client
	Email        string // what to prefill
	Notice       string // message key of what went wrong, or ""
	ChooseURL    string // same-origin, or "" where there is nothing to choose
}

// CodePage asks for the code that was sent.
type CodePage struct {
	Flow, Ticket string
	Client       Client
	Mailbox      string
	Notice       string
	Linking      bool // the mailbox is a provider's word: another cannot be named
}

// SecondFactorPage asks for Trinity's second factor.
type SecondFactorPage struct {
	Flow, Ticket string
	Client       Client
	Notice       string
}

// EnrolPage sets up the second factor that Trinity demands of somebody who has none.
type EnrolPage struct {
	Flow, Ticket string
	Client       Client
	Secret       string // in groups, to be typed
	URI          string // otpauth://…, shown as a QR code and linked for whoever holds the phone
	Notice       string
}

// RecoveryPage shows the recovery codes of a new second factor until the person has kept them.
type RecoveryPage struct {
	Flow, Ticket string
	Client       Client
	Codes        []string
}

// ScopeChoice is one permission on the consent page.
type ScopeChoice struct {
	Scope   string // "trinity:read"; its words are messages scope.<scope>.title and .text
	Fixed   bool   // always part of the grant: shown, not asked
	Ticked  bool
	New     bool // not part of what the person allowed this client before
	Warning bool // deleting, secrets, settings
}

// ActingChoice is what the person may be in the new connection.
type ActingChoice struct {
	Value   string // of the field
	Kind    string // "user", "agent" or "system"; its words are messages acting.<kind>.title and .text
	Agent   string
	Ticked  bool
	Warning bool
}

// ConsentPage asks for the decision.
type ConsentPage struct {
	Flow, Ticket string
	Client       Client
	Account      string // Trinity username
	Email        string
	Role         string
	Source       string         // the label of the identity source, or "" for Trinity's e-mail code
	ActAs        []ActingChoice // empty where there is nothing to choose
	Resource     string
	Profile      string // the tool set; "" for all
	ProfileTitle string // the operator's words for it, which come first; ""
	Scopes       []ScopeChoice
	KeyName      string // the Trinity key that will stand for this connection
	IdleDays     int    // the connection ends when unused for so long; 0: it ends with its first token
	MaxDays      int
	AllowedOn    string // date of the earlier yes, "2026-11-23", or ""
	Changed      bool   // since then the client says something else of itself
	Notice       string
}

// OnwardPage sends the browser to the client: the same-origin page after a decision. Whether it
// speaks of a yes or a no follows from the URL.
type OnwardPage struct {
	URL    string // the client's redirect URI with the answer: https, or http to loopback
	Client Client
}

// ReturnPage tells of a request that cannot be served and offers the way back to an unverified
// client instead of bouncing there by itself (AS-048).
type ReturnPage struct {
	URL    string
	Client Client
	Reason string // OAuth error code; its words are messages error.<code>
}

// ProblemPage says what went wrong and what to do. Title and text are messages problem.<Key>.title
// and .text.
type ProblemPage struct {
	Status    int // what the caller hands to Write
	Key       string
	Host      string // host[:port] it is about, or ""
	Reference string // request id
	RetryURL  string // same-origin, or ""
}

// DoorPage is the page of connections for whoever has not signed in to it.
type DoorPage struct {
	Over bool // the time of a visit is up
}

// ConnectionsPage is where people see what they have connected and end it.
type ConnectionsPage struct {
	Ticket  string
	Account string // Trinity username, or "" where none is known
	Email   string
	Source  string // the label of the identity source, or "" for Trinity's e-mail code
	Linked  bool   // the source's person is linked to the Trinity account
	Apps    []Connection
	Later   string // same-origin: back to the newest, or ""
	Earlier string // same-origin: the page after this, or ""
	Done    string // what was just done, or "": message connections.done.<Done>
	There   bool   // signing out goes on to the source
	Minutes int    // that a visit lasts
}

// Connection is one live connection of the person.
type Connection struct {
	ID           string
	Client       Client
	Resource     string
	Profile      string // the tool set; "" for all
	ProfileTitle string // the operator's words for it, which come first; ""
	Scopes       []string
	Acting       string // "user", "agent" or "system"
	Agent        string
	Account      string    // Trinity username
	Managed      bool      // nobody was asked: an identity provider's word made it
	Since        time.Time // UTC
	Used         time.Time // zero: not yet
}

// SignedOutPage says that a visit is over. With a URL it sends the browser on to sign out at the source,
// too.
type SignedOutPage struct {
	Source string // its label, or ""
	URL    string // the provider's, or ""
	Failed bool   // the provider could not be asked where that is
	Both   bool   // the browser comes back from there
}

// Ways are how people sign in.
type Ways struct {
	Code   bool   // with a code by e-mail
	Only   string // the label of a provider, where it is the one way
	Choice bool   // there are several
}

// HomePage is served at / of the public URL.
type HomePage struct {
	Ways

	Connector string
}

// HelpPage is "Add your Trinity instance to Claude".
type HelpPage struct {
	Ways

	Connector string
}

// PrivacyPage tells what the bridge keeps.
type PrivacyPage struct {
	IdleDays, MaxDays, AuditDays int
	Sources                      bool // people may sign in at a company's provider
}
