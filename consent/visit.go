package consent

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/templates"
)

const (
	pageShown = 20  // connections on a page
	pageRead  = 100 // grants at a time: what has ended stays in the store for a year
	mostReads = 20  // for one page; the next goes on from there

	askTime = time.Second
)

// show is the page for whoever has signed in to it, and the door for everybody else.
func (c *Connections) show(w http.ResponseWriter, r *http.Request) {
	visit, err := c.Flows.Visit(r)
	switch {
	case errors.Is(err, flow.ErrGone):
		c.Pages.Write(w, http.StatusOK, templates.DoorPage{Over: true})
		return
	case errors.Is(err, flow.ErrOtherBrowser):
		c.Pages.Write(w, http.StatusOK, templates.DoorPage{})
		return
	}
	var page templates.ConnectionsPage
	if err == nil {
		page, err = c.page(r.Context(), visit, r.URL.Query())
	}
	if err != nil {
		c.problem(w, r, err)
		return
	}
	c.Pages.Write(w, http.StatusOK, page)
}

func (c *Connections) page(ctx context.Context, visit bridge.Flow, query url.Values) (templates.ConnectionsPage, error) {
	signIn, after := visit.SignIn, query.Get("after")
	grants, next, err := c.live(ctx, signIn.Person, after)
	if err != nil {
		return templates.ConnectionsPage{}, err
	}
	page := templates.ConnectionsPage{
		Ticket: c.Flows.Ticket(visit), Account: signIn.Account.Username, Email: signIn.Account.Email,
		Minutes: int(flow.VisitLife.Minutes()),
	}
	if slices.Contains([]string{"ended", "all", "unlinked"}, query.Get("done")) {
		page.Done = query.Get("done")
	}
	if signIn.Identity != nil {
		if err := c.addLink(ctx, &page, signIn); err != nil {
			return templates.ConnectionsPage{}, err
		}
	}
	for _, grant := range grants {
		page.Apps = append(page.Apps, c.connection(ctx, grant))
	}
	if after != "" {
		page.Later = flow.PathConnections
	}
	if next != "" {
		page.Earlier = flow.PathConnections + "?" + url.Values{"after": {next}}.Encode()
	}
	return page, nil
}

// addLink says what a person of a provider is tied to, as it is now and not as it was at the sign-in.
func (c *Connections) addLink(ctx context.Context, page *templates.ConnectionsPage, signIn bridge.SignIn) error {
	page.Source = c.Label(signIn.Source)
	page.There = c.leadsOn(ctx, signIn)
	link, err := c.Grants.LinkOf(ctx, signIn.Person.ID())
	if errors.Is(err, bridge.ErrNotFound) {
		page.Account, page.Email = "", ""
		return nil
	}
	if err != nil {
		return err //nolint:wrapcheck // the store says what it is
	}
	page.Linked, page.Account, page.Email = true, link.Account.Username, link.Account.Email
	return nil
}

// leadsOn reports whether signing out goes on to the provider. The page waits for no provider to know.
func (c *Connections) leadsOn(ctx context.Context, signIn bridge.SignIn) bool {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	onward, err := c.Providers.SignOut(ctx, signIn, pathSignedOut)
	return err == nil && onward != ""
}

// live are the person's live grants, newest first, and the id to go on after, "" at the end.
func (c *Connections) live(ctx context.Context, person bridge.Person, after string) ([]bridge.Grant, string, error) {
	if after != "" {
		last, err := c.Grants.Grant(ctx, after)
		if errors.Is(err, bridge.ErrNotFound) || err == nil && last.Person != person {
			return nil, "", errNotYours
		}
		if err != nil {
			return nil, "", err //nolint:wrapcheck // the store says what it is
		}
	}
	var live []bridge.Grant
	for range mostReads {
		some, err := c.Grants.Grants(ctx, person.ID(), "", after, pageRead)
		if err != nil {
			return nil, "", err //nolint:wrapcheck // the store says what it is
		}
		for _, grant := range some {
			if !grant.Alive(c.Now()) {
				after = grant.ID
				continue
			}
			if len(live) == pageShown {
				return live, after, nil
			}
			live, after = append(live, grant), grant.ID
		}
		if len(some) < pageRead {
			return live, "", nil
		}
	}
	return live, after, nil
}

func (c *Connections) connection(ctx context.Context, grant bridge.Grant) templates.Connection {
	shown := templates.Connection{
		ID: grant.ID, Client: c.Clients.DescribeGrant(ctx, grant), Resource: grant.Resource, Profile: grant.Profile,
		Acting: string(grant.ActingAs.Kind), Agent: grant.ActingAs.Agent, Account: grant.Account.Username, Managed: grant.Started,
		Since: grant.CreatedAt, Used: grant.LastUsedAt,
	}
	if resource, served := c.Resources.Of(grant.Resource); served {
		shown.ProfileTitle = resource.Title
	}
	for _, scope := range grant.Scopes {
		shown.Scopes = append(shown.Scopes, string(scope))
	}
	return shown
}

// signOut ends the visit, whoever holds its cookie. The browser goes on to the provider by itself, from a
// page of our own: from the form it could not, for our policy for forms ends at our origin.
func (c *Connections) signOut(w http.ResponseWriter, r *http.Request, visit bridge.Flow) {
	if err := c.Flows.EndVisit(w, r, visit); err != nil {
		c.problem(w, r, err)
		return
	}
	c.Trail.Record(r.Context(), bridge.AuditEvent{Kind: audit.VisitEnded, PersonID: visit.SignIn.Person.ID()})
	onward, err := c.Providers.SignOut(r.Context(), visit.SignIn, pathSignedOut)
	if err != nil {
		c.Log.WarnContext(r.Context(), "an identity provider could not be asked where to sign out",
			"request_id", audit.RequestID(r.Context()), "source", visit.SignIn.Source, "error", err)
	}
	if onward == "" && err == nil {
		flow.Redirect(w, r, pathSignedOut)
		return
	}
	c.Pages.Write(w, http.StatusOK, templates.SignedOutPage{Source: c.Label(visit.SignIn.Source), URL: onward, Failed: err != nil})
}

// signedOut is also where providers send the browser back to.
func (c *Connections) signedOut(w http.ResponseWriter, r *http.Request) {
	label, there := c.Providers.SignedOut(r.URL.Query().Get("state"))
	c.Pages.Write(w, http.StatusOK, templates.SignedOutPage{Source: label, Both: there})
}
