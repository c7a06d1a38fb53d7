package trinity

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
)

// Notices of the code page. The second-factor page shares the two about waiting.
const (
	noticeCodeMalformed  = "code.malformed"
	noticeCodeWrong      = "code.wrong"
	noticeCodeSpent      = "code.spent"
	noticeCodeSendFailed = "code.send_failed"
	noticeCodeLocked     = "code.locked"
	noticeCodeTooMany    = "code.too_many"
	noticeCodeDown       = "code.trinity_down"
)

// maxCheckWait is how long a check waits for others to finish. What is left of a page's time is for
// the check itself.
const maxCheckWait = 4 * time.Second

var sixDigits = regexp.MustCompile(`^[0-9]{6}$`)

func (s *SignIn) showCode(w http.ResponseWriter, r *http.Request) {
	current, err := s.flows.Current(r)
	switch {
	case err != nil:
		s.problem(w, r, err)
	case current.Step != bridge.StepCode:
		s.onward(w, r, current)
	case current.SignIn.SendFailed:
		s.page(w, r, http.StatusOK, current, noticeCodeSendFailed)
	default:
		s.page(w, r, http.StatusOK, current, "")
	}
}

// takeCode takes the code of the mailbox the flow holds; no form field names a mailbox (OT-08).
func (s *SignIn) takeCode(w http.ResponseWriter, r *http.Request) {
	current, ok := s.posted(w, r, bridge.StepCode)
	if !ok {
		return
	}
	code, ok := oneCode(r.PostForm["code"])
	if !ok || !sixDigits.MatchString(code) {
		s.page(w, r, http.StatusBadRequest, current, noticeCodeMalformed)
		return
	}
	s.check(w, r, check{
		current: current, wrong: noticeCodeWrong, spent: noticeCodeSpent, down: noticeCodeDown,
		ask: func(ctx context.Context, current bridge.Flow) (Verified, error) {
			if current.SignIn.CodeSentAt.IsZero() {
				// Nothing was sent for this flow (the mailbox is over its limit): a code that came
				// for another flow does not open this one (OT-07).
				return Verified{}, ErrWrongCode
			}
			return s.api.VerifyCode(ctx, current.SignIn.Mailbox, code, clientAddr(r))
		},
	})
}

// posted returns the flow of a form with a code that is at this step, or answers in its place. A form that was sent twice comes
// the second time from a browser that was given its next cookie meanwhile, and may not know. Guesses at the
// code in there are limited as those that Trinity checks are.
func (s *SignIn) posted(w http.ResponseWriter, r *http.Request, step bridge.Step) (bridge.Flow, bool) {
	current, err := s.flows.Posted(w, r)
	if err == nil && current.Step != step {
		s.onward(w, r, current)
		return bridge.Flow{}, false
	}
	if err == nil {
		return current, true
	}
	id, ctx, from := r.PostForm.Get("flow"), context.WithoutCancel(r.Context()), clientAddr(r)
	if _, known := s.flows.Successor(r, id, ""); known == nil && errors.Is(err, flow.ErrOtherBrowser) {
		if limited := s.limits.mayCheck(ctx, from); limited == nil {
			if moved, again := s.flows.Succeed(w, r, id, proof(r)); again == nil {
				s.onward(w, r, moved)
				return bridge.Flow{}, false
			}
			if uncounted := s.limits.failed(ctx, from); uncounted != nil {
				err = uncounted
			}
		}
	}
	s.problem(w, r, err)
	return bridge.Flow{}, false
}

// proof is the code of a form as it makes a flow's next cookie.
func proof(r *http.Request) string {
	code, _ := oneCode(r.PostForm["code"])
	return code
}

// follow sends a browser to where its flow has moved meanwhile, with the cookie that it needs there.
func (s *SignIn) follow(w http.ResponseWriter, r *http.Request, current bridge.Flow) {
	_, _ = s.flows.Succeed(w, r, current.ID, proof(r)) // else it has the right one, or none
	s.onward(w, r, current)
}

// check is one try at a code or second factor, with the notices of its page.
type check struct {
	current            bridge.Flow
	wrong, spent, down string
	ask                func(ctx context.Context, current bridge.Flow) (Verified, error)
}

// check makes the try and moves the flow, or shows the page again, by what came of it.
func (s *SignIn) check(w http.ResponseWriter, r *http.Request, c check) {
	reserved, verified, err := s.try(r.Context(), clientAddr(r), c)
	var tooMany *tooManyError
	switch {
	case err == nil && !verified.Session.IsZero():
		s.arrive(w, r, c, verified)
	case err == nil:
		s.challenge(w, r, c.current, verified)
	case errors.Is(err, errMoved):
		s.follow(w, r, reserved)
	case errors.Is(err, errSpent):
		s.failed(r.Context(), c.current, "code_spent")
		s.used(w, r, c)
	case errors.As(err, &tooMany):
		s.failed(r.Context(), c.current, "too_many_failures")
		s.later(w, r, c.current, noticeCodeTooMany, tooMany.wait)
	case errors.Is(err, ErrWrongCode):
		s.refused(w, r, c, "wrong_code")
	default:
		s.unanswered(w, r, c, err)
	}
}

