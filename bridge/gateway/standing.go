package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
)

const (
	// wordGood is how long it is enough that all was as a grant says. For another wordGood it is asked
	// anew behind a call, which nobody notices; after that a call waits for the answer. So somebody who
	// may no longer come in is out within two minutes of use, or at once after a pause.
	wordGood = time.Minute
	// wordUnknown is how long nobody is asked again when there was no answer: a call in a row must not
	// wait each time for somebody who does not answer.
	wordUnknown = 15 * time.Second
	// wordStream is how often it is asked for a caller that only listens.
	wordStream = 5 * time.Minute
)

// word is what was last said of a grant.
type word struct {
	standing bridge.Standing
	at       time.Time
}

func (w *word) freshFor() time.Duration {
	if w.standing == bridge.StandingGood {
		return wordGood
	}
	return wordUnknown
}

// checkStanding asks whether all is still as the grant says, where the last answer is no longer fresh
// (TK-21): on most calls it is a look at the clock.
func (x *exchange) checkStanding() *refusal {
	last := x.who.key.word.Load()
	if last == nil {
		return x.awaitStanding()
	}
	switch age := x.g.Now().Sub(last.at); {
	case age < 0 || age >= 2*wordGood:
		return x.awaitStanding()
	case age >= last.freshFor():
		x.g.askBehind(x.r.Context(), x.who.grant, x.who.key)
	}
	return x.heed(last.standing)
}

// awaitStanding asks before the call goes on, and looks at the grant again: it may be narrower now.
func (x *exchange) awaitStanding() *refusal {
	if no := x.heed(x.g.ask(x.r.Context(), x.who.grant, x.who.key)); no != nil {
		return no
	}
	grant, err := x.g.Grants.Grant(x.r.Context(), x.who.grant.ID)
	if err != nil {
		return unavailable("The bridge cannot read its store at the moment", err)
	}
	if why := grant.Mismatch(x.who.known.use(), x.g.Now()); why != "" {
		return x.at.invalidToken("invalid_token", why)
	}
	x.who.grant, x.who.scopes = grant, x.who.known.access.Scopes.Intersect(grant.Scopes)
	return nil
}

// heed is what a standing means for the call at hand.
func (x *exchange) heed(standing bridge.Standing) *refusal {
	if standing == bridge.StandingOverdue {
		return unavailable("Trinity has not said for too long whether this connection is good", nil)
	}
	reason := standing.Ends()
	if reason == "" {
		return nil
	}
	ctx, cancel := x.afterwards()
	defer cancel()
	if err := x.g.end(ctx, x.who.grant, reason); err != nil {
		return unavailable("The bridge cannot write to its store at the moment", err)
	}
	return x.at.invalidToken(string(reason), "")
}

// ask asks and remembers the answer.
func (g *Gateway) ask(ctx context.Context, grant bridge.Grant, key *upstreamKey) bridge.Standing {
	standing := g.Credentials.Standing(ctx, grant)
	if ctx.Err() == nil { // who left has no answer, and nobody's silence is to blame
		key.word.Store(&word{standing: standing, at: g.Now()})
	}
	return standing
}

// askBehind asks while the call goes on, once at a time for a grant. A bad answer ends the grant.
func (g *Gateway) askBehind(ctx context.Context, grant bridge.Grant, key *upstreamKey) {
	if !key.asking.CompareAndSwap(false, true) {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g.asking.Go(func() {
		defer key.asking.Store(false)
		defer cancel()
		forget := context.AfterFunc(g.life, cancel) //nolint:contextcheck // the gateway's life ends it, not a request
		defer forget()
		reason := g.ask(ctx, grant, key).Ends()
		if reason == "" {
			return
		}
		if err := g.end(ctx, grant, reason); err != nil && !errors.Is(err, context.Canceled) {
			g.Log.ErrorContext(ctx, "a grant that must end could not be ended: its calls are refused here",
				"request_id", audit.RequestID(ctx), "grant_id", grant.ID, "reason", string(reason), "error", err)
		}
	})
}

// askForStream is askBehind for a stream, which is use only now and then.
func (x *exchange) askForStream() {
	last := x.who.key.word.Load()
	if last == nil || x.g.Now().Sub(last.at) >= wordStream {
		x.g.askBehind(x.r.Context(), x.who.grant, x.who.key)
	}
}

// end ends a grant and tells the audit trail why.
func (g *Gateway) end(ctx context.Context, grant bridge.Grant, reason bridge.EndReason) error {
	_, ended, err := g.Grants.EndGrant(ctx, grant.ID, reason, g.Now())
	if err != nil || !ended {
		return err
	}
	g.Trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.GrantEnded, PersonID: grant.Person.ID(), ClientID: grant.ClientID, GrantID: grant.ID, Outcome: string(reason),
	})
	if g.Ended != nil {
		g.Ended()
	}
	return nil
}
