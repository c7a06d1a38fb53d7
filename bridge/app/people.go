package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/oauth"
	"github.com/abilityai/trinity-bridge/federation/trinity"
)

// people resolves somebody an identity assertion is about as a sign-in of theirs would be: through
// their link, by the rules of their identity source.
type people struct {
	store   bridge.Store
	linker  *trinity.Linker
	sources []config.Source
	grace   time.Duration
	now     func() time.Time
}

// Resolve returns what is known of a person. An assertion need not hold what the rules look at; then
// the person is who they were when they signed in last, as long as that session stands.
// bridge.ErrNotFound when the rules let the person in by neither.
func (p *people) Resolve(ctx context.Context, person bridge.Person, claims admission.Claims) (oauth.Known, error) {
	known, err := p.linked(ctx, person)
	if err != nil {
		return oauth.Known{}, err
	}
	at := slices.IndexFunc(p.sources, func(s config.Source) bool { return issues(s, person.Source) })
	if at < 0 {
		return known, nil
	}
	verdict := p.sources[at].Policy.Decide(claims)
	admitted := verdict.Admission(p.now())
	if !verdict.Admitted {
		if admitted, err = p.standing(ctx, person); err != nil {
			return oauth.Known{}, fmt.Errorf("%w: %s", err, verdict.Why)
		}
	}
	known.Admission = &admitted
	return known, nil
}

func (p *people) linked(ctx context.Context, person bridge.Person) (oauth.Known, error) {
	link, err := p.store.LinkOf(ctx, person.ID())
	if errors.Is(err, bridge.ErrNotFound) {
		return oauth.Known{}, nil
	}
	if err != nil {
		return oauth.Known{}, fmt.Errorf("finding a link: %w", err)
	}
	key, err := p.linker.Open(link)
	return oauth.Known{Link: link.ID, Key: key}, err
}

// standing is the newest admission of a session of the person that has not ended and could be
// checked within the grace.
func (p *people) standing(ctx context.Context, person bridge.Person) (bridge.Admission, error) {
	sessions, err := p.store.OpenIdentities(ctx, person.Source, person.Subject, "")
	if err != nil {
		return bridge.Admission{}, fmt.Errorf("finding a session: %w", err)
	}
	var newest bridge.Admission
	for _, session := range sessions {
		admitted := session.Admission
		failing := !admitted.FailingSince.IsZero() && p.now().Sub(admitted.FailingSince) > p.grace
		if len(admitted.Ceiling) > 0 && !failing && admitted.CheckedAt.After(newest.CheckedAt) {
			newest = admitted
		}
	}
	if len(newest.Ceiling) == 0 {
		return bridge.Admission{}, fmt.Errorf("the rules do not let the person in: %w", bridge.ErrNotFound)
	}
	return newest, nil
}

// issues reports whether people of the issuer sign in at the source.
func issues(s config.Source, issuer string) bool {
	if len(s.Tenants) == 0 {
		return s.Issuer == issuer
	}
	return slices.ContainsFunc(s.Tenants, func(tenant string) bool {
		return strings.ReplaceAll(s.Issuer, bridge.TenantMark, tenant) == issuer
	})
}
