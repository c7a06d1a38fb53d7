package trinity

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Errors of a key that somebody brought.
var (
	// ErrKeyRefused: Trinity does not take the key, or its owner.
	ErrKeyRefused = errors.New("the key is not taken by Trinity")
	// ErrKeyKind: the key is not one of a person.
	ErrKeyKind = errors.New("the key is not one of a person")
	// ErrKeyOwner: the key belongs to another account than it was said to.
	ErrKeyOwner = errors.New("the key belongs to another account")
)

// linkPrefix is what the ids of links begin with.
const linkPrefix = "link-"

// LinkerOptions are what a Linker needs.
type LinkerOptions struct {
	Credentials *Credentials
	Store       bridge.LinkStore
	Trail       *audit.Trail
	Rand        io.Reader
	Ended       func() // a link has ended: its key waits to be revoked
}

// Linker ties people of identity providers to their Trinity accounts, once, and unties them. Each
// link has a key of its own. Use NewLinker.
type Linker struct {
	LinkerOptions
	c *Credentials
}

// NewLinker makes a Linker.
func NewLinker(o LinkerOptions) *Linker { return &Linker{LinkerOptions: o, c: o.Credentials} }

// Current returns the live link of a person with the account as Trinity knows it now, and how its
// key stands. A link whose key is dead or another account's is ended, and bridge.ErrNotFound
// returned as if there had been none: the person links again. Of a Trinity that does not answer
// nothing follows.
func (l *Linker) Current(ctx context.Context, person bridge.Person) (bridge.Link, bridge.Standing, error) {
	link, err := l.Store.LinkOf(ctx, person.ID())
	if err != nil {
		return bridge.Link{}, bridge.StandingUnknown, fmt.Errorf("finding a link: %w", err)
	}
	key, err := l.Open(link)
	if err != nil {
		return bridge.Link{}, bridge.StandingUnknown, err
	}
	ctx, cancel := context.WithTimeout(ctx, standingTimeout)
	defer cancel()
	standing, account, err := l.c.examine(ctx, key, claim{username: link.Account.Username, as: bridge.ActingAs{Kind: bridge.ActAsUser}})
	switch standing {
	case bridge.StandingGood:
		if account.Username != "" {
			link.Account = account
		}
	case bridge.StandingDead, bridge.StandingChanged, bridge.StandingRescoped:
		if _, err := l.End(context.WithoutCancel(ctx), link.ID, standing.Ends()); err != nil {
			return bridge.Link{}, standing, err
		}
		return bridge.Link{}, standing, fmt.Errorf("the link's key is %s: %w", standing, bridge.ErrNotFound)
	case bridge.StandingUnknown, bridge.StandingOverdue:
		l.c.log.WarnContext(ctx, "Trinity did not say whether the key of a link is good", "request_id", audit.RequestID(ctx), "error", err)
	case bridge.StandingSuspended, bridge.StandingLowered, bridge.StandingWithdrawn, bridge.StandingSignedOut, bridge.StandingNotAdmitted:
	}
	return link, standing, nil
}

// Open unseals the key of a link.
func (l *Linker) Open(link bridge.Link) (secret.Token, error) {
	key, err := l.c.ring.OpenToken(sealKey, link.ID, link.Credential.Sealed)
	if err != nil {
		return secret.Token{}, fmt.Errorf("opening the key of link %s: %w", link.ID, err)
	}
	return key, nil
}

// ByCode makes a link with the session of a person who has just proved the account: it mints the
// link's key. After an error no key is left behind.
func (l *Linker) ByCode(ctx context.Context, person bridge.Person, account bridge.Account, session secret.Token) (bridge.Link, error) {
	id, err := l.newID()
	if err != nil {
		return bridge.Link{}, err
	}
	minting := mint{
		session: session, row: id, name: l.c.orphans.name(id), person: person.ID(), username: account.Username,
		description: "Made when you connected your account through Trinity Bridge",
	}
	credential, err := l.c.mint(ctx, minting)
	if err != nil {
		return bridge.Link{}, err
	}
	ctx = context.WithoutCancel(ctx)
	outcome, link, err := l.Store.CreateLink(ctx, bridge.Link{
		ID: id, Person: person, Account: account, Made: bridge.LinkByCode, Credential: credential, CreatedAt: l.c.now(),
	}, l.c.now())
	if err != nil || outcome != bridge.LinkMade {
		l.c.discard(ctx, minting, credential)
	}
	if err != nil {
		return bridge.Link{}, fmt.Errorf("storing a link: %w", err)
	}
	l.made(ctx, link, outcome)
	return link, nil
}

