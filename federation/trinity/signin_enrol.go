package trinity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/templates"
)

// noticeEnrolWrong is the notice of the page that sets a second factor up.
const noticeEnrolWrong = "enrol.wrong"

// What a flow's secrets of a new second factor are sealed as; the row is the flow's id.
const (
	sealEnrolment = bridge.SealedEnrolment
	sealRecovery  = bridge.SealedRecovery
)

// showEnrol shows the secret of the new second factor: the same however often the page is loaded,
// for the app may have it already.
func (s *SignIn) showEnrol(w http.ResponseWriter, r *http.Request) {
	current, err := s.flows.Current(r)
	switch {
	case err != nil:
		s.problem(w, r, err)
		return
	case current.Step != bridge.StepEnrol:
		s.onward(w, r, current)
		return
	}
	begun, err := s.beginEnrolment(r, current)
	if err != nil {
		s.enrolmentFailed(w, r, begun, err)
		return
	}
	s.page(w, r, http.StatusOK, begun, "")
}

// beginEnrolment has Trinity make the secret, once for a flow. Two pages loaded at once are one question.
func (s *SignIn) beginEnrolment(r *http.Request, current bridge.Flow) (bridge.Flow, error) {
	if len(current.SignIn.Enrolment) > 0 {
		return current, nil
	}
	ctx := context.WithoutCancel(r.Context())
	asking, cancel := flow.Asking(r.Context(), 0)
	defer cancel()
	begun, err, _ := s.enrolling.Do(current.ID, func() (any, error) {
		challenge, err := s.ring.OpenToken(sealChallenge, current.ID, current.SignIn.Challenge)
		if err != nil {
			return current, fmt.Errorf("opening a second-factor challenge: %w", err)
		}
		enrolment, err := s.api.StartEnrolment(asking, challenge, clientAddr(r))
		if err != nil {
			return current, err
		}
		return s.advance(ctx, current.ID, []bridge.Step{bridge.StepEnrol}, func(f *bridge.Flow) error {
			if len(f.SignIn.Enrolment) == 0 {
				plain := enrolment.Secret.Reveal() + "\n" + enrolment.URI.Reveal()
				f.SignIn.Enrolment = s.ring.Seal(sealEnrolment, f.ID, []byte(plain))
			}
			return nil
		})
	})
	changed, ok := begun.(bridge.Flow)
	if !ok {
		return current, errors.Join(err, errMoved)
	}
	return changed, err
}

// enrolmentFailed answers when Trinity made no secret.
func (s *SignIn) enrolmentFailed(w http.ResponseWriter, r *http.Request, current bridge.Flow, err error) {
	switch {
	case errors.Is(err, errMoved), outcomeOf(err) == "":
		s.stopped(w, r, current, err)
		return
	case errors.Is(err, ErrNoSecondFactor):
		s.failed(r.Context(), current, outcomeOf(err))
		s.noFactor(w, r, current, "second-factor-missing")
		return
	case errors.Is(err, ErrWrongCode): // the challenge is over
		s.failed(r.Context(), current, "challenge_over")
		s.used(w, r, check{current: current, spent: noticeFactorSpent})
		return
	}
	s.failed(r.Context(), current, outcomeOf(err))
	s.log.WarnContext(r.Context(), "Trinity did not begin to set up a second factor", "request_id", audit.RequestID(r.Context()), "error", err)
	s.pages.Write(w, http.StatusServiceUnavailable, templates.ProblemPage{
		Status: http.StatusServiceUnavailable, Key: "trinity-down", Reference: audit.RequestID(r.Context()), RetryURL: flow.URL(current),
	})
}

// takeEnrol takes the first code of the new second factor: it proves that the app has the secret.
func (s *SignIn) takeEnrol(w http.ResponseWriter, r *http.Request) {
	current, ok := s.posted(w, r, bridge.StepEnrol)
	if !ok {
		return
	}
	if len(current.SignIn.Enrolment) == 0 {
		s.onward(w, r, current)
		return
	}
	code, ok := oneCode(r.PostForm["code"])
	if !ok || !sixDigits.MatchString(code) {
		s.page(w, r, http.StatusBadRequest, current, noticeCodeMalformed)
		return
	}
	s.check(w, r, check{
		current: current, wrong: noticeEnrolWrong, spent: noticeFactorSpent, down: noticeFactorDown,
		ask: func(ctx context.Context, current bridge.Flow) (Verified, error) {
			challenge, err := s.ring.OpenToken(sealChallenge, current.ID, current.SignIn.Challenge)
			if err != nil {
				return Verified{}, fmt.Errorf("opening a second-factor challenge: %w", err)
			}
			return s.api.ConfirmEnrolment(ctx, challenge, code, clientAddr(r))
		},
	})
}

// enrolPage is the page of StepEnrol. The secret goes into it in groups, as people type it.
func (s *SignIn) enrolPage(current bridge.Flow, client templates.Client, notice string) (templates.EnrolPage, error) {
	plain, err := s.ring.Open(sealEnrolment, current.ID, current.SignIn.Enrolment)
	if err != nil {
		return templates.EnrolPage{}, fmt.Errorf("opening the secret of a second factor: %w", err)
	}
	key, uri, _ := strings.Cut(string(plain), "\n")
	return templates.EnrolPage{
		Flow: current.ID, Ticket: s.flows.Ticket(current), Client: client, Secret: inFours(key), URI: uri, Notice: notice,
	}, nil
}

func inFours(key string) string {
	var groups []string
	for len(key) > 4 {
		groups, key = append(groups, key[:4]), key[4:]
	}
	return strings.Join(append(groups, key), " ")
}

// sealCodes seals the recovery codes for the page that shows them.
func (s *SignIn) sealCodes(flowID string, codes []secret.Token) []byte {
	plain := make([]string, len(codes))
	for i, code := range codes {
		plain[i] = code.Reveal()
	}
	return s.ring.Seal(sealRecovery, flowID, []byte(strings.Join(plain, "\n")))
}

// showRecovery shows the recovery codes until the person says that they are kept: a page that was
// loaded twice, or never arrived, must not cost anybody their way back in.
func (s *SignIn) showRecovery(w http.ResponseWriter, r *http.Request) {
	current, err := s.flows.Current(r)
	switch {
	case err != nil:
		s.problem(w, r, err)
		return
	case current.Step != bridge.StepRecovery:
		s.onward(w, r, current)
		return
	}
	plain, err := s.ring.Open(sealRecovery, current.ID, current.SignIn.Recovery)
	if err != nil {
		s.problem(w, r, fmt.Errorf("opening recovery codes: %w", err))
		return
	}
	s.pages.Write(w, http.StatusOK, templates.RecoveryPage{
		Flow: current.ID, Ticket: s.flows.Ticket(current), Client: s.clients.Describe(r.Context(), current.Request),
		Codes: strings.Split(string(plain), "\n"),
	})
}

// dropRecovery forgets the codes and goes on.
func (s *SignIn) dropRecovery(w http.ResponseWriter, r *http.Request) {
	current, err := s.flows.Posted(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	moved, err := s.advance(context.WithoutCancel(r.Context()), current.ID, []bridge.Step{bridge.StepRecovery}, func(f *bridge.Flow) error {
		f.Step, f.SignIn.Recovery = f.SignedIn(), nil
		return nil
	})
	if err != nil {
		s.stopped(w, r, moved, err)
		return
	}
	s.onward(w, r, moved)
}
