package gateway

import (
	"errors"
	"net/http"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// caller is who a request acts as: a grant with what its token allows, or whoever holds a static key.
type caller struct {
	admitted bool
	static   bool
	grant    bridge.Grant
	known    *verified     // what the token says; nil for a static key
	scopes   bridge.Scopes // what token and grant both allow
	key      *upstreamKey
	hash     bridge.Hash // of a static key
	watch    *watch      // where changes of the grant are told; nil for a static key
	changes  uint64      // how many were told there before the grant was read
	// refund gives back the guess that a key nobody has vouched for was counted as; nil when none was.
	refund func()
}

// release settles the guess unless the key turned out bad.
func (c *caller) release() {
	if c.refund != nil {
		c.refund()
		c.refund = nil
	}
}

// identify finds out who calls. There is no way past it for any method, body, header or version.
func (x *exchange) identify() *refusal {
	presented, proven, no := x.at.credential(x.r.Header)
	switch {
	case no != nil:
		return no
	case presented.IsZero():
		return x.at.unauthenticated()
	case isStaticKey(presented) && !proven: // Trinity's keys know no proofs
		no = x.identifyKey(presented)
	default:
		no = x.identifyToken(presented, proven)
	}
	x.who.admitted = no == nil
	return no
}

// identifyKey takes a static key for what Trinity says it is worth: asked when the key is new here
// and again every minute of its use, for some generations of the upstream do not look at the key of
// a request inside a session. A key that was just refused is refused again without asking, and so
// are guesses from a network that made too many of them (ST-03).
//
// While Trinity cannot say, the key goes on: the upstream judges it, and what it refuses is refused.
func (x *exchange) identifyKey(presented secret.Token) *refusal {
	g := x.g
	if g.StaticKeysOff {
		return x.at.invalidToken("static_keys_off", "")
	}
	hash := presented.Hash()
	x.who = caller{static: true, key: newUpstreamKey(presented, nil), hash: hash}
	now := g.Now()
	if g.guesses.isBad(hash, now) {
		return x.at.invalidToken("key_refused", "refused a moment ago")
	}
	known, fresh := g.guesses.isGood(hash, now)
	if fresh {
		return nil
	}
	if !known {
		refund, ok := g.guesses.take(networkOf(x.r.RemoteAddr), now)
		if !ok {
			return &refusal{
				status: http.StatusTooManyRequests, code: jsonrpc.CodeServer, message: "Too many keys from your network were refused",
				retry: guessWindow, outcome: "key_limited",
			}
		}
		x.who.refund = refund
	}
	standing := g.Credentials.StandingOfKey(x.r.Context(), presented)
	if standing.Ends() != "" {
		return x.refuseKey()
	}
	if standing == bridge.StandingGood {
		g.guesses.accepted(hash, now)
	}
	return nil
}

func (x *exchange) refuseKey() *refusal {
	x.who.refund = nil // the guess counts
	x.g.guesses.refused(x.who.key.token.Hash(), x.g.Now())
	return x.at.invalidToken("key_refused", "")
}

// identifyToken checks an access token, the grant it stands for and, where one belongs to it, the proof
// that came along.
func (x *exchange) identifyToken(presented secret.Token, proven bool) *refusal {
	g := x.g
	now := g.Now()
	known, err := g.tokens.check(g.Tokens, presented, x.at.resource.URL, now)
	if refused := bridge.AsError(err); refused != nil {
		detail := ""
		if refused.Cause != nil {
			detail = refused.Cause.Error()
		}
		return x.at.invalidToken("invalid_token", detail)
	}
	if err != nil {
		return unavailable("The bridge cannot check access tokens at the moment", err)
	}
	access := &known.access
	watch := g.watches.of(access.GrantID)
	changes := watch.changes.Load()
	grant, err := g.Grants.Grant(x.r.Context(), access.GrantID)
	if errors.Is(err, bridge.ErrNotFound) {
		return x.at.invalidToken("invalid_token", "the grant is gone")
	}
	if err != nil {
		return unavailable("The bridge cannot read its store at the moment", err)
	}
	x.who = caller{
		grant: grant, known: known, scopes: access.Scopes.Intersect(grant.Scopes), watch: watch, changes: changes,
	}
	if why := grant.Mismatch(known.use(), now); why != "" {
		return x.at.invalidToken("invalid_token", why)
	}
	known.fits(&grant)
	if g.Barred != nil && g.Barred(grant.ClientID) {
		return x.at.invalidToken("client_barred", "")
	}
	if proven || g.ProofsRequired || !access.ProofKey.IsZero() {
		if no := x.checkProof(presented, *access, proven); no != nil {
			return no
		}
	}
	if x.who.key, err = g.keys.openFor(known, g.Credentials, grant); err != nil {
		if errors.Is(err, bridge.ErrNotFound) {
			return x.heed(bridge.StandingWithdrawn)
		}
		return unavailable("The bridge cannot open the key of this connection", err)
	}
	if !x.who.key.mayCall(now) {
		return &refusal{
			status: http.StatusTooManyRequests, code: jsonrpc.CodeServer, message: "Too many calls at once",
			retry: time.Second, outcome: "calls_limited",
		}
	}
	return x.checkStanding()
}
