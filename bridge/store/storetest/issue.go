package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var issueTests = []test{
	{"everything of an approval is stored", issueStores},
	{"a flow is decided once", issueTwice},
	{"CO-12/64 approvals at once make one code", issueRace},
	{"a flow that is not at the decision makes no code", issueWrongStep},
	{"an expired or unknown flow makes no code", issueExpired},
	{"an approval whose parts do not fit is refused", issueIncoherent},
	{"a grant or code that exists is not replaced", issueConflict},
}

func issueStores(t *testing.T, f *fixture) {
	flow := f.newFlow()
	must(t, f.CreateFlow(t.Context(), flow))
	issue := f.newIssue(flow)
	outcome, err := f.IssueCode(t.Context(), issue, f.now)
	must(t, err)
	equal(t, "outcome", outcome, bridge.CodeIssued)
	f.reopen(t)

	flow.Step, flow.Exit = bridge.StepDecided, issue.Exit
	stored, err := f.Flow(t.Context(), flow.ID, f.now)
	must(t, err)
	equal(t, "flow", stored, flow)
	equal(t, "grant", f.wantGrant(t, issue.Grant.ID, bridge.GrantPending), issue.Grant)
	c := issue.Consent
	consent, err := f.Consent(t.Context(), c.PersonID, c.ClientID, c.RedirectURI, c.Resource)
	must(t, err)
	equal(t, "consent", consent, c)
	for _, other := range [][4]string{
		{"", c.ClientID, c.RedirectURI, c.Resource},
		{c.PersonID, "", c.RedirectURI, c.Resource},
		{c.PersonID, c.ClientID, "", c.Resource},
		{c.PersonID, c.ClientID, c.RedirectURI, ""},
		{c.PersonID, c.ClientID + c.RedirectURI, "", c.Resource},
	} {
		_, err := f.Consent(t.Context(), other[0], other[1], other[2], other[3])
		wantError(t, err, bridge.ErrNotFound)
	}
	f.wantUnqueued(t)
}

func issueTwice(t *testing.T, f *fixture) {
	first := f.issued(t)
	second := f.newIssue(bridge.Flow{ID: first.FlowID, Request: bridge.AuthorizationRequest{ClientID: "client-b"}})
	outcome, err := f.IssueCode(t.Context(), second, f.now)
	must(t, err)
	equal(t, "outcome", outcome, bridge.FlowUsed)
	f.wantNotIssued(t, second)
	f.wantRedeem(t, f.use(first.Code), bridge.CodeRedeemed)
}

func issueRace(t *testing.T, f *fixture) {
	flow := f.newFlow()
	must(t, f.CreateFlow(t.Context(), flow))
	outcomes := map[bridge.IssueOutcome]int{}
	var mu sync.Mutex
	barrier(64, func(int) {
		outcome, err := f.IssueCode(t.Context(), f.newIssue(flow), f.now)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		outcomes[outcome]++
	})
	equal(t, "outcomes", outcomes, map[bridge.IssueOutcome]int{bridge.CodeIssued: 1, bridge.FlowUsed: 63})
	grants, err := f.Grants(t.Context(), "", "", "", 100)
	must(t, err)
	equal(t, "grants", len(grants), 1)
}

func issueWrongStep(t *testing.T, f *fixture) {
	steps := []bridge.Step{"", bridge.StepSignIn, bridge.StepCode, bridge.StepSecondFactor, bridge.StepVisit, bridge.StepDecided, bridge.StepFinished}
	for i, step := range append(steps, bridge.StepConsent) {
		flow := f.newFlow()
		flow.Step, flow.Visit = step, i == len(steps) // a visit makes none wherever it stands
		must(t, f.CreateFlow(t.Context(), flow))
		issue := f.newIssue(flow)
		outcome, err := f.IssueCode(t.Context(), issue, f.now)
		must(t, err)
		equal(t, "outcome at "+string(step), outcome, bridge.FlowUsed)
		f.wantNotIssued(t, issue)
		f.wantFlow(t, flow)
	}
}

func issueExpired(t *testing.T, f *fixture) {
	flow := f.newFlow()
	must(t, f.CreateFlow(t.Context(), flow))
	for _, id := range []string{flow.ID, "", "flow-unknown"} {
		issue := f.newIssue(flow)
		issue.FlowID = id
		outcome, err := f.IssueCode(t.Context(), issue, flow.ExpiresAt)
		must(t, err)
		equal(t, "outcome", outcome, bridge.FlowExpired)
		f.wantNotIssued(t, issue)
	}
	f.wantFlow(t, flow)
}

func issueIncoherent(t *testing.T, f *fixture) {
	tests := map[string]func(*bridge.Issue){
		"no code hash":         func(i *bridge.Issue) { i.Code.Hash = bridge.Hash{} },
		"code of no grant":     func(i *bridge.Issue) { i.Code.GrantID = "" },
		"code of no client":    func(i *bridge.Issue) { i.Code.ClientID = "" },
		"grant without an id":  func(i *bridge.Issue) { i.Grant.ID, i.Code.GrantID = "", "" },
		"grant live already":   func(i *bridge.Issue) { i.Grant.Status = bridge.GrantLive },
		"grant without status": func(i *bridge.Issue) { i.Grant.Status = "" },
		"family for the code":  func(i *bridge.Issue) { i.Grant.Refresh = false },
		"family for the grant": func(i *bridge.Issue) { i.Code.Refresh = false },
		"grant never lapses":   func(i *bridge.Issue) { i.Grant.Lapses = time.Time{} },
	}
	flow := f.newFlow()
	must(t, f.CreateFlow(t.Context(), flow))
	for name, edit := range tests {
		issue := f.newIssue(flow)
		edit(&issue)
		if _, err := f.IssueCode(t.Context(), issue, f.now); err == nil {
			t.Errorf("%s: issued", name)
		}
		f.wantNotIssued(t, issue)
		f.wantFlow(t, flow)
	}
}

func issueConflict(t *testing.T, f *fixture) {
	first := f.issued(t)
	for name, edit := range map[string]func(*bridge.Issue){
		"code":  func(i *bridge.Issue) { i.Code.Hash = first.Code.Hash },
		"grant": func(i *bridge.Issue) { i.Grant.ID, i.Code.GrantID = first.Grant.ID, first.Grant.ID },
	} {
		flow := f.newFlow()
		must(t, f.CreateFlow(t.Context(), flow))
		issue := f.newIssue(flow)
		edit(&issue)
		if _, err := f.IssueCode(t.Context(), issue, f.now); err == nil {
			t.Fatalf("the same %s was issued again", name)
		} else {
			wantError(t, err, bridge.ErrConflict)
		}
		f.wantFlow(t, flow)
	}
	equal(t, "grant", f.wantGrant(t, first.Grant.ID, bridge.GrantPending), first.Grant)
}

// wantNotIssued wants no trace of an approval.
func (f *fixture) wantNotIssued(t testing.TB, issue bridge.Issue) {
	t.Helper()
	_, err := f.Grant(t.Context(), issue.Grant.ID)
	wantError(t, err, bridge.ErrNotFound)
	use := f.use(issue.Code)
	f.wantRedeem(t, use, bridge.CodeUnknown)
}

// wantFlow wants a flow stored exactly so.
func (f *fixture) wantFlow(t testing.TB, want bridge.Flow) {
	t.Helper()
	got, err := f.Flow(t.Context(), want.ID, f.now)
	must(t, err)
	equal(t, "flow", got, want)
}
