package consent

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/templates"
)

// The addresses of the page besides those the dispatcher knows.
const (
	pathVisit     = flow.PathConnections + "/sign-in"
	pathEnd       = flow.PathConnections + "/end"
	pathEndAll    = flow.PathConnections + "/end-all"
	pathUnlink    = flow.PathConnections + "/unlink"
	pathSignOut   = flow.PathConnections + "/sign-out"
	pathSignedOut = flow.PathConnections + "/signed-out"
)

// errNotYours answers for the connections of others as for those that never were.
var errNotYours = errors.New("the person has no such connection")

// GrantStore is what the page reads and ends.
type GrantStore interface {
	Grant(ctx context.Context, id string) (bridge.Grant, error)
	Grants(ctx context.Context, personID, clientID, after string, limit int) ([]bridge.Grant, error)
	EndGrant(ctx context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Grant, bool, error)
	LinkOf(ctx context.Context, personID string) (bridge.Link, error)
}

// Unlinker ends a link with all that came through it.
type Unlinker interface {
	End(ctx context.Context, link string, reason bridge.EndReason) ([]bridge.Grant, error)
}

// Granted says what a page may say about the client of a grant.
type Granted interface {
	DescribeGrant(ctx context.Context, grant bridge.Grant) templates.Client
}

// Sessions ends what signing in to a visit left elsewhere.
type Sessions interface {
	// SignOut ends the Trinity session of the flow; it never fails its caller.
	SignOut(ctx context.Context, flow bridge.Flow)
}

// Providers signs people out where they signed in.
type Providers interface {
	// SignOut is where the browser does that, and comes back from to a path of ours; "" for nowhere.
	SignOut(ctx context.Context, signIn bridge.SignIn, back string) (string, error)
	// SignedOut is the label of the source that a browser comes back from with a state of SignOut.
	SignedOut(state string) (string, bool)
}

// Connections is the page where people see their own connections and end them. Its routes know whom
// they serve by the cookie of a visit alone, and by no other.
type Connections struct {
	Resources bridge.Resources
	Flows     *flow.Keeper
	Grants    GrantStore
	Links     Unlinker
	Clients   Granted
	Sessions  Sessions
	Providers Providers
	Label     func(source string) string // what people call an identity source
	Pages     *templates.Set
	Trail     *audit.Trail
	Log       *slog.Logger
	Now       func() time.Time
	Ended     func() // a grant has ended
}

// Mount adds the page's routes. What reads changes nothing but the browser's own sign-in, and what
// changes something is a form of our own page.
func (c *Connections) Mount(r *mux.Router) {
	get := []string{http.MethodGet, http.MethodHead}
	r.HandleFunc(flow.PathConnections, c.show).Methods(get...)
	r.HandleFunc(pathSignedOut, c.signedOut).Methods(get...)
	r.HandleFunc(pathVisit, c.begin).Methods(http.MethodGet)
	r.HandleFunc(flow.PathArrive, c.arrive).Methods(http.MethodGet)
	r.HandleFunc(pathEnd, c.posted(c.end)).Methods(http.MethodPost)
	r.HandleFunc(pathEndAll, c.posted(c.endAll)).Methods(http.MethodPost)
	r.HandleFunc(pathUnlink, c.posted(c.unlink)).Methods(http.MethodPost)
	r.HandleFunc(pathSignOut, c.posted(c.signOut)).Methods(http.MethodPost)
}

// begin begins the sign-in of a visit. It is a link and no form: the way may lead to a provider, and our
// policy for forms ends at our origin. Another site cannot have it followed: with a session at the
// provider, that would sign people in without their doing.
func (c *Connections) begin(w http.ResponseWriter, r *http.Request) {
	if flow.FromOutside(r) {
		flow.Redirect(w, r, flow.PathConnections)
		return
	}
	begun, err := c.Flows.BeginVisit(w, r)
	if err != nil {
		c.problem(w, r, err)
		return
	}
	flow.Redirect(w, r, flow.URL(begun))
}

// arrive is where the dispatcher sends whoever has signed in to a visit. The Trinity session of the
// sign-in has done its work, and serves for one more thing: keys that wait for it are revoked.
func (c *Connections) arrive(w http.ResponseWriter, r *http.Request) {
	arrived, err := c.Flows.Arrive(w, r)
	if err != nil {
		if _, visiting := c.Flows.Visit(r); visiting == nil {
			flow.Redirect(w, r, flow.PathConnections) // the same request, sent twice
			return
		}
		c.problem(w, r, err)
		return
	}
	c.Sessions.SignOut(r.Context(), arrived)
	c.Trail.Record(r.Context(), bridge.AuditEvent{Kind: audit.VisitBegun, PersonID: arrived.SignIn.Person.ID()})
	flow.Redirect(w, r, flow.PathConnections)
}

