package federation

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Errors of a provider. The text behind them is for the log.
var (
	// ErrUnavailable: the provider gave no usable answer; trying again may help.
	ErrUnavailable = errors.New("the identity provider does not answer")
	// ErrRefused: what it answered must not be believed.
	ErrRefused = errors.New("the identity provider's answer is not good")
	// ErrWeak: the person has to sign in there in another way, or again.
	ErrWeak = errors.New("the sign-in at the identity provider was not strong enough")
	// ErrOver: the provider no longer takes the code or refresh token.
	ErrOver = errors.New("the identity provider says that it is over")
)

// DeniedError is the provider's own no, in its own words, which go to the log alone (FB-23).
type DeniedError struct{ Code, Description string }

// Error quotes the provider.
func (e *DeniedError) Error() string {
	return "the identity provider said " + Quoted(e.Code) + " " + Quoted(e.Description)
}

const maxQuoted = 200

// Quoted is foreign text for a log: cut, and on one line.
func Quoted(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return '?'
		}
		return r
	}, text)
}

// Trip is one way to a provider and back: what must come back with the answer, and what proves
// that the answer is ours to use.
type Trip struct {
	State, Nonce, Verifier secret.Token
	Hint                   string // whom to sign in, if the client said so
}

// Identity is who a provider says came.
type Identity struct {
	Issuer, Subject string
	SID             string           // the provider's id of its session, or ""
	Claims          admission.Claims // of ID token and userinfo
	Refresh         secret.Token     // zero when none was given
	IDToken         secret.Token
}

// SignOut is what a provider is asked when a person signs out of ours.
type SignOut struct {
	IDToken secret.Token // of the sign-in; zero when there was none
	Back    string       // where the browser comes back to
	State   string       // what it brings along
}

// Provider is an identity source the browser goes away to. Every error wraps one of this package's,
// is a *DeniedError, or is a fault of our own.
type Provider interface {
	// Depart returns the address the browser is sent to.
	Depart(ctx context.Context, trip Trip) (string, error)
	// Return redeems the answer the browser brought back.
	Return(ctx context.Context, trip Trip, answer url.Values) (Identity, error)
	// Renew asks with a refresh token for the claims of a person as they are now. The next refresh token
	// is there beside an error as well, if the provider gave one. Claims that are nil: the session stands,
	// and the provider says no more of it.
	Renew(ctx context.Context, refresh secret.Token, issuer, subject string) (Identity, error)
	// SignOut returns where the browser ends the person's session there and comes back to a page of ours,
	// or "" if the provider has no such page or it is not to be used.
	SignOut(ctx context.Context, out SignOut) (string, error)
	// LoggedOut checks a logout token and says what it is about.
	LoggedOut(ctx context.Context, token string) (Logout, error)
	// IsIssuer reports whether a value is the provider's issuer.
	IsIssuer(value string) bool
}

// Source is one provider as it is offered.
type Source struct {
	Name     string // in addresses and in the configuration
	Label    string // on buttons
	Provider Provider
	Policy   *admission.Policy
	Domains  []string // mailboxes of these sign in here and nowhere else (FB-29)
	ByCode   bool     // the person may prove their Trinity account by its e-mail code
	ByKey    bool     // or by pasting a key
}
