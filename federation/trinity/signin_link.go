package trinity

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/federation"
	"github.com/abilityai/trinity-bridge/templates"
)

// Notices of the link page.
const (
	noticeKeyBad      = "link.key_bad"
	noticeKeyKind     = "link.key_kind"
	noticeLinkDown    = "link.trinity_down"
	noticeLinkTooMany = "link.too_many"
)

// Sources is what the step knows of the other identity sources; federation.Step.
type Sources interface {
	// Elsewhere returns the source that a mailbox is bound to: it gets no code to sign in with (FB-29).
	Elsewhere(mailbox string) (federation.Source, bool)
	Source(name string) (federation.Source, bool)
	Chooses() bool
	OffersCode() bool
}

// linking are the steps in which a person whom a provider signed in proves their Trinity account.
func linking() []bridge.Step { return []bridge.Step{bridge.StepLink, bridge.StepCode} }

func (s *SignIn) showLink(w http.ResponseWriter, r *http.Request) {
	current, err := s.flows.Current(r)
	switch {
	case err != nil:
		s.problem(w, r, err)
	case !current.SignIn.Linking() || !slices.Contains(linking(), current.Step):
		s.onward(w, r, current)
	default:
		s.linkPage(w, r, http.StatusOK, current, "")
	}
}

func (s *SignIn) linkPage(w http.ResponseWriter, r *http.Request, status int, current bridge.Flow, notice string) {
	source, _ := s.sources.Source(current.SignIn.Source)
	elsewhere := current
	elsewhere.Step = bridge.StepChoose
	s.pages.Write(w, status, templates.LinkPage{
		Flow: current.ID, Ticket: s.flows.Ticket(current), Client: s.clients.Describe(r.Context(), current.Request),
		Source: source.Label, Mailbox: current.SignIn.Mailbox, ByKey: source.ByKey, ChooseURL: flow.URL(elsewhere), Notice: notice,
	})
}

