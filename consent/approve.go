package consent

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// approve makes the grant: its Trinity key, then consent, grant and code in one transaction, then
// the Trinity session ends. A failure on the way leaves the flow where it was, so that the person
// can press the button again, and takes back the key.
func (s *Step) approve(w http.ResponseWriter, r *http.Request, current bridge.Flow) {
	client, err := s.Clients.Of(r.Context(), current.Request)
	resource, served := s.Resources.Of(current.Request.Resource)
	if err == nil && (client.Blocked || !served) || errors.Is(err, clients.ErrUnknown) {
		err = flow.ErrGone
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	if !admitted(current.SignIn, resource) {
		s.closed(w, r)
		return
	}
	scopes, notice := chosen(r.PostForm["scope"], offered(client, resource, current.SignIn))
	if notice != "" {
		s.page(w, r, http.StatusBadRequest, current, notice)
		return
	}
	acting, notice := s.chosenActing(r.PostForm["acting_as"], current)
	if notice != "" {
		s.page(w, r, http.StatusBadRequest, current, notice)
		return
	}
	// Before anything is made that would have to be taken back. From now on no document is needed to
	// serve the client; one that nobody redeems a code for is swept.
	if err := s.Clients.Keep(r.Context(), client); err != nil {
		s.problem(w, r, err)
		return
	}
	acting, answered := s.lend(w, r, current, acting)
	if answered {
		return
	}
	grantID := s.grantID(current)
	credential, err := s.Credentials.Mint(r.Context(), current, grantID, client.Name)
	if err != nil {
		s.mintFailed(w, r, current, err)
		return
	}
	issue, err := s.issue(current, client, resource, grantID, approval{scopes: scopes, acting: acting, credential: credential})
	if err != nil {
		s.Credentials.Discard(r.Context(), current, credential)
		s.problem(w, r, err)
		return
	}
	outcome, err := s.Codes.IssueCode(r.Context(), issue, s.Now())
	if err == nil && outcome == bridge.LinkEnded {
		s.page(w, r, http.StatusBadRequest, current, "consent.link_over")
		return
	}
	if err != nil || outcome != bridge.CodeIssued {
		s.Credentials.Discard(r.Context(), current, credential)
		if err == nil {
			err = flow.ErrGone
		}
		s.problem(w, r, err)
		return
	}
	s.Credentials.SignOut(r.Context(), current)
	s.Trail.Record(r.Context(), bridge.AuditEvent{
		Kind: audit.ConsentGiven, ClientID: client.ID, PersonID: current.SignIn.Person.ID(), GrantID: issue.Grant.ID,
		Outcome: acting.String(), Detail: scopes.String(),
	})
	s.sendOn(w, r, current)
}

func (s *Step) mintFailed(w http.ResponseWriter, r *http.Request, current bridge.Flow, err error) {
	s.Log.WarnContext(r.Context(), "no Trinity key could be made", "request_id", audit.RequestID(r.Context()), "error", err)
	notice, status := "consent.trinity_down", http.StatusServiceUnavailable
	if errors.Is(err, bridge.ErrNotFound) { // the sign-in's session, or its link, is over
		notice, status = "consent.session_over", http.StatusBadRequest
		if current.SignIn.Link != "" {
			notice = "consent.link_over"
		}
	}
	s.page(w, r, status, current, notice)
}

// approval is what the person allowed, and the key that came of it.
type approval struct {
	scopes     bridge.Scopes
	acting     bridge.ActingAs
	credential bridge.Credential
}

// issue puts together what an approval stores.
func (s *Step) issue(current bridge.Flow, client bridge.Client, resource bridge.Resource, grantID string, yes approval) (bridge.Issue, error) {
	code, err := secret.Random(s.Rand, "tbc_")
	if err != nil {
		return bridge.Issue{}, err
	}
	now, request := s.Now(), current.Request
	expires := now.Add(s.Life.Code)
	identity := current.SignIn.Identity
	exit := flow.AnswerURL(request.RedirectURI, s.Issuer, request.State, url.Values{"code": {code.Reveal()}})
	issue := bridge.Issue{
		FlowID: current.ID, Identity: identity,
		Consent: bridge.Consent{
			PersonID: current.SignIn.Person.ID(), ClientID: client.ID, RedirectURI: request.RedirectURI,
			Resource: request.Resource, Scopes: yes.scopes, ActingAs: yes.acting.Principal(),
			Fingerprint: client.Fingerprint, GivenAt: now,
		},
		Grant: bridge.Grant{
			ID: grantID, Status: bridge.GrantPending, Person: current.SignIn.Person, Account: current.SignIn.Account,
			ActingAs: yes.acting, ClientID: client.ID, ClientName: client.Name,
			Redirect: request.RedirectURI, Resource: request.Resource, Profile: resource.Profile,
			Scopes: yes.scopes, Asked: request.Scopes, Refresh: request.Refresh, Credential: yes.credential,
			Link: current.SignIn.Link, CreatedAt: current.SignIn.At, Lapses: expires,
		},
		Code: bridge.Code{
			Hash: code.Hash(), GrantID: grantID, ClientID: client.ID, RedirectURI: request.RedirectURI,
			RedirectSent: request.RedirectSent, CodeChallenge: request.CodeChallenge, ProofKey: request.ProofKey, Resource: request.Resource,
			Refresh: request.Refresh, ExpiresAt: expires,
		},
		Exit: s.Flows.SealExit(current.ID, exit),
	}
	if identity != nil {
		issue.Grant.Identity, issue.Grant.Ceiling, issue.Grant.Profiles = identity.ID, identity.Admission.Ceiling, identity.Admission.Profiles
	}
	return issue, nil
}
