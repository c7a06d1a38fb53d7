package trinity

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"unicode/utf8"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/templates"
)

// Notices of the mailbox page.
const (
	noticeMailboxInvalid = "email.invalid"
	noticeMailboxDown    = "email.trinity_down"
)

// beforeCode are the steps in which a mailbox may be named: also again, for another code or
// another mailbox, and instead of another way to sign in.
func beforeCode() []bridge.Step {
	return []bridge.Step{bridge.StepChoose, bridge.StepAway, bridge.StepLink, bridge.StepSignIn, bridge.StepCode}
}

func (s *SignIn) showMailbox(w http.ResponseWriter, r *http.Request) {
	current, err := s.flows.Current(r)
	switch {
	case err != nil:
		s.problem(w, r, err)
	case !slices.Contains(beforeCode(), current.Step), current.SignIn.Linking() && !flow.Instead(r):
		s.onward(w, r, current)
	case !s.sources.OffersCode():
		current.Step = bridge.StepChoose
		s.onward(w, r, current)
	default:
		notice := ""
		if current.SignIn.SendFailed {
			notice = noticeMailboxDown
		}
		prefill := current.SignIn.Mailbox
		if prefill == "" {
			prefill, _ = canonicalMailbox(current.Request.LoginHint)
		}
		s.mailboxPage(w, r, http.StatusOK, current, prefill, notice)
	}
}

func (s *SignIn) mailboxPage(w http.ResponseWriter, r *http.Request, status int, current bridge.Flow, prefill, notice string) {
	page := templates.SignInPage{
		Flow: current.ID, Ticket: s.flows.Ticket(current),
		Client: s.clients.Describe(r.Context(), current.Request), Email: prefill, Notice: notice,
	}
	if s.sources.Chooses() {
		current.Step = bridge.StepChoose
		page.ChooseURL = flow.URL(current)
	}
	s.pages.Write(w, status, page)
}