// try lets one try through to Trinity if every limit allows it. It is finished even if the browser
// goes away: a code is good once, and a session that nobody stored must be logged out.
func (s *SignIn) try(ctx context.Context, from netip.Addr, c check) (bridge.Flow, Verified, error) {
	waiting, cancel := context.WithTimeout(ctx, maxCheckWait)
	defer cancel()
	release, err := s.limits.begin(waiting)
	if err != nil {
		return c.current, Verified{}, err
	}
	defer release()
	asking, cancel := flow.Asking(ctx, 0)
	defer cancel()
	ctx = context.WithoutCancel(ctx)
	if err := s.limits.mayCheck(ctx, from); err != nil {
		return c.current, Verified{}, err
	}
	reserved, err := s.reserve(ctx, c.current)
	if err != nil {
		return reserved, Verified{}, err
	}
	verified, err := c.ask(asking, reserved)
	switch {
	case errors.Is(err, ErrWrongCode):
		if uncounted := s.limits.failed(ctx, from); uncounted != nil {
			err = uncounted
		}
	case err != nil:
		s.giveBack(ctx, reserved)
	}
	return reserved, verified, err
}

var errSpent = errors.New("no tries are left for this code")

// reserve takes one of the tries of the newest code before Trinity is asked, so that tries at the
// same moment cannot be more than there are (OT-06).
func (s *SignIn) reserve(ctx context.Context, current bridge.Flow) (bridge.Flow, error) {
	return s.advance(ctx, current.ID, []bridge.Step{current.Step}, func(f *bridge.Flow) error {
		if f.SignIn.Mailbox != current.SignIn.Mailbox {
			return errMoved
		}
		if f.SignIn.Tries >= maxTries {
			return errSpent
		}
		f.SignIn.Tries++
		return nil
	})
}

// giveBack returns a try that Trinity did not judge.
func (s *SignIn) giveBack(ctx context.Context, current bridge.Flow) {
	_, err := s.advance(ctx, current.ID, []bridge.Step{current.Step}, func(f *bridge.Flow) error {
		if f.SignIn.CodeSentAt.Equal(current.SignIn.CodeSentAt) && f.SignIn.Tries > 0 {
			f.SignIn.Tries--
		}
		return nil
	})
	if err != nil && !errors.Is(err, errMoved) {
		s.log.WarnContext(ctx, "a try could not be given back", "request_id", audit.RequestID(ctx), "error", err)
	}
}

// refused answers a wrong code. Of a form sent twice the second one is wrong, for the code is
// used: then the flow has moved on and so does the browser.
func (s *SignIn) refused(w http.ResponseWriter, r *http.Request, c check, outcome string) {
	s.failed(r.Context(), c.current, outcome)
	current, err := s.advance(context.WithoutCancel(r.Context()), c.current.ID, []bridge.Step{c.current.Step},
		func(*bridge.Flow) error { return nil })
	switch {
	case errors.Is(err, errMoved):
		s.follow(w, r, current)
	case err != nil:
		s.problem(w, r, err)
	case current.SignIn.Tries >= maxTries:
		s.used(w, r, c)
	default:
		s.page(w, r, http.StatusBadRequest, current, c.wrong)
	}
}

// used answers when the last try is gone. A new code can be asked for on the code page; a second
// factor that failed five times, or could not be set up, takes the person back to the mailbox.
func (s *SignIn) used(w http.ResponseWriter, r *http.Request, c check) {
	current := c.current
	if current.Step != bridge.StepCode {
		var err error
		if current, err = s.restart(r.Context(), current); err != nil {
			s.stopped(w, r, current, err)
			return
		}
	}
	s.page(w, r, http.StatusTooManyRequests, current, c.spent)
}

// unanswered answers when the try was not judged: Trinity's trouble is a page of the step, ours is not.
func (s *SignIn) unanswered(w http.ResponseWriter, r *http.Request, c check, err error) {
	outcome := outcomeOf(err)
	if outcome == "" {
		s.problem(w, r, err)
		return
	}
	s.failed(r.Context(), c.current, outcome)
	s.log.WarnContext(r.Context(), "Trinity did not check a code", "request_id", audit.RequestID(r.Context()), "error", err)
	var locked *LockedOutError
	switch {
	case errors.As(err, &locked):
		s.later(w, r, c.current, noticeCodeLocked, locked.For)
	case errors.Is(err, ErrSetupRequired):
		s.dead(w, r, http.StatusServiceUnavailable, "trinity-setup", c.current)
	case errors.Is(err, ErrEmailDisabled):
		s.dead(w, r, http.StatusServiceUnavailable, "email-disabled", c.current)
	case errors.Is(err, ErrNoSecondFactor):
		s.noFactor(w, r, c.current, "second-factor-missing")
	default:
		s.page(w, r, http.StatusServiceUnavailable, c.current, c.down)
	}
}

// oneCode returns the one code of a form without the blanks and dashes people and mails put in.
func oneCode(typed []string) (string, bool) {
	if len(typed) != 1 || len(typed[0]) > 100 {
		return "", false
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return r
	}, typed[0]), true
}
