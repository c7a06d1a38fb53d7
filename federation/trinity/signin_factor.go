package trinity

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Notices of the second-factor page.
const (
	noticeFactorWrong = "factor.wrong"
	noticeFactorSpent = "factor.spent"
	noticeFactorDown  = "factor.trinity_down"
)

// Recovery codes have no documented form; this is what one may be made of.
var recoveryCode = regexp.MustCompile(`^[A-Za-z0-9_-]{6,64}$`)

// challenge takes the flow from a good code to the second factor Trinity asks for (contract 1.6).
func (s *SignIn) challenge(w http.ResponseWriter, r *http.Request, current bridge.Flow, verified Verified) {
	moved, err := s.advance(context.WithoutCancel(r.Context()), current.ID, []bridge.Step{bridge.StepCode}, func(f *bridge.Flow) error {
		if f.SignIn.Mailbox != current.SignIn.Mailbox {
			return errMoved
		}
		f.Step = bridge.StepSecondFactor
		if !verified.Enrolled {
			f.Step = bridge.StepEnrol
		}
		f.SignIn.Challenge = s.ring.SealToken(sealChallenge, f.ID, verified.Challenge)
		f.SignIn.Tries = 0
		return nil
	})
	if err != nil {
		s.stopped(w, r, moved, err)
		return
	}
	s.onward(w, r, moved)
}

// noFactor says why the second factor cannot be had here, and lets the sign-in begin again.
func (s *SignIn) noFactor(w http.ResponseWriter, r *http.Request, current bridge.Flow, key string) {
	restarted, err := s.restart(r.Context(), current)
	if err != nil {
		s.stopped(w, r, restarted, err)
		return
	}
	s.dead(w, r, http.StatusForbidden, key, restarted)
}

func (s *SignIn) showFactor(w http.ResponseWriter, r *http.Request) {
	current, err := s.flows.Current(r)
	switch {
	case err != nil:
		s.problem(w, r, err)
	case current.Step != bridge.StepSecondFactor:
		s.onward(w, r, current)
	default:
		s.page(w, r, http.StatusOK, current, "")
	}
}

func (s *SignIn) takeFactor(w http.ResponseWriter, r *http.Request) {
	current, ok := s.posted(w, r, bridge.StepSecondFactor)
	if !ok {
		return
	}
	code, ok := factorCode(r.PostForm["code"])
	if !ok {
		s.page(w, r, http.StatusBadRequest, current, noticeFactorWrong)
		return
	}
	s.check(w, r, check{
		current: current, wrong: noticeFactorWrong, spent: noticeFactorSpent, down: noticeFactorDown,
		ask: func(ctx context.Context, current bridge.Flow) (Verified, error) {
			challenge, err := s.ring.OpenToken(sealChallenge, current.ID, current.SignIn.Challenge)
			if err != nil {
				return Verified{}, fmt.Errorf("opening a second-factor challenge: %w", err)
			}
			session, err := s.api.AnswerSecondFactor(ctx, challenge, code, clientAddr(r))
			return Verified{Session: session}, err
		},
	})
}

// factorCode reads a one-time code of six digits, however it is grouped, or a recovery code as it is.
func factorCode(typed []string) (string, bool) {
	code, ok := oneCode(typed)
	if !ok || sixDigits.MatchString(code) {
		return code, ok
	}
	code = strings.TrimSpace(typed[0])
	return code, recoveryCode.MatchString(code)
}
