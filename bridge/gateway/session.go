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
	opener, id, err := x.unseal(lines[0])
	if err == nil {
		err = x.checkOpener(opener)
	}
	if errors.Is(err, errNoSession) {
		no := noSession()
		no.outcome = "session_not_found"
		return no
	}
	if err != nil {
		return unavailable("The bridge cannot read its store at the moment", err)
	}
	x.session, x.sealed = id, lines[0]
	return nil
}

// principal is who a session belongs to. A wider grant of the same person to the same client goes on
// in the session that the narrower one began (decision 0008).
func principal(g *bridge.Grant, personID string) string {
	return strings.Join([]string{
		"grant", personID, g.ClientID, g.Resource, g.Account.Username, string(g.ActingAs.Kind), g.ActingAs.Agent,
	}, "\x00")
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

func (x *exchange) unseal(field string) (opener, id string, err error) {
	if len(field) > maxSessionField {
		return "", "", errNoSession
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(field)
	if err != nil {
		return "", "", errNoSession
	}
	plain, err := x.g.Ring.Open(sealKind, x.who.binding(), sealed)
	if err != nil {
		return "", "", errNoSession
	}
	opener, id, ok := strings.Cut(string(plain), "\n")
	if !ok {
		return "", "", errNoSession
	}
	return opener, id, nil
}

// sealSession is the id a client gets for one of the upstream's. The id it came with stays as it is.
func (x *exchange) sealSession(id string) (string, error) {
	if id == x.session {
		return x.sealed, nil
	}
	if len(id) > maxUpstreamSession || !visible(id) {
		return "", errors.New("the upstream's session id is too long or no visible ASCII")
	}
	plain := x.who.grant.ID + "\n" + id
	return base64.RawURLEncoding.EncodeToString(x.g.Ring.Seal(sealKind, x.who.binding(), []byte(plain))), nil
}
