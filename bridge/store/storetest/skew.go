package storetest

import (
	"errors"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
)

// skewTests are transitions of different rows that meet: each by itself would be right.
var skewTests = []test{
	{"I10/a link that ends while grants are made through it leaves none open", skewLink},
	{"I10/a grant that ends while it is redeemed and refreshed stays ended", skewEnd},
}

func skewLink(t *testing.T, f *fixture) {
	for range 20 {
		link := f.linked(t, bob)
		issues := make([]bridge.Issue, 8)
		for i := range issues {
			flow := f.newFlow()
			must(t, f.CreateFlow(t.Context(), flow))
			issues[i] = f.newIssue(flow)
			through(link)(&issues[i])
		}
		barrier(1+2*len(issues), func(i int) {
			var err error
			switch {
			case i == 2*len(issues):
				_, _, _, err = f.EndLink(t.Context(), link.ID, bridge.EndRevokedByOperator, f.now)
			case i%2 == 0:
				_, err = f.IssueCode(t.Context(), issues[i/2], f.now)
			default:
				started := f.newMachine()
				started.Person, started.Link = link.Person, link.ID
				_, err = f.StartGrant(t.Context(), started, f.now)
				if errors.Is(err, bridge.ErrNotFound) { // the link was over
					err = nil
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
		f.wantOpenOf(t, bob, 0)
	}
}

func skewEnd(t *testing.T, f *fixture) {
	for range 20 {
		issue := f.issued(t)
		use := f.use(issue.Code)
		barrier(12, func(i int) {
			var err error
			switch {
			case i == 0:
				_, _, err = f.EndGrant(t.Context(), issue.Grant.ID, bridge.EndRevokedByOperator, f.now)
			case i == 1:
				_, _, err = f.RedeemCode(t.Context(), use, f.now)
			case i%2 == 0:
				_, err = f.RotateRefresh(t.Context(), f.useRefresh(use.Refresh), f.now)
			default:
				err = f.TouchGrant(t.Context(), issue.Grant.ID, f.now)
			}
			if err != nil {
				t.Error(err)
			}
		})
		f.wantGrant(t, issue.Grant.ID, bridge.GrantEnded)
	}
}
