package flow

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// A person who proves with a form who they are, by a code, goes on with another cookie: whoever knew the
// one from before the sign-in is left with nothing (FB-03, GW-61). Browsers send a form twice when its
// button is pressed twice, and drop the first answer with its cookie. So the new one is made of the old
// one and of the code: the second form leads to the same one, and the old one alone to none.

// Successor is the cookie of a flow after the person has proved themselves, by the one this browser has.
// ErrOtherBrowser when it has none.
func (k *Keeper) Successor(r *http.Request, id, proof string) (secret.Token, error) {
	session, err := k.cookies.New(r, k.cookieName(id))
	if err != nil {
		return secret.Token{}, ErrOtherBrowser // a tampered cookie is no cookie
	}
	browser, _ := session.Values[browserValue].(string)
	if browser == "" {
		return secret.Token{}, ErrOtherBrowser
	}
	mac := hmac.New(sha256.New, k.ring.Derive("flow cookie successor"))
	_, _ = fmt.Fprintf(mac, "%s\x00%s\x00%s", id, browser, proof)
	return secret.New(base64.RawURLEncoding.EncodeToString(mac.Sum(nil))), nil
}

// Bind gives the browser the cookie that a flow was stored with.
func (k *Keeper) Bind(w http.ResponseWriter, r *http.Request, id string, browser secret.Token) error {
	return k.bind(w, r, k.tie(id, browser))
}

// Succeed gives the browser the successor of its cookie, if that is what the flow has now. It returns
// the flow, or ErrOtherBrowser.
func (k *Keeper) Succeed(w http.ResponseWriter, r *http.Request, id, proof string) (bridge.Flow, error) {
	successor, err := k.Successor(r, id, proof)
	if err != nil {
		return bridge.Flow{}, err
	}
	flow, err := k.find(r.Context(), id)
	if err != nil {
		return bridge.Flow{}, err
	}
	if successor.Hash() != flow.Browser {
		return bridge.Flow{}, ErrOtherBrowser
	}
	return flow, k.Bind(w, r, id, successor)
}
