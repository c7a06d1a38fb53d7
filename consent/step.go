package consent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/templates"
)

// CodeIssuer is the one place codes come from.
type CodeIssuer interface {
	IssueCode(ctx context.Context, issue bridge.Issue, now time.Time) (bridge.IssueOutcome, error)
	Consent(ctx context.Context, personID, clientID, redirectURI, resource string) (bridge.Consent, error)
}

// Credentials makes and unmakes the Trinity key of a grant with the flow's sign-in.
type Credentials interface {
	// KeyName is what Trinity calls, or will call, the key.
	KeyName(ctx context.Context, flow bridge.Flow, client, grantID string) string
	Mint(ctx context.Context, flow bridge.Flow, grantID, client string) (bridge.Credential, error)
	// Offered lists what the person may act as besides themselves, by the operator's leave.
	Offered(signIn bridge.SignIn) []bridge.ActingAs
	// Lend makes sure that the operator's key is what it is offered as. ErrNotFound when it is not.
	Lend(ctx context.Context, as bridge.ActingAs) (bridge.ActingAs, error)
	// Discard revokes a key whose approval could not be stored.
	Discard(ctx context.Context, flow bridge.Flow, credential bridge.Credential)
	// SignOut ends the Trinity session of the flow; it never fails its caller.
	SignOut(ctx context.Context, flow bridge.Flow)
}

// Clients finds who is asking.
type Clients interface {
	Of(ctx context.Context, request bridge.AuthorizationRequest) (bridge.Client, error)
	Describe(ctx context.Context, request bridge.AuthorizationRequest) templates.Client
	// Keep makes a client known for good that only its document described so far.
	Keep(ctx context.Context, client bridge.Client) error
}

// Lifetimes are shown on the page and set on what an approval makes.
type Lifetimes struct {
	Code        time.Duration
	RefreshIdle time.Duration
	RefreshMax  time.Duration
}

// Step serves the consent page, takes its decision and sends the browser on.
type Step struct {
	Issuer      string
	Resources   bridge.Resources
	Flows       *flow.Keeper
	Codes       CodeIssuer
	Credentials Credentials
	Clients     Clients
	Label       func(source string) string // what people call an identity source
	Pages       *templates.Set
	Life        Lifetimes
	Trail       *audit.Trail
	Log         *slog.Logger
	Now         func() time.Time
	Rand        io.Reader
}

// Mount adds the step's routes. All are browser routes: bound to the flow's browser, never cached.
func (s *Step) Mount(r *mux.Router) {
	r.HandleFunc(flow.PathConsent, s.show).Methods(http.MethodGet)
	r.HandleFunc(flow.PathConsent, s.decide).Methods(http.MethodPost)
	r.HandleFunc(flow.PathOnward, s.onward).Methods(http.MethodGet)
}

func (s *Step) show(w http.ResponseWriter, r *http.Request) {
	current, err := s.Flows.Current(r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	if current.Step != bridge.StepConsent {
		flow.Redirect(w, r, flow.URL(current))
		return
	}
	s.Trail.Record(r.Context(), bridge.AuditEvent{
		Kind: audit.ConsentShown, ClientID: current.Request.ClientID, PersonID: current.SignIn.Person.ID(),
	})
	s.page(w, r, http.StatusOK, current, "")
}

// decide takes the decision. Nothing but the two buttons' values is a decision: an absent or
// unknown one changes nothing.
func (s *Step) decide(w http.ResponseWriter, r *http.Request) {
	current, err := s.Flows.Posted(w, r)
	if err != nil {
		s.Trail.Record(r.Context(), bridge.AuditEvent{Kind: audit.ConsentRefused, Detail: err.Error()})
		s.problem(w, r, err)
		return
	}
	if current.Step != bridge.StepConsent || current.SignIn.Person.IsZero() {
		s.problem(w, r, flow.ErrGone)
		return
	}
	switch r.PostForm.Get("decision") {
	case "approve":
		s.approve(w, r, current)
	case "deny":
		s.deny(w, r, current)
	default:
		s.page(w, r, http.StatusBadRequest, current, "")
	}
}

func (s *Step) deny(w http.ResponseWriter, r *http.Request, current bridge.Flow) {
	exit := flow.AnswerURL(current.Request.RedirectURI, s.Issuer, current.Request.State, url.Values{
		"error": {"access_denied"}, "error_description": {"The person said no"},
	})
	sealed := s.Flows.SealExit(current.ID, exit)
	_, err := s.Flows.Update(r.Context(), current.ID, func(f *bridge.Flow) error {
		if f.Step != bridge.StepConsent {
			return flow.ErrGone
		}
		f.Step, f.Exit = bridge.StepDecided, sealed
		return nil
	})
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.Credentials.SignOut(r.Context(), current)
	s.Trail.Record(r.Context(), bridge.AuditEvent{
		Kind: audit.ConsentDenied, ClientID: current.Request.ClientID, PersonID: current.SignIn.Person.ID(),
	})
	s.sendOn(w, r, current)
}

// onward is the page after the decision. It works once: the code in it is not shown again.
func (s *Step) onward(w http.ResponseWriter, r *http.Request) {
	current, err := s.Flows.Current(r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	if current.Step != bridge.StepDecided {
		flow.Redirect(w, r, flow.URL(current))
		return
	}
	exit, err := s.Flows.TakeExit(r.Context(), current)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.Flows.Release(w, current)
	s.Pages.Write(w, http.StatusOK, templates.OnwardPage{
		URL: exit, Client: s.Clients.Describe(r.Context(), current.Request),
	})
}

func (s *Step) sendOn(w http.ResponseWriter, r *http.Request, current bridge.Flow) {
	current.Step = bridge.StepDecided
	flow.Redirect(w, r, flow.URL(current))
}

func (s *Step) problem(w http.ResponseWriter, r *http.Request, err error) {
	page := flow.Problem(err)
	page.Reference = audit.RequestID(r.Context())
	if page.Key == "internal" || errors.Is(err, bridge.ErrReadOnly) {
		s.Log.ErrorContext(r.Context(), "consent failed", "request_id", page.Reference, "error", err)
	}
	s.Pages.Write(w, page.Status, page)
}