// takeMailbox takes the address a code shall go to. Whatever the address, the answer is the same
// and takes the same time: Trinity is asked behind it (OT-01, OT-02).
func (s *SignIn) takeMailbox(w http.ResponseWriter, r *http.Request) {
	current, err := s.flows.Posted(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	if !slices.Contains(beforeCode(), current.Step) {
		s.onward(w, r, current)
		return
	}
	if !s.sources.OffersCode() {
		current.Step = bridge.StepChoose
		s.pages.Write(w, http.StatusForbidden, templates.ProblemPage{
			Status: http.StatusForbidden, Key: "email-off", Reference: audit.RequestID(r.Context()), RetryURL: flow.URL(current),
		})
		return
	}
	typed := r.PostForm["email"]
	if len(typed) != 1 {
		s.mailboxPage(w, r, http.StatusBadRequest, current, "", noticeMailboxInvalid)
		return
	}
	mailbox, ok := canonicalMailbox(typed[0])
	if !ok {
		s.mailboxPage(w, r, http.StatusBadRequest, current, shown(typed[0]), noticeMailboxInvalid)
		return
	}
	if bound, ok := s.sources.Elsewhere(mailbox); ok {
		s.failed(r.Context(), current, "domain_bound")
		s.pages.Write(w, http.StatusForbidden, templates.BoundPage{
			Source: bound.Label, URL: flow.LeaveURL(current, bound.Name), Back: flow.URL(bridge.Flow{ID: current.ID, Step: bridge.StepSignIn}),
		})
		return
	}
	s.askForCode(w, r, current, mailbox, false)
}

// askForCode has a code sent that signs a person in, or that proves the account of one a provider has
// signed in.
func (s *SignIn) askForCode(w http.ResponseWriter, r *http.Request, current bridge.Flow, mailbox string, forLink bool) {
	from := clientAddr(r)
	limited, err := s.limits.sendCode(r.Context(), mailbox, from)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	current, err = s.advance(r.Context(), current.ID, beforeCode(), func(f *bridge.Flow) error {
		switch {
		case forLink && (!f.SignIn.Linking() || f.SignIn.Mailbox != mailbox):
			return errMoved
		case !forLink && (f.SignIn.Mailbox != mailbox || f.SignIn.Source != ""):
			f.SignIn = bridge.SignIn{Mailbox: mailbox} // what another mailbox or source earned is gone (OT-08)
		}
		f.Step = bridge.StepCode
		// A mailbox over its limit looks as if a code had been sent; the other limits are nobody's secret.
		f.SignIn.SendFailed = limited == overNetwork || limited == overAll
		if limited == "" {
			f.SignIn.CodeSentAt, f.SignIn.Tries = s.now(), 0
		}
		return nil
	})
	if err != nil {
		s.stopped(w, r, current, err)
		return
	}
	answered := make(chan error, 1)
	if limited == "" {
		// The question outlives the request: whoever closes the page must not learn less than others.
		ctx := context.WithoutCancel(r.Context())
		s.asking.Go(func() { answered <- s.requestCode(ctx, current, from) })
	} else {
		s.codeRequested(r.Context(), current, string(limited))
	}
	s.pause(r.Context())
	select {
	case err = <-answered:
	default:
	}
	switch {
	case errors.Is(err, ErrSetupRequired):
		s.dead(w, r, http.StatusServiceUnavailable, "trinity-setup", current)
	case errors.Is(err, ErrEmailDisabled):
		s.dead(w, r, http.StatusServiceUnavailable, "email-disabled", current)
	default:
		s.onward(w, r, current)
	}
}

// requestCode asks Trinity, and notes in the flow when Trinity could not be asked.
func (s *SignIn) requestCode(ctx context.Context, current bridge.Flow, from netip.Addr) error {
	err := s.api.RequestCode(ctx, current.SignIn.Mailbox, from)
	s.codeRequested(ctx, current, outcomeOf(err))
	if err == nil {
		return nil
	}
	s.log.WarnContext(ctx, "Trinity was not asked for a code", "request_id", audit.RequestID(ctx), "error", err)
	if !s.tellable(ctx, err) {
		return err
	}
	_, stored := s.advance(ctx, current.ID, []bridge.Step{bridge.StepCode}, func(f *bridge.Flow) error {
		if f.SignIn.CodeSentAt.Equal(current.SignIn.CodeSentAt) { // else a newer one is on its way
			f.SignIn.SendFailed = true
		}
		return nil
	})
	if stored != nil && !errors.Is(stored, errMoved) {
		s.log.WarnContext(ctx, "a code that was not sent could not be noted", "request_id", audit.RequestID(ctx), "error", stored)
	}
	return err
}

func (s *SignIn) codeRequested(ctx context.Context, current bridge.Flow, outcome string) {
	s.trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.CodeRequested, ClientID: current.Request.ClientID, Outcome: outcome,
	})
}

// tellable reports whether a failure would have been the same for every address, so that it may be
// told: Trinity must fail a question about nobody as well. Its 429, and errors on the way to the
// mail, come in old builds only for addresses it knows (OT-02).
func (s *SignIn) tellable(ctx context.Context, err error) bool {
	var locked *LockedOutError
	switch {
	case errors.As(err, &locked):
		return false
	case errors.Is(err, ErrSetupRequired), errors.Is(err, ErrEmailDisabled):
		return true
	}
	return s.api.Ping(ctx) != nil
}

// outcomeOf names what the API answered in the audit trail; "" for an error that is not of its making.
func outcomeOf(err error) string {
	var locked *LockedOutError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &locked):
		return "trinity_locked"
	case errors.Is(err, ErrWrongCode):
		return "wrong_code"
	case errors.Is(err, ErrSetupRequired):
		return "trinity_setup_required"
	case errors.Is(err, ErrEmailDisabled):
		return "trinity_email_disabled"
	case errors.Is(err, ErrNoSecondFactor):
		return "second_factor_missing"
	case errors.Is(err, ErrUnauthorized):
		return "account_refused"
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrForbidden):
		return "trinity_unavailable"
	}
	return ""
}

// shown is what is put back into the field of an address that was no good.
func shown(typed string) string {
	if len(typed) > maxMailboxBytes || !utf8.ValidString(typed) {
		return ""
	}
	return typed
}
