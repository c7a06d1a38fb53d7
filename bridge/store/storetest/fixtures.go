package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Base is what stores of the suite are opened with, as that of the deployment which the fixtures are of.
const Base = issuerURL

// The lives the fixtures use.
const (
	codeLife    = time.Minute
	flowLife    = 10 * time.Minute
	accessLife  = time.Hour
	idleLife    = 30 * 24 * time.Hour
	longestLife = 180 * 24 * time.Hour
	clientKept  = 30 * 24 * time.Hour
	unusedLife  = 24 * time.Hour
	issuerURL   = "https://bridge.example.com"
	resourceURL = "https://bridge.example.com/mcp"
	redirectURL = "https://client.example.com/callback"
)

var alice = bridge.Person{Source: bridge.SourceTrinity, Subject: "alice"}

// newClient is a client that has just registered.
func (f *fixture) newClient() bridge.Client {
	return bridge.Client{
		ID: f.name("client"), Kind: bridge.ClientRegistered, Name: "Example client",
		RedirectURIs: []string{redirectURL}, GrantTypes: []string{bridge.GrantTypeCode, bridge.GrantTypeRefresh},
		AuthMethod: bridge.AuthNone, CreatedAt: f.now, UnusedUntil: f.now.Add(unusedLife),
	}
}

// newFlow is a flow at the consent page, with its sealed session.
func (f *fixture) newFlow() bridge.Flow {
	return bridge.Flow{
		ID: f.name("flow"), Browser: f.hash("browser"), Step: bridge.StepConsent,
		Request: bridge.AuthorizationRequest{
			ClientID: "client-a", RedirectURI: redirectURL, RedirectSent: true, State: "state",
			CodeChallenge: "challenge", Resource: resourceURL, Scopes: bridge.BaselineScopes(),
		},
		SignIn: bridge.SignIn{
			Mailbox: "alice@example.com", Session: []byte("sealed session"), Person: alice,
			Account: bridge.Account{Username: "alice", Email: "alice@example.com", Role: bridge.RoleUser}, At: f.now,
		},
		CreatedAt: f.now, ExpiresAt: f.now.Add(flowLife),
	}
}

// newIssue is an approval of a flow; the code comes with a refresh family.
func (f *fixture) newIssue(flow bridge.Flow) bridge.Issue {
	grant := bridge.Grant{
		ID: f.name("grant"), Status: bridge.GrantPending, Person: alice,
		Account: flow.SignIn.Account, ActingAs: bridge.ActingAs{Kind: bridge.ActAsUser},
		ClientID: flow.Request.ClientID, ClientName: "Example client", Redirect: redirectURL, Resource: resourceURL, Scopes: bridge.BaselineScopes(),
		Credential: bridge.Credential{KeyID: f.name("key"), KeyName: "bridge: Example client", Sealed: []byte("sealed key")},
		Asked:      bridge.AllScopes(), Refresh: true,
		CreatedAt: f.now, Lapses: f.now.Add(codeLife),
	}
	return bridge.Issue{
		FlowID: flow.ID,
		Consent: bridge.Consent{
			PersonID: alice.ID(), ClientID: grant.ClientID, RedirectURI: redirectURL, Resource: resourceURL,
			Scopes: bridge.BaselineScopes(), ActingAs: grant.ActingAs, GivenAt: f.now,
		},
		Grant: grant,
		Code: bridge.Code{
			Hash: f.hash("code"), GrantID: grant.ID, ClientID: grant.ClientID, RedirectURI: redirectURL, RedirectSent: true,
			CodeChallenge: "challenge", Resource: resourceURL, Refresh: true, ExpiresAt: f.now.Add(codeLife),
		},
		Exit: []byte("sealed exit"),
	}
}

// issued stores a flow and its approval, edited before, and returns the approval.
func (f *fixture) issued(t testing.TB, edits ...func(*bridge.Issue)) bridge.Issue {
	t.Helper()
	flow := f.newFlow()
	must(t, f.CreateFlow(t.Context(), flow))
	issue := f.newIssue(flow)
	for _, edit := range edits {
		edit(&issue)
	}
	outcome, err := f.IssueCode(t.Context(), issue, f.now)
	must(t, err)
	equal(t, "outcome of IssueCode", outcome, bridge.CodeIssued)
	_, err = f.UpdateFlow(t.Context(), flow.ID, f.now, func(f *bridge.Flow) error { f.SignIn.Session = nil; return nil })
	must(t, err) // it is logged out
	return issue
}

