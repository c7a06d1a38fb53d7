package rows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// codeKept is how long a code stays after its expiry, spent or not.
const codeKept = 24 * time.Hour

var codes = table[bridge.Code]{
	kind:  KindCode,
	due:   func(c *bridge.Code) time.Time { return c.ExpiresAt.Add(codeKept) },
	broom: true,
}

// IssueCode stores what an approval made. FlowUsed also covers a flow that has not come to the
// decision: there is nothing to issue for it.
func (s *Store) IssueCode(ctx context.Context, issue bridge.Issue, now time.Time) (bridge.IssueOutcome, error) {
	if err := checkIssue(issue); err != nil {
		return "", err
	}
	if issue.Identity != nil {
		identity := *issue.Identity
		s.sealCurrent(identity.SealedValues())
		issue.Identity = &identity
	}
	return write(ctx, s, func(t *tx) (bridge.IssueOutcome, error) {
		if err := t.Ahead(t.issued(issue)...); err != nil {
			return "", err
		}
		flow, err := currentFlow(t, issue.FlowID, now)
		switch {
		case errors.Is(err, bridge.ErrNotFound):
			return bridge.FlowExpired, nil
		case err != nil:
			return "", err
		case flow.Visit, flow.Step != bridge.StepConsent:
			return bridge.FlowUsed, nil
		}
		if live, err := linkLive(t, &issue.Grant); err != nil || !live {
			return bridge.LinkEnded, err
		}
		decided := flow
		decided.Step, decided.Exit, decided.SignIn.Identity = bridge.StepDecided, issue.Exit, nil
		if err := flows.put(t, flow.ID, &flow, &decided, now); err != nil {
			return "", err
		}
		if err := putConsent(t, issue.Consent, now); err != nil {
			return "", err
		}
		if err := addGrant(t, &grantRow{Grant: issue.Grant}, now); err != nil {
			return "", err
		}
		if issue.Identity != nil { // its id is of one sign-in and never comes twice
			if err := identities.add(t, issue.Identity.ID, issue.Identity, now); err != nil {
				return "", err
			}
		}
		return bridge.CodeIssued, codes.add(t, issue.Code.Hash.String(), &issue.Code, now)
	})
}

// issued are the rows that an approval reads, in the order in which it does.
func (t *tx) issued(issue bridge.Issue) []Ref {
	yes := issue.Consent
	return []Ref{
		flows.ref(issue.FlowID), links.ref(issue.Grant.Link),
		consents.ref(t.consentID(yes.PersonID, yes.ClientID, yes.RedirectURI, yes.Resource)),
	}
}

// checkIssue refuses an approval whose parts do not belong together or would never end.
func checkIssue(issue bridge.Issue) error {
	grant, code := &issue.Grant, &issue.Code
	switch {
	case code.Hash.IsZero():
		return errors.New("issuing a code: it has no hash")
	case code.GrantID != grant.ID || code.ClientID != grant.ClientID:
		return errors.New("issuing a code: it belongs to another grant or client")
	case code.Refresh != grant.Refresh:
		return errors.New("issuing a code: it and its grant disagree about a refresh family")
	case grant.Status != bridge.GrantPending:
		return fmt.Errorf("issuing a code: its grant is %q, not pending", grant.Status)
	case grant.Lapses.IsZero():
		return errors.New("issuing a code: its grant would never lapse")
	}
	return checkIssuedIdentity(grant, issue.Identity)
}

func putConsent(t *tx, consent bridge.Consent, now time.Time) error {
	id := t.consentID(consent.PersonID, consent.ClientID, consent.RedirectURI, consent.Resource)
	before, found, err := consents.get(t, id)
	if err != nil {
		return err
	}
	if !found {
		return consents.put(t, id, nil, &consent, now)
	}
	return consents.put(t, id, &before, &consent, now)
}

// redemption is what RedeemCode came to.
type redemption struct {
	outcome bridge.CodeOutcome
	grant   bridge.Grant
}

// RedeemCode spends an authorization code. A code whose grant has ended or is not stored opens
// nothing: it is answered as expired or unknown.
func (s *Store) RedeemCode(ctx context.Context, use bridge.CodeUse, now time.Time) (bridge.CodeOutcome, bridge.Grant, error) {
	r, err := write(ctx, s, func(t *tx) (redemption, error) { return redeem(t, use, now) })
	return r.outcome, r.grant, err
}

func redeem(t *tx, use bridge.CodeUse, now time.Time) (redemption, error) {
	unknown := redemption{outcome: bridge.CodeUnknown}
	if use.Code.IsZero() {
		return unknown, nil
	}
	code, found, err := codes.get(t, use.Code.String())
	if err != nil {
		return redemption{}, err
	}
	if err := t.Ahead(grants.ref(code.GrantID), clients.ref(t.foreign(code.ClientID))); err != nil {
		return redemption{}, err
	}
	if !found || !now.Before(codes.due(&code)) {
		return unknown, nil
	}
	grant, found, err := grants.get(t, code.GrantID)
	if err != nil {
		return redemption{}, err
	}
	if !found {
		return unknown, nil
	}
	outcome := code.Judge(use, now)
	switch outcome {
	case bridge.CodeRedeemed:
		return spend(t, code, grant, use, now)
	case bridge.CodeReplayed:
		grant, err = endGrant(t, grant, bridge.EndCodeReplayed, now)
	case bridge.CodeMismatch:
		grant, err = countMismatch(t, code, grant, now)
	case bridge.CodeUnknown:
		return unknown, nil
	}
	return redemption{outcome, grant.Grant}, err
}

// spend makes the grant of a good code live, with its family when the code comes with one.
func spend(t *tx, code bridge.Code, grant grantRow, use bridge.CodeUse, now time.Time) (redemption, error) {
	if grant.Status != bridge.GrantPending {
		return redemption{bridge.CodeExpired, grant.Grant}, nil // ended before it was redeemed
	}
	spent := code
	spent.SpentAt = now
	if err := codes.put(t, code.Hash.String(), &code, &spent, now); err != nil {
		return redemption{}, err
	}
	live := grant
	live.Status = bridge.GrantLive
	live.Lapses = now.Add(use.AccessTokenLife)
	lastToken := live.Lapses
	if code.Refresh {
		if err := beginFamily(&live, use, now); err != nil {
			return redemption{}, err
		}
		live.Lapses = later(live.Lapses, live.Family.IdleUntil)
		lastToken = live.Family.EndsAt.Add(use.AccessTokenLife)
	}
	live.Looked = live.Lapses // not when the code would have lapsed, which is soon
	// Quietly: a copy of a pending grant lets nobody in, and telling replicas costs a commit of its own.
	if err := putGrantQuietly(t, &grant, &live, now); err != nil {
		return redemption{}, err
	}
	err := keepClient(t, grant.ClientID, lastToken.Add(use.ClientUnusedAfter), now)
	return redemption{bridge.CodeRedeemed, live.Grant}, err
}

// countMismatch counts a wrong redemption; the last one that is allowed spends the code and ends
// its grant, which nobody can redeem any more.
func countMismatch(t *tx, code bridge.Code, grant grantRow, now time.Time) (grantRow, error) {
	counted := code
	counted.Mismatches++
	if counted.Mismatches >= bridge.MaxCodeMismatches {
		counted.SpentAt = now
		var err error
		if grant, err = endGrant(t, grant, bridge.EndCodeUnredeemed, now); err != nil {
			return grantRow{}, err
		}
	}
	return grant, codes.put(t, code.Hash.String(), &code, &counted, now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
