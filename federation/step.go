package federation

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/templates"
)

// Links finds the Trinity account of a person.
type Links interface {
	// Current returns the live link of a person with the account as Trinity knows it now, and how its
	// key stands. bridge.ErrNotFound when there is none, or none any more.
	Current(ctx context.Context, person bridge.Person) (bridge.Link, bridge.Standing, error)
}

// Clients says what a page may say about who asks.
type Clients interface {
	Describe(ctx context.Context, request bridge.AuthorizationRequest) templates.Client
}

// Options are what the step needs.
type Options struct {
	Issuer    string
	Sources   []Source
	EmailCode bool // Trinity's e-mail code is offered, too
	Flows     *flow.Keeper
	Ring      *secret.Keyring
	Links     Links
	Clients   Clients
	Pages     *templates.Set
	Trail     *audit.Trail
	Log       *slog.Logger
	Now       func() time.Time
	Rand      io.Reader
}

// Step is where a person chooses how to sign in, goes away to a provider and comes back.
type Step struct{ Options }

// Mount adds the step's routes. All are browser routes: bound to the flow's browser, never cached.
// They are GETs that come by a link or from the provider: a form could not lead to another origin
// under our policy for forms.
func (s *Step) Mount(r *mux.Router) {
	r.HandleFunc(flow.PathChoose, s.choose).Methods(http.MethodGet)
	r.HandleFunc(flow.PathLeave, s.leave).Methods(http.MethodGet)
	for _, source := range s.Sources {
		r.HandleFunc(flow.PathCallback(source.Name), s.comeBack(source)).Methods(http.MethodGet)
	}
}

// Elsewhere returns the source that mailboxes of a domain are bound to. Trinity's e-mail code is not
// offered to them (FB-29). The mailbox is in canonical form.
func (s *Step) Elsewhere(mailbox string) (Source, bool) {
	_, domain, _ := strings.Cut(mailbox, "@")
	at := slices.IndexFunc(s.Sources, func(source Source) bool { return slices.Contains(source.Domains, domain) })
	if domain == "" || at < 0 {
		return Source{}, false
	}
	return s.Sources[at], true
}

// Chooses reports whether there is anything to choose from.
func (s *Step) Chooses() bool { return len(s.Sources) > 0 }

// OffersCode reports whether people may sign in with Trinity's e-mail code.
func (s *Step) OffersCode() bool { return s.EmailCode }

// Source returns the source of a name.
func (s *Step) Source(name string) (Source, bool) {
	at := slices.IndexFunc(s.Sources, func(source Source) bool { return source.Name == name })
	if at < 0 {
		return Source{}, false
	}
	return s.Sources[at], true
}

// unsigned are the steps of a flow that nobody has signed in to.
func unsigned() []bridge.Step {
	return []bridge.Step{bridge.StepChoose, bridge.StepAway, bridge.StepSignIn, bridge.StepCode, bridge.StepLink}
}

// choose shows the ways to sign in. Where there is one alone, or the client has said of which domain
// the person is, the browser goes on by itself.
func (s *Step) choose(w http.ResponseWriter, r *http.Request) {
	current, err := s.Flows.Current(r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	if !slices.Contains(unsigned(), current.Step) {
		flow.Redirect(w, r, flow.URL(current))
		return
	}
	if bound, ok := s.Elsewhere(strings.ToLower(strings.TrimSpace(current.Request.LoginHint))); ok {
		flow.Redirect(w, r, flow.LeaveURL(current, bound.Name))
		return
	}
	if len(s.Sources) == 1 && !s.EmailCode {
		flow.Redirect(w, r, flow.LeaveURL(current, s.Sources[0].Name))
		return
	}
	page := templates.ChoosePage{Flow: current.ID, Client: s.Clients.Describe(r.Context(), current.Request)}
	for _, source := range s.Sources {
		page.Sources = append(page.Sources, templates.SourceChoice{Label: source.Label, URL: flow.LeaveURL(current, source.Name)})
	}
	if s.EmailCode {
		page.EmailURL = flow.InsteadURL(current)
	}
	s.Pages.Write(w, http.StatusOK, page)
}

// problem answers an error of the flow's state.
func (s *Step) problem(w http.ResponseWriter, r *http.Request, err error) {
	page := flow.Problem(err)
	page.Reference = audit.RequestID(r.Context())
	if page.Key == "internal" || errors.Is(err, bridge.ErrReadOnly) {
		w.Header().Set("Retry-After", "5")
		s.Log.ErrorContext(r.Context(), "sign-in failed", "request_id", page.Reference, "error", err)
	}
	s.Pages.Write(w, page.Status, page)
}

// failed says that a source led to nothing and keeps the flow: its link leads back to the choice,
// another to the client with the error in OAuth's words (GW-62).
func (s *Step) failed(w http.ResponseWriter, r *http.Request, current bridge.Flow, f failure) {
	s.Trail.Record(r.Context(), bridge.AuditEvent{
		Kind: audit.SignInFailed, ClientID: current.Request.ClientID, Outcome: f.outcome,
	})
	s.Log.WarnContext(r.Context(), "a sign-in at an identity provider failed", "request_id", audit.RequestID(r.Context()),
		"source", f.source.Name, "error", f.cause)
	current.Step = bridge.StepChoose
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	s.Pages.Write(w, f.status, templates.SourceProblemPage{
		Key: f.key, Source: f.source.Label, Reference: audit.RequestID(r.Context()), Subject: f.subject,
		RetryURL: flow.URL(current), ReturnURL: s.answer(current, f.code),
	})
}
