package federation

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
)

// errNoTrip: the answer belongs to no trip this browser is on, or to one it came back from before.
var errNoTrip = errors.New("the answer belongs to no trip of this flow")

const maxStateBytes = 256

// comeBack takes a source's answer, in the browser that went there and once. A state that is missing,
// unknown or used asks nobody anything (FB-01).
func (s *Step) comeBack(source Source) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := url.ParseQuery(r.URL.RawQuery)
		states := answer["state"]
		if err != nil || len(states) != 1 || len(states[0]) > maxStateBytes {
			s.problem(w, r, flow.ErrGone)
			return
		}
		id, _, _ := strings.Cut(states[0], ".")
		current, err := s.Flows.Returned(r, id)
		if err != nil {
			s.problem(w, r, err)
			return
		}
		current, trip, err := s.end(r.Context(), current, source, states[0])
		if errors.Is(err, errNoTrip) {
			s.failed(w, r, current, failure{
				source: source, outcome: "state_refused", key: "source-again", status: http.StatusBadRequest, code: "access_denied", cause: err,
			})
			return
		}
		if err != nil {
			s.problem(w, r, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), flow.AskTime)
		defer cancel()
		identity, err := source.Provider.Return(ctx, trip, answer)
		if err != nil {
			s.failed(w, r, current, failureOf(source, err))
			return
		}
		s.arrive(w, r, current, source, identity)
	}
}

// end ends the trip of a flow before anything is asked, so that an answer is used once.
func (s *Step) end(ctx context.Context, current bridge.Flow, source Source, state string) (bridge.Flow, Trip, error) {
	var trip Trip
	ended, err := s.Flows.Update(ctx, current.ID, func(f *bridge.Flow) error {
		if f.Step != bridge.StepAway || f.SignIn.Source != source.Name || len(f.SignIn.Trip) == 0 {
			return errNoTrip
		}
		var err error
		if trip, err = s.open(*f); err != nil {
			return err
		}
		if subtle.ConstantTimeCompare([]byte(trip.State.Reveal()), []byte(state)) != 1 {
			return errNoTrip
		}
		f.Step, f.SignIn.Trip = bridge.StepChoose, nil
		return nil
	})
	if err != nil {
		return current, Trip{}, err
	}
	return ended, trip, nil
}

// arrive is where a provider has said who came: the rules decide whether they may, a link says which
// Trinity account they have here, and where there is none the flow goes on to make one.
func (s *Step) arrive(w http.ResponseWriter, r *http.Request, current bridge.Flow, source Source, identity Identity) {
	ctx := r.Context()
	person := bridge.Person{Source: identity.Issuer, Subject: identity.Subject}
	verdict := source.Policy.Decide(identity.Claims)
	if !verdict.Admitted {
		s.failed(w, r, current, failure{
			source: source, outcome: "not_admitted", key: "not-admitted", status: http.StatusForbidden, code: "access_denied",
			cause: errors.New(verdict.Why),
		})
		return
	}
	session, err := s.session(source, identity, verdict.Admission(s.Now()))
	if err != nil {
		s.problem(w, r, err)
		return
	}
	asking, cancel := flow.Asking(ctx, 0)
	defer cancel()
	link, standing, err := s.Links.Current(asking, person)
	switch {
	case err != nil && !errors.Is(err, bridge.ErrNotFound):
		s.problem(w, r, err)
		return
	case standing == bridge.StandingSuspended:
		s.failed(w, r, current, failure{
			source: source, outcome: "account_refused", key: "account-refused", status: http.StatusForbidden, code: "access_denied",
			cause: errors.New("the person's Trinity account is suspended"),
		})
		return
	}
	mailbox := identity.Claims.Email(source.Policy.Verified)
	settled := link.ID != "" || current.Visit // who comes to see their connections needs no account
	if !settled && !source.ByKey && (!source.ByCode || mailbox == "") {
		s.failed(w, r, current, failure{
			source: source, outcome: "not_linked", key: "not-linked", status: http.StatusForbidden, code: "access_denied",
			cause: errors.New("the person is linked to no Trinity account and may not link one here"), subject: person.Subject,
		})
		return
	}
	moved, err := s.Flows.Rebind(w, r, current.ID, func(f *bridge.Flow) error {
		if f.Step != bridge.StepChoose {
			return flow.ErrGone
		}
		f.SignIn = bridge.SignIn{Source: source.Name, Person: person, Identity: &session, At: s.Now()}
		if settled {
			f.Step, f.SignIn.Link, f.SignIn.Account = f.SignedIn(), link.ID, link.Account
			return nil
		}
		f.Step = bridge.StepLink
		if source.ByCode {
			f.SignIn.Mailbox = mailbox
		}
		return nil
	})
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.Trail.Record(context.WithoutCancel(ctx), bridge.AuditEvent{
		Kind: audit.SignedIn, ClientID: moved.Request.ClientID, PersonID: person.ID(), Outcome: "ok",
		Detail: "source " + source.Name + ", rule " + session.Admission.Rule,
	})
	flow.Redirect(w, r, flow.URL(moved))
}

