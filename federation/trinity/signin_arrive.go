package trinity

import (
	"context"
	"errors"
	"net/http"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// arrive is where a person has signed in: the session's account must be the mailbox's, then the
// flow gets both and goes on to consent, past the recovery codes of a new second factor. Whatever fails, the session does not stay behind.
func (s *SignIn) arrive(w http.ResponseWriter, r *http.Request, c check, verified Verified) {
	session, ctx := verified.Session, context.WithoutCancel(r.Context())
	asking, cancel := flow.Asking(r.Context(), 0)
	defer cancel()
	account, err := s.api.Me(asking, session)
	if err != nil {
		s.logout(ctx, session)
		s.strange(w, r, c, err)
		return
	}
	if !sameMailbox(account.Username, c.current.SignIn.Mailbox) && !sameMailbox(account.Email, c.current.SignIn.Mailbox) {
		s.logout(ctx, session)
		s.otherAccount(w, r, c.current)
		return
	}
	if c.current.SignIn.Linking() {
		s.arriveLinking(w, r, c, account, verified)
		return
	}
	cookie, err := s.flows.Successor(r, c.current.ID, proof(r))
	if err != nil {
		s.logout(ctx, session)
		s.problem(w, r, err)
		return
	}
	person := bridge.Person{Source: bridge.SourceTrinity, Subject: account.Username}
	moved, err := s.advance(ctx, c.current.ID, []bridge.Step{c.current.Step}, func(f *bridge.Flow) error {
		if f.SignIn.Mailbox != c.current.SignIn.Mailbox {
			return errMoved
		}
		f.Step, f.Browser = f.SignedIn(), cookie.Hash()
		f.SignIn.Session = s.ring.SealToken(sealSession, f.ID, session)
		f.SignIn.Challenge, f.SignIn.Enrolment, f.SignIn.Tries = nil, nil, 0
		if len(verified.Recovery) > 0 {
			f.Step, f.SignIn.Recovery = bridge.StepRecovery, s.sealCodes(f.ID, verified.Recovery)
		}
		f.SignIn.Person, f.SignIn.Account, f.SignIn.At = person, account, s.now()
		return nil
	})
	if err == nil {
		err = s.flows.Bind(w, r, moved.ID, cookie)
	}
	if err != nil {
		s.logout(ctx, session)
		s.stopped(w, r, moved, err)
		return
	}
	s.trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.SignedIn, ClientID: moved.Request.ClientID, PersonID: person.ID(), Outcome: "ok",
	})
	s.onward(w, r, moved)
}

// strange answers when the code was good but the session is not: Trinity does not take it
// (suspended account), or did not say whose it is. The code is used either way.
func (s *SignIn) strange(w http.ResponseWriter, r *http.Request, c check, err error) {
	s.log.WarnContext(r.Context(), "Trinity did not say who signed in", "request_id", audit.RequestID(r.Context()), "error", err)
	if errors.Is(err, ErrUnauthorized) {
		s.refused(w, r, c, outcomeOf(err))
		return
	}
	s.failed(r.Context(), c.current, outcomeOf(err))
	s.page(w, r, http.StatusServiceUnavailable, c.current, c.down)
}

// otherAccount refuses a session for somebody else than the mailbox (OT-09). It should never
// happen and somebody should look.
func (s *SignIn) otherAccount(w http.ResponseWriter, r *http.Request, current bridge.Flow) {
	s.log.ErrorContext(r.Context(), "Trinity signed in another account than the mailbox asked for: signed out again",
		"request_id", audit.RequestID(r.Context()))
	s.failed(r.Context(), current, "account_mismatch")
	restarted, err := s.restart(r.Context(), current)
	if err != nil {
		s.stopped(w, r, restarted, err)
		return
	}
	s.dead(w, r, http.StatusForbidden, "account-mismatch", restarted)
}

// restart takes the flow back to the mailbox and forgets everything but it.
func (s *SignIn) restart(ctx context.Context, current bridge.Flow) (bridge.Flow, error) {
	return s.advance(context.WithoutCancel(ctx), current.ID, []bridge.Step{current.Step}, func(f *bridge.Flow) error {
		f.Step, f.SignIn = beginning(f.SignIn)
		return nil
	})
}

// logout ends a session behind the page that is answered: nobody waits for it.
func (s *SignIn) logout(ctx context.Context, session secret.Token) {
	s.asking.Go(func() {
		if err := s.api.Logout(ctx, session); err != nil {
			s.log.WarnContext(ctx, "a Trinity session could not be logged out and ends by itself within 7 days",
				"request_id", audit.RequestID(ctx), "error", err)
		}
	})
}
