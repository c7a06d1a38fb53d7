package trinity

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/mux"
	"golang.org/x/sync/singleflight"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/templates"
)

// answerPause is how long every answer to a mailbox takes.
const answerPause = 250 * time.Millisecond

// What a flow's secrets are sealed as; the row is the flow's id.
const (
	sealSession   = bridge.SealedSession
	sealChallenge = bridge.SealedChallenge
)

// errMoved: the flow is no longer at the step the request was made for.
var errMoved = errors.New("the flow has moved on")

// Describer says what a page may say about who asks.
type Describer interface {
	Describe(ctx context.Context, request bridge.AuthorizationRequest) templates.Client
}

// SignInOptions are what the step needs.
type SignInOptions struct {
	API      *API
	Flows    *flow.Keeper
	Ring     *secret.Keyring
	Counters bridge.CounterStore
	Clients  Describer
	Sources  Sources
	Linker   *Linker
	Pages    *templates.Set
	Trail    *audit.Trail
	Log      *slog.Logger
	Now      func() time.Time
	// Pause is waited before a mailbox is answered; nil waits 250 ms.
	Pause func(context.Context)
}

// SignIn is the step where a person proves a mailbox, and a second factor where Trinity wants one.
// Use NewSignIn.
type SignIn struct {
	api     *API
	flows   *flow.Keeper
	ring    *secret.Keyring
	limits  *limits
	clients Describer
	sources Sources
	linker  *Linker
	pages   *templates.Set
	trail   *audit.Trail
	log     *slog.Logger
	now     func() time.Time
	pause   func(context.Context)

	asking    sync.WaitGroup
	enrolling singleflight.Group
}

// NewSignIn makes the step.
func NewSignIn(o SignInOptions) *SignIn {
	s := &SignIn{
		api: o.API, flows: o.Flows, ring: o.Ring, clients: o.Clients, sources: o.Sources, linker: o.Linker, pages: o.Pages, trail: o.Trail,
		log: o.Log, now: o.Now, pause: o.Pause,
		limits: &limits{counters: o.Counters, now: o.Now, checks: make(chan struct{}, checksAtOnce)},
	}
	if s.pause == nil {
		s.pause = pauseAnswer
	}
	return s
}

// Mount adds the step's routes. All are browser routes: bound to the flow's browser, never cached.
func (s *SignIn) Mount(r *mux.Router) {
	r.HandleFunc(flow.PathSignIn, s.showMailbox).Methods(http.MethodGet)
	r.HandleFunc(flow.PathSignIn, s.takeMailbox).Methods(http.MethodPost)
	r.HandleFunc(flow.PathLink, s.showLink).Methods(http.MethodGet)
	r.HandleFunc(flow.PathLink, s.takeLink).Methods(http.MethodPost)
	r.HandleFunc(flow.PathCode, s.showCode).Methods(http.MethodGet)
	r.HandleFunc(flow.PathCode, s.takeCode).Methods(http.MethodPost)
	r.HandleFunc(flow.PathSecondFactor, s.showFactor).Methods(http.MethodGet)
	r.HandleFunc(flow.PathSecondFactor, s.takeFactor).Methods(http.MethodPost)
	r.HandleFunc(flow.PathEnrol, s.showEnrol).Methods(http.MethodGet)
	r.HandleFunc(flow.PathEnrol, s.takeEnrol).Methods(http.MethodPost)
	r.HandleFunc(flow.PathRecovery, s.showRecovery).Methods(http.MethodGet)
	r.HandleFunc(flow.PathRecovery, s.dropRecovery).Methods(http.MethodPost)
}

// Wait returns when no question to Trinity is under way in the background: at shutdown, after the
// listener is closed. Each takes 10 s at most.
func (s *SignIn) Wait() { s.asking.Wait() }

// onward sends the browser to the page of the flow's step.
func (s *SignIn) onward(w http.ResponseWriter, r *http.Request, current bridge.Flow) {
	flow.Redirect(w, r, flow.URL(current))
}