// session is what is kept of the provider's session, its tokens sealed.
func (s *Step) session(source Source, identity Identity, admitted bridge.Admission) (bridge.IdentitySession, error) {
	id, err := bridge.NewID(s.Rand)
	if err != nil {
		return bridge.IdentitySession{}, err
	}
	session := bridge.IdentitySession{
		ID: id, Source: source.Name, Person: bridge.Person{Source: identity.Issuer, Subject: identity.Subject},
		SID: identity.SID, Admission: admitted, CreatedAt: s.Now(),
	}
	if !identity.Refresh.IsZero() {
		session.Refresh = s.Ring.SealToken(bridge.SealedIdentity, id, identity.Refresh)
	}
	if !identity.IDToken.IsZero() {
		session.IDToken = s.Ring.SealToken(bridge.SealedIdentityToken, id, identity.IDToken)
	}
	return session, nil
}

// failure is why a source led to nothing.
type failure struct {
	source  Source
	outcome string // for the trail
	key     string // of the page
	status  int
	code    string // what the client may be told (GW-62)
	cause   error  // for the log
	subject string // who it is about, where the operator has to be told
}

// failureOf sorts an error of a provider.
func failureOf(source Source, err error) failure {
	f := failure{source: source, cause: err}
	var denied *DeniedError
	switch {
	case errors.As(err, &denied):
		f.outcome, f.key, f.status, f.code = "source_denied", "source-denied", http.StatusForbidden, "access_denied"
		if denied.Code == "temporarily_unavailable" || denied.Code == "server_error" {
			f.key, f.status, f.code = "source-down", http.StatusServiceUnavailable, denied.Code
		}
	case errors.Is(err, ErrWeak):
		f.outcome, f.key, f.status, f.code = "source_weak", "source-weak", http.StatusForbidden, "access_denied"
	case errors.Is(err, ErrRefused), errors.Is(err, ErrOver):
		f.outcome, f.key, f.status, f.code = "source_refused", "source-refused", http.StatusBadGateway, "server_error"
	default:
		f.outcome, f.key, f.status, f.code = "source_unavailable", "source-down", http.StatusServiceUnavailable, "temporarily_unavailable"
	}
	return f
}

// answer is where the person may go back to: the client's redirect URI with an error, or where a visit
// began.
func (s *Step) answer(current bridge.Flow, code string) string {
	if current.Visit {
		return s.Issuer + flow.PathConnections
	}
	return flow.AnswerURL(current.Request.RedirectURI, s.Issuer, current.Request.State, url.Values{
		"error": {code}, "error_description": {fmt.Sprintf("Signing in did not work (%s)", code)},
	})
}
