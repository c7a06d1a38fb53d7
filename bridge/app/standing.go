package app

import (
	"context"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/federation"
	"github.com/abilityai/trinity-bridge/federation/trinity"
)

// standings asks all who have a say in whether a grant may go on: the person's identity provider, then
// Trinity. Keys are Trinity's business alone.
type standings struct {
	*trinity.Credentials
	presence *federation.Presence
	linker   *trinity.Linker
}

// Standing is the worst of what they say.
func (s *standings) Standing(ctx context.Context, grant bridge.Grant) bridge.Standing {
	at := s.presence.Standing(ctx, grant)
	if at.Ends() != "" || at == bridge.StandingOverdue {
		return at
	}
	here := s.Credentials.Standing(ctx, grant)
	if grant.Link != "" {
		s.linker.Judge(ctx, grant, here)
	}
	if here == bridge.StandingGood {
		return at // good, or not known
	}
	return here
}
