package badger

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// connection is one client's way from consent to revocation, for the tests that do many.
type connection struct {
	store   *Store
	grantID string
	subject string
	code    string // in clear
	token   string // the newest refresh token, in clear
}

func newConnection(s *Store) *connection {
	return &connection{store: s, grantID: randomID(), code: randomID(), subject: "alice"}
}

func randomID() string {
	id, err := bridge.NewID(rand.Reader)
	if err != nil {
		panic(err) // never: the system's randomness does not fail
	}
	return id
}

func (c *connection) issue(ctx context.Context) error {
	now := time.Now()
	flow := bridge.Flow{
		ID: randomID(), Browser: bridge.HashOf("browser"), Step: bridge.StepConsent,
		Request:   bridge.AuthorizationRequest{ClientID: "client", CodeChallenge: "challenge"},
		SignIn:    bridge.SignIn{Session: []byte("sealed session"), Mailbox: "alice@example.com"},
		CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	if err := c.store.CreateFlow(ctx, flow); err != nil {
		return err
	}
	person := bridge.Person{Source: bridge.SourceTrinity, Subject: c.subject}
	outcome, err := c.store.IssueCode(ctx, bridge.Issue{
		FlowID:  flow.ID,
		Consent: bridge.Consent{PersonID: person.ID(), ClientID: "client", GivenAt: now},
		Grant: bridge.Grant{
			ID: c.grantID, Status: bridge.GrantPending, Person: person, ClientID: "client",
			Account:    bridge.Account{Username: "alice", Email: "alice@example.com", Role: bridge.RoleUser},
			Resource:   "https://bridge.example.com/mcp",
			Scopes:     bridge.BaselineScopes(),
			Credential: bridge.Credential{KeyID: c.grantID, KeyName: "bridge: Example client", Sealed: []byte(rand.Text() + rand.Text() + rand.Text() + rand.Text())},
			Refresh:    true,
			CreatedAt:  now, Lapses: now.Add(time.Hour),
		},
		Code: bridge.Code{
			Hash: bridge.HashOf(c.code), GrantID: c.grantID, ClientID: "client", CodeChallenge: "challenge",
			Refresh: true, ExpiresAt: now.Add(time.Hour),
		},
	}, now)
	if err == nil && outcome != bridge.CodeIssued {
		err = fmt.Errorf("issuing came to %s", outcome)
	}
	return err
}

func (c *connection) redeem(ctx context.Context) (bridge.CodeOutcome, error) {
	token := randomID()
	outcome, _, err := c.store.RedeemCode(ctx, bridge.CodeUse{
		Code: bridge.HashOf(c.code), ClientID: "client", Challenge: "challenge", Refresh: bridge.HashOf(token),
		RefreshIdle: 30 * 24 * time.Hour, RefreshAbsolute: 180 * 24 * time.Hour, AccessTokenLife: time.Hour,
	}, time.Now())
	if outcome == bridge.CodeRedeemed {
		c.token = token
	}
	return outcome, err
}

func (c *connection) rotate(ctx context.Context) error {
	next := randomID()
	rotation, err := c.store.RotateRefresh(ctx, bridge.RefreshUse{
		Token: bridge.HashOf(c.token), ClientID: "client",
		Successor: bridge.HashOf(next), SealedSuccessor: make([]byte, 70),
		Idle: 30 * 24 * time.Hour, AccessTokenLife: time.Hour,
		Rule: func(family bridge.Family, presented bridge.Hash, _ time.Time) bridge.RefreshOutcome {
			if presented == family.Head {
				return bridge.RefreshRotated
			}
			return bridge.RefreshReused
		},
	}, time.Now())
	if err == nil && rotation.Outcome != bridge.RefreshRotated {
		err = fmt.Errorf("rotating came to %s", rotation.Outcome)
	}
	c.token = next
	return err
}
