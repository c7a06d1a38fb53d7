package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/federation"
	"github.com/abilityai/trinity-bridge/federation/oidc"
	"github.com/abilityai/trinity-bridge/federation/trinity"
	"github.com/abilityai/trinity-bridge/templates"
)

// firstStep is where flows begin.
func (b *Bridge) firstStep() bridge.Step {
	if len(b.config.Sources) > 0 {
		return bridge.StepChoose
	}
	return bridge.StepSignIn
}

// sources makes the chooser with a relying party for each configured identity source. None of them
// is asked anything yet.
func (b *Bridge) sources(flows *flow.Keeper, linker *trinity.Linker, registry *clients.Registry, pages *templates.Set) (*federation.Step, error) {
	issuer := b.config.PublicURL.String()
	var all []federation.Source
	for _, source := range b.config.Sources {
		provider, err := oidc.New(b.relyingParty(source, issuer+flow.PathCallback(source.Name)))
		if err != nil {
			return nil, fmt.Errorf("identity source %s: %w", source.Name, err)
		}
		policy := source.Policy
		all = append(all, federation.Source{
			Name: source.Name, Label: source.Label, Provider: provider, Policy: &policy, Domains: source.Domains,
			ByCode: source.ByCode, ByKey: source.ByKey,
		})
	}
	return &federation.Step{Options: federation.Options{
		Issuer: issuer, Sources: all, EmailCode: b.config.EmailCode, Flows: flows, Ring: b.ring, Links: linker, Clients: registry,
		Pages: pages, Trail: b.trail, Log: b.log, Now: b.now, Rand: b.rand,
	}}, nil
}

// ways are those that are offered.
func (b *Bridge) ways() templates.Ways {
	ways := templates.Ways{Code: b.config.EmailCode, Choice: len(b.config.Sources) > 1 || len(b.config.Sources) == 1 && b.config.EmailCode}
	if len(b.config.Sources) == 1 && !ways.Choice {
		ways.Only = b.config.Sources[0].Label
	}
	return ways
}

func (b *Bridge) relyingParty(s config.Source, callback string) oidc.Options {
	return oidc.Options{
		Issuer: s.Issuer, Tenants: s.Tenants, Origins: s.Origins, ClientID: s.ClientID, Auth: s.Auth, Secret: s.Secret,
		Key: s.Key, KeyID: s.KeyID, Callback: callback, Scopes: s.Scopes, Algorithms: s.Algorithms, Audiences: s.Audiences,
		NoUserinfo: !s.Userinfo, KeepSession: s.KeepSession, Parameters: s.Parameters, Strength: oidc.Strength{ACR: s.ACR, AMR: s.AMR, MaxAge: s.MaxAge}, Log: b.log, Now: b.now,
	}
}

// label is what people call an identity source.
func (b *Bridge) label(name string) string {
	at := slices.IndexFunc(b.config.Sources, func(s config.Source) bool { return s.Name == name })
	if at < 0 {
		return name
	}
	return b.config.Sources[at].Label
}

// obtainable is the most a grant could be given by asking again: what its client may have, as far as
// the rules of the person's identity source reach.
func obtainable(registry *clients.Registry) func(context.Context, bridge.Grant) bridge.Scopes {
	return func(ctx context.Context, grant bridge.Grant) bridge.Scopes {
		scopes := registry.Obtainable(ctx, grant)
		if grant.Identity != "" || len(grant.Ceiling) > 0 {
			scopes = scopes.Intersect(grant.Ceiling)
		}
		return scopes
	}
}
