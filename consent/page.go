package consent

import (
	"net/http"
	"slices"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/templates"
)

// grantID is the id the flow's grant will have: the same each time the page is shown, so that the
// key named on the page is the key that is made.
func (s *Step) grantID(current bridge.Flow) string { return current.ID }

func (s *Step) page(w http.ResponseWriter, r *http.Request, status int, current bridge.Flow, notice string) {
	request := current.Request
	client, err := s.Clients.Of(r.Context(), request)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	earlier, err := s.Codes.Consent(r.Context(), current.SignIn.Person.ID(), client.ID, request.RedirectURI, request.Resource)
	if err != nil {
		earlier = bridge.Consent{} // only what is called new depends on it
	}
	resource, served := s.Resources.Of(request.Resource)
	if !served { // the operator took the profile away meanwhile
		s.problem(w, r, flow.ErrGone)
		return
	}
	page := templates.ConsentPage{
		Flow: current.ID, Ticket: s.Flows.Ticket(current), Client: s.Clients.Describe(r.Context(), request),
		Account: current.SignIn.Account.Username, Email: current.SignIn.Account.Email, Role: string(current.SignIn.Account.Role),
		Resource: request.Resource, Profile: resource.Profile, ProfileTitle: resource.Title, Scopes: choices(request.Scopes, client, resource, earlier),
		KeyName: s.Credentials.KeyName(client.Name, s.grantID(current)), Notice: notice,
	}
	if request.Refresh {
		page.IdleDays, page.MaxDays = days(s.Life.RefreshIdle), days(s.Life.RefreshMax)
	}
	if !earlier.GivenAt.IsZero() {
		page.AllowedOn = earlier.GivenAt.UTC().Format(time.DateOnly)
		page.Changed = earlier.Fingerprint != client.Fingerprint // CO-07, AS-112
	}
	if notice != "" {
		s.Log.InfoContext(r.Context(), "consent shown again", "notice", notice, "request_id", audit.RequestID(r.Context()))
	}
	s.Pages.Write(w, status, page)
}

// choices are the scopes on the page: reading always, what the client asked for ticked, and the
// rest it may have offered, so that admin can come by the person's own tick (decision 7).
func choices(asked bridge.Scopes, client bridge.Client, resource bridge.Resource, earlier bridge.Consent) []templates.ScopeChoice {
	var list []templates.ScopeChoice
	for _, scope := range offered(client, resource) {
		fixed := scope == bridge.ScopeRead
		list = append(list, templates.ScopeChoice{
			Scope: string(scope), Fixed: fixed, Ticked: fixed || slices.Contains(asked, scope),
			New:     !earlier.GivenAt.IsZero() && slices.Contains(asked, scope) && !slices.Contains(earlier.Scopes, scope),
			Warning: scope == bridge.ScopeAdmin,
		})
	}
	return list
}

func offered(client bridge.Client, resource bridge.Resource) bridge.Scopes {
	if len(client.Scopes) == 0 {
		return resource.Scopes
	}
	return client.Scopes.Union(bridge.Scopes{bridge.ScopeRead}).Intersect(resource.Scopes)
}

// chosen reads the ticked scopes. The page always sends the reading scope along; a form without
// any scope is not ours and grants nothing.
func chosen(posted []string, client bridge.Client, resource bridge.Resource) (bridge.Scopes, string) {
	var scopes bridge.Scopes
	for _, scope := range offered(client, resource) {
		if slices.Contains(posted, string(scope)) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 || len(scopes) != len(posted) || !scopes.Allows(bridge.ScopeRead) {
		return nil, "consent.no_scope"
	}
	return scopes.Union(bridge.Scopes{bridge.ScopeRead}), ""
}

// days rounds up: the page promises no earlier end than there is.
func days(d time.Duration) int { return int((d + 24*time.Hour - 1) / (24 * time.Hour)) }