// page shows the page of the flow's step.
func (s *SignIn) page(w http.ResponseWriter, r *http.Request, status int, current bridge.Flow, notice string) {
	ticket, client := s.flows.Ticket(current), s.clients.Describe(r.Context(), current.Request)
	switch current.Step {
	case bridge.StepSecondFactor:
		s.pages.Write(w, status, templates.SecondFactorPage{Flow: current.ID, Ticket: ticket, Client: client, Notice: notice})
	case bridge.StepEnrol:
		page, err := s.enrolPage(current, client, notice)
		if err != nil {
			s.problem(w, r, err)
			return
		}
		s.pages.Write(w, status, page)
	case bridge.StepCode:
		s.pages.Write(w, status, templates.CodePage{
			Flow: current.ID, Ticket: ticket, Client: client, Mailbox: current.SignIn.Mailbox, Notice: notice,
			Linking: current.SignIn.Linking(),
		})
	case bridge.StepLink:
		s.linkPage(w, r, status, current, notice)
	default:
		s.mailboxPage(w, r, status, current, current.SignIn.Mailbox, notice)
	}
}

// later is page with the time after which trying again makes sense.
func (s *SignIn) later(w http.ResponseWriter, r *http.Request, current bridge.Flow, notice string, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(wait.Round(time.Second).Seconds())))
	s.page(w, r, http.StatusTooManyRequests, current, notice)
}

// dead shows a page that ends this way in; its link begins the sign-in of the same flow again.
func (s *SignIn) dead(w http.ResponseWriter, r *http.Request, status int, key string, current bridge.Flow) {
	current.Step, _ = beginning(current.SignIn)
	s.pages.Write(w, status, templates.ProblemPage{
		Status: status, Key: key, Reference: audit.RequestID(r.Context()), RetryURL: flow.URL(current),
	})
}

// problem answers an error of the flow's state. A form sent twice finds its flow moved on and its
// ticket void: the link leads to where the flow is now.
func (s *SignIn) problem(w http.ResponseWriter, r *http.Request, err error) {
	page := flow.Problem(err)
	page.Reference = audit.RequestID(r.Context())
	id := r.PostForm.Get("flow")
	switch {
	case page.Key == "internal":
		w.Header().Set("Retry-After", "5")
		s.log.ErrorContext(r.Context(), "sign-in failed", "request_id", page.Reference, "error", err)
	case page.Key == "forged" && id != "" && len(id) <= 64:
		page.RetryURL = flow.URL(bridge.Flow{ID: id, Step: bridge.StepSignIn})
	}
	if r.Method == http.MethodPost {
		s.trail.Record(r.Context(), bridge.AuditEvent{Kind: audit.SignInFailed, Outcome: page.Key})
	}
	s.pages.Write(w, page.Status, page)
}

// failed records a sign-in that went wrong. No field holds who it was: nobody has proved anything yet.
func (s *SignIn) failed(ctx context.Context, current bridge.Flow, outcome string) {
	s.trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.SignInFailed, ClientID: current.Request.ClientID, Outcome: outcome,
	})
}

// advance changes the flow if it is at one of the steps. If it is not, it returns errMoved and the
// flow as it is.
func (s *SignIn) advance(ctx context.Context, id string, steps []bridge.Step, change func(*bridge.Flow) error) (bridge.Flow, error) {
	var seen bridge.Flow
	changed, err := s.flows.Update(ctx, id, func(f *bridge.Flow) error {
		if !slices.Contains(steps, f.Step) {
			seen = *f
			return errMoved
		}
		return change(f)
	})
	if errors.Is(err, errMoved) {
		return seen, errMoved
	}
	return changed, err
}

// stopped answers a request whose flow could not be advanced.
func (s *SignIn) stopped(w http.ResponseWriter, r *http.Request, current bridge.Flow, err error) {
	if errors.Is(err, errMoved) {
		s.onward(w, r, current)
		return
	}
	s.problem(w, r, err)
}

func pauseAnswer(ctx context.Context) {
	timer := time.NewTimer(answerPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
