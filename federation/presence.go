package federation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	// askEvery is how old the provider's last word on a person may be. With the minute in which a grant
	// is looked at while it is used, what has changed bites within five.
	askEvery = 4 * time.Minute
	// askAgain is how long a provider that did not answer is left alone.
	askAgain = time.Minute
	askTime  = 10 * time.Second
)

// PresenceStore is what Presence needs of the store.
type PresenceStore interface {
	bridge.IdentityStore
	bridge.ReplayStore
}

// Unlinker ends what ties a person to a Trinity account.
type Unlinker interface {
	// Depart ends a person's link if its key is one the bridge made, and revokes the key.
	Depart(ctx context.Context, person bridge.Person) error
}

// PresenceOptions are what Presence needs.
type PresenceOptions struct {
	Sources []Source
	Store   PresenceStore
	Links   Unlinker
	Ring    *secret.Keyring
	Trail   *audit.Trail
	Log     *slog.Logger
	Now     func() time.Time
	Grace   time.Duration // how long a provider may say nothing before that speaks against a grant
	Ended   func()        // a grant has ended
}

// Presence sees to it that people who leave their company are out: it asks their provider anew while
// a grant is used, and takes its word when it says by itself that somebody has left.
type Presence struct {
	PresenceOptions
	asked singleflight.Group
}

// NewPresence makes a Presence.
func NewPresence(o PresenceOptions) *Presence { return &Presence{PresenceOptions: o} }

// Standing is what the identity session of a grant says for it. A grant that came from no provider
// is good as far as this goes. Without a refresh token of the provider nobody can be asked, and the
// session stands until the provider ends it.
func (p *Presence) Standing(ctx context.Context, grant bridge.Grant) bridge.Standing {
	if grant.Identity == "" {
		return bridge.StandingGood
	}
	session, err := p.Store.Identity(ctx, grant.Identity)
	switch {
	case errors.Is(err, bridge.ErrNotFound):
		return bridge.StandingSignedOut
	case err != nil:
		p.Log.ErrorContext(ctx, "an identity session could not be read", "request_id", audit.RequestID(ctx), "grant_id", grant.ID, "error", err)
		return bridge.StandingUnknown
	case !session.EndedAt.IsZero():
		return standingFor(session.EndReason)
	}
	source, known := p.source(session.Source)
	if !known {
		return p.end(ctx, session, bridge.EndNotAdmitted)
	}
	if len(session.Refresh) == 0 || p.Now().Sub(session.Admission.CheckedAt) < askEvery {
		return bridge.StandingGood
	}
	return p.ask(ctx, source, session, grant)
}

func standingFor(reason bridge.EndReason) bridge.Standing {
	if reason == bridge.EndNotAdmitted {
		return bridge.StandingNotAdmitted
	}
	return bridge.StandingSignedOut
}

func (p *Presence) source(name string) (Source, bool) {
	at := slices.IndexFunc(p.Sources, func(s Source) bool { return s.Name == name })
	if at < 0 {
		return Source{}, false
	}
	return p.Sources[at], true
}

// ask asks the provider, once for all grants of the session, here and on other replicas: many
// providers take a refresh token once only, and end the session of whoever shows it twice.
func (p *Presence) ask(ctx context.Context, source Source, session bridge.IdentitySession, grant bridge.Grant) bridge.Standing {
	answer := p.asked.DoChan(session.ID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
		defer cancel()
		return nil, p.renew(ctx, source, session)
	})
	var err error
	select {
	case result := <-answer:
		err = result.Err
	case <-ctx.Done():
		return bridge.StandingUnknown
	}
	if err != nil {
		p.Log.ErrorContext(ctx, "an identity session could not be asked about", "request_id", audit.RequestID(ctx), "grant_id", grant.ID, "error", err)
	}
	after, err := p.Store.Identity(ctx, session.ID)
	switch {
	case errors.Is(err, bridge.ErrNotFound):
		return bridge.StandingSignedOut
	case err != nil:
		return bridge.StandingUnknown
	case !after.EndedAt.IsZero():
		return standingFor(after.EndReason)
	case after.Admission.FailingSince.IsZero():
		return bridge.StandingGood
	case p.Now().Sub(after.Admission.FailingSince) >= p.Grace:
		return bridge.StandingOverdue
	}
	return bridge.StandingUnknown
}