// takeLink takes how the person proves their account: by a code to the address the provider vouches
// for, which no form can change, or by a key.
func (s *SignIn) takeLink(w http.ResponseWriter, r *http.Request) {
	current, err := s.flows.Posted(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	source, known := s.sources.Source(current.SignIn.Source)
	if !known || !current.SignIn.Linking() || !slices.Contains(linking(), current.Step) {
		s.onward(w, r, current)
		return
	}
	switch way := r.PostForm.Get("way"); {
	case way == "code" && current.SignIn.Mailbox != "":
		s.askForCode(w, r, current, current.SignIn.Mailbox, true)
	case way == "key" && source.ByKey:
		s.takeKey(w, r, current)
	default:
		s.linkPage(w, r, http.StatusBadRequest, current, "")
	}
}

// takeKey links the person by a key they hold. Tries are limited as those of codes are.
func (s *SignIn) takeKey(w http.ResponseWriter, r *http.Request, current bridge.Flow) {
	typed := r.PostForm["key"]
	if len(typed) != 1 {
		s.linkPage(w, r, http.StatusBadRequest, current, noticeKeyBad)
		return
	}
	key, err := secret.ParseTrinityKey(strings.TrimSpace(typed[0]))
	if err != nil {
		s.linkPage(w, r, http.StatusBadRequest, current, noticeKeyBad)
		return
	}
	link, err := s.tryKey(r, current, key)
	var tooMany *tooManyError
	switch {
	case err == nil:
		s.linked(w, r, current, link, nil)
	case errors.As(err, &tooMany):
		s.failed(r.Context(), current, "too_many_failures")
		s.linkPage(w, r, http.StatusTooManyRequests, current, noticeLinkTooMany)
	case errors.Is(err, ErrKeyRefused), errors.Is(err, ErrKeyOwner):
		s.failed(r.Context(), current, "key_refused")
		s.linkPage(w, r, http.StatusBadRequest, current, noticeKeyBad)
	case errors.Is(err, ErrKeyKind):
		s.failed(r.Context(), current, "key_of_no_person")
		s.linkPage(w, r, http.StatusBadRequest, current, noticeKeyKind)
	case errors.Is(err, ErrUnavailable):
		s.failed(r.Context(), current, "trinity_unavailable")
		s.linkPage(w, r, http.StatusServiceUnavailable, current, noticeLinkDown)
	default:
		s.problem(w, r, err)
	}
}

func (s *SignIn) tryKey(r *http.Request, current bridge.Flow, key secret.Token) (bridge.Link, error) {
	waiting, cancel := context.WithTimeout(r.Context(), maxCheckWait)
	defer cancel()
	release, err := s.limits.begin(waiting)
	if err != nil {
		return bridge.Link{}, err
	}
	defer release()
	ctx, from := context.WithoutCancel(r.Context()), clientAddr(r)
	if err := s.limits.mayCheck(ctx, from); err != nil {
		return bridge.Link{}, err
	}
	asking, cancel := flow.Asking(r.Context(), 0)
	defer cancel()
	link, _, err := s.linker.ByKey(asking, current.SignIn.Person, key, bridge.LinkByPaste, "")
	if errors.Is(err, ErrKeyRefused) {
		if uncounted := s.limits.failed(ctx, from); uncounted != nil {
			return bridge.Link{}, uncounted
		}
	}
	return link, err
}

// linked takes the flow on to consent with the link its grant will come through.
// It passes the recovery codes of a new second factor.
func (s *SignIn) linked(w http.ResponseWriter, r *http.Request, current bridge.Flow, link bridge.Link, recovery []secret.Token) {
	steps := append(linking(), bridge.StepSecondFactor, bridge.StepEnrol)
	moved, err := s.advance(context.WithoutCancel(r.Context()), current.ID, steps, func(f *bridge.Flow) error {
		if !f.SignIn.Linking() || f.SignIn.Person != link.Person {
			return errMoved
		}
		f.Step = f.SignedIn()
		f.SignIn.Link, f.SignIn.Account = link.ID, link.Account
		f.SignIn.Challenge, f.SignIn.Enrolment, f.SignIn.Tries = nil, nil, 0
		if len(recovery) > 0 {
			f.Step, f.SignIn.Recovery = bridge.StepRecovery, s.sealCodes(f.ID, recovery)
		}
		return nil
	})
	if err != nil {
		s.stopped(w, r, moved, err)
		return
	}
	s.onward(w, r, moved)
}

// arriveLinking is where a person who came from a provider has proved the account: the session mints
// the link's one key and ends.
func (s *SignIn) arriveLinking(w http.ResponseWriter, r *http.Request, c check, account bridge.Account, verified Verified) {
	ctx := context.WithoutCancel(r.Context())
	link, err := s.linker.ByCode(r.Context(), c.current.SignIn.Person, account, verified.Session)
	s.logout(ctx, verified.Session)
	if err != nil {
		s.log.WarnContext(ctx, "no link could be made", "request_id", audit.RequestID(ctx), "error", err)
		s.failed(ctx, c.current, "link_not_made")
		s.page(w, r, http.StatusServiceUnavailable, c.current, c.down)
		return
	}
	s.linked(w, r, c.current, link, verified.Recovery)
}

// beginning is where a sign-in that went wrong begins again: at the mailbox, or at the link of a
// person whom a provider has signed in, which stays as it is.
func beginning(signIn bridge.SignIn) (bridge.Step, bridge.SignIn) {
	if !signIn.Linking() {
		return bridge.StepSignIn, bridge.SignIn{Mailbox: signIn.Mailbox}
	}
	return bridge.StepLink, bridge.SignIn{
		Source: signIn.Source, Mailbox: signIn.Mailbox, Person: signIn.Person, Identity: signIn.Identity, At: signIn.At,
	}
}
