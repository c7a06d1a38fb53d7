package gateway

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	sealKind        = "mcp session"
	maxSessionField = 640 // bytes of a sealed id
	// maxUpstreamSession is the longest id of the upstream whose sealed form fits.
	maxUpstreamSession = 320
)

var errNoSession = errors.New("the session id opens no session")

// openSession opens the session id that the client sent. What a client holds is the upstream's id
// sealed for its principal, so that it opens for nobody else (I8) and no table is needed. Any other
// value is an unknown session, for POST, GET and DELETE alike (RS-25, RS-54).
//
// initialize begins a session, so one named with it is not looked at; 2026-07-28 has none.
func (x *exchange) openSession() *refusal {
	lines := x.r.Header[headerSession]
	if len(lines) == 0 || x.modern() || x.initializes() {
		return nil
	}
	opened, err := x.unseal(lines[0])
	if err == nil {
		err = x.checkOpener(opened.opener)
	}
	if errors.Is(err, errNoSession) {
		no := noSession()
		no.outcome = "session_not_found"
		return no
	}
	if err != nil {
		return unavailable("The bridge cannot read its store at the moment", err)
	}
	x.session, x.sealed = opened.id, lines[:1:1]
	return nil
}

// principal is who a session belongs to. A wider grant of the same person to the same client goes on
// in the session that the narrower one began (decision 0008).
type principal struct {
	kind     string // "grant", or "key" with its hash as the id
	id       string // of the person
	client   string
	resource string
	username string
	acting   bridge.ActingAs
}

// principal is the caller's, which never has the token's bytes in it: a session outlives a refresh (RS-27).
func (x *exchange) principal() principal {
	if x.who.static {
		return principal{kind: "key", id: x.who.hash.String(), resource: x.at.resource.URL}
	}
	g := &x.who.grant
	return principal{
		kind: "grant", id: x.who.known.access.PersonID, client: g.ClientID, resource: g.Resource, username: g.Account.Username, acting: g.ActingAs,
	}
}

// String is what a session is sealed with.
func (p principal) String() string {
	if p.kind == "key" {
		return "key " + p.id + " " + p.resource
	}
	return strings.Join([]string{p.kind, p.id, p.client, p.resource, p.username, string(p.acting.Kind), p.acting.Agent}, "\x00")
}

// openedSession is a session id that was opened for a principal: opening it anew costs more than looking here.
type openedSession struct {
	field string // as the client sends it
	principal
	opener string // the grant that began it
	id     string // the upstream's
}

// checkOpener refuses a session whose grant has ended: some generations of the upstream go on calling
// with the key that opened it, and that key is dead.
func (x *exchange) checkOpener(grantID string) error {
	if x.who.static || grantID == x.who.grant.ID {
		return nil
	}
	opener, err := x.g.Grants.Grant(x.r.Context(), grantID)
	if errors.Is(err, bridge.ErrNotFound) || err == nil && !opener.Alive(x.g.Now()) {
		return errNoSession
	}
	return err
}

func (x *exchange) unseal(field string) (openedSession, error) {
	if len(field) > maxSessionField {
		return openedSession{}, errNoSession
	}
	owner := x.principal()
	if known := x.who.known; known != nil {
		if opened := known.session.Load(); opened != nil && opened.field == field && opened.principal == owner {
			return *opened, nil
		}
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(field)
	if err != nil {
		return openedSession{}, errNoSession
	}
	plain, err := x.g.Ring.Open(sealKind, owner.String(), sealed)
	if err != nil {
		return openedSession{}, errNoSession
	}
	opener, id, ok := strings.Cut(string(plain), "\n")
	if !ok {
		return openedSession{}, errNoSession
	}
	opened := openedSession{field: field, principal: owner, opener: opener, id: id}
	if x.who.known != nil {
		x.who.known.session.Store(&opened)
	}
	return opened, nil
}

// sealSession is the line with the id a client gets for one of the upstream's. The id it came with stays as it is.
func (x *exchange) sealSession(id string) ([]string, error) {
	if id == x.session {
		return x.sealed, nil
	}
	if len(id) > maxUpstreamSession || !visible(id) {
		return nil, errors.New("the upstream's session id is too long or no visible ASCII")
	}
	plain := x.who.grant.ID + "\n" + id
	return []string{base64.RawURLEncoding.EncodeToString(x.g.Ring.SealFresh(sealKind, x.principal().String(), []byte(plain)))}, nil
}
