package trinity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	keyNamePrefix = "trinity-bridge:"
	maxSlugBytes  = 32

	// sealKey is what a grant's key is sealed as; the row is the grant's id.
	sealKey = bridge.SealedKey

	// While a person waits for a page, the time for a key leaves undoTime to take it back again, or to
	// sign out, and the time for lending leaves lendSpare to make the key.
	undoTime  = 2 * time.Second
	lendSpare = 5 * time.Second
)

// CredentialsOptions are what Credentials need.
type CredentialsOptions struct {
	API         *API
	Ring        *secret.Keyring
	Revocations bridge.RevocationStore
	Links       bridge.LinkStore
	Trail       *audit.Trail
	Log         *slog.Logger
	Now         func() time.Time
	// Grace is how long Trinity may say nothing of a key before that speaks against it; 0 means 1 h.
	Grace time.Duration
	// Deployment is the deployment's id, which the names of its keys carry; Owners knows which of them it
	// has stored.
	Deployment string
	Owners     KeyOwners
	// Flows forget the session that is logged out.
	Flows FlowUpdater
	// Principals are what people may act as besides themselves; nil means nothing.
	Principals *Principals
}

// FlowUpdater changes a flow; see bridge.FlowStore.
type FlowUpdater interface {
	UpdateFlow(ctx context.Context, id string, now time.Time, change func(*bridge.Flow) error) (bridge.Flow, error)
}

// Credentials makes the Trinity key of a grant out of a sign-in, takes it back, and tells what it
// is still worth. Use NewCredentials.
type Credentials struct {
	api    *API
	ring   *secret.Keyring
	queue  *revoker
	links  bridge.LinkStore
	log    *slog.Logger
	now    func() time.Time
	asked  singleflight.Group
	doubts *doubts

	orphans *orphans
	flows   FlowUpdater

	principals *Principals
}

// NewCredentials makes Credentials.
func NewCredentials(o CredentialsOptions) *Credentials {
	if o.Grace == 0 {
		o.Grace = time.Hour
	}
	return &Credentials{
		api: o.API, ring: o.Ring, links: o.Links, log: o.Log, now: o.Now, doubts: newDoubts(o.Grace), principals: o.Principals, flows: o.Flows,
		orphans: &orphans{api: o.API, deployment: o.Deployment, owners: o.Owners, trail: o.Trail, log: o.Log, now: o.Now},
		queue:   &revoker{api: o.API, ring: o.Ring, store: o.Revocations, trail: o.Trail, log: o.Log, now: o.Now},
	}
}

// KeyName is what Trinity calls the key of a flow's grant: it is all that tells, in Trinity's own
// audit, which client a call came from (contract 4.6). The key of a link stands behind several.
func (c *Credentials) KeyName(ctx context.Context, flow bridge.Flow, client, grantID string) string {
	if flow.SignIn.Link != "" {
		link, err := c.links.Link(ctx, flow.SignIn.Link)
		if err != nil {
			return "" // minting says what is wrong
		}
		return link.Credential.KeyName
	}
	return c.orphans.name(slug(client), grantID)
}

// Mint makes the key of a grant with the session of the flow's sign-in and checks that it answers
// for the account the person was shown. The grant of a person with a link gets a copy of the link's
// key, without its id: the key is not the grant's to revoke. The error wraps bridge.ErrNotFound when
// the session or the link is over, so that signing in again helps; after any error no key is left
// behind.
func (c *Credentials) Mint(ctx context.Context, flow bridge.Flow, grantID, client string) (bridge.Credential, error) {
	if flow.SignIn.Link != "" {
		return c.borrow(ctx, flow.SignIn.Link, grantID)
	}
	if len(flow.SignIn.Session) == 0 {
		return bridge.Credential{}, fmt.Errorf("minting a key: no session: %w", bridge.ErrNotFound)
	}
	session, err := c.ring.OpenToken(sealSession, flow.ID, flow.SignIn.Session)
	if err != nil {
		return bridge.Credential{}, fmt.Errorf("minting a key: opening the session: %w", err)
	}
	return c.mint(ctx, mint{
		session: session, row: grantID, name: c.KeyName(ctx, flow, client, grantID), person: flow.SignIn.Person.ID(),
		username: flow.SignIn.Account.Username, description: "Made when you allowed a connection through Trinity Bridge",
	})
}

// borrow copies the key of a live link for a grant.
func (c *Credentials) borrow(ctx context.Context, linkID, grantID string) (bridge.Credential, error) {
	link, err := c.links.Link(ctx, linkID)
	if err == nil && !link.Live() {
		err = bridge.ErrNotFound
	}
	if err != nil {
		return bridge.Credential{}, fmt.Errorf("taking the key of a link: %w", err)
	}
	key, err := c.ring.OpenToken(sealKey, link.ID, link.Credential.Sealed)
	if err != nil {
		return bridge.Credential{}, fmt.Errorf("opening the key of link %s: %w", link.ID, err)
	}
	return bridge.Credential{KeyName: link.Credential.KeyName, Sealed: c.ring.SealToken(sealKey, grantID, key)}, nil
}

// mint is a key to be made with somebody's session, for a row of the store.
type mint struct {
	session                secret.Token
	row, name, description string
	person                 string // whose it is
	username               string // the account it has to answer for
}

