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
// key named on the page is the key that is made. So it is as old as the sign-in, and not as the answer.
func (s *Step) grantID(current bridge.Flow) string {
	return bridge.GrantID(current.SignIn.At, current.ID)
}

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
	if !admitted(current.SignIn, resource) {
		s.closed(w, r)
		return
	}
	page := templates.ConsentPage{
		Flow: current.ID, Ticket: s.Flows.Ticket(current), Client: s.Clients.Describe(r.Context(), request),
		Account: current.SignIn.Account.Username, Email: current.SignIn.Account.Email, Role: string(current.SignIn.Account.Role),
		ActAs: s.actingChoices(current), Resource: request.Resource, Profile: resource.Profile, ProfileTitle: resource.Title,
		Scopes:  choices(request.Scopes, offered(client, resource, current.SignIn), earlier),
		KeyName: s.Credentials.KeyName(r.Context(), current, client.Name, s.grantID(current)), Notice: notice,
	}
	if current.SignIn.Identity != nil {
		page.Source = s.Label(current.SignIn.Source)
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
func choices(asked, offered bridge.Scopes, earlier bridge.Consent) []templates.ScopeChoice {
	var list []templates.ScopeChoice
	for _, scope := range offered {
		fixed := scope == bridge.ScopeRead
		list = append(list, templates.ScopeChoice{
			Scope: string(scope), Fixed: fixed, Ticked: fixed || slices.Contains(asked, scope),
			New:     !earlier.GivenAt.IsZero() && slices.Contains(asked, scope) && !slices.Contains(earlier.Scopes, scope),
			Warning: scope == bridge.ScopeAdmin,
		})
	}
	return list
}

// admitted reports whether the rules of the person's identity source open the tool set.
func admitted(signIn bridge.SignIn, resource bridge.Resource) bool {
	return signIn.Identity == nil || signIn.Identity.Admission.Opens(resource.Profile)
}

// closed says that the person may not use the tool set the client asks for.
func (s *Step) closed(w http.ResponseWriter, r *http.Request) {
	s.Trail.Record(r.Context(), bridge.AuditEvent{Kind: audit.ConsentRefused, Detail: "the profile is not open to this person"})
	s.Pages.Write(w, http.StatusForbidden, templates.ProblemPage{
		Status: http.StatusForbidden, Key: "profile-closed", Reference: audit.RequestID(r.Context()),
	})
}

// offered is what the client may have at the resource, as far as the rules of the person's identity
// source reach.
func offered(client bridge.Client, resource bridge.Resource, signIn bridge.SignIn) bridge.Scopes {
	scopes := resource.Scopes
	if len(client.Scopes) > 0 {
		scopes = client.Scopes.Union(bridge.Scopes{bridge.ScopeRead}).Intersect(scopes)
	}
	if signIn.Identity != nil {
		scopes = scopes.Intersect(signIn.Identity.Admission.Ceiling)
	}
	return scopes
}

// chosen reads the ticked scopes. The page always sends the reading scope along; a form without
// any scope is not ours and grants nothing.
func chosen(posted []string, offered bridge.Scopes) (bridge.Scopes, string) {
	var scopes bridge.Scopes
	for _, scope := range offered {
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