// use is the right use of an issued code.
func (f *fixture) use(code bridge.Code) bridge.CodeUse {
	use := bridge.CodeUse{
		Code: code.Hash, ClientID: code.ClientID, RedirectURI: code.RedirectURI, Challenge: code.CodeChallenge, Resource: code.Resource,
		RefreshIdle: idleLife, RefreshAbsolute: longestLife, AccessTokenLife: accessLife, ClientUnusedAfter: clientKept,
	}
	if code.Refresh {
		use.Refresh = f.token(code.GrantID)
	}
	return use
}

// token is the first refresh token of a family.
func (f *fixture) token(grantID string) bridge.RefreshToken {
	return bridge.RefreshToken{GrantID: grantID, Shared: f.tokenHash("shared"), Hash: f.tokenHash("refresh")}
}

func (f *fixture) wantRedeem(t testing.TB, use bridge.CodeUse, want bridge.CodeOutcome) bridge.Grant {
	t.Helper()
	outcome, grant, err := f.RedeemCode(t.Context(), use, f.now)
	must(t, err)
	equal(t, "outcome of RedeemCode", outcome, want)
	if want == bridge.CodeUnknown {
		equal(t, "grant of an unknown code", grant, bridge.Grant{})
	}
	return grant
}

// live returns a live grant and its first refresh token.
func (f *fixture) live(t testing.TB, edits ...func(*bridge.Issue)) (bridge.Grant, bridge.RefreshToken) {
	t.Helper()
	use := f.use(f.issued(t, edits...).Code)
	return f.wantRedeem(t, use, bridge.CodeRedeemed), use.Refresh
}

// longRows is how many grants as revokedMany makes them are more than the embedded store takes in one write.
const longRows = 18

// revokedMany makes the row of a grant as long as a client can: it has revoked thousands of its access tokens one by one.
func (f *fixture) revokedMany(issue *bridge.Issue) {
	issue.Grant.RevokedTokens = map[string]time.Time{}
	for i := range 6000 {
		issue.Grant.RevokedTokens[fmt.Sprintf("%026d", i)] = f.now.Add(accessLife)
	}
}

// wantGrant returns a grant as stored, in the wanted state.
func (f *fixture) wantGrant(t testing.TB, id string, want bridge.GrantStatus) bridge.Grant {
	t.Helper()
	grant, err := f.Grant(t.Context(), id)
	must(t, err)
	equal(t, "status of the grant", grant.Status, want)
	return grant
}

// wantEnded checks everything that belongs to a grant having ended: the reason, the forgotten key
// and its place in the queue.
func (f *fixture) wantEnded(t testing.TB, before bridge.Grant, reason bridge.EndReason, at time.Time) {
	t.Helper()
	want := before
	want.Status, want.EndReason, want.EndedAt, want.Credential.Sealed = bridge.GrantEnded, reason, at, nil
	got := f.wantGrant(t, before.ID, bridge.GrantEnded)
	got.Lapses, want.Lapses = time.Time{}, time.Time{}
	equal(t, "ended grant", got, want)

	queue, err := f.DueKeyRevocations(t.Context(), at, 10_000)
	must(t, err)
	var queued []bridge.KeyRevocation
	for _, entry := range queue {
		if entry.GrantID == before.ID {
			queued = append(queued, entry)
		}
	}
	equal(t, "queued key", queued, []bridge.KeyRevocation{{
		GrantID: before.ID, PersonID: before.Person.ID(), Credential: before.Credential, DueAt: at,
	}})
}

// wantUnqueued wants no key of anybody waiting.
func (f *fixture) wantUnqueued(t testing.TB) {
	t.Helper()
	queue, err := f.DueKeyRevocations(t.Context(), f.now.Add(longestLife), 10)
	must(t, err)
	equal(t, "queue", len(queue), 0)
}