func (c *Credentials) mint(ctx context.Context, m mint) (bridge.Credential, error) {
	ctx, cancel := flow.Asking(ctx, undoTime) // also without the browser: a key nobody knows of would stay at Trinity for good
	defer cancel()
	minted, err := c.api.MintKey(ctx, m.session, m.name, m.description)
	credential := bridge.Credential{KeyID: minted.ID, KeyName: minted.Name}
	if !minted.Key.IsZero() {
		credential.Sealed = c.ring.SealToken(sealKey, m.row, minted.Key)
	}
	if err == nil {
		err = c.answersFor(ctx, minted.Key, m.username)
	}
	if err == nil {
		return credential, nil
	}
	if minted.ID != "" {
		c.discard(ctx, m, credential)
	}
	if errors.Is(err, ErrUnauthorized) {
		return bridge.Credential{}, fmt.Errorf("%w: %w", bridge.ErrNotFound, err)
	}
	return bridge.Credential{}, err
}

// Discard revokes a key whose approval could not be stored: at once with the session, else through
// the queue.
func (c *Credentials) Discard(ctx context.Context, flow bridge.Flow, credential bridge.Credential) {
	if credential.KeyID == "" {
		return // a link's
	}
	grantID, _ := c.orphans.row(credential.KeyName)
	made := mint{row: grantID, person: flow.SignIn.Person.ID()}
	made.session, _ = c.ring.OpenToken(sealSession, flow.ID, flow.SignIn.Session) // without one it goes to the queue
	c.discard(ctx, made, credential)
}

func (c *Credentials) discard(ctx context.Context, m mint, credential bridge.Credential) {
	ctx = context.WithoutCancel(ctx)
	abandoned := bridge.KeyRevocation{GrantID: m.row, PersonID: m.person, Credential: credential}
	err := errNoSession
	if !m.session.IsZero() {
		undoing, cancel := context.WithTimeout(ctx, undoTime)
		defer cancel()
		err = c.api.RevokeKey(undoing, m.session, credential.KeyID)
	}
	if err == nil {
		c.queue.revoked(ctx, abandoned, "approval_not_stored")
		return
	}
	c.log.WarnContext(ctx, "a key that nobody uses could not be revoked at once", "request_id", audit.RequestID(ctx), "error", err)
	c.queue.abandon(ctx, abandoned)
}

// SignOut ends the Trinity session of the flow. While it is still at hand, keys that only the
// person's own session may revoke are revoked with it, and keys of the person that nothing here knows. The
// flow forgets the session when Trinity has confirmed; until then it waits for the Custodian. It never
// fails its caller and ends within the time of a page.
func (c *Credentials) SignOut(ctx context.Context, of bridge.Flow) {
	session, err := c.ring.OpenToken(sealSession, of.ID, of.SignIn.Session)
	if err != nil {
		return // there never was one, or the log has said so when it was needed
	}
	settling, cancel := flow.Asking(ctx, undoTime/2)
	defer cancel()
	c.queue.settleWith(settling, session, of.SignIn.Person.ID())
	if _, err := c.orphans.revoke(settling, session, of.SignIn.Account.Username); err != nil {
		c.log.WarnContext(ctx, "keys of a person that nothing here knows could not be looked for", "request_id", audit.RequestID(ctx), "error", err)
	}
	leaving, cancel := flow.Asking(ctx, 0)
	defer cancel()
	if err := c.api.Logout(leaving, session); err != nil {
		c.log.WarnContext(ctx, "a Trinity session could not be logged out yet", "request_id", audit.RequestID(ctx), "error", err)
		return
	}
	_, err = c.flows.UpdateFlow(context.WithoutCancel(ctx), of.ID, c.now(), func(f *bridge.Flow) error {
		f.SignIn.Session = nil
		return nil
	})
	if err != nil && !errors.Is(err, bridge.ErrNotFound) {
		c.log.WarnContext(ctx, "a Trinity session that is logged out could not be forgotten and is logged out again later",
			"request_id", audit.RequestID(ctx), "error", err)
	}
}

// Open returns the key that the calls of a grant are made with: its own, or the operator's one of
// the principal it acts as. ErrNotFound when the operator lends that no longer.
func (c *Credentials) Open(grant bridge.Grant) (secret.Token, error) {
	if !grant.ActingAs.Lent() {
		return c.own(grant)
	}
	key, ok := c.principals.key(grant.ActingAs)
	if !ok {
		return secret.Token{}, fmt.Errorf("opening the key of %s, which the operator has taken back: %w", grant.ActingAs, bridge.ErrNotFound)
	}
	return key, nil
}

// own unseals the grant's own key.
func (c *Credentials) own(grant bridge.Grant) (secret.Token, error) {
	key, err := c.ring.OpenToken(sealKey, grant.ID, grant.Credential.Sealed)
	if err != nil {
		return secret.Token{}, fmt.Errorf("opening the key of grant %s: %w", grant.ID, err)
	}
	return key, nil
}

var errNoSession = errors.New("no session is at hand")

var errOtherAccount = errors.New("the new key answers for another account")

func (c *Credentials) answersFor(ctx context.Context, key secret.Token, username string) error {
	account, err := c.api.Me(ctx, key)
	if err != nil {
		return fmt.Errorf("checking a new key: %w", err)
	}
	if username == "" || account.Username != username {
		c.log.ErrorContext(ctx, "Trinity minted a key for another account than the one signed in: revoked again",
			"request_id", audit.RequestID(ctx))
		return errOtherAccount
	}
	return nil
}

// slug is a client's name in a key's name: lower-case letters, digits and single hyphens.
func slug(name string) string {
	var b strings.Builder
	for _, r := range asciiLower(name) {
		switch {
		case b.Len() == maxSlugBytes:
			return strings.TrimSuffix(b.String(), "-")
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	if b.Len() == 0 {
		return "client"
	}
	return strings.TrimSuffix(b.String(), "-")
}
