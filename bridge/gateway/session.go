package gateway

import (
	"encoding/base64"
	"errors"
)

const (
	sealKind        = "mcp session"
	maxSessionField = 512 // bytes of a sealed id
	// maxUpstreamSession is the longest id of the upstream whose sealed form fits.
	maxUpstreamSession = 320
)

// openSession opens the session id that the client sent. What a client holds is the upstream's id
// sealed for its grant or key, so that it opens for nobody else (I8) and no table is needed. Any
// other value is an unknown session, for POST, GET and DELETE alike (RS-25, RS-54).
//
// initialize begins a session, so one named with it is not looked at; 2026-07-28 has none.
func (x *exchange) openSession() *refusal {
	lines := x.r.Header[headerSession]
	if len(lines) == 0 || x.modern() || x.initializes() {
		return nil
	}
	id, err := x.unseal(lines[0])
	if err != nil {
		no := noSession()
		no.outcome = "session_not_found"
		return no
	}
	x.session, x.sealed = id, lines[0]
	return nil
}

func (x *exchange) unseal(field string) (string, error) {
	if len(field) > maxSessionField {
		return "", errors.New("longer than any session id")
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(field)
	if err != nil {
		return "", err
	}
	id, err := x.g.Ring.Open(sealKind, x.who.binding, sealed)
	return string(id), err
}

// sealSession is the id a client gets for one of the upstream's. The id it came with stays as it is.
func (x *exchange) sealSession(id string) (string, error) {
	if id == x.session {
		return x.sealed, nil
	}
	if len(id) > maxUpstreamSession || !visible(id) {
		return "", errors.New("the upstream's session id is too long or no visible ASCII")
	}
	return base64.RawURLEncoding.EncodeToString(x.g.Ring.Seal(sealKind, x.who.binding, []byte(id))), nil
}