// posted hands a form of our own page on, with the visit it came from.
func (c *Connections) posted(next func(http.ResponseWriter, *http.Request, bridge.Flow)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		visit, err := c.Flows.VisitPosted(w, r)
		if err != nil {
			c.Trail.Record(r.Context(), bridge.AuditEvent{Kind: audit.VisitRefused, Detail: err.Error()})
			c.problem(w, r, err)
			return
		}
		next(w, r, visit)
	}
}

// end ends one connection of the person. One that has ended already has ended.
func (c *Connections) end(w http.ResponseWriter, r *http.Request, visit bridge.Flow) {
	id := r.PostForm.Get("grant")
	grant, err := c.Grants.Grant(r.Context(), id)
	if errors.Is(err, bridge.ErrNotFound) || err == nil && grant.Person != visit.SignIn.Person {
		c.Trail.Record(r.Context(), bridge.AuditEvent{
			Kind: audit.VisitRefused, PersonID: visit.SignIn.Person.ID(), Detail: errNotYours.Error(),
		})
		err = errNotYours
	}
	if err == nil {
		err = c.over(r.Context(), grant)
	}
	if err != nil {
		c.problem(w, r, err)
		return
	}
	c.done(w, r, "ended")
}

// endAll ends everything the person has connected, what is still on its way as well.
func (c *Connections) endAll(w http.ResponseWriter, r *http.Request, visit bridge.Flow) {
	ctx, person := r.Context(), visit.SignIn.Person.ID()
	for after := ""; ; {
		grants, err := c.Grants.Grants(ctx, person, "", after, pageRead)
		if err != nil {
			c.problem(w, r, err)
			return
		}
		for _, grant := range grants {
			if err := c.over(ctx, grant); err != nil {
				c.problem(w, r, err)
				return
			}
		}
		if len(grants) < pageRead {
			break
		}
		after = grants[len(grants)-1].ID
	}
	c.done(w, r, "all")
}

// unlink takes the person and their Trinity account apart; the link's key is revoked behind.
func (c *Connections) unlink(w http.ResponseWriter, r *http.Request, visit bridge.Flow) {
	link, err := c.Grants.LinkOf(r.Context(), visit.SignIn.Person.ID())
	if err == nil {
		_, err = c.Links.End(r.Context(), link.ID, bridge.EndRevokedByPerson)
	}
	if err != nil && !errors.Is(err, bridge.ErrNotFound) {
		c.problem(w, r, err)
		return
	}
	c.done(w, r, "unlinked")
}

// over ends a grant, unless it has ended.
func (c *Connections) over(ctx context.Context, grant bridge.Grant) error {
	if grant.Status == bridge.GrantEnded {
		return nil
	}
	grant, now, err := c.Grants.EndGrant(ctx, grant.ID, bridge.EndRevokedByPerson, c.Now())
	if err != nil || !now {
		return err //nolint:wrapcheck // the store says what it is
	}
	c.Trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.GrantEnded, PersonID: grant.Person.ID(), ClientID: grant.ClientID, GrantID: grant.ID,
		Outcome: string(bridge.EndRevokedByPerson),
	})
	c.Ended()
	return nil
}

func (c *Connections) done(w http.ResponseWriter, r *http.Request, what string) {
	flow.Redirect(w, r, flow.PathConnections+"?done="+what)
}

// problem answers an error. Whoever is no longer signed in is led to where they can sign in.
func (c *Connections) problem(w http.ResponseWriter, r *http.Request, err error) {
	page := flow.Problem(err)
	switch {
	case errors.Is(err, errNotYours):
		page = templates.ProblemPage{Status: http.StatusNotFound, Key: "no-connection"}
	case errors.Is(err, flow.ErrGone), errors.Is(err, flow.ErrOtherBrowser):
		page = templates.ProblemPage{Status: http.StatusForbidden, Key: "visit-over"}
	}
	if page.Key == "internal" || page.Key == "store-down" {
		page.Key = "visit-failed" // something may have ended already
		w.Header().Set("Retry-After", "5")
		c.Log.ErrorContext(r.Context(), "the page of connections failed", "request_id", audit.RequestID(r.Context()), "error", err)
	}
	if page.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "30")
	}
	page.RetryURL, page.Reference = flow.PathConnections, audit.RequestID(r.Context())
	c.Pages.Write(w, page.Status, page)
}