// renew asks the provider and stores what came of it. An error is our own trouble.
func (p *Presence) renew(ctx context.Context, source Source, session bridge.IdentitySession) error {
	turn := p.Now().Truncate(askAgain)
	mine, err := p.Store.UseOnce(ctx, "identity check", session.ID+" "+strconv.FormatInt(turn.Unix(), 10), turn.Add(2*askAgain), p.Now())
	if err != nil || !mine {
		return err //nolint:wrapcheck // the store says what it is
	}
	refresh, err := p.Ring.OpenToken(bridge.SealedIdentity, session.ID, session.Refresh)
	if err != nil {
		return fmt.Errorf("opening a provider's refresh token: %w", err)
	}
	identity, err := source.Provider.Renew(ctx, refresh, session.Person.Source, session.Person.Subject)
	switch {
	case err == nil:
		return p.admit(ctx, source, session, identity)
	case errors.Is(err, ErrOver):
		return p.over(ctx, session)
	}
	p.Log.WarnContext(ctx, "an identity provider did not say whether a person may still come in",
		"request_id", audit.RequestID(ctx), "source", source.Name, "error", err)
	_, _, err = p.Store.UpdateIdentity(ctx, session.ID, p.Now(), func(s *bridge.IdentitySession) error {
		if s.Admission.FailingSince.IsZero() {
			s.Admission.FailingSince = p.Now()
		}
		if !identity.Refresh.IsZero() {
			s.Refresh = p.Ring.SealToken(bridge.SealedIdentity, s.ID, identity.Refresh)
		}
		return nil
	})
	return unlessOver(err)
}

// admit applies the rules to what the provider says now. Grants are cut down to it, and those of which
// nothing is left end.
func (p *Presence) admit(ctx context.Context, source Source, session bridge.IdentitySession, identity Identity) error {
	verdict := source.Policy.Decide(identity.Claims)
	silent := identity.Claims == nil // what the rules saw last is as good as ever
	_, ended, err := p.Store.UpdateIdentity(ctx, session.ID, p.Now(), func(s *bridge.IdentitySession) error {
		if silent {
			s.Admission.CheckedAt, s.Admission.FailingSince = p.Now(), time.Time{}
		} else {
			s.Admission = verdict.Admission(p.Now())
		}
		if !identity.Refresh.IsZero() {
			s.Refresh = p.Ring.SealToken(bridge.SealedIdentity, s.ID, identity.Refresh)
		}
		if !identity.IDToken.IsZero() {
			s.IDToken = p.Ring.SealToken(bridge.SealedIdentityToken, s.ID, identity.IDToken)
		}
		return nil
	})
	if err != nil {
		return unlessOver(err)
	}
	p.told(ctx, ended, "source "+session.Source)
	if verdict.Admitted || silent {
		return nil
	}
	p.end(ctx, session, bridge.EndNotAdmitted)
	if err := p.Links.Depart(ctx, session.Person); err != nil {
		return fmt.Errorf("ending the link of somebody who is no longer let in: %w", err)
	}
	return nil
}

// over ends a session whose refresh token the provider takes no more, unless another replica has
// shown that token meanwhile and holds the next one.
func (p *Presence) over(ctx context.Context, session bridge.IdentitySession) error {
	now, err := p.Store.Identity(ctx, session.ID)
	if err != nil {
		return unlessOver(err)
	}
	if string(now.Refresh) == string(session.Refresh) {
		p.end(ctx, now, bridge.EndSignedOut)
	}
	return nil
}

func unlessOver(err error) error {
	if errors.Is(err, bridge.ErrNotFound) {
		return nil // it has ended meanwhile
	}
	return err
}

// end ends a session with its grants.
func (p *Presence) end(ctx context.Context, session bridge.IdentitySession, reason bridge.EndReason) bridge.Standing {
	_, ended, _, err := p.Store.EndIdentity(ctx, session.ID, reason, p.Now())
	if err != nil {
		p.Log.ErrorContext(ctx, "an identity session that is over could not be ended", "request_id", audit.RequestID(ctx), "error", err)
		return standingFor(reason)
	}
	p.told(ctx, ended, "source "+session.Source)
	return standingFor(reason)
}

// told notes grants that ended, and why.
func (p *Presence) told(ctx context.Context, ended []bridge.Grant, detail string) {
	for _, grant := range ended {
		p.Trail.Record(ctx, bridge.AuditEvent{
			Kind: audit.GrantEnded, PersonID: grant.Person.ID(), ClientID: grant.ClientID, GrantID: grant.ID,
			Outcome: string(grant.EndReason), Detail: detail,
		})
	}
	if len(ended) > 0 && p.Ended != nil {
		p.Ended()
	}
}
