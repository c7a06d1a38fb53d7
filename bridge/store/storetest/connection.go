package storetest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// sealedKeyBytes is how many a grant's sealed Trinity key takes.
const sealedKeyBytes = 53

// Client is whose connections are, as most are Claude's, and claudeCallback where it has its answers sent.
const (
	Client         = "https://claude.ai/oauth/mcp-oauth-client-metadata"
	claudeCallback = "https://claude.ai/api/mcp/auth_callback"
)

// Connection is one client's way from consent to revocation, for the tests that do many.
type Connection struct {
	Store   bridge.Store
	GrantID string
	Subject string
	Code    string // in clear
	Token   string // the newest refresh token, in clear

	signedIn time.Time
}

// NewConnection returns one of alice's.
func NewConnection(s bridge.Store) *Connection {
	now := bridge.Now()
	return &Connection{Store: s, GrantID: bridge.GrantID(now, RandomID()), Code: RandomID(), Subject: "alice", signedIn: now}
}

// RandomID is bridge.NewID.
func RandomID() string {
	id, err := bridge.NewID(rand.Reader)
	if err != nil {
		panic(err) // never: the system's randomness does not fail
	}
	return id
}

// keyID is one as Trinity makes them.
func keyID() string {
	raw := make([]byte, bridge.IDBytes)
	_, _ = rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Issue consents, and forgets the session of the sign-in, which is logged out.
func (c *Connection) Issue(ctx context.Context) error {
	now := bridge.Now()
	flow := bridge.Flow{
		ID: RandomID(), Browser: bridge.HashOf("browser"), Step: bridge.StepConsent,
		Request:   bridge.AuthorizationRequest{ClientID: Client, CodeChallenge: "challenge"},
		SignIn:    bridge.SignIn{Session: []byte("sealed session"), Mailbox: "alice@example.com"},
		CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	if err := c.Store.CreateFlow(ctx, flow); err != nil {
		return err
	}
	sealed := make([]byte, sealedKeyBytes)
	_, _ = rand.Read(sealed) // never fails
	person := bridge.Person{Source: bridge.SourceTrinity, Subject: c.Subject}
	outcome, err := c.Store.IssueCode(ctx, bridge.Issue{
		FlowID: flow.ID,
		Consent: bridge.Consent{
			PersonID: person.ID(), ClientID: Client, RedirectURI: claudeCallback, Resource: resourceURL,
			Scopes: bridge.BaselineScopes(), ActingAs: bridge.ActingAs{Kind: bridge.ActAsUser},
			Fingerprint: bridge.HashOf("document"), GivenAt: now,
		},
		Grant: bridge.Grant{
			ID: c.GrantID, Status: bridge.GrantPending, Person: person, ClientID: Client,
			Account:    bridge.Account{Username: c.Subject, Email: "alice@example.com", Role: bridge.RoleUser},
			ActingAs:   bridge.ActingAs{Kind: bridge.ActAsUser},
			ClientName: "Claude", Redirect: claudeCallback, Resource: resourceURL,
			Scopes:     bridge.BaselineScopes(),
			Asked:      bridge.BaselineScopes(),
			Credential: bridge.Credential{KeyID: keyID(), KeyName: "trinity-bridge:claude:" + c.GrantID + "@abcdefgh", Sealed: sealed},
			Refresh:    true,
			CreatedAt:  c.signedIn, Lapses: now.Add(time.Hour),
		},
		Code: bridge.Code{
			Hash: bridge.HashOf(c.Code), GrantID: c.GrantID, ClientID: Client, CodeChallenge: "challenge",
			Refresh: true, ExpiresAt: now.Add(time.Hour),
		},
	}, now)
	if err == nil && outcome != bridge.CodeIssued {
		err = fmt.Errorf("issuing came to %s", outcome)
	}
	if err == nil {
		_, err = c.Store.UpdateFlow(ctx, flow.ID, now, func(f *bridge.Flow) error { f.SignIn.Session = nil; return nil })
	}
	return err
}

// Redeem presents the code.
func (c *Connection) Redeem(ctx context.Context) (bridge.CodeOutcome, error) {
	token := RandomID()
	outcome, _, err := c.Store.RedeemCode(ctx, bridge.CodeUse{
		Code: bridge.HashOf(c.Code), ClientID: Client, Challenge: "challenge", Refresh: c.refresh(token),
		RefreshIdle: 30 * 24 * time.Hour, RefreshAbsolute: 180 * 24 * time.Hour, AccessTokenLife: time.Hour,
	}, bridge.Now())
	if outcome == bridge.CodeRedeemed {
		c.Token = token
	}
	return outcome, err
}

// Head is what a store knows of the newest refresh token.
func (c *Connection) Head() bridge.RefreshToken { return c.refresh(c.Token) }

// Successor is what it will know of the one that follows.
func (c *Connection) Successor() bridge.RefreshToken { return c.refresh(c.successor()) }

func (c *Connection) successor() string { return bridge.HashOf(c.Token).String() }

func (c *Connection) refresh(token string) bridge.RefreshToken {
	return bridge.RefreshToken{GrantID: c.GrantID, Shared: bridge.TokenHashOf("shared " + c.GrantID), Hash: bridge.TokenHashOf(token)}
}

// Connect consents and presents the code; anything but a live grant is an error.
func (c *Connection) Connect(ctx context.Context) error {
	if err := c.Issue(ctx); err != nil {
		return err
	}
	return c.mustRedeem(ctx)
}

func (c *Connection) mustRedeem(ctx context.Context) error {
	outcome, err := c.Redeem(ctx)
	if err == nil && outcome != bridge.CodeRedeemed {
		err = fmt.Errorf("redeeming came to %s", outcome)
	}
	return err
}

// Rotate presents the newest refresh token, and looks at it first as the token endpoint does.
func (c *Connection) Rotate(ctx context.Context) error {
	if _, _, err := c.Store.RefreshGrant(ctx, c.Head(), bridge.Now()); err != nil {
		return err
	}
	rotation, err := c.Store.RotateRefresh(ctx, bridge.RefreshUse{
		Token: c.Head(), ClientID: Client, Successor: c.Successor().Hash,
		Idle: 30 * 24 * time.Hour, AccessTokenLife: time.Hour,
		Rule: func(family bridge.Family, use bridge.RefreshUse, _ time.Time) bridge.RefreshOutcome {
			if family.IsHead(use.Token.Hash) {
				return bridge.RefreshRotated
			}
			return bridge.RefreshReused
		},
	}, bridge.Now())
	if err == nil && rotation.Outcome != bridge.RefreshRotated {
		err = fmt.Errorf("rotating came to %s", rotation.Outcome)
	}
	c.Token = c.successor()
	return err
}