// ByKey makes a link with a key that was brought, if Trinity takes it as a person's. username is the
// owner it has to be of, or "" for whosever it is. Errors wrap one of this package's.
func (l *Linker) ByKey(ctx context.Context, person bridge.Person, key secret.Token, made bridge.LinkOrigin, username string) (bridge.Link, bridge.LinkOutcome, error) {
	principal, account, err := l.Check(ctx, key, username)
	if err != nil {
		return bridge.Link{}, "", err
	}
	id, err := l.newID()
	if err != nil {
		return bridge.Link{}, "", err
	}
	ctx = context.WithoutCancel(ctx)
	outcome, link, err := l.Store.CreateLink(ctx, bridge.Link{
		ID: id, Person: person, Account: account, Made: made, CreatedAt: l.c.now(),
		Credential: bridge.Credential{KeyID: principal.KeyID, KeyName: principal.KeyName, Sealed: l.c.ring.SealToken(sealKey, id, key)},
	}, l.c.now())
	if err != nil {
		return bridge.Link{}, "", fmt.Errorf("storing a link: %w", err)
	}
	l.made(ctx, link, outcome)
	return link, outcome, nil
}

// Check asks Trinity whose a key is and whether calls of a person can be made with it.
func (l *Linker) Check(ctx context.Context, key secret.Token, username string) (Principal, bridge.Account, error) {
	principal, err := l.c.api.Validate(ctx, key)
	if err != nil {
		return Principal{}, bridge.Account{}, keyError(err)
	}
	if acting, err := actingAs(principal); err != nil || acting.Kind != bridge.ActAsUser {
		return Principal{}, bridge.Account{}, ErrKeyKind
	}
	account, err := l.c.api.Me(ctx, key) // validating does not notice a suspended owner (contract 3.4)
	if err != nil {
		return Principal{}, bridge.Account{}, keyError(err)
	}
	if account.Username != principal.Username || username != "" && username != account.Username {
		return Principal{}, bridge.Account{}, ErrKeyOwner
	}
	return principal, account, nil
}

func keyError(err error) error {
	if errors.Is(err, ErrUnauthorized) {
		return fmt.Errorf("%w: %w", ErrKeyRefused, err)
	}
	return err
}

// Judge ends the link of a grant whose key turned out to be worth nothing any more, so that the other
// grants that came through it need not find out one by one. A suspended person's link goes as well, if
// the bridge made its key: the key would be good again with its owner.
func (l *Linker) Judge(ctx context.Context, grant bridge.Grant, standing bridge.Standing) {
	switch standing {
	case bridge.StandingDead, bridge.StandingChanged, bridge.StandingRescoped, bridge.StandingSuspended:
	default:
		return
	}
	if grant.ActingAs.Lent() {
		return // it may be the operator's key that is meant
	}
	ctx = context.WithoutCancel(ctx)
	link, err := l.Store.Link(ctx, grant.Link)
	if err == nil && (standing != bridge.StandingSuspended || link.Made == bridge.LinkByCode) {
		_, err = l.End(ctx, link.ID, standing.Ends())
	}
	if err != nil {
		l.c.log.ErrorContext(ctx, "a link whose key is worth nothing could not be ended", "request_id", audit.RequestID(ctx), "grant_id", grant.ID, "error", err)
	}
}

// Depart ends a person's link for good when the rules of their identity source no longer let them in:
// its key is revoked. A link that the operator imported, or a key that the person brought, is not the
// bridge's to take away; no call is made with it.
func (l *Linker) Depart(ctx context.Context, person bridge.Person) error {
	link, err := l.Store.LinkOf(ctx, person.ID())
	if errors.Is(err, bridge.ErrNotFound) || err == nil && link.Made != bridge.LinkByCode {
		return nil
	}
	if err == nil {
		_, err = l.End(ctx, link.ID, bridge.EndNotAdmitted)
	}
	if err != nil {
		return fmt.Errorf("ending a link: %w", err)
	}
	return nil
}

// End ends a link with all grants that came through it; its key is revoked behind. It returns the grants it
// ended. After an error it may have begun: what is left ends behind, too.
func (l *Linker) End(ctx context.Context, id string, reason bridge.EndReason) ([]bridge.Grant, error) {
	link, grants, now, err := l.Store.EndLink(ctx, id, reason, l.c.now())
	if now {
		l.Trail.Record(ctx, bridge.AuditEvent{Kind: audit.LinkEnded, PersonID: link.Person.ID(), Outcome: string(reason), Detail: link.ID})
	}
	recordEnded(ctx, l.Trail, grants...)
	if now && l.Ended != nil {
		l.Ended()
	}
	if err != nil {
		return grants, fmt.Errorf("ending a link: %w", err)
	}
	return grants, nil
}

func (l *Linker) made(ctx context.Context, link bridge.Link, outcome bridge.LinkOutcome) {
	if outcome == bridge.LinkMade {
		l.Trail.Record(ctx, bridge.AuditEvent{Kind: audit.LinkMade, PersonID: link.Person.ID(), Outcome: string(link.Made), Detail: link.ID})
	}
}

func (l *Linker) newID() (string, error) {
	id, err := bridge.NewID(l.Rand)
	return linkPrefix + id, err
}
